"""Muon (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"): orthogonal updates."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...layers.params import Array, tree_leaves
from ...runtime.threads import map_in_threads
from .adamw import AdamState, adamw_array, leaves_of_update

MOMENTUM = 0.95
# Coefficients of a x + b x^3 + c x^5, which brings every number in (0, 1] close to 1 if applied five times.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_STEPS = 5
# With this factor (Liu et al. 2025, "Muon is scalable for LLM training", section 2.2) the entries of an update are as
# large as AdamW's, so the same learning rate and weight decay suit both.
_ADAMW_SCALE = 0.2


def muon(weights: Any, gradients: Any, state: AdamState, learning_rate: float, weight_decay: float) -> AdamState:
    """Update all weights in place: the matrices of the encoder layers by Muon, all others by `adamw`.

    The gradient of a matrix has a few large singular values, but the directions of the small ones matter too. Muon
    moves equally far in all of them: by the orthogonal matrix that is closest to the momentum M = U S V^T, which is U
    V^T.

        M <- mu M + G        O = U V^T of (G + mu M)        W <- W - lr (0.2 sqrt(max(out, in)) O + decay W)

    Args:
        weights, gradients: trees of arrays of the same shapes, with the encoder as `roberta`.
        state: as for `adamw`; for the layers' matrices `mean` holds the momentum, and `square` stays 0.
        learning_rate, weight_decay: lr and decay.
    """
    step = state.updates + 1
    in_layers = {id(leaf) for leaf in tree_leaves(weights.roberta.layers)}

    def update(leaf: tuple[Array, Array, Array, Array]) -> None:
        weight, gradient, mean, square = leaf
        if weight.ndim < 2 or id(weight) not in in_layers:
            adamw_array(weight, gradient, mean, square, step, learning_rate, weight_decay)
            return
        mean *= MOMENTUM
        mean += gradient
        direction = orthogonal(gradient + MOMENTUM * mean)
        weight *= 1 - learning_rate * weight_decay
        weight -= (learning_rate * _ADAMW_SCALE * math.sqrt(max(weight.shape))) * direction

    leaves = leaves_of_update(weights, gradients, state)
    if isinstance(leaves[0][0], np.ndarray):
        map_in_threads(update, leaves)
    else:  # a GPU computes one product after the other
        list(map(update, leaves))
    return state._replace(updates=step)


def orthogonal(matrix: Array) -> Array:
    """Approximate U V^T for a matrix U S V^T: its singular values become 0.7 to 1.2.

    A polynomial of odd powers, X (X^T X)^k, changes the singular values only and needs no decomposition.

    Shapes: (out, in) -> (out, in).
    """
    a, b, c = _COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix  # [m, n], m <= n
    x = x / (np.sqrt(np.square(x).sum()) + 1e-7)  # no singular value exceeds this norm
    if 2 * len(x) <= x.shape[1]:
        x = _polynomial(x @ x.T) @ x
    else:
        for _ in range(_STEPS):
            square = x @ x.T
            # `square` is symmetric, and BLAS computes a product with a transpose in half the time.
            x = a * x + (b * square + c * (square @ square.T)) @ x
    result: Array = x.T if tall else x
    return result


def _polynomial(square: Array) -> Array:
    """The matrix P such that P X is X after all steps of `orthogonal`, from X X^T alone: its products are small.

    A step computes X' = Q X with Q = a + b X X^T + c (X X^T)^2, so X' X'^T = Q X X^T Q. Shapes: (m, m) -> (m, m).
    """
    a, b, c = _COEFFICIENTS
    diagonal = np.arange(len(square), like=square)
    product = None
    for step in range(_STEPS):
        factor = b * square + c * (square @ square.T)
        factor[diagonal, diagonal] += a
        product = factor if product is None else factor @ product
        if step < _STEPS - 1:
            square = factor @ square @ factor
    assert product is not None
    return product
