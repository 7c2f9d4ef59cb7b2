"""Inverted dropout (Srivastava et al. 2014): zeroes activations at random in training and scales up the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from .params import Array


class Dropout:
    """Samples dropout masks.

    Args:
        rate: the probability that an activation is zeroed, at least 0 and below 1. At 0 nothing is sampled.
        rng: a NumPy Generator, or CuPy's for arrays on a GPU.
    """

    def __init__(self, rate: float, rng: Any) -> None:
        self.rate, self.rng = rate, rng

    def mask(self, like: Array) -> Array:
        """0 with the probability `rate`, else 1 / (1 - rate), so that the expectation stays. Shapes: as `like`."""
        kept = self.rng.random(like.shape, dtype=np.float32) >= self.rate
        mask: Array = np.multiply(kept, 1 / (1 - self.rate), dtype=like.dtype)
        return mask


def drop(inputs: Array, dropout: Dropout | None) -> tuple[Array, Array | None]:
    """Inputs times a sampled mask, and the mask. Without dropout the inputs themselves, and None."""
    mask = dropout.mask(inputs) if dropout is not None and dropout.rate else None
    return drop_backward(inputs, mask), mask


def drop_backward(d_outputs: Array, mask: Array | None) -> Array:
    """The gradient of y = x m: dL/dx = dL/dy m. It is the forward map too, given a mask."""
    return d_outputs if mask is None else d_outputs * mask
