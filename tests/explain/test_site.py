"""The static site: its files, and what it refuses. tests/browser opens it."""

import json

import pytest

from distilroberta_np import OutputError
from distilroberta_np.explain.site import PYODIDE, write_site
from distilroberta_np.hub import find_embedded

TEXT = "The man worked as a <mask>."


def test_every_file_that_the_site_names_is_there(tmp_path):
    write_site(tmp_path / "site", find_embedded(), TEXT)
    settings = json.loads((tmp_path / "site" / "site.json").read_text())
    assert settings["sentence"] == TEXT
    assert settings["pyodide"] == PYODIDE
    for name in (*settings["files"], settings["code"], "index.html", "site.js", "worker.js", "page.js", "page.css"):
        assert (tmp_path / "site" / name).is_file(), name
    assert (tmp_path / "site" / "distilroberta_np" / "__init__.py").read_text() == ""


def test_pyodide_is_copied_from_a_folder(tmp_path):
    (tmp_path / "pyodide").mkdir()
    (tmp_path / "pyodide" / "pyodide.js").write_text("// Pyodide")
    write_site(tmp_path / "site", find_embedded(), TEXT, str(tmp_path / "pyodide"))
    assert (tmp_path / "site" / "pyodide" / "pyodide.js").read_text() == "// Pyodide"
    assert json.loads((tmp_path / "site" / "site.json").read_text())["pyodide"] == "pyodide/"


def test_what_is_refused(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="not an empty folder"):
        write_site(tmp_path / "full", find_embedded(), TEXT)
    with pytest.raises(OutputError, match=r"model\.safetensors, tokenizer\.json missing"):
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "config.json").write_text("{}")
        write_site(tmp_path / "site", tmp_path / "model", TEXT)
    with pytest.raises(OutputError, match=r"no pyodide\.js"):
        write_site(tmp_path / "site", find_embedded(), TEXT, str(tmp_path / "nowhere"))
    assert not (tmp_path / "site").exists()
