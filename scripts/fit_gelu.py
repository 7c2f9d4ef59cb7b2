"""Fit the coefficients of `distilroberta_np.layers.kernels.normal_cdf`, and measure its error.

    python -m scripts.fit_gelu

erf(x / sqrt 2) is tanh of an odd function of x, and a polynomial stands in for that: tanh(x P(x^2)). P is fitted for
the smallest largest error of the GELU, x (tanh(x P(x^2)) - erf(x / sqrt 2)) / 2, on |x| <= 6, in units of 1/2 + |x|, as
most activations are small: Gauss-Newton steps of least squares whose weights follow the errors (Lawson's method).
Beyond that P only grows. Needs NumPy alone.
"""

from __future__ import annotations

import math

import numpy as np

from distilroberta_np.layers.activation import gelu

RANGE = 6.0
DEGREE = 6


def exact_erf(x: np.ndarray) -> np.ndarray:
    return np.array([math.erf(value) for value in x.tolist()])


def exact_gelu(x: np.ndarray) -> np.ndarray:
    """By erfc, which keeps the small values of the far left."""
    return np.array([value * math.erfc(-value / math.sqrt(2)) / 2 for value in x.tolist()])


def fit(nodes: int = 4000, rounds: int = 400) -> tuple[float, np.ndarray]:
    """The largest error in those units, and the coefficients of P."""
    x = RANGE * (0.5 - 0.5 * np.cos(np.pi * (np.arange(nodes) + 0.5) / nodes))  # Chebyshev nodes
    wanted = exact_erf(x / math.sqrt(2))
    powers = np.square(x / RANGE)[:, None] ** np.arange(DEGREE + 1)
    # To begin with: where erf is still told from 1, the polynomial through atanh(erf) / x itself.
    told = wanted < 1 - 1e-12
    slope = (1 - np.square(wanted[told])) * np.square(x[told])
    target = np.arctanh(wanted[told]) / x[told]
    p = np.linalg.lstsq(powers[told] * slope[:, None], target * slope, rcond=None)[0]
    weights = np.ones(nodes)
    best = (math.inf, p)
    for _ in range(rounds):
        estimate = np.tanh(x * (powers @ p))
        errors = x * (estimate - wanted) / 2 / (0.5 + x)
        if np.abs(errors).max() < best[0]:
            best = (np.abs(errors).max(), p)
        weights *= np.abs(errors) / np.abs(errors).max() + 1e-3
        weights /= weights.sum()
        scale = np.sqrt(weights)
        gradient = (np.square(x) * (1 - np.square(estimate)) / 2 / (0.5 + x))[:, None] * powers
        p = p - np.linalg.lstsq(gradient * scale[:, None], errors * scale, rcond=None)[0]
    error, p = best
    return error, p / RANGE ** (2 * np.arange(DEGREE + 1))


def main() -> None:
    error, coefficients = fit()
    print(f"fit: largest error of the GELU {error:.2e}, in units of 1/2 + |x|")
    print(*coefficients.tolist(), sep="\n")

    x = np.linspace(-6, 6, 1_200_001).astype(np.float32)
    difference = gelu(x.copy()).astype(np.float64) - exact_gelu(x)
    print(
        f"in float32 on [-6, 6], as the package has it: largest error {np.abs(difference).max():.2e}, "
        f"root mean square {np.sqrt(np.square(difference).mean()):.2e}"
    )


if __name__ == "__main__":
    main()
