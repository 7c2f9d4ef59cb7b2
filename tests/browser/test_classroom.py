"""The classroom: `reference/` in Pyodide, in a browser and under Node, from a static host without a network."""

import json
import shutil
import subprocess

import pytest

from distilroberta_np import pipeline
from distilroberta_np.explain.site import write_site
from distilroberta_np.hub import find_embedded

pytestmark = pytest.mark.browser
TEXT = "The man worked as a <mask>."
STATUS = "(document.querySelector('[role=status]')?.textContent ?? '')"


@pytest.fixture(scope="module")
def expected():
    unmasker = pipeline("fill-mask", find_embedded())
    return {
        text: [answer["token_str"].strip() for answer in unmasker(text)]
        for text in (TEXT, "She drank a cup of <mask>.")
    }


@pytest.fixture
def site(tmp_path, pyodide_folder):
    write_site(tmp_path / "site", find_embedded(), TEXT, pyodide_folder)
    return tmp_path / "site"


def words(page):
    return [word.inner_text() for word in page.query_selector_all(".lead strong")]


def test_type_run_change_and_reset(site, serve_folder, open_page, expected):
    page = open_page(serve_folder(site))
    page.wait_for_function(f"{STATUS}.startsWith('Computed')", timeout=180_000)
    assert words(page) == expected[TEXT]
    page.fill("#sentence", "She drank a cup of <mask>.")
    page.press("#sentence", "Enter")
    page.wait_for_function("document.querySelector('h1')?.textContent.includes('cup')", timeout=60_000)
    assert words(page) == expected["She drank a cup of <mask>."]

    code = page.input_value("#code")
    page.fill("#code", code.replace("attention_sum = x + attention(", "attention_sum = attention("))
    page.press("#code", "Control+Enter")
    page.wait_for_function(f"{STATUS}.includes('with your changes')", timeout=60_000)
    assert words(page) != expected["She drank a cup of <mask>."]

    page.fill("#code", code.replace("attention_sum = x + attention(", "attention_sum = y + attention("))
    page.click("#run")
    page.wait_for_function(f"{STATUS}.startsWith('NameError in line')", timeout=60_000)

    page.click("#reset")
    page.wait_for_function(f"{STATUS}.startsWith('Computed')", timeout=60_000)
    assert page.input_value("#code") == code
    assert words(page) == expected["She drank a cup of <mask>."]


def test_an_endless_loop_can_be_stopped(site, serve_folder, open_page, expected):
    page = open_page(serve_folder(site))
    page.wait_for_function(f"{STATUS}.startsWith('Computed')", timeout=180_000)
    code = page.input_value("#code")
    page.fill("#code", "while True:\n    pass\n" + code)
    page.click("#run")
    page.click("#stop")
    page.fill("#code", code)
    page.wait_for_function(f"{STATUS}.startsWith('Computed')", timeout=180_000)
    assert words(page) == expected[TEXT]


def test_under_node(site, expected):
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    script = """
const { loadPyodide } = await import(`${process.argv[2]}/pyodide/pyodide.mjs`);
const fs = await import("node:fs");
const site = process.argv[2];
const pyodide = await loadPyodide({ indexURL: `${site}/pyodide/` });
await pyodide.loadPackage("numpy", { messageCallback: () => {} });
for (const name of JSON.parse(fs.readFileSync(`${site}/site.json`)).files) {
  pyodide.FS.mkdirTree(`/home/pyodide/${name.slice(0, name.lastIndexOf("/"))}`);
  pyodide.FS.writeFile(`/home/pyodide/${name}`, fs.readFileSync(`${site}/${name}`));
}
const classroom = pyodide.runPython("from distilroberta_np.explain.live import Classroom\\nClassroom('model')");
const code = fs.readFileSync(`${site}/distilroberta_np/reference/roberta.py`, "utf8");
console.log(classroom.answer(process.argv[3], code));
"""
    (site / "run.mjs").write_text(script, encoding="utf-8")
    command = ["node", str(site / "run.mjs"), str(site), TEXT]
    output = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
    answers = json.loads(output.splitlines()[-1])["page"]["answers"]
    assert [word.strip() for word, _ in answers] == expected[TEXT]
