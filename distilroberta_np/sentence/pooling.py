"""Pooling: from the vectors of a text's tokens to one vector for the text (Reimers & Gurevych 2019, section 3).

With h_1 ... h_n the last vectors of the tokens that count, and p_i the place of each in its text, from 1:

    cls  h_1        lasttoken  h_n        max  max_i h_i, each number by itself
    mean  sum_i h_i / n        mean_sqrt_len_tokens  sum_i h_i / sqrt(n)
    weightedmean  sum_i p_i h_i / sum_i p_i                 (Muennighoff 2022, "SGPT", equation 2)

Modes beside each other are joined.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..layers.params import Array

# In the order in which configs of old, which say of each whether it is on, join them.
POOLING_MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")


def pooling_places(modes: Sequence[str], tokens: int, skipped: int) -> list[int]:
    """The places in a text whose vectors its pooling needs, rising: all, or for some modes only the first or the last.

    Args:
        modes: of `POOLING_MODES`.
        tokens: how many the text has.
        skipped: how many at the beginning, fewer than those, don't count.
    """
    ends = {"cls": skipped, "lasttoken": tokens - 1}
    if all(mode in ends for mode in modes):
        return sorted({ends[mode] for mode in modes})
    return list(range(skipped, tokens))


def pooling(vectors: Array, places: Sequence[int], modes: Sequence[str]) -> Array:
    """The vectors at a text's `pooling_places` as one vector, of each mode in turn.

    Shapes: vectors (Q, H) -> (modes x H,), same dtype.
    """
    return np.concatenate([_pool(vectors, places, mode) for mode in modes])


def _pool(vectors: Array, places: Sequence[int], mode: str) -> Array:
    pooled: Array
    if mode == "cls":
        pooled = vectors[0]
    elif mode == "lasttoken":
        pooled = vectors[-1]
    elif mode == "max":
        pooled = vectors.max(axis=0)
    elif mode == "weightedmean":
        weights = np.array(places, vectors.dtype) + 1  # [Q]
        pooled = weights / weights.sum() @ vectors  # [Q] @ [Q, H] -> [H]
    else:
        divisor = len(vectors) if mode == "mean" else math.sqrt(len(vectors))
        pooled = vectors.sum(axis=0) / divisor
    return pooled
