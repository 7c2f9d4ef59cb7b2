"""GELU and softmax, forward and backward; sigmoid."""

from __future__ import annotations

import math

import numpy as np

from .kernels import blocks
from .params import Array

# P of tanh(x P(x^2)), which stands in for erf(x / sqrt 2): fitted by scripts/fit_gelu.py, which also measures it.
_GELU_COEFFICIENTS = (
    0.7978851670366199,
    0.036332368612334943,
    -3.1939592349664565e-05,
    -5.5550149487504286e-05,
    4.005932590357823e-06,
    -1.353655884067214e-07,
    1.8397451476914192e-09,
)

# exp of no greater number, and no sum of those over any vocabulary, leaves the float32 range on either side.
_SAFE = 60.0


def gelu(x: Array, out: Array | None = None) -> Array:
    """x times the probability that a standard normal variable is below x: x * (1 + erf(x / sqrt 2)) / 2.

    The exact form of Hendrycks & Gimpel 2016, "Gaussian Error Linear Units" (section 2). NumPy has no erf; what is
    computed is x * (1 + tanh(x P(x^2))) / 2 with a polynomial P fitted to it. In float32 that is within 5.6e-7 of the
    exact value and on average closer than torch's, in float64 within 9e-8. (The well-known tanh approximation, which
    some BERTs use, has the first two terms of P only, is off by 4.7e-4 and gives other predictions.)

    Shapes: any but () -> the same, same dtype, in `out` if given, which may be x itself.
    """
    out = np.empty_like(x) if out is None else out
    # Far out the polynomial overflows, to the infinity of the right sign, of which tanh is 1.
    with np.errstate(over="ignore"):
        for block, result in blocks(x, out):
            np.multiply(block, _normal_distribution(block, np.square(block)), out=result)
    return out


def gelu_backward(d_outputs: Array, x: Array, out: Array | None = None) -> Array:
    """The gradient of gelu(x) = x Phi(x), with Phi and phi the standard normal distribution and its density:

        dL/dx = dL/dy (Phi(x) + x phi(x)),   Phi(x) = (1 + erf(x / sqrt 2)) / 2,   phi(x) = exp(-x^2 / 2) / sqrt(2 pi)

    Shapes: d_outputs and x alike -> the same, in `out` if given, which may be d_outputs itself.
    """
    out = np.empty_like(d_outputs) if out is None else out
    with np.errstate(over="ignore"):
        for d_block, block, result in blocks(d_outputs, x, out):
            squared = np.square(block)
            slope = _normal_distribution(block, squared)
            squared *= -0.5
            np.exp(squared, out=squared)
            squared *= block
            squared *= 1 / math.sqrt(2 * math.pi)
            slope += squared
            np.multiply(d_block, slope, out=result)
    return out


def _normal_distribution(x: Array, x_squared: Array) -> Array:
    """Phi(x), the probability that a standard normal variable is below x: a new array."""
    inner = x_squared * _GELU_COEFFICIENTS[-1]
    for coefficient in _GELU_COEFFICIENTS[-2:0:-1]:  # Horner's rule
        inner += coefficient
        inner *= x_squared
    inner += _GELU_COEFFICIENTS[0]
    inner *= x
    np.tanh(inner, out=inner)
    inner += 1.0
    inner *= 0.5
    return inner


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), the softmax of x and 0.

    Shapes: any -> the same, same dtype.
    """
    with np.errstate(over="ignore"):  # exp is then infinite, and the quotient 0, as it should be
        result: Array = 1 / (1 + np.exp(-x))
    return result


def softmax(scores: Array, out: Array | None = None) -> Array:
    """exp(scores) / sum(exp(scores)) over the last axis.

    The largest score is taken off first: it changes nothing in the quotient, and keeps exp from overflowing. Where no
    score is so large, it is left out, as finding the largest of each row takes as long as the rest.

    Shapes: (..., S) or (..., V) -> the same, same dtype, in `out` if given, which may be scores itself; every row
    sums to 1.
    """
    out = np.empty_like(scores) if out is None else out
    ones = np.ones_like(scores, shape=scores.shape[-1])  # a product with it is the sum, five times as fast
    for block, result in blocks(scores, out):
        if block.max() > _SAFE or block.min() < -_SAFE:
            block = np.subtract(block, block.max(axis=-1, keepdims=True), out=result)
        np.exp(block, out=result)
        result /= (result @ ones)[..., None]
    return out


def softmax_backward(d_probabilities: Array, probabilities: Array, out: Array | None = None) -> Array:
    """The gradient of p = softmax(s). As dp_i/ds_j = p_i (1[i=j] - p_j),

        dL/ds_j = p_j (dL/dp_j - sum_i dL/dp_i p_i)

    Shapes: both (..., S) -> (..., S), in `out` if given, which may be d_probabilities itself.
    """
    out = np.empty_like(d_probabilities) if out is None else out
    ones = np.ones_like(probabilities, shape=probabilities.shape[-1])
    for d_block, block, result in blocks(d_probabilities, probabilities, out):
        product = d_block * block
        total = (product @ ones)[..., None]
        np.multiply(block, total, out=result)
        np.subtract(product, result, out=result)
    return out
