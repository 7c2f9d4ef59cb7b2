"""Fit the coefficients of `distilroberta_np.model.activation.erf`, and measure its error.

    python scripts/fit_erf.py

erf(x) / x is an even function, fitted by a ratio of polynomials in x^2 on |x| <= 3.85 with the smallest largest
relative error: linearised least squares whose weights follow the errors (Lawson's method). Needs NumPy alone.
"""

from __future__ import annotations

import math

import numpy as np

from distilroberta_np.model.activation import erf, gelu

RANGE = 3.85
NUMERATOR_DEGREE, DENOMINATOR_DEGREE = 6, 4


def fit(nodes: int = 4000, rounds: int = 200) -> tuple[float, np.ndarray, np.ndarray]:
    """The largest relative error, and the coefficients of numerator and denominator (whose first is 1)."""
    x = RANGE * (0.5 - 0.5 * np.cos(np.pi * (np.arange(nodes) + 0.5) / nodes))  # Chebyshev nodes
    wanted = np.array([math.erf(value) / value for value in x])
    scaled = np.square(x / RANGE)
    numerator_powers = scaled[:, None] ** np.arange(NUMERATOR_DEGREE + 1)
    denominator_powers = scaled[:, None] ** np.arange(DENOMINATOR_DEGREE + 1)
    weights, denominator = np.ones(nodes), np.ones(nodes)
    best = (math.inf, np.empty(0), np.empty(0))
    for _ in range(rounds):
        # numerator - wanted * denominator = 0, divided by wanted and by the last round's denominator
        scale = np.sqrt(weights) / denominator
        system = np.concatenate([numerator_powers / wanted[:, None], -denominator_powers[:, 1:]], axis=1)
        system *= scale[:, None]
        lengths = np.linalg.norm(system, axis=0)
        solution = np.linalg.lstsq(system / lengths, scale, rcond=None)[0] / lengths
        p = solution[: NUMERATOR_DEGREE + 1]
        q = np.concatenate([[1.0], solution[NUMERATOR_DEGREE + 1 :]])
        denominator = denominator_powers @ q
        errors = np.abs(numerator_powers @ p / denominator / wanted - 1)
        if errors.max() < best[0]:
            best = (errors.max(), p / RANGE ** (2 * np.arange(len(p))), q / RANGE ** (2 * np.arange(len(q))))
        weights *= errors / errors.max() + 1e-3
        weights /= weights.sum()
    return best


def main() -> None:
    error, numerator, denominator = fit()
    print(f"fit: largest relative error {error:.2e}")
    print("numerator  ", *numerator.tolist(), sep="\n  ")
    print("denominator", *denominator.tolist(), sep="\n  ")

    x = np.linspace(-6, 6, 1_200_001).astype(np.float32)
    exact_erf = np.array([math.erf(value) for value in x.astype(np.float64)])
    exact_gelu = np.array([value * math.erfc(-value / math.sqrt(2)) / 2 for value in x.astype(np.float64)])
    for name, ours, exact in (("erf", erf(x), exact_erf), ("gelu", gelu(x), exact_gelu)):
        difference = ours.astype(np.float64) - exact
        print(
            f"{name} in float32 on [-6, 6], as the package has it: largest error {np.abs(difference).max():.2e}, "
            f"root mean square {np.sqrt(np.square(difference).mean()):.2e}, largest value {ours.max():.8g}"
        )


if __name__ == "__main__":
    main()
