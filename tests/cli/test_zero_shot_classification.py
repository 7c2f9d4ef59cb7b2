"""`distilroberta-np zero-shot-classification`: what goes in, what comes out where, and the exit status."""

import io
import json
import sys

import pytest

from distilroberta_np import pipeline
from distilroberta_np.cli import main
from tests.support.seeded_heads import write_classifier


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(write_classifier(tmp_path_factory.mktemp("model"), ["contradiction", "entailment"], seed=4))


@pytest.fixture(scope="module")
def classifier(model):
    return pipeline("zero-shot-classification", model, candidate_labels=["a cat", "the"])


def run(model, *arguments):
    return main(["zero-shot-classification", *arguments, "--model", model])


def test_piped_answers_are_lines_of_tab_separated_columns(capsys, model, classifier):
    assert run(model, "the cat sat", "on", "--labels", "a cat", "the") == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    answers = classifier(["the cat sat", "on"])
    assert rows == [
        [str(number), f"{score:.4g}", label]
        for number, answer in enumerate(answers, start=1)
        for label, score in zip(answer["labels"], answer["scores"], strict=True)
    ]


def test_on_a_terminal_they_are_tables(capsys, monkeypatch, model):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run(model, "the \x1b cat", "--labels", "a, b, c") == 0
    text, *rows = capsys.readouterr().out.splitlines()
    assert text == "the \\x1b cat"
    assert sorted(row.split()[1] for row in rows) == ["a", "b", "c"]


def test_json_holds_what_the_pipeline_returns(capsys, model, classifier):
    assert run(model, "the cat sat", "--json", "--labels", "a cat, the") == 0
    assert json.loads(capsys.readouterr().out) == {"text": "the cat sat", "prediction": classifier("the cat sat")}


def test_options_reach_the_pipeline(capsys, model, classifier):
    assert run(model, "on", "--json", "--multi-label", "--template", "a {}", "--labels", "a cat", "the") == 0
    expected = classifier("on", multi_label=True, hypothesis_template="a {}")
    assert json.loads(capsys.readouterr().out)["prediction"] == expected
    assert expected["scores"] != classifier("on", multi_label=True)["scores"] != classifier("on")["scores"]


def test_an_empty_line_is_named_and_the_others_are_answered(capsys, monkeypatch, model):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"good\n\n" + b"long " * 600)))
    assert run(model, "-", "--json", "--labels", "a") == 1
    captured = capsys.readouterr()
    assert ["prediction" in json.loads(line) for line in captured.out.splitlines()] == [True, False, True]
    assert captured.err.startswith("distilroberta-np: line 2: You must include at least one")
    assert len(captured.err.splitlines()) == 1


def test_a_model_that_names_no_entailment_is_reported_on_stderr(capsys, tmp_path):
    folder = write_classifier(tmp_path, ["yes", "no"])
    assert run(str(folder), "the cat", "--labels", "a", "b") == 0
    assert capsys.readouterr().err.startswith("distilroberta-np: Failed to determine 'entailment' label id")


def test_labels_and_a_model_are_needed(capsys, model):
    with pytest.raises(SystemExit):
        run(model, "the cat")
    assert "required: --labels" in capsys.readouterr().err
    assert main(["zero-shot-classification", "the cat", "--labels", "a"]) == 2
    assert "needs a fine-tuned model" in capsys.readouterr().err


def test_a_template_without_braces_ends_with_2_and_one_line(capsys, model):
    assert run(model, "the cat", "--labels", "a", "--template", "nothing") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
