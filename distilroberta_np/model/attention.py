"""Multi-head self-attention (Vaswani et al. 2017, "Attention Is All You Need", section 3.2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Generic, NamedTuple

import numpy as np

from .activation import softmax
from .linear import LinearWeights, linear
from .tree import Array, Leaf


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
    asked = seen = 0
    for group in groups:
        asking = slice(asked, asked := asked + group.texts * group.queries)
        attended_to = slice(seen, seen := seen + group.texts * group.tokens)
        group_query = split_heads(query[asking], group.texts, num_heads)  # [B, A, Q, D]
        group_key = split_heads(key[attended_to], group.texts, num_heads)  # [B, A, S, D]
        group_value = split_heads(value[attended_to], group.texts, num_heads)  # [B, A, S, D]

        scores = group_query @ group_key.swapaxes(-1, -2)  # [B, A, Q, D] @ [B, A, D, S] -> [B, A, Q, S]
        # A Python float: NumPy's own sqrt gives a float64 scalar, which would turn every score into float64.
        scores *= 1 / math.sqrt(group_query.shape[-1])
        if group.bias is not None:
            scores += group.bias
        probabilities = softmax(scores, out=scores)  # over the keys, the last S

        # [B, A, Q, S] @ [B, A, S, D] -> [B, A, Q, D], which is written to where the heads stand side by side
        np.matmul(probabilities, group_value, out=split_heads(context[asking], group.texts, num_heads))
        all_probabilities.append(probabilities)
    # Of a layer's products this one's rounding weighs most, for it goes into the residual sum as it is.
    return linear(context, weights.output, terms=128), all_probabilities


def split_heads(rows: Array, texts: int, num_heads: int) -> Array:
    """The same memory seen by texts and heads. Shapes: (B x S, H) -> (B, A, S, D)."""
    tokens, size = rows.shape[0] // texts, rows.shape[1] // num_heads
    return rows.reshape(texts, tokens, num_heads, size).swapaxes(1, 2)
