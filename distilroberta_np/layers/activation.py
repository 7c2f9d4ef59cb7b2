"""GELU, softmax and sigmoid, forward and backward."""

from __future__ import annotations

import math

import numpy as np

from .kernels import in_blocks, normal_cdf, row_of
from .params import Array

# Neither exp of a number in -60 .. 60 nor a sum of those over any vocabulary leaves the float32 range.
_SAFE = 60.0


def gelu(x: Array) -> Array:
    """x Phi(x), with Phi the standard normal distribution: x * (1 + erf(x / sqrt 2)) / 2.

    The exact form of Hendrycks & Gimpel 2016, "Gaussian Error Linear Units" (section 2).

    Shapes: any but () -> the same, same dtype.
    """
    out = np.empty_like(x)

    def fill(block: Array, result: Array) -> None:
        np.multiply(block, normal_cdf(block, np.square(block)), out=result)

    with np.errstate(over="ignore"):
        in_blocks(fill, x, out)
    return out


def gelu_backward(d_outputs: Array, x: Array, out: Array | None = None) -> Array:
    """The gradient of gelu(x) = x Phi(x), with Phi and phi the standard normal distribution and its density:

        dL/dx = dL/dy (Phi(x) + x phi(x)),   Phi(x) = (1 + erf(x / sqrt 2)) / 2,   phi(x) = exp(-x^2 / 2) / sqrt(2 pi)

    Shapes: d_outputs and x alike -> the same, in `out` if given, which may be d_outputs itself.
    """
    out = np.empty_like(d_outputs) if out is None else out

    def fill(d_block: Array, block: Array, result: Array) -> None:
        squared = np.square(block)
        slope = normal_cdf(block, squared)
        squared *= -0.5
        np.exp(squared, out=squared)
        squared *= block
        squared *= 1 / math.sqrt(2 * math.pi)
        slope += squared
        np.multiply(d_block, slope, out=result)

    with np.errstate(over="ignore"):
        in_blocks(fill, d_outputs, x, out)
    return out


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), the softmax of x and 0.

    Shapes: any -> the same, same dtype.
    """
    with np.errstate(over="ignore"):  # exp is then infinite, and the quotient 0, as it should be
        result: Array = 1 / (1 + np.exp(-x))
    return result


def softmax(scores: Array, out: Array | None = None) -> Array:
    """exp(scores) / sum(exp(scores)) over the last axis.

    Subtracting the largest score first changes nothing in the quotient and keeps exp from overflowing. Blocks without
    large scores skip it, as finding the largest of each row takes as long as the rest.

    Shapes: (..., S) or (..., V) -> the same, same dtype, in `out` if given, which may be scores itself; every row
    sums to 1.
    """
    out = np.empty_like(scores) if out is None else out
    ones = row_of(1, like=scores)

    def fill(block: Array, result: Array) -> None:
        if block.max() > _SAFE or block.min() < -_SAFE:
            block = np.subtract(block, block.max(axis=-1, keepdims=True), out=result)
        np.exp(block, out=result)
        result /= (result @ ones)[..., None]

    in_blocks(fill, scores, out)
    return out


def softmax_backward(d_probabilities: Array, probabilities: Array, out: Array | None = None) -> Array:
    """The gradient of p = softmax(s). As dp_i/ds_j = p_i (1[i=j] - p_j),

        dL/ds_j = p_j (dL/dp_j - sum_i dL/dp_i p_i)

    Shapes: both (..., S) -> (..., S), in `out` if given, which may be d_probabilities itself.
    """
    out = np.empty_like(d_probabilities) if out is None else out
    ones = row_of(1, like=probabilities)

    def fill(d_block: Array, block: Array, result: Array) -> None:
        product = d_block * block
        total = (product @ ones)[..., None]
        np.multiply(block, total, out=result)
        np.subtract(product, result, out=result)

    in_blocks(fill, d_probabilities, probabilities, out)
    return out
