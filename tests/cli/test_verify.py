"""`distilroberta-np verify`: exit status 0 if all values agree, 1 if one differs, 2 without the weights."""

import pytest

import distilroberta_np.cli.verify as verify
from distilroberta_np import pipeline
from distilroberta_np.cli import main
from distilroberta_np.hub import find_embedded


@pytest.fixture
def goldens(monkeypatch):
    """The embedded model's own answers instead of the published ones."""
    unmasker = pipeline("fill-mask", find_embedded())
    ids = unmasker.tokenizer.encode("a text")
    shape = [1, len(ids), unmasker.model.config.hidden_size]
    values = {
        "model_card": [{"input": "a <mask>", "output": unmasker("a <mask>", top_k=2)}],
        "elsewhere": [],
        "encoder": {"input": "a text", "ids": ids, "shape": shape, "atol": 1e-4},
    }
    monkeypatch.setattr(verify, "read_goldens", lambda: values)
    return values


def test_values_that_agree_are_ok(capsys, goldens):
    assert main(["verify", "--model", str(find_embedded())]) == 0
    captured = capsys.readouterr()
    rows = [line.split("\t") for line in captured.out.splitlines()]
    assert [row[-1] for row in rows] == ["ok"] * 4
    assert rows[0][1] == rows[0][2]
    assert captured.err.endswith("4 of 4 agree\n")


def test_a_difference_is_shown_and_ends_with_status_1(capsys, goldens):
    goldens["model_card"][0]["output"][1]["score"] += 1e-3
    assert main(["verify", "--model", str(find_embedded())]) == 1
    captured = capsys.readouterr()
    assert [line.split("\t")[-1] for line in captured.out.splitlines()] == ["ok", "DIFFERS", "ok", "ok"]
    assert captured.err.endswith("3 of 4 agree\n")


def test_another_model_differs(capsys):
    assert main(["verify", "--model", str(find_embedded())]) == 1
    assert "DIFFERS" in capsys.readouterr().out


def test_without_the_published_weights_the_status_is_2(capsys, monkeypatch):
    monkeypatch.setattr(verify, "find_published", lambda: None)
    assert main(["verify"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "not on this machine" in captured.err
    assert "distilroberta-np download" in captured.err


def test_the_published_weights_pass(capsys, published_weights):
    assert main(["verify", "--model", str(published_weights)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 27
