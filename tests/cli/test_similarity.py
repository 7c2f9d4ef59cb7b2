"""`distilroberta-np similarity` and `rank`: texts for a query, best first."""

import io
import json
import sys

import numpy as np
import pytest

from distilroberta_np import CrossEncoder, SentenceEncoder
from distilroberta_np.cli import main
from tests.support.sentence_folders import write_cross_encoder, write_sentence_encoder

TEXTS = ["on the cat", "a", "the cat sat", "the"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    settings = {"prompts": {"query": "the ", "document": "on "}}
    return write_sentence_encoder(tmp_path_factory.mktemp("encoder"), settings=settings)


@pytest.fixture(scope="module")
def cross(tmp_path_factory):
    return write_cross_encoder(tmp_path_factory.mktemp("cross"))


@pytest.fixture
def lines(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_bytes("\ufeff".encode() + "\r\n".join(TEXTS).encode())
    return path


def answer(capsys, command, folder, *arguments):
    status = main([command, "--model", str(folder), *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out.splitlines(), captured.err


def expected_order(scores):
    return np.argsort(-scores, kind="stable").tolist()


def test_texts_are_sorted_best_first(capsys, folder):
    encoder = SentenceEncoder.from_pretrained(folder)
    (scores,) = encoder.similarity(encoder.encode_query("cat"), encoder.encode_document(TEXTS))
    status, printed, errors = answer(capsys, "similarity", folder, "cat", *TEXTS)
    assert (status, errors) == (0, "")
    expected = [f"1\t{n + 1}\t{scores[n]:.4f}\t{TEXTS[n]}" for n in expected_order(scores)]
    assert printed == expected
    assert answer(capsys, "similarity", folder, "cat", *TEXTS, "--top-k", "2")[1] == expected[:2]


def test_files_json_and_another_function(capsys, folder, lines, monkeypatch):
    encoder = SentenceEncoder.from_pretrained(folder)
    encoder.similarity_fn_name = "euclidean"
    scores = encoder.similarity(encoder.encode_query(TEXTS), encoder.encode_document(TEXTS))
    arguments = ["--queries", lines, "--function", "euclidean", "--json"]
    for source in (lines, "-"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.read_bytes() + b"\n")))
        _, printed, _ = answer(capsys, "similarity", folder, "--input", source, *arguments)
        answers = [json.loads(line) for line in printed]
        assert [answer["text"] for answer in answers] == TEXTS
        for row, one in zip(scores, answers, strict=True):
            assert [match["corpus_id"] for match in one["matches"]] == expected_order(row)
            assert [match["text"] for match in one["matches"]] == [TEXTS[n] for n in expected_order(row)]
            assert one["matches"][0]["score"] == pytest.approx(row.max(), rel=1e-4, abs=1e-5)


def test_many_queries(capsys, folder, tmp_path):
    (tmp_path / "queries.txt").write_text("\n".join(TEXTS * 40))
    _, printed, _ = answer(
        capsys, "similarity", folder, "--queries", tmp_path / "queries.txt", "--top-k", "1", "on", "a"
    )
    assert [line.split("\t")[0] for line in printed] == [str(n + 1) for n in range(160)]
    assert [line.split("\t")[1] for line in printed] == [line.split("\t")[1] for line in printed[:4]] * 40


def test_rank_uses_the_cross_encoder(capsys, cross, lines):
    ranked = CrossEncoder.from_pretrained(cross).rank("cat", TEXTS, return_documents=True)
    status, (line,), _ = answer(capsys, "rank", cross, "cat", "--input", lines, "--json")
    assert status == 0
    matches = json.loads(line)["matches"]
    assert [match["corpus_id"] for match in matches] == [match["corpus_id"] for match in ranked]
    assert matches[0]["score"] == pytest.approx(ranked[0]["score"])
    _, printed, _ = answer(capsys, "rank", cross, "cat", *TEXTS, "--top-k", "1")
    best = ranked[0]
    assert printed == [f"1\t{best['corpus_id'] + 1}\t{best['score']:.4f}\t{best['text']}"]


@pytest.mark.parametrize("command", ["similarity", "rank"])
def test_a_terminal_shows_a_table(capsys, folder, cross, command, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    _, printed, _ = answer(capsys, command, folder if command == "similarity" else cross, "c\x1b[31mat", "a", "on a")
    assert printed[0] == "c\\x1b[31mat"
    assert len(printed) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a query"),
        (["a query"], "give texts after the query, or --input FILE"),
        (["a", "b", "--input", "lines.txt"], "give texts or --input, not both"),
        (["a", "b", "--top-k", "0"], "must be an integer of at least 1"),
    ],
)
@pytest.mark.parametrize("command", ["similarity", "rank"])
def test_wrong_arguments_end_with_2_and_the_usage(capsys, folder, command, arguments, message):
    with pytest.raises(SystemExit) as stop:
        answer(capsys, command, folder, *arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_errors_end_with_status_2_and_one_line(capsys, folder, tmp_path):
    (tmp_path / "bad.txt").write_bytes(b"good\n\xff\n")
    for arguments, message in [
        (["cat", "--input", tmp_path / "bad.txt"], "line 2 of"),
        (["cat", "--input", tmp_path / "none.txt"], "No such file"),
    ]:
        status, printed, errors = answer(capsys, "similarity", folder, *arguments)
        assert (status, printed) == (2, [])
        assert message in errors and len(errors.splitlines()) == 1
    assert "not as a CrossEncoder" in answer(capsys, "rank", folder, "a", "b")[2]


@pytest.mark.parametrize("command", ["similarity", "rank"])
def test_a_bar_counts_texts_and_is_gone_before_the_answer(monkeypatch, capsys, folder, cross, command):
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        assert answer(capsys, command, cross if command == "rank" else folder, "cat", *TEXTS)[0] == 0
    frames = terminal.getvalue().split("\r")
    assert frames[-2].startswith(f"[{'#' * 24}] 4 of 4 texts, ")
    assert frames[-1] == "\x1b[K"
