"""The encoder: layers of attention and feed-forward, one on top of the other."""

from __future__ import annotations

from typing import Generic, NamedTuple

from .attention import AttentionWeights, multi_head_attention
from .feed_forward import FeedForwardWeights, feed_forward
from .layer_norm import LayerNormWeights, layer_norm
from .tree import Array, Leaf


class EncoderLayerWeights(NamedTuple, Generic[Leaf]):
    attention: AttentionWeights[Leaf]
    attention_layer_norm: LayerNormWeights[Leaf]
    feed_forward: FeedForwardWeights[Leaf]
    feed_forward_layer_norm: LayerNormWeights[Leaf]


def encoder_layer(
    hidden_states: Array, bias: Array, weights: EncoderLayerWeights[Array], num_heads: int, eps: float
) -> tuple[Array, Array]:
    """Attention, then feed-forward; round each a residual connection, and layer norm after the sum.

    Norm after the sum ("post-norm") is the original order of Vaswani et al. 2017 (section 3.1). Most later models
    norm before; weights trained for one order are useless in the other.

    Shapes: hidden_states (B, S, H), bias (B, 1, 1, S) -> hidden_states (B, S, H), probabilities (B, A, S, S).
    """
    attended, probabilities = multi_head_attention(hidden_states, bias, weights.attention, num_heads)
    hidden_states = layer_norm(hidden_states + attended, weights.attention_layer_norm, eps)

    transformed = feed_forward(hidden_states, weights.feed_forward)
    hidden_states = layer_norm(hidden_states + transformed, weights.feed_forward_layer_norm, eps)
    return hidden_states, probabilities


def encoder(
    hidden_states: Array,
    bias: Array,
    layers: tuple[EncoderLayerWeights[Array], ...],
    num_heads: int,
    eps: float,
    *,
    keep_hidden_states: bool = False,
    keep_attentions: bool = False,
) -> tuple[Array, tuple[Array, ...] | None, tuple[Array, ...] | None]:
    """All layers in turn. What is not asked for is let go as soon as the next layer has it.

    Shapes: hidden_states (B, S, H) -> the last hidden_states (B, S, H); L + 1 hidden states, the embeddings first;
    L attention maps (B, A, S, S).
    """
    all_hidden_states = [hidden_states] if keep_hidden_states else []
    all_attentions = []
    for layer in layers:
        hidden_states, probabilities = encoder_layer(hidden_states, bias, layer, num_heads, eps)
        if keep_hidden_states:
            all_hidden_states.append(hidden_states)
        if keep_attentions:
            all_attentions.append(probabilities)
    return (
        hidden_states,
        tuple(all_hidden_states) if keep_hidden_states else None,
        tuple(all_attentions) if keep_attentions else None,
    )
