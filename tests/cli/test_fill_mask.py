"""`distilroberta-np fill-mask`, on the embedded model: what goes in, what comes out where, and the exit status."""

import io
import json
import os
import re
import sys

import pytest

from distilroberta_np.cli import main
from distilroberta_np.cli.answering import TextSource
from distilroberta_np.hub import find_embedded
from distilroberta_np.runtime import progress

MODEL = ["--model", str(find_embedded())]


@pytest.fixture
def stdin(monkeypatch):
    def give(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return give


def answer_json(capsys, *arguments):
    status = main(["fill-mask", *MODEL, "--json", *arguments])
    captured = capsys.readouterr()
    return status, [json.loads(line) for line in captured.out.splitlines()], captured.err


def test_piped_answers_are_lines_of_tab_separated_columns(capsys, answers):
    assert main(["fill-mask", "The man worked as a <mask>.", "My <mask> is <mask>.", "--top-k", "2", *MODEL]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [(row[0], row[1]) for row in rows] == [("1", "1")] * 2 + [("2", "1")] * 2 + [("2", "2")] * 2
    assert rows[0][2:] == [f"{answers[0]['score']:.4g}", answers[0]["token_str"], answers[0]["sequence"]]


def test_json_holds_what_the_pipeline_returns(capsys, answers):
    status, (line,), _ = answer_json(capsys, "The man worked as a <mask>.", "--top-k", "1")
    assert status == 0
    assert line == {"text": "The man worked as a <mask>.", "predictions": answers[:1]}


def test_standard_input_is_read_a_text_a_line(capsys, stdin):
    stdin("One <mask>.\r\nÉté <mask> 🙂\nno newline <mask>".encode())
    status, lines, _ = answer_json(capsys, "-")
    assert status == 0
    assert [line["text"] for line in lines] == ["One <mask>.", "Été <mask> 🙂", "no newline <mask>"]


def test_a_file_is_read_a_text_a_line(capsys, tmp_path):
    (tmp_path / "texts.txt").write_text("One <mask>.\nTwo <mask>.\n", encoding="utf-8-sig")
    status, lines, _ = answer_json(capsys, "--input", str(tmp_path / "texts.txt"))
    assert status == 0
    assert [line["text"] for line in lines] == ["One <mask>.", "Two <mask>."]


def test_a_bad_line_is_named_and_the_others_are_answered(capsys, stdin):
    stdin(b"good <mask>\nno mask\n\n\xff <mask>\nalso good <mask>\n")
    status, lines, errors = answer_json(capsys, "-")
    assert status == 1
    assert ["predictions" in line for line in lines] == [True, False, False, False, True]
    assert lines[3] == {"text": "\ufffd <mask>", "error": "not UTF-8"}
    assert errors.splitlines() == [
        "distilroberta-np: line 2: No mask_token (<mask>) found on the input",
        "distilroberta-np: line 3: No mask_token (<mask>) found on the input",
        "distilroberta-np: line 4: not UTF-8",
    ]


def test_answers_come_before_the_input_ends(monkeypatch, capsys):
    """From a program that writes its second line only when the first has been answered."""
    reading, writing = os.pipe()
    seen = []

    class Answers(io.StringIO):
        def flush(self):
            if not seen:
                seen.append(self.getvalue())
                os.write(writing, b"ond <mask>\n")
                os.close(writing)

    os.write(writing, b"first <mask>\nsec")
    with open(reading, "rb") as stdin:
        monkeypatch.setattr(sys, "stdin", type("Stdin", (), {"buffer": stdin}))
        monkeypatch.setattr(sys, "stdout", answers := Answers())
        assert main(["fill-mask", "-", "--top-k", "1", *MODEL]) == 0
    assert seen[0].startswith("1\t1\t")
    assert "second" not in seen[0]
    assert answers.getvalue().splitlines()[1].startswith("2\t1\t")


def test_lines_of_any_length_are_answered_in_order(capsys, tmp_path):
    """Across the borders of what is read at a time, and of what is computed together."""
    lines = [f"Number {number} {'and so on ' * (number % 3 * 5)}is <mask>." for number in range(1500)]
    lines[700] = "no mask " * 20_000
    (tmp_path / "texts.txt").write_text("\n".join(lines), encoding="utf-8")
    status, answers, errors = answer_json(capsys, "--input", str(tmp_path / "texts.txt"), "--top-k", "1")
    assert status == 1
    assert [answer["text"] for answer in answers] == lines
    assert [number for number, answer in enumerate(answers) if "error" in answer] == [700]
    assert errors == "distilroberta-np: line 701: No mask_token (<mask>) found on the input\n"


def test_options_reach_the_pipeline(capsys):
    targets = ["--targets", "New York", "London"]
    _, (line,), _ = answer_json(capsys, "a  <mask> .", "--whole-words", "--keep-text", *targets)
    assert {item["sequence"] for item in line["predictions"]} == {"a  New York .", "a  London ."}
    _, (line,), _ = answer_json(capsys, "The <mask> of <mask>.", "--joint", "--top-k", "3")
    assert [len(item["token"]) for item in line["predictions"]] == [2, 2, 2]
    _, (line,), _ = answer_json(capsys, "word " * 600 + "<mask>", "--truncation")
    assert len(line["predictions"]) == 5


def test_a_target_gets_the_space_of_a_word(capsys, stdin):
    _, (line,), errors = answer_json(capsys, "He eats <mask>.", "--targets", "pizza", "Ġsoup")
    assert {item["token_str"] for item in line["predictions"]} == {" pizza", " soup"}
    assert errors == ""
    stdin(b"He eats <mask>.\n")
    _, (line,), _ = answer_json(capsys, "-", "--targets", "pizza")
    assert [item["token_str"] for item in line["predictions"]] == [" pizza"]
    _, (line,), errors = answer_json(capsys, "a pizz<mask>.", "--targets", "a")
    assert [item["token_str"] for item in line["predictions"]] == ["a"]


def test_a_replaced_target_is_reported_on_stderr(capsys):
    _, _, errors = answer_json(capsys, "He eats <mask>.", "--targets", "pizzazz")
    assert errors.startswith("distilroberta-np: The specified target token ` pizzazz` does not exist")
    assert "--whole-words" in errors


def test_on_a_terminal_decimal_points_align_and_no_special_tokens_show(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["fill-mask", "The <mask> of <mask>.", "--top-k", "5", *MODEL]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith("  ")] == ["The <mask> of <mask>.", " mask 1", " mask 2"]
    for table in (lines[2:7], lines[8:]):
        assert len({line.index(".") for line in table}) == 1
        assert len({len(line.split()[0]) for line in table}) == 1
    assert not any("<s>" in line or "</s>" in line for line in lines)


def test_an_empty_input_is_named(capsys, stdin, tmp_path):
    (tmp_path / "empty.txt").touch()
    assert answer_json(capsys, "--input", str(tmp_path / "empty.txt")) == (
        0,
        [],
        f"distilroberta-np: {tmp_path / 'empty.txt'} is empty\n",
    )
    stdin(b"")
    assert answer_json(capsys, "-")[2] == "distilroberta-np: standard input is empty\n"


def test_wrong_arguments_and_a_missing_file_are_named_before_a_model_is_loaded(capsys, tmp_path):
    missing = ["--model", str(tmp_path / "no-model")]
    assert main(["fill-mask", "a <mask>", "--top-k", "-1", *missing]) == 2
    assert "top_k must be at least 0, not -1" in capsys.readouterr().err
    assert main(["fill-mask", "--input", str(tmp_path / "no-file"), *missing]) == 2
    assert "no-file: No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a text"),
        (["a <mask>", "-"], "cannot be given together with other texts"),
        (["a <mask>", "--input", "x"], "not both"),
        (["a <mask>", "--top-k", "many"], "invalid int value"),
    ],
)
def test_wrong_arguments_end_with_2_and_the_usage(capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        main(["fill-mask", *MODEL, *arguments])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a <mask>", "--model", "no/such/folder"], "no/such/folder"),
        (["--input", "no-such-file.txt", *MODEL], "no-such-file.txt: No such file"),
        (["a <mask>", "--top-k", "-1", *MODEL], "top_k must be at least 0"),
    ],
)
def test_what_can_not_be_done_ends_with_2_and_one_line(capsys, arguments, message):
    assert main(["fill-mask", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert captured.err.startswith("distilroberta-np: ")
    assert message in captured.err


@pytest.fixture
def watched(monkeypatch):
    """For a standard error that a person watches."""
    stderr = io.StringIO()
    monkeypatch.setattr(stderr, "isatty", lambda: True)
    return stderr


@pytest.fixture
def texts(tmp_path):
    lines = ["\ufeffOne <mask>.", "No mask.", *(f"The <mask> sat on mat {number}." for number in range(399))]
    (tmp_path / "texts.txt").write_text("\n".join(lines), encoding="utf-8")
    return ["fill-mask", *MODEL, "--top-k", "1", "--input", str(tmp_path / "texts.txt")]


@pytest.mark.parametrize("to", ["file", "pipe", "terminal"])
def test_the_bar_counts_texts_if_answers_go_into_a_file(monkeypatch, watched, tmp_path, texts, to):
    monkeypatch.setattr(progress, "_EVERY", 0)
    reader, writer = os.pipe()
    with (
        open(reader),
        open(writer, "w") as pipe,
        open(tmp_path / "answers", "w") as file,
        monkeypatch.context() as patch,
    ):
        monkeypatch.setattr(pipe, "isatty", lambda: to == "terminal")
        patch.setattr(sys, "stdout", file if to == "file" else pipe)
        patch.setattr(sys, "stderr", watched)
        assert main(texts[:-1] + (texts[-1:] if to == "file" else [os.devnull])) == (to == "file")
    if to != "file":
        assert "\r" not in watched.getvalue()
        return
    lines = watched.getvalue().split("\r")
    assert lines[1] == f"[{'.' * 24}] 0 of 401 texts\x1b[K"
    assert any(
        re.fullmatch(r"\[#+\.+\] \d+ of 401 texts, [\d,.]+ per second, 0:\d\d left\x1b\[K", line) for line in lines
    )
    assert lines[-2].startswith(f"[{'#' * 24}] 401 of 401 texts, ")
    assert lines[-1] == "\x1b[K"
    assert "\r\x1b[Kdistilroberta-np: line 2: No mask_token (<mask>) found on the input\n" in watched.getvalue()
    assert len((tmp_path / "answers").read_text().splitlines()) == 400


@pytest.mark.parametrize(
    ("data", "count"), [(b"", 0), (b"a", 1), (b"a\n", 1), (b"a\nb", 2), (b"a\n\n", 2), (b"a\n" * 100_000, 100_000)]
)
def test_texts_of_a_file_are_counted_and_then_read(tmp_path, data, count):
    (tmp_path / "texts").write_bytes(data)
    with open(tmp_path / "texts", "rb") as file:
        source = TextSource([], file, "texts")
        assert source.count() == sum(map(len, source.batches())) == count


def test_texts_of_a_pipe_are_not_counted():
    reader, writer = os.pipe()
    with open(reader, "rb") as file:
        os.close(writer)
        assert TextSource([], file, "standard input").count() is None


def test_a_closed_standard_input_is_said(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["fill-mask", "-", *MODEL]) == 2
    assert capsys.readouterr().err == "distilroberta-np: standard input is closed, so - cannot be read\n"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_where_nothing_can_be_said_nothing_is_done(capsys, monkeypatch, stream):
    with monkeypatch.context() as patch:
        patch.setattr(sys, stream, None)
        assert main(["fill-mask", "a <mask>", *MODEL]) == 2
    assert capsys.readouterr().out == ""


def test_input_minus_is_standard_input_too(capsys, stdin):
    stdin(b"One <mask>.")
    _, (line,), _ = answer_json(capsys, "--input", "-")
    assert line["text"] == "One <mask>."


def test_what_could_command_a_terminal_shows_as_its_code(capsys):
    assert main(["fill-mask", "a \x1b[31m<mask>\0", "--top-k", "1", *MODEL]) == 0
    output = capsys.readouterr().out
    assert "\x1b" not in output
    assert "\\x1b[31m" in output


def test_advice_is_in_the_commands_own_words(capsys):
    assert main(["fill-mask", "word " * 600 + "<mask>", *MODEL]) == 1
    assert "--truncation" in capsys.readouterr().err
