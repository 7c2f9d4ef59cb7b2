"""The arguments of `serve`, and what it does before it answers."""

import sys

import pytest

pytest.importorskip("uvicorn", reason="needs the serve extra: pip install '.[serve]'")

from distilroberta_np.cli import main
from distilroberta_np.hub import find_embedded
from distilroberta_np.messages import warn

MODEL = ["--model", str(find_embedded())]


@pytest.fixture
def served(monkeypatch):
    """The applications that are served, with their settings."""
    calls = []
    monkeypatch.setattr("uvicorn.run", lambda app, **settings: calls.append((app, settings)))
    return calls


def test_it_says_what_it_serves_and_where(served, capsys):
    assert main(["serve", *MODEL, "--model", f"b=fill-mask:{MODEL[1]}", "--port", "8123"]) == 0
    assert capsys.readouterr().out == (
        "tiny: fill-mask, feature-extraction\nb: fill-mask, feature-extraction\nserving on http://127.0.0.1:8123\n"
    )
    assert served[0][1]["port"] == 8123


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-batch-tokens", "0"], "--max-batch-tokens must be at least 1"),
        (["--max-waiting-tokens", "-1"], "--max-waiting-tokens must be at least 1"),
        (["--max-batch-size", "0"], "--max-batch-size must be at least 1"),
        (["--port", "x"], "invalid int value"),
        (["--model", "a=b"], "write NAME=TASK:MODEL"),
        ([*MODEL, *MODEL], "several models have the name tiny"),
        (["--model", "no/where", "--local-files-only"], "(config, weights, tokenizer, modules)"),
        (["--api-key", ""], "the API key is empty"),
    ],
)
def test_arguments_that_are_refused(served, capsys, arguments, message):
    try:
        status = main(["serve", *arguments])
    except SystemExit as error:
        status = error.code
    assert status == 2
    assert message in capsys.readouterr().err
    assert served == []


@pytest.mark.parametrize(("variable", "arguments"), [("", []), (" ", []), ("secret", ["--api-key", " "])])
def test_an_empty_api_key_is_refused(served, capsys, monkeypatch, variable, arguments):
    monkeypatch.setenv("DISTILROBERTA_NP_API_KEY", variable)
    with pytest.raises(SystemExit):
        main(["serve", *MODEL, *arguments])
    assert "the API key is empty" in capsys.readouterr().err
    assert served == []


def test_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["serve"]) == 2
    assert "serving needs uvicorn; install it with: pip install 'distilroberta-np[serve]'" in capsys.readouterr().err


def test_what_a_request_warns_of_is_not_printed(monkeypatch, recwarn):
    monkeypatch.setattr("uvicorn.run", lambda *_, **__: warn("with the text of a request"))
    assert main(["serve", *MODEL]) == 0
    assert recwarn.list == []
