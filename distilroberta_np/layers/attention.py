"""Multi-head self-attention (Vaswani et al. 2017, "Attention Is All You Need", section 3.2)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Generic, NamedTuple

import numpy as np

from ..runtime.threads import map_in_threads
from .activation import softmax, softmax_backward
from .dropout import Dropout, drop, drop_backward
from .kernels import FINE_CHUNK, matmul_into, shares_of_heads
from .linear import LinearWeights, linear, linear_backward, linears
from .params import Array, Leaf


class AttentionWeights(NamedTuple, Generic[Leaf]):
    query: LinearWeights[Leaf]  # [H, H]
    key: LinearWeights[Leaf]  # [H, H]
    value: LinearWeights[Leaf]  # [H, H]
    output: LinearWeights[Leaf]  # [H, H]


class SequenceGroup(NamedTuple):
    """Equal-length sequences, concatenated along the row axis of a packed batch.

    Attention is the only step in which the tokens of a sequence see each other, and so the only one that must know
    which rows belong together.
    """

    sequences: int  # B
    tokens: int  # S, of each sequence
    queries: int  # Q: query rows of each sequence; all its tokens, or the selected ones in the last layer
    bias: Array | None = None  # (B, 1, 1, S), of `attention_bias`; None if no key is masked


class AttentionCache(NamedTuple):
    """Activations saved for the backward pass."""

    queries: Array  # (M, H)
    hidden_states: Array  # (N, H)
    query: Array  # (M, H)
    key: Array  # (N, H)
    value: Array  # (N, H)
    probabilities: list[Array]  # (B, A, Q, S) of each group
    dropout_masks: list[Array | None]  # alike
    context: Array  # (M, H)


def attention_bias(attention_mask: Array, like: Array) -> Array | None:
    """The term that is added to the scores: 0 for visible keys, the lowest finite number for masked ones.

    It is added before the softmax, so that a masked key gets probability 0 exactly. It is not minus infinity: in a
    sequence of padding alone the softmax would be 0/0. Such a sequence attends to all its tokens alike.

    Shapes: attention_mask (B, S), 1 for a token and 0 for padding -> (B, 1, 1, S), the dtype of `like`; None if
    nothing is masked.
    """
    masked = attention_mask == 0  # [B, S]
    if not masked.any():
        return None
    bias = np.zeros_like(like, shape=attention_mask.shape)  # [B, S]
    bias[masked] = np.finfo(like.dtype).min
    return bias[:, None, None, :]  # [B, S] -> [B, 1, 1, S]: the same for every head and every query


def attention(
    queries: Array,
    hidden_states: Array,
    groups: Sequence[SequenceGroup],
    weights: AttentionWeights[Array],
    num_heads: int,
    dropout: Dropout | None = None,
) -> tuple[Array, AttentionCache]:
    """softmax(Q K^T / sqrt D) V in every head (equation 1), the heads concatenated, and a last affine map.

    Args:
        queries: the query rows (M, H): all of hidden_states, or in the last layer the selected ones.
        hidden_states: the rows that they attend to, (N, H).
        groups: which rows belong together; N is the sum of their B x S, and M of their B x Q.
        weights: of the four affine maps.
        num_heads: A.
        dropout: on the probabilities; None at inference.

    Returns:
        The output (M, H), and the cache.
    """
    query, key, value = linears(
        (queries, weights.query), (hidden_states, weights.key), (hidden_states, weights.value)
    )  # [M, H], [N, H], [N, H]

    context = np.empty_like(query)  # [M, H]
    all_probabilities, all_masks = [], []
    for group, query_rows, key_rows in _rows_of(groups):
        # [B x Q, H] -> [B, A, Q, D], and [B x S, H] -> [B, A, S, D]
        group_query, group_context = (split_heads(rows[query_rows], group, num_heads) for rows in (query, context))
        group_key, group_value = (split_heads(rows[key_rows], group, num_heads) for rows in (key, value))
        probabilities, mask = _attend(group_query, group_key, group_value, group.bias, dropout, out=group_context)
        all_probabilities.append(probabilities)
        all_masks.append(mask)
    # Of a layer's products this one's rounding weighs most, as it enters the residual sum unchanged.
    outputs = linear(context, weights.output, FINE_CHUNK)
    return outputs, AttentionCache(queries, hidden_states, query, key, value, all_probabilities, all_masks, context)


def _attend(
    query: Array, key: Array, value: Array, bias: Array | None, dropout: Dropout | None, out: Array
) -> tuple[Array, Array | None]:
    """The context vectors of all heads, in `out`. Returns the probabilities, before dropout, and the dropout mask.

    Shapes: query and out (B, A, Q, D), key and value (B, A, S, D), bias (B, 1, 1, S) -> (B, A, Q, S) both.
    """
    scale = 1 / math.sqrt(query.shape[-1])  # a Python float keeps float32, which NumPy's sqrt would not
    probabilities = np.empty_like(query, shape=(*query.shape[:-1], key.shape[-2]))  # [B, A, Q, S]

    def attend(heads: slice) -> Array | None:
        scores = probabilities[:, heads]
        # [B, A, Q, D] @ [B, A, D, S] -> [B, A, Q, S]
        matmul_into(scores, query[:, heads], key[:, heads].swapaxes(-1, -2))
        scores *= scale
        if bias is not None:
            scores += bias
        softmax(scores, out=scores)  # over the keys, the last S
        used, mask = drop(scores, dropout)
        matmul_into(out[:, heads], used, value[:, heads])  # [B, A, Q, S] @ [B, A, S, D] -> [B, A, Q, D]
        return mask

    if dropout is None:
        map_in_threads(attend, shares_of_heads(probabilities))
        return probabilities, None
    return probabilities, attend(slice(None))  # one mask for all heads


def attention_backward(
    d_outputs: Array,
    cache: AttentionCache,
    groups: Sequence[SequenceGroup],
    weights: AttentionWeights[Array],
    num_heads: int,
) -> tuple[Array, Array, AttentionWeights[Array]]:
    """Gradients of `attention`. In a head, with C = P V, P = softmax(S) and S = Q K^T / sqrt D:

        dL/dV = P^T dL/dC        dL/dP = dL/dC V^T        dL/dS by `softmax_backward`
        dL/dQ = dL/dS K / sqrt D        dL/dK = dL/dS^T Q / sqrt D

    If dropout multiplied P by F before it met V, dL/dV = (P F)^T dL/dC and dL/dP = (dL/dC V^T) F.

    Shapes: d_outputs (M, H) -> d_queries (M, H), d_hidden_states (N, H), and the gradients of the weights.
    """
    d_context, d_output = linear_backward(d_outputs, cache.context, weights.output)  # [M, H]
    d_query = np.empty_like(d_context)  # [M, H]
    d_key, d_value = (np.empty_like(d_context, shape=cache.hidden_states.shape) for _ in range(2))  # [N, H]
    scale = 1 / math.sqrt(d_context.shape[-1] // num_heads)
    for (group, query_rows, key_rows), probabilities, mask in zip(
        _rows_of(groups), cache.probabilities, cache.dropout_masks, strict=True
    ):
        query, d_group, into_query = (
            split_heads(rows[query_rows], group, num_heads) for rows in (cache.query, d_context, d_query)
        )  # [B, A, Q, D] each
        key, value, into_key, into_value = (
            split_heads(rows[key_rows], group, num_heads) for rows in (cache.key, cache.value, d_key, d_value)
        )  # [B, A, S, D] each
        used = drop_backward(probabilities, mask)
        matmul_into(into_value, used.swapaxes(-1, -2), d_group)  # [B, A, Q, S]^T @ [B, A, Q, D] -> [B, A, S, D]
        d_used = d_group @ value.swapaxes(-1, -2)  # [B, A, Q, D] @ [B, A, D, S] -> [B, A, Q, S]
        d_scores = drop_backward(d_used, mask)
        softmax_backward(d_scores, probabilities, out=d_scores)
        d_scores *= scale
        matmul_into(into_query, d_scores, key)  # [B, A, Q, S] @ [B, A, S, D] -> [B, A, Q, D]
        matmul_into(into_key, d_scores.swapaxes(-1, -2), query)  # [B, A, Q, S]^T @ [B, A, Q, D] -> [B, A, S, D]

    d_queries, d_query_weights = linear_backward(d_query, cache.queries, weights.query)
    d_hidden_states, d_key_weights = linear_backward(d_key, cache.hidden_states, weights.key)
    d_by_value, d_value_weights = linear_backward(d_value, cache.hidden_states, weights.value)
    d_hidden_states += d_by_value
    return d_queries, d_hidden_states, AttentionWeights(d_query_weights, d_key_weights, d_value_weights, d_output)


def split_heads(rows: Array, group: SequenceGroup, num_heads: int) -> Array:
    """A view of the rows of a group by sequences and heads. Shapes: (B x S, H) -> (B, A, S, D)."""
    tokens, size = rows.shape[0] // group.sequences, rows.shape[1] // num_heads
    return rows.reshape(group.sequences, tokens, num_heads, size).swapaxes(1, 2)


def _rows_of(groups: Sequence[SequenceGroup]) -> Iterator[tuple[SequenceGroup, slice, slice]]:
    """Each group with its query rows among the M, and its rows among the N."""
    query_end = key_end = 0
    for group in groups:
        query_start, key_start = query_end, key_end
        query_end += group.sequences * group.queries
        key_end += group.sequences * group.tokens
        yield group, slice(query_start, query_end), slice(key_start, key_end)
