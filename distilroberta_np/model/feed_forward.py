"""The position-wise feed-forward network (Vaswani et al. 2017, section 3.3), with GELU in ReLU's place."""

from __future__ import annotations

from typing import Generic, NamedTuple

from .activation import gelu
from .linear import LinearWeights, linear
from .tree import Array, Leaf


class FeedForwardWeights(NamedTuple, Generic[Leaf]):
    intermediate: LinearWeights[Leaf]  # [F, H]
    output: LinearWeights[Leaf]  # [H, F]


def feed_forward(hidden_states: Array, weights: FeedForwardWeights[Array]) -> Array:
    """gelu(x W1 + b1) W2 + b2, for each token by itself.

    Shapes: hidden_states (N, H) -> (N, H), by way of (N, F).
    """
    intermediate = linear(hidden_states, weights.intermediate, then=gelu)  # [N, H] -> [N, F]
    return linear(intermediate, weights.output)  # [N, F] -> [N, H]
