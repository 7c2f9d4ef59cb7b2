"""From token ids to hidden states: the sum of three embeddings, normalized (Devlin et al. 2018, figure 2)."""

from __future__ import annotations

from typing import Generic, NamedTuple

import numpy as np

from .kernels import to_device_of
from .layer_norm import LayerNormWeights, layer_norm, layer_norm_backward
from .params import Array, Leaf


class EmbeddingsWeights(NamedTuple, Generic[Leaf]):
    word: Leaf  # [V, H]
    position: Leaf  # [P, H]
    token_type: Leaf  # [T, H], one row in RoBERTa
    layer_norm: LayerNormWeights[Leaf]


class EmbeddingsCache(NamedTuple):
    """Activations saved for the backward pass."""

    input_ids: Array  # (N,)
    positions: Array  # (N,)
    summed: Array  # (N, H), before the norm


def position_ids(input_ids: Array, pad_token_id: int) -> Array:
    """The position of each token, counted from pad_token_id + 1; padding keeps pad_token_id itself.

    RoBERTa's convention (from fairseq): the first token has position 2, and 514 rows serve 512 tokens. Padding is
    recognized by its id, not by the attention mask, and may be anywhere: [1, 1, 0, 10, 1, 11] -> [1, 1, 2, 3, 1, 4].

    Shapes: input_ids (B, S) integer -> (B, S) integer.
    """
    is_token: Array = input_ids != pad_token_id  # [B, S]
    return np.cumsum(is_token, axis=1) * is_token + pad_token_id


def embeddings(
    input_ids: Array,
    positions: Array,
    weights: EmbeddingsWeights[Array],
    eps: float,
    word: Array | None = None,
) -> tuple[Array, EmbeddingsCache]:
    """Word + token type + position, then layer norm.

    RoBERTa has a single token type (Liu et al. 2019 dropped the next-sentence task), whose row is always added.

    Shapes: input_ids and positions (N,) integer -> (N, H). `word` (N, H) replaces the ids' word embeddings.
    """
    input_ids, positions = (to_device_of(weights.word, indices) for indices in (input_ids, positions))
    summed = weights.word[input_ids] if word is None else word.copy()  # [V, H] at [N] -> [N, H]
    summed += weights.token_type[0]
    summed += weights.position[positions]  # [P, H] at [N] -> [N, H]
    return layer_norm(summed, weights.layer_norm, eps), EmbeddingsCache(input_ids, positions, summed)


def embeddings_backward(
    d_outputs: Array, cache: EmbeddingsCache, weights: EmbeddingsWeights[Array], pad_token_id: int, eps: float
) -> EmbeddingsWeights[Array]:
    """Gradients of the three tables: the gradient of a row is the sum over all positions where it was looked up.

    As in transformers, the word and the position of padding get no gradient.

    Shapes: d_outputs (N, H) -> the gradients of the weights.
    """
    d_summed, d_layer_norm = layer_norm_backward(d_outputs, cache.summed, weights.layer_norm, eps)
    d_token_type = np.zeros_like(weights.token_type)
    d_token_type[0] = d_summed.sum(axis=0)
    d_summed = d_summed * (cache.input_ids != pad_token_id)[:, None]
    d_word, d_position = np.zeros_like(weights.word), np.zeros_like(weights.position)
    np.add.at(d_word, cache.input_ids, d_summed)
    np.add.at(d_position, cache.positions, d_summed)
    return EmbeddingsWeights(d_word, d_position, d_token_type, d_layer_norm)
