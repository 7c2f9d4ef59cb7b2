"""The encoder: layers of attention and feed-forward, one on top of the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple

from .attention import (
    AttentionKept,
    AttentionWeights,
    TextGroup,
    multi_head_attention,
    multi_head_attention_backward,
    multi_head_attention_forward,
)
from .dropout import Dropout, dropped
from .feed_forward import (
    FeedForwardKept,
    FeedForwardWeights,
    feed_forward,
    feed_forward_backward,
    feed_forward_forward,
)
from .layer_norm import LayerNormWeights, layer_norm, layer_norm_backward
from .linear import ignore_stray_flags
from .params import Array, Leaf


class EncoderLayerWeights(NamedTuple, Generic[Leaf]):
    attention: AttentionWeights[Leaf]
    attention_layer_norm: LayerNormWeights[Leaf]
    feed_forward: FeedForwardWeights[Leaf]
    feed_forward_layer_norm: LayerNormWeights[Leaf]


@ignore_stray_flags
def encoder_layer(
    queries: Array,
    hidden_states: Array,
    groups: Sequence[TextGroup],
    weights: EncoderLayerWeights[Array],
    num_heads: int,
    eps: float,
) -> tuple[Array, list[Array]]:
    """Attention, then feed-forward; round each a residual connection, and layer norm after the sum.

    Norm after the sum ("post-norm") is the original order of Vaswani et al. 2017 (section 3.1). Most later models
    norm before; weights trained for one order are useless in the other.

    Shapes: queries (M, H), the rows to compute; hidden_states (N, H), the rows that they attend to, and groups, as
    `multi_head_attention` takes them -> hidden_states (M, H), probabilities (B, A, Q, S) of each group.
    """
    attended, probabilities = multi_head_attention(queries, hidden_states, groups, weights.attention, num_heads)
    computed = layer_norm(attended, weights.attention_layer_norm, eps, residual=queries)  # [M, H]

    transformed = feed_forward(computed, weights.feed_forward)
    computed = layer_norm(transformed, weights.feed_forward_layer_norm, eps, residual=computed)  # [M, H]
    return computed, probabilities


def encoder(
    hidden_states: Array,
    groups: Sequence[TextGroup],
    layers: tuple[EncoderLayerWeights[Array], ...],
    num_heads: int,
    eps: float,
    *,
    keep_hidden_states: bool = False,
    keep_attentions: bool = False,
) -> tuple[Array, list[Array], list[list[Array]]]:
    """All layers in turn. What is not asked for is let go as soon as the next layer has it.

    Shapes: hidden_states (N, H) -> the last hidden_states (N, H); where kept, L + 1 hidden states, the embeddings
    first, and each layer's probabilities, (B, A, S, S) a group.
    """
    all_hidden_states = [hidden_states] if keep_hidden_states else []
    all_attentions = []
    for layer in layers:
        hidden_states, probabilities = encoder_layer(hidden_states, hidden_states, groups, layer, num_heads, eps)
        if keep_hidden_states:
            all_hidden_states.append(hidden_states)
        if keep_attentions:
            all_attentions.append(probabilities)
    return hidden_states, all_hidden_states, all_attentions


class EncoderLayerKept(NamedTuple):
    """What the backward pass needs of the forward pass: of the two halves, and the sums (M, H) before the norms."""

    attention: AttentionKept
    attention_factors: Array | None  # of dropout on what attention gives
    attended_sum: Array
    feed_forward: FeedForwardKept
    feed_forward_factors: Array | None
    transformed_sum: Array


def encoder_layer_forward(
    queries: Array,
    hidden_states: Array,
    groups: Sequence[TextGroup],
    weights: EncoderLayerWeights[Array],
    num_heads: int,
    eps: float,
    attention_dropout: Dropout,
    hidden_dropout: Dropout,
) -> tuple[Array, EncoderLayerKept]:
    """`encoder_layer` with dropout on both halves before they are added, keeping what backward needs."""
    attended_sum, attention = multi_head_attention_forward(
        queries, hidden_states, groups, weights.attention, num_heads, attention_dropout
    )
    attention_factors = hidden_dropout.factors(attended_sum)
    attended_sum = dropped(attended_sum, attention_factors) + queries
    computed = layer_norm(attended_sum, weights.attention_layer_norm, eps)

    transformed_sum, forward = feed_forward_forward(computed, weights.feed_forward)
    forward_factors = hidden_dropout.factors(transformed_sum)
    transformed_sum = dropped(transformed_sum, forward_factors) + computed
    kept = EncoderLayerKept(attention, attention_factors, attended_sum, forward, forward_factors, transformed_sum)
    return layer_norm(transformed_sum, weights.feed_forward_layer_norm, eps), kept


def encoder_layer_backward(
    d_outputs: Array,
    kept: EncoderLayerKept,
    groups: Sequence[TextGroup],
    weights: EncoderLayerWeights[Array],
    num_heads: int,
    eps: float,
) -> tuple[Array, Array, EncoderLayerWeights[Array]]:
    """Back through the two halves, the last first. Of a sum y = x + f(x), dL/dy goes to both
    x and f(x), and what comes back through f is added: dL/dx = dL/dy + (df/dx)^T dL/dy.

    Shapes: d_outputs (M, H) -> d_queries (M, H), d_hidden_states (N, H), and the gradients of the weights. Where the
    queries are the hidden states themselves, the gradient of those is the sum of the two.
    """
    d_sum, d_second_norm = layer_norm_backward(d_outputs, kept.transformed_sum, weights.feed_forward_layer_norm, eps)
    d_computed, d_feed_forward = feed_forward_backward(
        dropped(d_sum, kept.feed_forward_factors), kept.feed_forward, weights.feed_forward
    )
    d_computed += d_sum

    d_sum, d_first_norm = layer_norm_backward(d_computed, kept.attended_sum, weights.attention_layer_norm, eps)
    d_queries, d_hidden_states, d_attention = multi_head_attention_backward(
        dropped(d_sum, kept.attention_factors), kept.attention, groups, weights.attention, num_heads
    )
    d_queries += d_sum
    return d_queries, d_hidden_states, EncoderLayerWeights(d_attention, d_first_norm, d_feed_forward, d_second_norm)
