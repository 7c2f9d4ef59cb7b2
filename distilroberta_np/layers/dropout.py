"""Dropout (Srivastava et al. 2014): in training alone, some numbers are left out and the others made up for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from .params import Array


class Dropout:
    """Draws what is kept.

    Args:
        rate: the probability that a number is left out, at least 0 and below 1. At 0 nothing is drawn.
        rng: a NumPy Generator, or CuPy's for arrays on a GPU.
    """

    def __init__(self, rate: float, rng: Any) -> None:
        self.rate, self.rng = rate, rng

    def factors(self, like: Array) -> Array | None:
        """What to multiply by, forward and backward alike: 0 with the probability `rate`, else 1 / (1 - rate), so that
        the expectation stays as it is. None where nothing is left out. Shapes: as `like`."""
        if self.rate == 0:
            return None
        kept = self.rng.random(like.shape, dtype=np.float32) >= self.rate
        factors: Array = np.multiply(kept, 1 / (1 - self.rate), dtype=like.dtype)
        return factors


def dropped(values: Array, factors: Array | None) -> Array:
    """Values times their factors; the values themselves where nothing is left out."""
    return values if factors is None else values * factors
