"""erf, GELU and softmax."""

from __future__ import annotations

import math

import numpy as np

from .tree import Array

# erf(x) / x as a ratio of two polynomials in x^2, fitted on |x| <= 3.85 by scripts/fit_erf.py, which also measures it.
# Beyond 3.85 erf is 1 to within the last bit of a float32, so x is clipped there.
_ERF_RANGE = 3.85
_ERF_NUMERATOR = (
    1.1283791199734103,
    0.19390009012207743,
    0.04978687598325232,
    0.0034629113753929155,
    0.0001376334692012819,
    -1.979231642973568e-06,
    2.074727522274871e-08,
)
_ERF_DENOMINATOR = (
    1.0,
    0.5051714363518797,
    0.112520361596808,
    0.01385245170732927,
    0.0009030770909388567,
)


def erf(x: Array) -> Array:
    """The error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x. NumPy has none.

    In float32 the absolute error is at most 4e-7 for every x (scripts/fit_erf.py measures 3.8e-7), and results can
    exceed 1 by one or two last bits (2.4e-7). The fit itself is good to 4.2e-8, so float64 gives no more than that.

    Shapes: any -> the same, same dtype.
    """
    x = np.clip(x, -_ERF_RANGE, _ERF_RANGE)
    x_squared = np.square(x)
    numerator = _polynomial(x_squared, _ERF_NUMERATOR)
    numerator /= _polynomial(x_squared, _ERF_DENOMINATOR)
    numerator *= x
    return numerator


def _polynomial(x: Array, coefficients: tuple[float, ...]) -> Array:
    """c[0] + c[1] x + c[2] x^2 + ..., by Horner's rule."""
    result = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        result *= x
        result += coefficient
    return result


def gelu(x: Array) -> Array:
    """x times the probability that a standard normal variable is below x: x * (1 + erf(x / sqrt 2)) / 2.

    The exact form of Hendrycks & Gimpel 2016, "Gaussian Error Linear Units" (section 2). Their tanh approximation,
    which some BERTs use, is off by 4.7e-4 and gives other predictions.

    Shapes: any -> the same, same dtype.
    """
    result = erf(x * math.sqrt(0.5))
    result += 1.0
    result *= x
    result *= 0.5
    return result


def softmax(scores: Array) -> Array:
    """exp(scores) / sum(exp(scores)) over the last axis.

    The largest score is taken off first: it changes nothing in the quotient, and keeps exp from overflowing.

    Shapes: (..., S) or (..., V) -> the same, same dtype; every row sums to 1.
    """
    result: Array = scores - scores.max(axis=-1, keepdims=True)
    np.exp(result, out=result)
    result /= result.sum(axis=-1, keepdims=True)
    return result
