"""AdamW, its learning rate's course, and clipping."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ...layers.kernels import blocks
from ...layers.params import Array, tree_leaves, tree_map

BETA_1, BETA_2, EPSILON = 0.9, 0.98, 1e-6  # Liu et al. 2019, section 3.1


class AdamState(NamedTuple):
    """The running means of AdamW, trees like the weights, and how many updates went into them."""

    mean: Any  # of the gradients
    square: Any  # of their squares
    updates: int


def start(weights: Any) -> AdamState:
    """Before the first update: zeros."""
    return AdamState(tree_map(np.zeros_like, weights), tree_map(np.zeros_like, weights), 0)


def adamw(
    weights: Any,
    gradients: Any,
    state: AdamState,
    learning_rate: float,
    weight_decay: float,
    beta_1: float = BETA_1,
    beta_2: float = BETA_2,
    epsilon: float = EPSILON,
) -> AdamState:
    """One update of all weights, in place (Loshchilov & Hutter 2019, "Decoupled Weight Decay", algorithm 2):

        m <- b1 m + (1 - b1) g        v <- b2 v + (1 - b2) g^2
        w <- w - lr (m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps) + decay w)

    The decay acts on matrices alone: biases and the gains of layer norms are left out, as the reference does.

    Args:
        weights, gradients: trees of arrays alike.
        state: what `start` or the last update gave; its arrays are written over.
        learning_rate: lr.
        weight_decay: decay.
        beta_1, beta_2, epsilon: b1, b2 and eps.
    """
    leaves = zip(*(tree_leaves(tree) for tree in (weights, gradients, state.mean, state.square)), strict=True)
    step = state.updates + 1
    for weight, gradient, mean, square in leaves:
        adamw_array(weight, gradient, mean, square, step, learning_rate, weight_decay, beta_1, beta_2, epsilon)
    return state._replace(updates=step)


def adamw_array(
    weight: Array,
    gradient: Array,
    mean: Array,
    square: Array,
    step: int,
    learning_rate: float,
    weight_decay: float,
    beta_1: float = BETA_1,
    beta_2: float = BETA_2,
    epsilon: float = EPSILON,
) -> None:
    """`adamw` of one array, at the update `step`, counted from 1."""
    size = learning_rate / (1 - beta_1**step)
    root = 1 / math.sqrt(1 - beta_2**step)
    decay = weight_decay if weight.ndim > 1 else 0.0
    for w, g, m, v in blocks(weight, gradient, mean, square):
        m *= beta_1
        m += (1 - beta_1) * g
        v *= beta_2
        v += (1 - beta_2) * np.square(g)
        denominator = np.sqrt(v)
        denominator *= root
        denominator += epsilon
        if decay:
            w *= 1 - learning_rate * decay
        w -= size * m / denominator


def global_norm(gradients: Any) -> float:
    """The Euclidean length of all gradients together."""
    return math.sqrt(sum(float(np.square(leaf, dtype=np.float64).sum()) for leaf in tree_leaves(gradients)))


def clip(gradients: Any, largest: float) -> float:
    """Shorten all gradients together, in place, to a global norm of `largest` at most (Pascanu et al. 2013).

    Returns their norm as it was. What isn't finite is left as it is.
    """
    norm = global_norm(gradients)
    if largest < norm < math.inf:
        for leaf in tree_leaves(gradients):
            leaf *= largest / norm
    return norm


def trapezoid(update: int, updates: int, warmup: int, decay: int, peak: float) -> float:
    """The learning rate of an update, counted from 0: in straight lines from 0 up to the peak over the warm-up, and
    over the last `decay` updates down to 0 at the end. Where that leaves nothing between them, it is Liu et al. 2019's
    linear schedule; where they do, the peak is held (Hägele et al. 2024), and the end can be put off until it is near.
    """
    decay = min(decay, updates - warmup)
    rising = update / warmup if update < warmup else 1.0
    falling = (updates - update) / decay if update > updates - decay else 1.0
    return peak * max(0.0, min(rising, falling))


def linear_schedule(update: int, updates: int, warmup: int, peak: float) -> float:
    """`trapezoid` that falls from the warm-up's end on."""
    return trapezoid(update, updates, warmup, updates - warmup, peak)
