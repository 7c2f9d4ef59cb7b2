"""Metrics of classification: those of GLUE (Wang et al. 2019), and those of named entities.

The values are those of scikit-learn, scipy and seqeval. A metric that would divide by zero is 0; the correlation with
constant values is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...layers.params import Array


def accuracy(predicted: Array, labels: Array) -> float:
    """The fraction of correct rows; with several labels per row, all must be correct.

    Shapes: (N,) integer, or (N, C) of 0 and 1.
    """
    correct = predicted == labels
    return float(np.mean(correct if correct.ndim == 1 else correct.all(axis=1)))


def f1(predicted: Array, labels: Array, average: str = "binary") -> float:
    """The harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN).

    Args:
        predicted, labels: (N,) integer, or (N, C) of 0 and 1 for several labels per row.
        average: "binary", of label 1; "macro", the mean over the labels that occur in either (over all C, with
            several per row); "micro", of the counts of all labels together.
    """
    if average == "binary":
        return _f1_of(predicted == 1, labels == 1)
    if labels.ndim == 1:
        known = np.union1d(predicted, labels)
        predicted, labels = predicted[:, None] == known, labels[:, None] == known  # [N, C]
    if average == "micro":
        return _f1_of(predicted, labels)
    return float(np.mean([_f1_of(*column) for column in zip(predicted.T, labels.T, strict=True)]))


def _f1_of(predicted: Array, labels: Array) -> float:
    """F1 of two arrays of the same shape, of 0 and 1 or of bool."""
    correct = int(np.logical_and(predicted, labels).sum())
    return _harmonic(correct, int(predicted.sum()), int(labels.sum()))


def _harmonic(correct: int, predicted: int, expected: int) -> float:
    return 2 * correct / (predicted + expected) if predicted + expected else 0.0


def matthews(predicted: Array, labels: Array) -> float:
    """Matthews correlation coefficient, for any number of labels (Gorodkin 2004, equation 8): the covariance of the two
    one-hot matrices over the root of the product of their variances. Shapes: (N,) integer both."""
    known = np.union1d(predicted, labels)
    x, y = (np.array(values[:, None] == known, np.float64) for values in (predicted, labels))  # [N, C]
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    scale = math.sqrt(float((x * x).sum()) * float((y * y).sum()))
    return float((x * y).sum()) / scale if scale else 0.0


def pearson(predicted: Array, labels: Array) -> float:
    """Pearson's correlation; NaN where either is constant. Shapes: (N,) numbers both."""
    x, y = (np.asarray(values, np.float64) for values in (predicted, labels))
    if (x == x[0]).all() or (y == y[0]).all():
        return math.nan  # compared directly, as rounding may move the mean
    x, y = x - x.mean(), y - y.mean()
    return float(x @ y) / (math.sqrt(float(x @ x)) * math.sqrt(float(y @ y)))


def spearman(predicted: Array, labels: Array) -> float:
    """Spearman's correlation: Pearson's of the ranks. Shapes: (N,) numbers both."""
    return pearson(_ranks(predicted), _ranks(labels))


def _ranks(values: Array) -> Array:
    """The rank of each value, from 1; equal values share the mean of their ranks."""
    _, indices, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Array = (np.cumsum(counts) - (counts - 1) / 2)[indices]
    return ranks


def entity_scores(predicted: Sequence[Sequence[str]], labels: Sequence[Sequence[str]]) -> dict[str, float]:
    """Metrics of named entities over all types together, as by conlleval (Tjong Kim Sang & De Meulder 2003) and
    seqeval. An entity is correct if its type, its first and its last word are.

    Both have for each sentence its tags: `B-type` for the first word of an entity, `I-type` for the others and `O`
    outside; also `E-` for the last word and `S-` for a single one.

    Returns "precision", "recall" and "f1" of the entities, and "accuracy" of the tags.
    """
    found, expected = (
        {(number, *entity) for number, tags in enumerate(sentences) for entity in entities(tags)}
        for sentences in (predicted, labels)
    )
    correct = len(found & expected)
    matches = [
        one == other
        for sentence, gold in zip(predicted, labels, strict=True)
        for one, other in zip(sentence, gold, strict=True)
    ]
    return {
        "precision": correct / len(found) if found else 0.0,
        "recall": correct / len(expected) if expected else 0.0,
        "f1": _harmonic(correct, len(found), len(expected)),
        "accuracy": sum(matches) / len(matches) if matches else 0.0,
    }


def entities(tags: Sequence[str]) -> list[tuple[str, int, int]]:
    """The entities of a sentence: type, index of the first and of the last word.

    An entity begins at `B` and `S`, where the type changes, and after `O`, `E` and `S`. It ends where the next begins,
    at `O`, and after `E` and `S`. So an `I-` without a `B-` begins one.
    """
    results: list[tuple[str, int, int]] = []
    first: int | None = None  # word of the current entity
    before, kind_before = "O", ""
    for index, tag in enumerate([*tags, "O"]):
        prefix, kind = tag[:1], tag[1:].split("-", maxsplit=1)[-1] or "_"
        begins = prefix in "BS" or before in "OES" or kind != kind_before
        if first is not None and (begins or prefix == "O"):
            results.append((kind_before, first, index - 1))
            first = None
        if prefix != "O" and begins:
            first = index
        before, kind_before = prefix, kind
    return results
