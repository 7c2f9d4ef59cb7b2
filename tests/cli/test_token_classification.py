"""`distilroberta-np token-classification`: what goes in, what comes out where, and the exit status."""

import io
import json
import sys
from functools import partial

import pytest

from distilroberta_np import pipeline
from distilroberta_np.cli import main
from tests.pipelines.test_token_classification import write_token_classifier
from tests.support import answers

TEXT = "the cat sat on a mat, said Théa"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model that reads 20 tokens at most."""
    return write_token_classifier(tmp_path_factory.mktemp("model"), max_position_embeddings=22)


@pytest.fixture
def stdin(monkeypatch):
    def give(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return give


def answer_json(capsys, folder, *arguments):
    status = main(["token-classification", *arguments, "--json", "--model", str(folder)])
    captured = capsys.readouterr()
    return status, [json.loads(line) for line in captured.out.splitlines()], captured.err


assert_same = partial(answers.assert_same, rel=1e-4)


@pytest.mark.filterwarnings("ignore:Tokenizer does not support real words")
@pytest.mark.parametrize("strategy", ["simple", "first", "average", "max"])
def test_json_holds_what_the_pipeline_returns(capsys, folder, strategy):
    arguments = [] if strategy == "simple" else ["--aggregation-strategy", strategy]
    status, (line, empty), errors = answer_json(capsys, folder, TEXT, "", *arguments)
    assert (status, errors) == (0, "")
    assert line["text"] == TEXT
    # Longer than the model reads, and read whole.
    assert_same(line["entities"], pipeline("ner", folder, aggregation_strategy=strategy, stride=5)(TEXT))
    assert line["entities"][-1]["end"] > 20
    assert empty == {"text": "", "entities": []}
    _, (line,), _ = answer_json(capsys, folder, TEXT, *arguments, "--stride", "0", "--ignore-labels", "LOC")
    assert_same(
        line["entities"], pipeline("ner", folder, aggregation_strategy=strategy, stride=0)(TEXT, ignore_labels=["LOC"])
    )


def test_tokens(capsys, folder):
    none = ["--aggregation-strategy", "none", "--ignore-labels"]
    status, (line,), _ = answer_json(capsys, folder, TEXT[:14], *none)
    assert status == 0
    assert_same(line["entities"], pipeline("ner", folder)(TEXT[:14], ignore_labels=[]))
    status, (good, line), errors = answer_json(capsys, folder, TEXT[:14], TEXT, *none)
    assert status == 1
    assert len(good["entities"]) == 4
    assert "the model reads at most 20" in line["error"]
    assert errors.startswith("distilroberta-np: text 2: the text has ")
    assert "another --aggregation-strategy than none" in errors


def test_lines_of_standard_input_and_of_a_file(capsys, folder, stdin, tmp_path):
    stdin(f"{TEXT}\r\n".encode() + b"\xff\nthe cat")
    status, lines, errors = answer_json(capsys, folder, "-")
    assert status == 1
    assert ["entities" in line for line in lines] == [True, False, True]
    assert [line["text"] for line in lines] == [TEXT, "\ufffd", "the cat"]
    assert errors == "distilroberta-np: line 2: not UTF-8\n"
    (tmp_path / "texts.txt").write_bytes(f"{TEXT}\nthe cat\n".encode())
    status, lines, _ = answer_json(capsys, folder, "--input", str(tmp_path / "texts.txt"))
    assert status == 0
    assert [line["text"] for line in lines] == [TEXT, "the cat"]


def test_piped_answers_are_lines_of_tab_separated_columns(capsys, folder):
    texts = ["the cat", "", "the mat"]
    assert main(["token-classification", *texts, "--model", str(folder), "--ignore-labels"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    answers = pipeline("ner", folder, aggregation_strategy="simple", ignore_labels=[])(texts)
    assert rows == [
        [str(number), item["entity_group"], f"{item['score']:.4g}", item["word"], str(item["start"]), str(item["end"])]
        for number, answer in enumerate(answers, start=1)
        for item in answer
    ]


def test_a_person_gets_a_table(capsys, folder, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["token-classification", "the cat", "", "--model", str(folder), "--ignore-labels"]) == 0
    lines = capsys.readouterr().out.splitlines()
    answer = pipeline("ner", folder, aggregation_strategy="simple", ignore_labels=[])("the cat")
    assert lines[0] == "the cat"
    assert lines[-1] == ""
    for line, item in zip(lines[1:-1], answer, strict=True):
        span = f"{item['start']}-{item['end']}"
        assert line.split() == [item["entity_group"], f"{item['score']:.4g}", *item["word"].split(), span]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a text"),
        (["a", "--aggregation-strategy", "best"], "invalid choice: 'best'"),
        (["a", "--aggregation-strategy", "none", "--stride", "2"], "--stride merges entities"),
        (["a", "--stride", "many"], "invalid int value"),
    ],
)
def test_wrong_arguments_end_with_2_and_the_usage(capsys, folder, arguments, message):
    with pytest.raises(SystemExit) as stop:
        main(["token-classification", *arguments, "--model", str(folder)])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_a_model_is_needed(capsys):
    assert main(["token-classification", "a"]) == 2
    assert "needs a fine-tuned model" in capsys.readouterr().err


def test_a_stride_out_of_range_ends_with_2_and_one_line(capsys, folder):
    assert main(["token-classification", "a", "--stride", "18", "--model", str(folder)]) == 2
    assert capsys.readouterr() == (
        "",
        "distilroberta-np: stride must be less than 18, the tokens of a window without <s> and </s>, not 18\n",
    )
