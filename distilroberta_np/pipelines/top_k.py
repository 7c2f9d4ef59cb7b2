"""The k largest values of an array, without sorting all of it."""

from __future__ import annotations

import numpy as np

from ..layers.params import Array

_PARTS = 256


def top_k(values: Array, k: int) -> Array:
    """The indices of the k largest values, largest first, equal values in their order; all if there are fewer.

    Shapes: (N,) -> (min(k, N),) integer.
    """
    k = min(k, len(values))
    if k == 0:
        return np.empty(0, np.int64)
    # A lower bound of the k-th largest value that few values reach: the k-th largest of the maxima of parts. One quick
    # pass finds it, where a partition of the whole vocabulary takes ten times as long.
    some = values
    if k <= _PARTS <= len(values):
        some = values[: len(values) // _PARTS * _PARTS].reshape(_PARTS, -1).max(axis=1)
    candidates = np.flatnonzero(values >= np.partition(some, -k)[-k])
    # All values that tie with the k-th largest are sorted too, so that their order decides which of them stay.
    order: Array = candidates[np.argsort(-values[candidates], kind="stable")[:k]]
    return order
