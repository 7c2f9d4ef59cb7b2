"""Worked out by hand; against scikit-learn, scipy and seqeval they are in the parity suite."""

import math

import numpy as np
import pytest

from distilroberta_np.training.metrics.classification import (
    accuracy,
    entities,
    entity_scores,
    f1,
    matthews,
    pearson,
    spearman,
)

PREDICTED, LABELS = np.array([1, 1, 0, 0, 1]), np.array([1, 0, 0, 1, 1])


def test_one_label():
    assert accuracy(PREDICTED, LABELS) == 3 / 5
    assert f1(PREDICTED, LABELS) == pytest.approx(4 / 6)
    assert f1(PREDICTED, LABELS, "macro") == pytest.approx((4 / 6 + 2 / 4) / 2)
    assert f1(PREDICTED, LABELS, "micro") == 3 / 5
    assert matthews(PREDICTED, LABELS) == pytest.approx((2 * 1 - 1 * 1) / math.sqrt(3 * 3 * 2 * 2))
    assert f1(np.array([7, 8]), np.array([7, 9]), "macro") == pytest.approx(1 / 3)  # labels that occur in either


def test_several_labels():
    predicted, labels = np.array([[1, 0, 0], [1, 1, 0]]), np.array([[1, 0, 0], [0, 1, 0]])
    assert accuracy(predicted, labels) == 1 / 2
    assert f1(predicted, labels, "micro") == pytest.approx(4 / 5)
    assert f1(predicted, labels, "macro") == pytest.approx((2 / 3 + 1 + 0) / 3)


def test_division_by_zero():
    none = np.zeros(3, int)
    assert f1(none, none) == 0
    assert matthews(none, np.array([0, 1, 1])) == 0
    assert math.isnan(pearson(np.array([0.1, 0.1, 0.1]), np.arange(3.0)))
    assert math.isnan(spearman(np.arange(3.0), np.array([2, 2, 2])))
    assert entity_scores([["O"]], [["O"]]) == {"precision": 0, "recall": 0, "f1": 0, "accuracy": 1}


def test_correlations():
    x, y = np.array([1.0, 2.0, 3.0, 10.0]), np.array([1.0, 3.0, 2.0, 4.0])
    assert pearson(x, y) == pytest.approx(13 / math.sqrt(50 * 5))
    assert spearman(x, y) == pytest.approx(0.8)
    assert spearman(np.array([1, 1, 2, 9]), np.array([1, 2, 3, 5])) == pytest.approx(math.sqrt(0.9))  # ranks 1.5, 1.5


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ("O B-a I-a O", [("a", 1, 2)]),
        ("B-a B-a", [("a", 0, 0), ("a", 1, 1)]),
        ("B-a I-b", [("a", 0, 0), ("b", 1, 1)]),
        ("I-a I-a O I-a", [("a", 0, 1), ("a", 3, 3)]),  # an entity without its first tag
        ("S-a E-a B-a I-a E-a I-a", [("a", 0, 0), ("a", 1, 1), ("a", 2, 4), ("a", 5, 5)]),
        ("B-creative-work I-creative-work", [("creative-work", 0, 1)]),
        ("O", []),
        ("", []),
    ],
)
def test_entities(tags, found):
    assert entities(tags.split()) == found


def test_only_whole_entities_are_correct():
    scores = entity_scores([["B-a", "I-a"], ["B-a", "O", "B-b"]], [["B-a", "O"], ["B-a", "O", "B-b"]])
    assert scores == {
        "precision": pytest.approx(2 / 3),
        "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(2 / 3),
        "accuracy": 4 / 5,
    }
