"""docs/course/: quotes are the code's, outputs and pictures are the embedded model's, and every notebook runs."""

from __future__ import annotations

import contextlib
import json
import math
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from distilroberta_np.hub import find_embedded
from distilroberta_np.reference.bpe import BYTES, Tokenizer
from tests.support.course import COURSE, LESSONS, NOTEBOOKS, PICTURE, RUN, equal, near, numbers_in, run, run_notebook

CONFIG = json.loads((find_embedded() / "config.json").read_text(encoding="utf-8"))
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((\S+?)\)")
RENEW = "draw and print again: python -m scripts.draw_course"

with contextlib.suppress(ImportError):
    import matplotlib

    matplotlib.use("agg")

each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_there_are_six_lessons_and_each_has_a_notebook():
    assert [path.stem[0] for path in LESSONS] == list("123456")
    assert [path.stem for path in NOTEBOOKS] == [path.stem for path in LESSONS]
    links = set(LINK.findall(read(COURSE / "README.md")))
    assert {path.name for path in (*LESSONS, *NOTEBOOKS)} <= links


@each_lesson
def test_quotes_are_the_code(lesson):
    text, quotes = read(lesson), 0
    for match in FENCE.finditer(text):
        if match[1] == "py":
            quotes += 1
            source = next(link for link in reversed(LINK.findall(text[: match.start()])) if link.endswith(".py"))
            assert f"\n{match[2]}" in read(lesson.parent / source), f"{source} has no lines\n{match[2]}"
    assert quotes
    assert "(../../distilroberta_np/reference/" in text


@each_lesson
def test_outputs_are_what_the_code_prints(lesson):
    text = read(lesson)
    blocks = list(RUN.finditer(text))
    assert blocks
    assert len(blocks) == text.count("```python\n") == text.count("```text\n")
    for block in blocks:
        printed = run(block["code"], lesson.name)
        assert equal(block["output"], printed), f"{RENEW}\n{printed}"


@each_lesson
def test_three_questions_have_answers(lesson):
    text = read(lesson)
    assert re.findall(r"^\*\*(\d)\. .*\?", text, re.MULTILINE) == ["1", "2", "3"]
    assert text.count("<details><summary>Answer</summary>\n\n") == text.count("\n\n</details>\n") == 3


@each_lesson
def test_numbers_in_sentences_are_printed_or_in_the_configuration(lesson):
    """So that none of them outlives the model that it describes."""
    text = read(lesson)
    known = [float(number) for block in RUN.finditer(text) for number in numbers_in(block["output"])]
    known += [value for value in CONFIG.values() if isinstance(value, int | float)]
    known += [len(BYTES), math.log(CONFIG["vocab_size"])]
    sentences = PICTURE.sub("", FENCE.sub("", text))
    sentences = re.sub(r"`[^`\n]*`|\$[^$]*\$|\]\(\S*\)|\((?:Clark et al\.|nostalgebraist) \d{4}\)", "", sentences)
    for number in numbers_in(sentences):
        if "." in number or len(number) > 2:
            digits = len(number.partition(".")[2])
            assert any(near(number, f"{other:.{digits}f}") for other in known), number


def test_sizes_are_those_of_the_embedded_model():
    rows = dict(re.findall(r"^\| (\w) \|.* \| ([\d,]*) \|$", read(COURSE / "README.md"), re.MULTILINE))
    heads, hidden = CONFIG["num_attention_heads"], CONFIG["hidden_size"]
    sizes = {"V": CONFIG["vocab_size"], "H": hidden, "A": heads, "D": hidden // heads}
    sizes |= {"F": CONFIG["intermediate_size"], "L": CONFIG["num_hidden_layers"]}
    assert {letter: int(number.replace(",", "")) for letter, number in rows.items() if number} == sizes
    assert CONFIG["pad_token_id"] + 1 == 2


def test_what_the_first_lesson_says_of_the_tokenizer():
    tokenizer = Tokenizer.from_folder(find_embedded())
    assert BYTES.keys() <= tokenizer.ids.keys()
    assert "Ġcup" in tokenizer.ids
    assert tokenizer.encode("cup")[0] != tokenizer.encode(" cup")[0]
    assert tokenizer.encode("of   <mask>") == (tokenizer.encode("of<mask>")[0], [(0, 0), (0, 2), (5, 11), (0, 0)])


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run_and_the_picture_shows_what_they_find(notebook, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names, printed = run_notebook(notebook)
    pyplot = names.get("pyplot")
    assert (pyplot is None) == ("install matplotlib" in printed)
    if pyplot is not None:
        assert names["figure"].axes
        pyplot.close("all")
    assert list(tmp_path.iterdir()) == []

    ((alt, path),) = PICTURE.findall(read(notebook.with_suffix(".md")))
    assert path == notebook.with_suffix(".svg").name
    assert not set(alt) & set("<>[]|*_`\n")  # plain text in Markdown and HTML
    assert equal(alt, names["description"]), RENEW
    picture = ElementTree.parse(notebook.with_suffix(".svg"))
    described = picture.findtext(".//{http://purl.org/dc/elements/1.1/}description")
    assert equal(described, names["description"]), RENEW
    assert notebook.with_suffix(".svg").stat().st_size < 60_000


def test_without_matplotlib_notebooks_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    names, printed = run_notebook(NOTEBOOKS[0])
    assert "pip install 'distilroberta-np[plot]'" in printed
    assert "figure" not in names


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_valid_and_hold_no_outputs(notebook):
    content = json.loads(read(notebook))
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    cells = content["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells)
    for cell in cells:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
    linked = [link for cell in cells for link in LINK.findall("".join(cell["source"])) if cell["cell_type"] != "code"]
    assert notebook.with_suffix(".md").name in linked
    assert all((COURSE / link).exists() for link in linked)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("a 0.50 of 1,000", "a 0.504 of 1000", True),
        ("a 0.50", "a 0.51", False),
        ("a 0.5", "b 0.5", False),
        ("[ 1.   0.5]", "[1.  0.5]", True),
        ("5", "6", False),
        ("13,409", "13430", False),
        ("-0.10", "0.10", False),
        ("1 2", "1", False),
    ],
)
def test_outputs_are_compared_by_words_and_numbers(first, second, same):
    assert equal(first, second) is same
