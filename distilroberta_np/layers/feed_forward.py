"""The position-wise feed-forward network (Vaswani et al. 2017, section 3.3), with GELU in place of ReLU."""

from __future__ import annotations

from typing import Generic, NamedTuple

from .activation import gelu, gelu_backward
from .linear import LinearWeights, linear, linear_backward
from .params import Array, Leaf


class FeedForwardWeights(NamedTuple, Generic[Leaf]):
    intermediate: LinearWeights[Leaf]  # [F, H]
    output: LinearWeights[Leaf]  # [H, F]


class FeedForwardCache(NamedTuple):
    """Activations saved for the backward pass."""

    hidden_states: Array  # (N, H)
    intermediate: Array  # (N, F), before the GELU
    active: Array  # (N, F), after it


def feed_forward(hidden_states: Array, weights: FeedForwardWeights[Array]) -> tuple[Array, FeedForwardCache]:
    """gelu(x W1 + b1) W2 + b2, for each token by itself.

    Shapes: hidden_states (N, H) -> (N, H), by way of (N, F).
    """
    intermediate = linear(hidden_states, weights.intermediate)  # [N, H] -> [N, F]
    active = gelu(intermediate)
    return linear(active, weights.output), FeedForwardCache(hidden_states, intermediate, active)  # [N, F] -> [N, H]


def feed_forward_backward(
    d_outputs: Array, cache: FeedForwardCache, weights: FeedForwardWeights[Array]
) -> tuple[Array, FeedForwardWeights[Array]]:
    """Back through the second map, the GELU and the first map.

    Shapes: d_outputs (N, H) -> d_hidden_states (N, H), and the gradients of the weights.
    """
    d_active, d_output = linear_backward(d_outputs, cache.active, weights.output)  # [N, H] -> [N, F]
    d_intermediate = gelu_backward(d_active, cache.intermediate, out=d_active)
    d_hidden_states, d_first = linear_backward(d_intermediate, cache.hidden_states, weights.intermediate)
    return d_hidden_states, FeedForwardWeights(d_first, d_output)
