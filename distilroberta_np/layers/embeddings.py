"""From token ids to vectors: the sum of three embeddings, normalised (Devlin et al. 2018, figure 2)."""

from __future__ import annotations

from typing import Generic, NamedTuple

import numpy as np

from .layer_norm import LayerNormWeights, layer_norm, layer_norm_backward
from .linear import ignore_stray_flags
from .params import Array, Leaf


class EmbeddingsWeights(NamedTuple, Generic[Leaf]):
    word: Leaf  # [V, H]
    position: Leaf  # [P, H]
    token_type: Leaf  # [T, H], one row in RoBERTa
    layer_norm: LayerNormWeights[Leaf]


def position_ids(input_ids: Array, pad_token_id: int) -> Array:
    """Where each token stands, counted from pad_token_id + 1; padding keeps pad_token_id itself.

    RoBERTa's habit (from fairseq): the first token has position 2, and 514 rows serve 512 tokens. Pads are known by
    their id, not by the attention mask, and may stand anywhere: [1, 1, 0, 10, 1, 11] -> [1, 1, 2, 3, 1, 4].

    Shapes: input_ids (B, S) integer -> (B, S) integer.
    """
    is_token: Array = input_ids != pad_token_id  # [B, S]
    return np.cumsum(is_token, axis=1) * is_token + pad_token_id


@ignore_stray_flags
def embeddings(input_ids: Array, weights: EmbeddingsWeights[Array], pad_token_id: int, eps: float) -> Array:
    """Word + token type + position, then layer norm.

    RoBERTa has a single token type (Liu et al. 2019 dropped the next-sentence task), whose row is always added.

    Shapes: input_ids (B, S) integer -> (B, S, H).
    """
    positions = np.asarray(position_ids(input_ids, pad_token_id), like=weights.word)
    hidden_states = weights.word[np.asarray(input_ids, like=weights.word)]  # [V, H] at [B, S] -> [B, S, H]
    hidden_states += weights.token_type[0]
    hidden_states += weights.position[positions]  # [P, H] at [B, S] -> [B, S, H]
    return layer_norm(hidden_states, weights.layer_norm, eps)


class EmbeddingsKept(NamedTuple):
    """What the backward pass needs of the forward pass."""

    input_ids: Array  # (N,)
    positions: Array  # (N,)
    summed: Array  # (N, H), before the norm


def embeddings_forward(
    input_ids: Array, positions: Array, weights: EmbeddingsWeights[Array], eps: float
) -> tuple[Array, EmbeddingsKept]:
    """`embeddings` of rows, keeping what backward needs. Shapes: input_ids and positions (N,) -> (N, H)."""
    input_ids, positions = (np.asarray(numbers, like=weights.word) for numbers in (input_ids, positions))
    summed = weights.word[input_ids]  # [N, H]
    summed += weights.token_type[0]
    summed += weights.position[positions]
    return layer_norm(summed, weights.layer_norm, eps), EmbeddingsKept(input_ids, positions, summed)


def embeddings_backward(
    d_outputs: Array, kept: EmbeddingsKept, weights: EmbeddingsWeights[Array], pad_token_id: int, eps: float
) -> EmbeddingsWeights[Array]:
    """Gradients of the three tables: a row's is the sum over all places where it was looked up.

    The reference leaves out the rows of padding: their words and positions never learn.

    Shapes: d_outputs (N, H) -> the gradients of the weights.
    """
    d_summed, d_layer_norm = layer_norm_backward(d_outputs, kept.summed, weights.layer_norm, eps)
    d_token_type = np.zeros_like(weights.token_type)
    d_token_type[0] = d_summed.sum(axis=0)
    d_summed = d_summed * (kept.input_ids != pad_token_id)[:, None]
    d_word, d_position = np.zeros_like(weights.word), np.zeros_like(weights.position)
    np.add.at(d_word, kept.input_ids, d_summed)
    np.add.at(d_position, kept.positions, d_summed)
    return EmbeddingsWeights(d_word, d_position, d_token_type, d_layer_norm)
