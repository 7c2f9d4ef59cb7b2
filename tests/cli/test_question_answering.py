"""`distilroberta-np question-answering`: what goes in, what comes out where, and the exit status."""

import io
import json
import sys

import pytest

from distilroberta_np import pipeline
from distilroberta_np.cli import main
from tests.support.answers import assert_same
from tests.support.seeded_question_answering import write_question_answering

CONTEXT = "My name is Wolfgang and I live in Berlin."
WHERE, WHO = "Where do I live?", "What is my name?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_question_answering(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def answers(folder):
    """The best two answers to each question."""
    oracle = pipeline("question-answering", folder)
    return {question: oracle(question, CONTEXT, top_k=2) for question in (WHERE, WHO)}


@pytest.fixture
def run(folder, capsys):
    def answer(*arguments):
        status = main(["question-answering", "--model", str(folder), *arguments])
        captured = capsys.readouterr()
        return status, captured.out.splitlines(), captured.err

    return answer


def test_piped_answers_are_lines_of_tab_separated_columns(run, answers):
    status, lines, errors = run(WHERE, WHO, "--context", CONTEXT, "--top-k", "2")
    assert (status, errors) == (0, "")
    assert [line.split("\t") for line in lines] == [
        [number, f"{answer['score']:.4g}", str(answer["start"]), str(answer["end"]), answer["answer"]]
        for number, question in (("1", WHERE), ("2", WHO))
        for answer in answers[question]
    ]


def test_a_terminal_gets_tables(run, answers, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    status, lines, _ = run(WHERE, "--context", CONTEXT, "--top-k", "2")
    assert status == 0
    assert lines[0] == WHERE
    for line, answer in zip(lines[1:], answers[WHERE], strict=True):
        score, position, text = line.split(maxsplit=2)
        assert float(score) == pytest.approx(answer["score"], rel=1e-3)
        assert (position, text) == (f"{answer['start']}-{answer['end']}", answer["answer"])


def test_no_answer_is_said_on_a_terminal(run, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    _, lines, _ = run(WHERE, "--context", CONTEXT, "--handle-impossible-answer", "--top-k", "100")
    assert sum(line.endswith("0-0  (no answer)") for line in lines) == 1


def test_json_lines_bring_their_own_contexts(run, answers, monkeypatch):
    given = [json.dumps({"question": question, "context": CONTEXT}) for question in (WHERE, WHO)]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(given).encode())))
    status, lines, _ = run("-", "--json")
    assert status == 0
    for line, text, question in zip(map(json.loads, lines), given, (WHERE, WHO), strict=True):
        assert list(line) == ["text", "prediction"]
        assert line["text"] == text
        assert_same(line["prediction"], answers[question][0])
    status, (line,), _ = run(given[0])
    assert (status, line.split("\t")[4]) == (0, answers[WHERE][0]["answer"])


def test_json_has_a_list_with_top_k(run, answers):
    _, (line,), _ = run(WHERE, "--context", CONTEXT, "--top-k", "2", "--json")
    for ours, expected in zip(json.loads(line)["prediction"], answers[WHERE], strict=True):
        assert_same(ours, expected)


def test_the_context_can_be_a_file_and_the_questions_another(run, answers, tmp_path):
    (tmp_path / "context.txt").write_text(CONTEXT, encoding="utf-8-sig")
    (tmp_path / "questions.txt").write_text(f"{WHERE}\n{WHO}\n", encoding="utf-8")
    files = ["--context", str(tmp_path / "context.txt"), "--input", str(tmp_path / "questions.txt")]
    _, lines, _ = run(*files, "--json")
    for line, question in zip(map(json.loads, lines), (WHERE, WHO), strict=True):
        assert line["text"] == question
        assert_same(line["prediction"], answers[question][0])


def test_bad_lines_are_named_and_the_others_are_answered(run, tmp_path):
    good = json.dumps({"question": WHERE, "context": CONTEXT})
    lines = [good, "Where do I live?", "[1]", '{"question": "a"}', '{"question": 5, "context": "a"}', "", good]
    (tmp_path / "lines").write_text("\n".join(lines), encoding="utf-8")
    status, out, errors = run("--input", str(tmp_path / "lines"), "--json")
    assert status == 1
    assert ["prediction" in json.loads(line) for line in out] == [True, *[False] * 5, True]
    said = errors.splitlines()
    assert said[0].startswith("distilroberta-np: line 2: not JSON (")
    assert said[0].endswith('); without --context a line must be {"question": ..., "context": ...}')
    assert said[1] == 'distilroberta-np: line 3: must be {"question": ..., "context": ...}, not list'
    assert "line 4: You need to provide a dictionary" in said[2]
    assert "line 5: the question of" in said[3]
    assert "line 6: not JSON" in said[4]


def test_options_reach_the_pipeline(run, folder):
    long = CONTEXT * 20
    given = {"handle_impossible_answer": True, "max_answer_len": 2, "max_seq_len": 40, "doc_stride": 7, "top_k": 60}
    oracle = pipeline("question-answering", folder)
    options = ["--handle-impossible-answer", "--max-answer-len=2", "--max-seq-len=40", "--doc-stride=7", "--top-k=60"]
    _, (line,), _ = run(WHERE, "--context", long, "--json", *options)
    expected = oracle(WHERE, long, **given)
    for ours, theirs in zip(json.loads(line)["prediction"], expected, strict=True):
        assert_same(ours, theirs)
    for name in given:  # each makes a difference
        assert oracle(WHERE, long, **(given | {name: None})) != expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([WHERE, "--context", "notes.txt"], "'notes.txt' is neither a file nor a text of several words"),
        ([WHERE, "--context", CONTEXT, "--top-k", "0"], "top_k must be at least 1"),
        ([WHERE, "--context", "a b", "--max-seq-len", "9", "--doc-stride", "10"], "is larger than `max_seq_len`"),
    ],
)
def test_what_can_not_be_done_ends_with_2_and_one_line(run, arguments, message):
    status, out, errors = run(*arguments)
    assert (status, out) == (2, [])
    assert len(errors.splitlines()) == 1
    assert message in errors


def test_a_context_that_is_no_text(run, tmp_path):
    (tmp_path / "context").write_bytes(b"caf\xe9 au lait")
    status, _, errors = run(WHERE, "--context", str(tmp_path / "context"))
    assert status == 2
    assert errors.startswith(f"distilroberta-np: {tmp_path / 'context'}: not UTF-8: ")


def test_an_empty_context_is_said_for_each_question(run):
    status, _, errors = run(WHERE, "--context", "")
    assert (status, errors) == (1, "distilroberta-np: text 1: `context` cannot be empty\n")


def test_a_long_context_is_no_file_name(run):
    assert run(WHERE, "--context", CONTEXT * 200)[0] == 0


def test_the_model_must_be_named(capsys):
    assert main(["question-answering", WHERE, "--context", CONTEXT]) == 2
    assert "needs a fine-tuned model" in capsys.readouterr().err
