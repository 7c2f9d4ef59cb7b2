"""Gradients by finite differences, in float64, to hold the hand-derived ones against."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from distilroberta_np.layers.params import tree_leaves, tree_map
from tests.support.seeded import draw

# Central differences in float64 are good to about step^2 and rounding / step, both some 1e-10 relative here.
STEP = 1e-5


class Repeated:
    """A generator that draws the same numbers each time, so that dropout leaves out the same."""

    def random(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        return np.random.default_rng(7).random(shape, dtype)


def exact_normal_cdf(x: np.ndarray, x_squared: np.ndarray) -> np.ndarray:
    """For finite differences: the fitted `kernels.normal_cdf` is off by 1e-7, which steps of 1e-5 show."""
    return (1 + np.vectorize(math.erf, otypes=[float])(x * 0.5**0.5)) / 2


def numbers(seed: int, *shape: int) -> Any:
    """Normal random numbers in float64, to be written to."""
    return writable(draw(seed, *shape))


def writable(tree: Any) -> Any:
    return tree_map(lambda leaf: np.array(leaf, np.float64), tree)


def differences(function: Callable[[], float], array: np.ndarray) -> np.ndarray:
    """The gradient of a function with respect to an array that it reads, which is changed and set back."""
    gradient = np.empty(array.shape)
    for place in np.ndindex(*array.shape):
        value = array[place]
        array[place] = value + STEP
        above = function()
        array[place] = value - STEP
        below = function()
        array[place] = value
        gradient[place] = (above - below) / (2 * STEP)
    return gradient


def check(function: Callable[[], float], arrays: Any, gradients: Any, atol: float = 1e-7) -> None:
    """Every leaf of a tree of arrays against the leaf of the tree of gradients."""
    pairs = list(zip(tree_leaves(arrays), tree_leaves(gradients), strict=True))
    assert pairs
    for array, gradient in pairs:
        assert gradient.shape == array.shape
        assert gradient.dtype == array.dtype
        np.testing.assert_allclose(gradient, differences(function, array), rtol=1e-6, atol=atol)
