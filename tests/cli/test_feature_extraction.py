"""`distilroberta-np feature-extraction`: texts in, a list of vectors a line out."""

import json

import numpy as np
import pytest

from distilroberta_np import pipeline
from distilroberta_np.cli import main
from tests.support.seeded import write_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"))


def test_a_line_has_the_vectors_of_a_text(capsys, folder, tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("the cat\nsat on the cat\n", encoding="utf-8")
    assert main(["feature-extraction", "--input", str(path), "--model", str(folder)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    expected = pipeline("feature-extraction", folder)(["the cat", "sat on the cat"])
    assert len(lines) == 2
    for line, (vectors,) in zip(lines, expected, strict=True):
        np.testing.assert_allclose(line, vectors, rtol=1e-4, atol=1e-5)


def test_json_names_text_and_error(capsys, folder):
    status = main(["feature-extraction", "cat", "cat " * 600, "--json", "--model", str(folder)])
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert status == 1
    assert first["text"] == "cat"
    assert np.shape(first["features"])[0] == 1
    assert "--truncation" in second["error"]


def test_truncation_cuts(capsys, folder):
    assert main(["feature-extraction", "cat " * 600, "--truncation", "--model", str(folder)]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 512
