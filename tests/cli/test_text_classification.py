"""`distilroberta-np text-classification`: what goes in, what comes out where, and the exit status."""

import io
import json
import sys

import pytest

from distilroberta_np import pipeline
from distilroberta_np.cli import main
from tests.support.seeded_heads import write_classifier

LABELS = ["sad", "glad", "mad"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(write_classifier(tmp_path_factory.mktemp("model"), LABELS, seed=12))


@pytest.fixture(scope="module")
def classifier(model):
    return pipeline("text-classification", model)


@pytest.fixture
def stdin(monkeypatch):
    def give(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return give


def answer_json(capsys, model, *arguments):
    status = main(["text-classification", "--model", model, "--json", *arguments])
    captured = capsys.readouterr()
    return status, [json.loads(line) for line in captured.out.splitlines()], captured.err


def test_piped_answers_are_lines_of_tab_separated_columns(capsys, model, classifier):
    assert main(["text-classification", "the cat", "a cat", "--top-k", "2", "--model", model]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    answers = classifier(["the cat", "a cat"], top_k=2)
    assert rows == [
        [str(number), f"{item['score']:.4g}", item["label"]]
        for number, answer in enumerate(answers, start=1)
        for item in answer
    ]


def test_on_a_terminal_they_are_tables(capsys, monkeypatch, model, classifier):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["text-classification", "the \x1b cat", "--top-k", "all", "--model", model]) == 0
    text, *rows = capsys.readouterr().out.splitlines()
    assert text == "the \\x1b cat"
    assert [row.split()[1] for row in rows] == [item["label"] for item in classifier("the \x1b cat", top_k=None)]
    assert main(["text-classification", "the cat", "--top-k", "0", "--model", model]) == 0
    assert capsys.readouterr().out == "the cat\n"


def test_json_holds_what_the_pipeline_returns(capsys, model, classifier):
    assert answer_json(capsys, model, "the cat") == (0, [{"text": "the cat", "predictions": classifier("the cat")}], "")
    _, (line,), _ = answer_json(capsys, model, "the cat", "--top-k", "all", "--function-to-apply", "none")
    assert line["predictions"] == classifier("the cat", top_k=None, function_to_apply="none")


def test_a_file_and_standard_input_are_read_a_text_a_line(capsys, model, stdin, tmp_path):
    data = "the cat\nÉté 🙂\nno newline".encode()
    (tmp_path / "texts.txt").write_bytes(data)
    from_file = answer_json(capsys, model, "--input", str(tmp_path / "texts.txt"))
    stdin(data)
    assert answer_json(capsys, model, "-") == from_file
    assert [line["text"] for line in from_file[1]] == ["the cat", "Été 🙂", "no newline"]


def test_pairs_have_a_tab_between_them(capsys, model, classifier, stdin):
    stdin(b"the cat\ta cat sat\nno tab\nthe cat\t\na\tb\tc\n")
    status, lines, errors = answer_json(capsys, model, "-", "--pairs")
    assert status == 1
    expected = classifier({"text": "the cat", "text_pair": "a cat sat"})
    assert lines[0] == {
        "text": "the cat\ta cat sat",
        "predictions": [{"label": expected["label"], "score": pytest.approx(expected["score"], rel=1e-5)}],
    }
    assert "predictions" in lines[2]
    assert errors.splitlines() == [
        "distilroberta-np: line 2: a pair is two texts with a tab between them; this line has 0 tabs",
        "distilroberta-np: line 4: a pair is two texts with a tab between them; this line has 2 tabs",
    ]


def test_a_bad_line_is_named_and_the_others_are_answered(capsys, model, stdin):
    stdin(b"good\n\xff\n" + b"long " * 600 + b"\n\n")
    status, lines, errors = answer_json(capsys, model, "-")
    assert status == 1
    assert ["predictions" in line for line in lines] == [True, False, False, True]
    unreadable, long = errors.splitlines()
    assert unreadable == "distilroberta-np: line 2: not UTF-8"
    assert long.startswith("distilroberta-np: line 3: the text has ")
    assert long.endswith("truncate it with --truncation")
    stdin(b"long " * 600)
    assert answer_json(capsys, model, "-", "--truncation")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "m"], "give a text"),
        (["a", "--model", "m", "--top-k", "many"], "must be a number or \"all\", not 'many'"),
        (["a", "--model", "m", "--function-to-apply", "relu"], "invalid choice"),
    ],
)
def test_wrong_arguments_end_with_2_and_the_usage(capsys, model, arguments, message):
    arguments = [model if argument == "m" else argument for argument in arguments]
    with pytest.raises(SystemExit) as stop:
        main(["text-classification", *arguments])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_a_model_is_needed(capsys):
    assert main(["text-classification", "a"]) == 2
    assert "needs a fine-tuned model" in capsys.readouterr().err


def test_a_model_without_the_head_ends_with_2_and_one_line(capsys):
    from distilroberta_np.hub import find_embedded

    assert main(["text-classification", "a", "--model", str(find_embedded())]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "no sequence-classification head" in captured.err
    assert len(captured.err.splitlines()) == 1
