"""How good predictions are: the measures of GLUE (Wang et al. 2019), and those of named entities.

The numbers are those of scikit-learn, scipy and seqeval. Where a measure divides by nothing it is 0, but a correlation
with what is all the same is not a number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...layers.params import Array


def accuracy(predicted: Array, labels: Array) -> float:
    """The share of rows that are right; with several labels a row, those where every label is.

    Shapes: (N,) integer, or (N, C) of 0 and 1.
    """
    right = predicted == labels
    return float(np.mean(right if right.ndim == 1 else right.all(axis=1)))


def f1(predicted: Array, labels: Array, average: str = "binary") -> float:
    """The harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN).

    Args:
        predicted, labels: (N,) integer, or (N, C) of 0 and 1 for several labels a row.
        average: "binary", of label 1; "macro", the mean over the labels that occur in either (all C, with several a
            row); "micro", of all counted together.
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
    """Of arrays alike, where what is positive is 1 or True."""
    right = int(np.logical_and(predicted, labels).sum())
    return _harmonic(right, int(predicted.sum()), int(labels.sum()))


def _harmonic(right: int, predicted: int, wanted: int) -> float:
    return 2 * right / (predicted + wanted) if predicted + wanted else 0.0


def matthews(predicted: Array, labels: Array) -> float:
    """Matthews' correlation, for any number of labels (Gorodkin 2004, equation 8): the covariance of the two one-hot
    matrices over the root of the product of their variances. Shapes: (N,) integer both."""
    known = np.union1d(predicted, labels)
    x, y = (np.array(values[:, None] == known, np.float64) for values in (predicted, labels))  # [N, C]
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    scale = math.sqrt(float((x * x).sum()) * float((y * y).sum()))
    return float((x * y).sum()) / scale if scale else 0.0


def pearson(predicted: Array, labels: Array) -> float:
    """Pearson's correlation; NaN where either is constant. Shapes: (N,) numbers both."""
    x, y = (np.asarray(values, np.float64) for values in (predicted, labels))
    if (x == x[0]).all() or (y == y[0]).all():
        return math.nan  # asked so, because their mean may be a rounding away from them
    x, y = x - x.mean(), y - y.mean()
    return float(x @ y) / (math.sqrt(float(x @ x)) * math.sqrt(float(y @ y)))


def spearman(predicted: Array, labels: Array) -> float:
    """Spearman's correlation: Pearson's of the ranks. Shapes: (N,) numbers both."""
    return pearson(_ranks(predicted), _ranks(labels))


def _ranks(values: Array) -> Array:
    """The rank of each value from 1; equal values share the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Array = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks


def entity_scores(predicted: Sequence[Sequence[str]], labels: Sequence[Sequence[str]]) -> dict[str, float]:
    """Of named entities, found where type, first and last word are right; counted over all types together, as by
    conlleval (Tjong Kim Sang & De Meulder 2003) and seqeval's default.

    Args:
        predicted, labels: a list of tags a sentence: `B-type` for an entity's first word, `I-type` for its others and
            `O` outside; `E-` and `S-` for the last and the only one are understood too.

    Returns:
        "precision", "recall" and "f1" of the entities, and "accuracy" of the tags.
    """
    found, wanted = (
        {(number, *entity) for number, tags in enumerate(sentences) for entity in entities(tags)}
        for sentences in (predicted, labels)
    )
    right = len(found & wanted)
    pairs = [
        one == other
        for sentence, gold in zip(predicted, labels, strict=True)
        for one, other in zip(sentence, gold, strict=True)
    ]
    return {
        "precision": right / len(found) if found else 0.0,
        "recall": right / len(wanted) if wanted else 0.0,
        "f1": _harmonic(right, len(found), len(wanted)),
        "accuracy": sum(pairs) / len(pairs) if pairs else 0.0,
    }


def entities(tags: Sequence[str]) -> list[tuple[str, int, int]]:
    """The entities of a sentence: type, first and last word.

    One begins at `B` and `S`, where the type changes, and after `O`, `E` and `S`; and ends before the next of those,
    and after `E` and `S`. So an `I-` without its `B-` begins one.
    """
    results: list[tuple[str, int, int]] = []
    first: int | None = None  # word of the entity that is open
    before, kind_before = "O", ""
    for place, tag in enumerate([*tags, "O"]):
        prefix, kind = tag[:1], tag[1:].split("-", maxsplit=1)[-1] or "_"
        begins = prefix in "BS" or before in "OES" or kind != kind_before
        if first is not None and (begins or prefix == "O"):
            results.append((kind_before, first, place - 1))
            first = None
        if prefix != "O" and begins:
            first = place
        before, kind_before = prefix, kind
    return results
