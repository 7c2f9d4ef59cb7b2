"""The encoder: layers of attention and feed-forward, one on top of the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple

from .attention import AttentionWeights, TextGroup, multi_head_attention
from .feed_forward import FeedForwardWeights, feed_forward
from .layer_norm import LayerNormWeights, layer_norm
from .linear import ignore_stray_flags
from .tree import Array, Leaf


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
