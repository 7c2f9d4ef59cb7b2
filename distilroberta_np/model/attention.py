"""Multi-head self-attention (Vaswani et al. 2017, "Attention Is All You Need", section 3.2)."""

from __future__ import annotations

import math
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


def attention_bias(attention_mask: Array, like: Array) -> Array:
    """What is added to the scores: 0 where a key may be seen, the lowest finite number where it may not.

    It is added before the softmax, so that a hidden key gets probability 0 exactly. Not minus infinity: in a text of
    nothing but padding every key would be, and the softmax 0/0. As it is, such a text attends to all alike.

    Shapes: attention_mask (B, S), 1 for a token and 0 for padding -> (B, 1, 1, S), the dtype of `like`.
    """
    bias = np.zeros_like(like, shape=attention_mask.shape)  # [B, S]
    bias[attention_mask == 0] = np.finfo(like.dtype).min
    return bias[:, None, None, :]  # [B, S] -> [B, 1, 1, S]: the same for every head and every query


def multi_head_attention(
    hidden_states: Array, bias: Array, weights: AttentionWeights[Array], num_heads: int
) -> tuple[Array, Array]:
    """softmax(Q K^T / sqrt D) V in every head (equation 1), the heads side by side, and a last affine map.

    Shapes: hidden_states (B, S, H), bias (B, 1, 1, S) -> attended (B, S, H), probabilities (B, A, S, S).
    """
    query = split_heads(linear(hidden_states, weights.query), num_heads)  # [B, A, S, D]
    key = split_heads(linear(hidden_states, weights.key), num_heads)  # [B, A, S, D]
    value = split_heads(linear(hidden_states, weights.value), num_heads)  # [B, A, S, D]

    scores = query @ key.swapaxes(-1, -2)  # [B, A, S, D] @ [B, A, D, S] -> [B, A, S, S]
    # A Python float: NumPy's own sqrt gives a float64 scalar, which would turn every score into float64.
    scores *= 1 / math.sqrt(query.shape[-1])
    scores += bias
    probabilities = softmax(scores)  # over the keys, the last S

    context = merge_heads(probabilities @ value)  # [B, A, S, S] @ [B, A, S, D] -> [B, A, S, D] -> [B, S, H]
    # Of a layer's products this one's rounding weighs most, for it goes into the residual sum as it is.
    return linear(context, weights.output, terms=128), probabilities


def split_heads(vectors: Array, num_heads: int) -> Array:
    """Shapes: (B, S, H) -> (B, A, S, D)."""
    batch, sequence, hidden = vectors.shape
    return vectors.reshape(batch, sequence, num_heads, hidden // num_heads).swapaxes(1, 2)


def merge_heads(vectors: Array) -> Array:
    """Shapes: (B, A, S, D) -> (B, S, H)."""
    batch, heads, sequence, size = vectors.shape
    return vectors.swapaxes(1, 2).reshape(batch, sequence, heads * size)
