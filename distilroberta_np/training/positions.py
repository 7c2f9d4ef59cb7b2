"""Position embeddings for sequences longer than those that a model has learned from."""

from __future__ import annotations

import numpy as np

from ..layers.params import Array

# Directions in which position embeddings vary; the others are noise.
_DIRECTIONS = 16


def continue_positions(positions: Array, learned: int) -> None:
    """Continue the first `learned` position embeddings, in place.

    Each learned embedding is about the same rotation of the one before, so attention finds a neighbour in the same way
    everywhere. The others go on from the last one by the orthogonal matrix R that carries each embedding nearest to the
    next: it minimizes sum ||x_i R - x_(i+1)||^2 and is U V^T of sum x_i^T x_(i+1) = U S V^T (Schönemann 1966, "A
    generalized solution of the orthogonal Procrustes problem"). Embeddings that get no gradients would stay random, and
    training learns them slowly: each from its neighbours.

    Args:
        positions: of the tokens of a sequence, (P, H), without the rows before the first token.
        learned: at least 4. The first and the last of them are left out: only `<s>` and `</s>` have them.
    """
    rows = positions[1 : learned - 1].astype(np.float64)
    center = rows.mean(axis=0)
    directions = np.linalg.svd(rows - center, full_matrices=False)[2][:_DIRECTIONS]  # (D, H), principal components
    points = (rows - center) @ directions.T
    u, _, vt = np.linalg.svd(points[:-1].T @ points[1:])
    rotation, point = u @ vt, points[-1]
    for position in range(learned - 1, len(positions)):
        point = point @ rotation
        positions[position] = center + point @ directions
