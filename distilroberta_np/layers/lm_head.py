"""The masked-language-model head: from a token's vector to a score for every entry of the vocabulary."""

from __future__ import annotations

from typing import Generic, NamedTuple

import numpy as np

from .activation import gelu, gelu_backward
from .layer_norm import LayerNormWeights, layer_norm, layer_norm_backward
from .linear import LinearWeights, ignore_stray_flags, linear, linear_backward
from .params import Array, Leaf


class LMHeadWeights(NamedTuple, Generic[Leaf]):
    dense: LinearWeights[Leaf]  # [H, H]
    layer_norm: LayerNormWeights[Leaf]
    bias: Leaf  # [V]


@ignore_stray_flags
def lm_head(hidden_states: Array, weights: LMHeadWeights[Array], word_embeddings: Array, eps: float) -> Array:
    """Dense, GELU, layer norm, then the product with every word embedding, plus a bias a word.

    The output matrix is the word embedding matrix again (Press & Wolf 2017, "Using the Output Embedding"), so the
    score of a word is how well the vector agrees with the word's own embedding.

    Over all positions this product costs as much as five encoder layers of distilroberta-base: give it only the
    vectors whose words are asked for.

    Shapes: hidden_states (..., H), word_embeddings (V, H) -> logits (..., V).
    """
    dense = linear(hidden_states, weights.dense, terms=128, then=gelu)  # small, and its rounding is in every logit
    transformed = layer_norm(dense, weights.layer_norm, eps)  # [..., H]
    return linear(transformed, LinearWeights(word_embeddings, weights.bias))  # [..., H] @ [H, V] -> [..., V]


class LMHeadKept(NamedTuple):
    """What the backward pass needs of the forward pass; rows (N, H)."""

    hidden_states: Array
    dense: Array  # before the GELU
    active: Array  # after it
    transformed: Array  # after the norm


def lm_head_forward(
    hidden_states: Array, weights: LMHeadWeights[Array], word_embeddings: Array, eps: float
) -> tuple[Array, LMHeadKept]:
    """`lm_head`, keeping what backward needs."""
    dense = linear(hidden_states, weights.dense)
    active = gelu(dense)
    transformed = layer_norm(active, weights.layer_norm, eps)  # [N, H]
    logits = linear(transformed, LinearWeights(word_embeddings, weights.bias))  # [N, H] @ [H, V] -> [N, V]
    return np.ascontiguousarray(logits, like=logits), LMHeadKept(hidden_states, dense, active, transformed)


def lm_head_backward(
    d_logits: Array, kept: LMHeadKept, weights: LMHeadWeights[Array], word_embeddings: Array, eps: float
) -> tuple[Array, LMHeadWeights[Array], Array]:
    """Back through the four steps. The output matrix is the word embeddings, so its gradient is a part of theirs.

    Shapes: d_logits (N, V) -> d_hidden_states (N, H), the gradients of the weights, d_word_embeddings (V, H).
    """
    output = LinearWeights(word_embeddings, weights.bias)
    d_transformed, d_output = linear_backward(d_logits, kept.transformed, output)
    d_active, d_layer_norm = layer_norm_backward(d_transformed, kept.active, weights.layer_norm, eps)
    d_dense = gelu_backward(d_active, kept.dense, out=d_active)
    d_hidden_states, d_dense_weights = linear_backward(d_dense, kept.hidden_states, weights.dense)
    return d_hidden_states, LMHeadWeights(d_dense_weights, d_layer_norm, d_output.bias), d_output.weight
