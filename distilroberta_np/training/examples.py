"""What a fine-tuning learns from: ids with their labels. And what a model says of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..layers.params import Array
from ..runtime.batching import encode_at
from .device import to_host

# Texts evaluated together: enough to find some of equal length, and few enough for the memory of their vectors.
_TOGETHER = 128


class Example(NamedTuple):
    """A text, or the part of a long one that fits a model."""

    ids: Array  # (S,) int64
    labels: Array  # as `tasks.py` takes them, without the axis of texts
    row: int  # of the file's rows that it is of
    offsets: Array | None = None  # (S, 2), where each token stands in the context of a question; -1 outside it


def predict(
    model: Any, head: Callable[[Array], Array], examples: Sequence[Example], places: Sequence[Sequence[int]]
) -> list[Array]:
    """A head's scores at some places of each example, without dropout: (Q, C) each, on the host."""
    order = sorted(range(len(examples)), key=lambda number: len(examples[number].ids))
    results: list[Array] = [np.empty(0)] * len(examples)
    for start in range(0, len(order), _TOGETHER):
        chosen = order[start : start + _TOGETHER]
        vectors = encode_at(
            [examples[number].ids.tolist() for number in chosen],
            [places[number] for number in chosen],
            model.weights.roberta,
            model.config,
        )
        logits = to_host(head(np.concatenate(vectors)))
        ends = np.cumsum([len(rows) for rows in vectors])
        for number, scores in zip(chosen, np.split(logits, ends[:-1]), strict=True):
            results[number] = scores
    return results
