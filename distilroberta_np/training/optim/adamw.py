"""AdamW, gradient clipping and learning-rate schedules."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ...layers.kernels import blocks
from ...layers.params import Array, tree_leaves, tree_map

BETA_1, BETA_2, EPSILON = 0.9, 0.98, 1e-6  # Liu et al. 2019, section 3.1


class AdamState(NamedTuple):
    """The moving averages of AdamW, as trees like the weights, and the number of updates."""

    mean: Any  # of the gradients
    square: Any  # of their squares
    updates: int


def start(weights: Any) -> AdamState:
    """The state before the first update: zeros."""
    return AdamState(tree_map(np.zeros_like, weights), tree_map(np.zeros_like, weights), 0)


def adamw(
    weights: Any, gradients: Any, state: AdamState, learning_rate: float, weight_decay: float, **constants: Any
) -> AdamState:
    """Update all weights in place, each as `adamw_array` does.

    Args:
        weights, gradients: trees of arrays of the same shapes.
        state: from `start` or the last update; its arrays are overwritten.
    """
    step = state.updates + 1
    for leaves in leaves_of_update(weights, gradients, state):
        adamw_array(*leaves, step, learning_rate, weight_decay, **constants)
    return state._replace(updates=step)


def leaves_of_update(weights: Any, gradients: Any, state: AdamState) -> list[tuple[Array, Array, Array, Array]]:
    """Each array of the weights with its gradient and its two averages."""
    return list(zip(*map(tree_leaves, (weights, gradients, state.mean, state.square)), strict=True))


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
    """Update an array in place (Loshchilov & Hutter 2019, "Decoupled Weight Decay", algorithm 2):

        m <- b1 m + (1 - b1) g        v <- b2 v + (1 - b2) g^2
        w <- w - lr (m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps) + decay w)

    at update t, `step`, counted from 1. Only matrices decay, as in transformers: biases and layer-norm gains don't.
    """
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


def clip(gradients: Any, max_norm: float) -> float:
    """Scale all gradients in place so that their global norm is at most `max_norm` (Pascanu et al. 2013).

    Returns the norm before clipping. If that is not finite, nothing is scaled.
    """
    norm = math.sqrt(sum(float(np.square(leaf, dtype=np.float64).sum()) for leaf in tree_leaves(gradients)))
    if max_norm < norm < math.inf:
        for leaf in tree_leaves(gradients):
            leaf *= max_norm / norm
    return norm


def trapezoid(update: int, updates: int, warmup: int, decay: int, peak: float) -> float:
    """The learning rate of an update, counted from 0: linear from 0 to the peak during the warmup, then constant, then
    linear to 0 during the last `decay` updates (Hägele et al. 2024).

    If nothing is left between warmup and decay, this is the linear schedule of Liu et al. 2019. Otherwise the total
    number of updates can change until the decay begins.
    """
    decay = min(decay, updates - warmup)
    rising = update / warmup if update < warmup else 1.0
    falling = (updates - update) / decay if update > updates - decay else 1.0
    return peak * max(0.0, min(rising, falling))


def linear_schedule(update: int, updates: int, warmup: int, peak: float) -> float:
    """`trapezoid` with a decay that begins when the warmup ends."""
    return trapezoid(update, updates, warmup, updates - warmup, peak)
