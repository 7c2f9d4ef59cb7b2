"""`distilroberta-np score`: texts in, pseudo-log-likelihoods out."""

import io
import json
import math
import sys

import pytest

from distilroberta_np import pipeline
from distilroberta_np.analysis import PseudoLikelihoodScorer, pseudo_perplexity
from distilroberta_np.cli import main
from tests.support.seeded import write_model

TEXTS = ["the cat sat on this", "a cat"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def scorer(folder):
    unmasker = pipeline("fill-mask", folder)
    return PseudoLikelihoodScorer(unmasker.model, unmasker.tokenizer)


def output(capsys, folder, *arguments, status=0):
    assert main(["score", *arguments, "--model", str(folder)]) == status
    return capsys.readouterr()


def test_a_line_has_number_score_tokens_and_text(capsys, folder, scorer):
    lines = output(capsys, folder, *TEXTS).out.splitlines()
    expected = scorer(TEXTS)
    assert lines == [
        f"{number}\t{score['pseudo_log_likelihood']:.4f}\t{len(score['tokens'])}\t{text}"
        for number, (text, score) in enumerate(zip(TEXTS, expected, strict=True), start=1)
    ]


@pytest.mark.parametrize("within_word", [False, True])
def test_json_has_the_sum_as_a_number_of_its_own(capsys, folder, scorer, within_word):
    flags = ["--within-word"] * within_word
    lines = [json.loads(line) for line in output(capsys, folder, *TEXTS, "--json", *flags).out.splitlines()]
    for line, text, score in zip(lines, TEXTS, scorer(TEXTS, within_word=within_word), strict=True):
        assert line == {"text": text, **score}
        assert line["pseudo_log_likelihood"] == pytest.approx(math.fsum(line["log_probabilities"]))


def test_perplexity_of_all_texts_comes_last(capsys, folder, scorer):
    expected = pseudo_perplexity(scorer(TEXTS))
    name, value = output(capsys, folder, *TEXTS, "--perplexity").out.splitlines()[-1].split("\t")
    assert name == "pseudo-perplexity"
    assert float(value) == pytest.approx(expected, rel=1e-4)
    last = output(capsys, folder, *TEXTS, "--perplexity", "--json").out.splitlines()[-1]
    assert json.loads(last) == {"pseudo_perplexity": pytest.approx(expected)}


def test_lines_of_standard_input_and_those_without_a_score(capsys, folder, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"the cat\n\na <mask>\ncat\n")))
    captured = output(capsys, folder, "-", "--json", "--perplexity", status=1)
    lines = [json.loads(line) for line in captured.out.splitlines()]
    assert [line.get("error") for line in lines] == [
        None,
        "the text is empty; there is nothing to score",
        "the text contains <mask>; write the word that is to be scored",
        None,
        None,
    ]
    assert "line 3: the text contains <mask>" in captured.err
    assert lines[-1].keys() == {"pseudo_perplexity"}


def test_without_any_score_there_is_no_perplexity(capsys, folder):
    assert output(capsys, folder, "", "--perplexity", status=1).out == ""


def test_on_a_terminal_each_token_is_shown(capsys, folder, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    lines = output(capsys, folder, "a cat").out.splitlines()
    assert lines[0] == "a cat"
    assert [line.split()[-1] for line in lines[1:]] == ["a", "cat", "(sum)"]
