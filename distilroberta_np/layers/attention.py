"""Multi-head self-attention (Vaswani et al. 2017, "Attention Is All You Need", section 3.2)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Generic, NamedTuple

import numpy as np

from .activation import softmax, softmax_backward
from .dropout import Dropout, dropped
from .linear import LinearWeights, linear, linear_backward
from .params import Array, Leaf


class AttentionWeights(NamedTuple, Generic[Leaf]):
    query: LinearWeights[Leaf]  # [H, H]
    key: LinearWeights[Leaf]  # [H, H]
    value: LinearWeights[Leaf]  # [H, H]
    output: LinearWeights[Leaf]  # [H, H]


class TextGroup(NamedTuple):
    """Texts of one length, whose tokens stand one text under the other in the rows that a layer computes.

    Attention is the only step in which the tokens of a text see each other, and so the only one that must know which
    rows belong together.
    """

    texts: int  # B
    tokens: int  # S, of each text
    queries: int  # Q: rows of each text that attend; all its tokens, or some of them in the last layer
    bias: Array | None = None  # (B, 1, 1, S), of `attention_bias`; None where every token may be seen


def attention_bias(attention_mask: Array, like: Array) -> Array | None:
    """What is added to the scores: 0 where a key may be seen, the lowest finite number where it may not.

    It is added before the softmax, so that a hidden key gets probability 0 exactly. Not minus infinity: in a text of
    nothing but padding every key would be, and the softmax 0/0. As it is, such a text attends to all alike.

    Shapes: attention_mask (B, S), 1 for a token and 0 for padding -> (B, 1, 1, S), the dtype of `like`; None where
    nothing is hidden.
    """
    hidden = attention_mask == 0  # [B, S]
    if not hidden.any():
        return None
    bias = np.zeros_like(like, shape=attention_mask.shape)  # [B, S]
    bias[hidden] = np.finfo(like.dtype).min
    return bias[:, None, None, :]  # [B, S] -> [B, 1, 1, S]: the same for every head and every query


def multi_head_attention(
    queries: Array,
    hidden_states: Array,
    groups: Sequence[TextGroup],
    weights: AttentionWeights[Array],
    num_heads: int,
) -> tuple[Array, list[Array]]:
    """softmax(Q K^T / sqrt D) V in every head (equation 1), the heads side by side, and a last affine map.

    Args:
        queries: the rows that attend, (M, H): all of hidden_states, or in the last layer those that are wanted.
        hidden_states: the rows attended to, (N, H).
        groups: which rows belong together; N is the sum of their B x S, and M of their B x Q.

    Returns:
        attended (M, H), and the probabilities of each group, (B, A, Q, S).
    """
    query = linear(queries, weights.query)  # [M, H]
    key = linear(hidden_states, weights.key)  # [N, H]
    value = linear(hidden_states, weights.value)  # [N, H]

    context = np.empty_like(query, order="C")  # [M, H]
    all_probabilities = []
    for group, asking, attended_to in _rows_of(groups):
        group_query = split_heads(query[asking], group.texts, num_heads)  # [B, A, Q, D]
        group_key = split_heads(key[attended_to], group.texts, num_heads)  # [B, A, S, D]
        group_value = split_heads(value[attended_to], group.texts, num_heads)  # [B, A, S, D]

        probabilities = _probabilities(group_query, group_key, group.bias)  # [B, A, Q, S]
        # [B, A, Q, S] @ [B, A, S, D] -> [B, A, Q, D], which is written to where the heads stand side by side
        np.matmul(probabilities, group_value, out=split_heads(context[asking], group.texts, num_heads))
        all_probabilities.append(probabilities)
    # Of a layer's products this one's rounding weighs most, for it goes into the residual sum as it is.
    return linear(context, weights.output, terms=128), all_probabilities


def _probabilities(query: Array, key: Array, bias: Array | None) -> Array:
    """softmax(Q K^T / sqrt D). Shapes: query (B, A, Q, D), key (B, A, S, D), bias (B, 1, 1, S) -> (B, A, Q, S)."""
    scores = query @ key.swapaxes(-1, -2)  # [B, A, Q, D] @ [B, A, D, S] -> [B, A, Q, S]
    # A Python float: NumPy's own sqrt gives a float64 scalar, which would turn every score into float64.
    scores *= 1 / math.sqrt(query.shape[-1])
    if bias is not None:
        scores += bias
    return softmax(scores, out=scores)  # over the keys, the last S


def split_heads(rows: Array, texts: int, num_heads: int) -> Array:
    """The same memory seen by texts and heads. Shapes: (B x S, H) -> (B, A, S, D)."""
    tokens, size = rows.shape[0] // texts, rows.shape[1] // num_heads
    return rows.reshape(texts, tokens, num_heads, size).swapaxes(1, 2)


class AttentionKept(NamedTuple):
    """What the backward pass needs of the forward pass; (M, H) and (N, H), and (B, A, Q, S) of each group."""

    queries: Array
    hidden_states: Array
    query: Array
    key: Array
    value: Array
    probabilities: list[Array]
    factors: list[Array | None]  # of dropout on the probabilities
    context: Array


def multi_head_attention_forward(
    queries: Array,
    hidden_states: Array,
    groups: Sequence[TextGroup],
    weights: AttentionWeights[Array],
    num_heads: int,
    dropout: Dropout,
) -> tuple[Array, AttentionKept]:
    """`multi_head_attention` with dropout on the probabilities, keeping what backward needs."""
    query = linear(queries, weights.query)  # [M, H]
    key = linear(hidden_states, weights.key)  # [N, H]
    value = linear(hidden_states, weights.value)  # [N, H]

    context = np.empty_like(query, order="C")  # [M, H]
    all_probabilities, all_factors = [], []
    for group, asking, attended_to in _rows_of(groups):
        group_query, group_context = (split_heads(part[asking], group.texts, num_heads) for part in (query, context))
        group_key, group_value = (split_heads(part[attended_to], group.texts, num_heads) for part in (key, value))
        probabilities = _probabilities(group_query, group_key, group.bias)  # [B, A, Q, S]
        factors = dropout.factors(probabilities)
        used = dropped(probabilities, factors)
        group_context[...] = used @ group_value  # [B, A, Q, S] @ [B, A, S, D] -> [B, A, Q, D]
        all_probabilities.append(probabilities)
        all_factors.append(factors)
    kept = AttentionKept(queries, hidden_states, query, key, value, all_probabilities, all_factors, context)
    return linear(context, weights.output, terms=128), kept


def multi_head_attention_backward(
    d_attended: Array,
    kept: AttentionKept,
    groups: Sequence[TextGroup],
    weights: AttentionWeights[Array],
    num_heads: int,
) -> tuple[Array, Array, AttentionWeights[Array]]:
    """Gradients of `multi_head_attention_forward`. In a head, with C = P V, P = softmax(S) and S = Q K^T / sqrt D:

        dL/dV = P^T dL/dC        dL/dP = dL/dC V^T        dL/dS by `softmax_backward`
        dL/dQ = dL/dS K / sqrt D        dL/dK = dL/dS^T Q / sqrt D

    Where dropout multiplied P by F before it met V, dL/dV = (P F)^T dL/dC and dL/dP = (dL/dC V^T) F.

    Shapes: d_attended (M, H) -> d_queries (M, H), d_hidden_states (N, H), and the gradients of the weights.
    """
    d_context, d_output = linear_backward(d_attended, kept.context, weights.output)  # [M, H]
    d_query = np.empty_like(d_context)  # [M, H]
    d_key, d_value = (np.empty_like(d_context, shape=kept.hidden_states.shape) for _ in range(2))  # [N, H]
    scale = 1 / math.sqrt(d_context.shape[-1] // num_heads)
    for (group, asking, attended_to), probabilities, factors in zip(
        _rows_of(groups), kept.probabilities, kept.factors, strict=True
    ):
        query, d_group, into_query = (
            split_heads(part[asking], group.texts, num_heads) for part in (kept.query, d_context, d_query)
        )  # [B, A, Q, D] each
        key, value, into_key, into_value = (
            split_heads(part[attended_to], group.texts, num_heads) for part in (kept.key, kept.value, d_key, d_value)
        )  # [B, A, S, D] each
        used = dropped(probabilities, factors)
        into_value[...] = used.swapaxes(-1, -2) @ d_group  # [B, A, Q, S]^T @ [B, A, Q, D] -> [B, A, S, D]
        d_scores = dropped(d_group @ value.swapaxes(-1, -2), factors)  # [B, A, Q, D] @ [B, A, D, S] -> [B, A, Q, S]
        softmax_backward(d_scores, probabilities, out=d_scores)
        d_scores *= scale
        into_query[...] = d_scores @ key  # [B, A, Q, S] @ [B, A, S, D] -> [B, A, Q, D]
        into_key[...] = d_scores.swapaxes(-1, -2) @ query  # [B, A, Q, S]^T @ [B, A, Q, D] -> [B, A, S, D]

    d_queries, d_query_weights = linear_backward(d_query, kept.queries, weights.query)
    d_hidden_states, d_key_weights = linear_backward(d_key, kept.hidden_states, weights.key)
    d_by_value, d_value_weights = linear_backward(d_value, kept.hidden_states, weights.value)
    d_hidden_states += d_by_value
    return d_queries, d_hidden_states, AttentionWeights(d_query_weights, d_key_weights, d_value_weights, d_output)


def _rows_of(groups: Sequence[TextGroup]) -> Iterator[tuple[TextGroup, slice, slice]]:
    """Each group with its rows of the M that attend, and of the N attended to."""
    asked = seen = 0
    for group in groups:
        asking = slice(asked, asked := asked + group.texts * group.queries)
        yield group, asking, slice(seen, seen := seen + group.texts * group.tokens)
