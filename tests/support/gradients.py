"""Gradients by finite differences, in float64, to compare the hand-derived ones with."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from distilroberta_np.layers.params import tree_leaves, tree_map
from tests.support.seeded import draw

# The errors of central differences in float64 are about step^2 and rounding / step, both about 1e-10 here.
STEP = 1e-5


class Repeated:
    """A generator that draws the same numbers each time, so that dropout zeroes the same activations."""

    def random(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        return np.random.default_rng(7).random(shape, dtype)


def exact_normal_cdf(x: np.ndarray, x_squared: np.ndarray) -> np.ndarray:
    """For finite differences: the fitted `kernels.normal_cdf` is off by 1e-7, which steps of 1e-5 show."""
    return (1 + np.vectorize(math.erf, otypes=[float])(x * 0.5**0.5)) / 2


def numbers(seed: int, *shape: int) -> Any:
    """Normal random numbers in float64, writable."""
    return writable(draw(seed, *shape))


def writable(tree: Any) -> Any:
    return tree_map(lambda leaf: np.array(leaf, np.float64), tree)


def differences(function: Callable[[], float], array: np.ndarray) -> np.ndarray:
    """The gradient of a function with respect to an array that it reads. The array is changed and restored."""
    gradient = np.empty(array.shape)
    for index in np.ndindex(*array.shape):
        value = array[index]
        array[index] = value + STEP
        above = function()
        array[index] = value - STEP
        below = function()
        array[index] = value
        gradient[index] = (above - below) / (2 * STEP)
    return gradient


def check(function: Callable[[], float], arrays: Any, gradients: Any, atol: float = 1e-7) -> None:
    """Compare the gradient of each leaf of a tree of arrays with finite differences."""
    pairs = list(zip(tree_leaves(arrays), tree_leaves(gradients), strict=True))
    assert pairs
    for array, gradient in pairs:
        assert gradient.shape == array.shape
        assert gradient.dtype == array.dtype
        np.testing.assert_allclose(gradient, differences(function, array), rtol=1e-6, atol=atol)
