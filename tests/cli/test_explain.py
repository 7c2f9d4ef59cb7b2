"""The commands `explain` and `exercises`."""

import pytest

from distilroberta_np.cli import main
from distilroberta_np.hub import find_embedded

TEXT = "The man worked as a <mask>."
MODEL = ["--model", str(find_embedded())]


def test_a_page(tmp_path, capsys):
    path = tmp_path / "page.html"
    assert main(["explain", TEXT, "--out", str(path), *MODEL]) == 0
    assert capsys.readouterr().out == f"{path}\n"
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_page_is_opened(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert main(["explain", TEXT, "--out", str(tmp_path / "page.html"), "--open", *MODEL]) == 0
    assert opened == [(tmp_path / "page.html").as_uri()]


def test_a_site(tmp_path, capsys):
    assert main(["explain", TEXT, "--site", str(tmp_path / "site"), *MODEL]) == 0
    assert (tmp_path / "site" / "index.html").is_file()
    assert main(["explain", TEXT, "--site", str(tmp_path / "site"), *MODEL]) == 2
    assert "not an empty folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["No mask.", "--out", "page.html"], "write exactly one"),
        # A name is looked up, or fetched, with its tokenizer.
        ([TEXT, "--site", "site", "--local-files-only", "--model", "org/none"], "(config, weights, tokenizer)"),
        ([TEXT, "--out", "missing/page.html"], "missing/page.html"),
    ],
)
def test_what_cannot_be_written(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["explain", *MODEL, *arguments]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--site", "x", "--compare", TEXT], "--compare and --open go with --out"),
        (["--site", "x", "--open"], "--compare and --open go with --out"),
        (["--out", "x", "--site", "y"], "argument --site: not allowed with argument --out"),
        ([], "one of the arguments --out --site is required"),
    ],
)
def test_options_that_do_not_go_together(capsys, arguments, message):
    with pytest.raises(SystemExit):
        main(["explain", TEXT, *arguments])
    assert message in capsys.readouterr().err


def test_exercises(tmp_path, capsys):
    assert main(["exercises", str(tmp_path / "mine")]) == 0
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {
        "bpe.py",
        "checkpoint.py",
        "roberta.py",
        "test_exercises.py",
    }
    assert main(["exercises", str(tmp_path / "mine")]) == 2
    assert "exists" in capsys.readouterr().err
