"""The masked-language-model head: from a token's vector to a score for every entry of the vocabulary."""

from __future__ import annotations

from typing import Generic, NamedTuple

from .activation import gelu
from .layer_norm import LayerNormWeights, layer_norm
from .linear import LinearWeights, ignore_stray_flags, linear
from .tree import Array, Leaf


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
