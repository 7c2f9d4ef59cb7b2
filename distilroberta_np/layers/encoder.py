"""The encoder: layers of attention and feed-forward, one on top of the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from .attention import AttentionWeights, SequenceGroup, attention, attention_backward
from .dropout import Dropout, drop, drop_backward
from .feed_forward import FeedForwardWeights, feed_forward, feed_forward_backward
from .layer_norm import LayerNormWeights, layer_norm, layer_norm_backward
from .params import Array, Leaf

Cache = TypeVar("Cache")
# The caches of all steps in the order in which they were computed; the backward pass pops them.
Caches = list[Any]


class EncoderLayerWeights(NamedTuple, Generic[Leaf]):
    attention: AttentionWeights[Leaf]
    attention_layer_norm: LayerNormWeights[Leaf]
    feed_forward: FeedForwardWeights[Leaf]
    feed_forward_layer_norm: LayerNormWeights[Leaf]


class AddAndNormCache(NamedTuple):
    """Activations saved for the backward pass; (M, H) each."""

    dropout_mask: Array | None
    summed: Array  # before the norm


def keep(step: tuple[Array, Cache], caches: Caches | None) -> Array:
    """The output of a step, with its cache appended to `caches`; or dropped at once, if that is None (inference)."""
    output, cache = step
    if caches is not None:
        caches.append(cache)
    return output


def add_and_norm(
    residual: Array, outputs: Array, weights: LayerNormWeights[Array], eps: float, dropout: Dropout | None = None
) -> tuple[Array, AddAndNormCache]:
    """Layer norm of the residual sum x + f(x), with dropout on f(x), which is overwritten with the sum.

    Norm after the sum ("post-norm") is the original order of Vaswani et al. 2017 (section 3.1). Most later models
    norm before; weights trained for one order are useless in the other.

    Shapes: residual x and outputs f(x) (M, H) -> (M, H).
    """
    summed, mask = drop(outputs, dropout)
    summed += residual
    return layer_norm(summed, weights, eps), AddAndNormCache(mask, summed)


def add_and_norm_backward(
    d_outputs: Array, cache: AddAndNormCache, weights: LayerNormWeights[Array], eps: float
) -> tuple[Array, Array, LayerNormWeights[Array]]:
    """The gradient of a sum goes to both of its terms.

    Shapes: d_outputs (M, H) -> the gradients of the residual and of f(x), (M, H) each, and of the weights.
    """
    d_sum, d_weights = layer_norm_backward(d_outputs, cache.summed, weights, eps)
    return d_sum, drop_backward(d_sum, cache.dropout_mask), d_weights


def encoder_layer(
    queries: Array,
    hidden_states: Array,
    groups: Sequence[SequenceGroup],
    weights: EncoderLayerWeights[Array],
    num_heads: int,
    eps: float,
    dropout: Dropout | None = None,
    caches: Caches | None = None,
) -> Array:
    """Attention, then feed-forward; a residual connection around each, and layer norm after the sum.

    Args:
        queries, hidden_states, groups, num_heads: as `attention` takes them.
        weights: of the layer.
        eps: of the layer norms.
        dropout: None at inference.
        caches: where the caches of the four steps are appended; None at inference.

    Returns:
        The new hidden states of the query rows, (M, H).
    """
    attended = keep(attention(queries, hidden_states, groups, weights.attention, num_heads, dropout), caches)
    attended = keep(add_and_norm(queries, attended, weights.attention_layer_norm, eps, dropout), caches)  # [M, H]
    transformed = keep(feed_forward(attended, weights.feed_forward), caches)
    return keep(add_and_norm(attended, transformed, weights.feed_forward_layer_norm, eps, dropout), caches)  # [M, H]


def encoder_layer_backward(
    d_outputs: Array,
    caches: Caches,
    groups: Sequence[SequenceGroup],
    weights: EncoderLayerWeights[Array],
    num_heads: int,
    eps: float,
) -> tuple[Array, Array, EncoderLayerWeights[Array]]:
    """Back through the four steps, the last first. The gradient of x is the sum of those that come back through
    the residual connection and through f(x).

    Shapes: d_outputs (M, H) -> d_queries (M, H), d_hidden_states (N, H), and the gradients of the weights. If the
    queries are the hidden states themselves, their gradient is the sum of the two.
    """
    d_attended, d_transformed, d_second_norm = add_and_norm_backward(
        d_outputs, caches.pop(), weights.feed_forward_layer_norm, eps
    )
    d_through, d_feed_forward = feed_forward_backward(d_transformed, caches.pop(), weights.feed_forward)
    d_through += d_attended
    d_residual, d_attended, d_first_norm = add_and_norm_backward(
        d_through, caches.pop(), weights.attention_layer_norm, eps
    )
    d_queries, d_hidden_states, d_attention = attention_backward(
        d_attended, caches.pop(), groups, weights.attention, num_heads
    )
    d_queries += d_residual
    return d_queries, d_hidden_states, EncoderLayerWeights(d_attention, d_first_norm, d_feed_forward, d_second_norm)


def encoder(
    hidden_states: Array,
    groups: Sequence[SequenceGroup],
    selected: Array | slice,
    layers: tuple[EncoderLayerWeights[Array], ...],
    num_heads: int,
    eps: float,
    dropout: Dropout | None = None,
    caches: Caches | None = None,
) -> Array:
    """All layers in turn. The last one computes the selected rows only: the keys and values of all tokens, and the
    rest, five sixths of the work, at M of the N rows.

    Args:
        hidden_states: (N, H), of the embeddings.
        groups: with the queries of the last layer.
        selected: the indices (M,) of the rows that the last layer computes, group by group; `slice(None)` for all.
        layers, num_heads, eps, dropout, caches: as `encoder_layer` takes them.

    Returns:
        The final hidden states (M, H).
    """
    *others, last = layers
    all_queries = _with_all_queries(groups)
    for layer in others:
        hidden_states = encoder_layer(hidden_states, hidden_states, all_queries, layer, num_heads, eps, dropout, caches)
    return encoder_layer(hidden_states[selected], hidden_states, groups, last, num_heads, eps, dropout, caches)


def encoder_backward(
    d_outputs: Array,
    caches: Caches,
    groups: Sequence[SequenceGroup],
    selected: Array | slice,
    layers: tuple[EncoderLayerWeights[Array], ...],
    num_heads: int,
    eps: float,
) -> tuple[Array, tuple[EncoderLayerWeights[Array], ...]]:
    """Back through the layers, the last first; no row may be selected twice.

    Shapes: d_outputs (M, H) -> d_hidden_states (N, H), and the gradients of the weights.
    """
    *others, last = layers
    d_queries, d_hidden_states, d_layer = encoder_layer_backward(d_outputs, caches, groups, last, num_heads, eps)
    d_hidden_states[selected] += d_queries  # [M, H] at M of [N, H]
    d_layers = [d_layer]
    all_queries = _with_all_queries(groups)
    for layer in reversed(others):
        d_queries, d_hidden_states, d_layer = encoder_layer_backward(
            d_hidden_states, caches, all_queries, layer, num_heads, eps
        )
        d_hidden_states += d_queries
        d_layers.append(d_layer)
    return d_hidden_states, tuple(reversed(d_layers))


def _with_all_queries(groups: Sequence[SequenceGroup]) -> list[SequenceGroup]:
    return [group._replace(queries=group.tokens) for group in groups]
