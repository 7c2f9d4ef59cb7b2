"""From token ids to vectors: the sum of three embeddings, normalised (Devlin et al. 2018, figure 2)."""

from __future__ import annotations

from typing import Generic, NamedTuple

import numpy as np

from .layer_norm import LayerNormWeights, layer_norm
from .linear import ignore_stray_flags
from .tree import Array, Leaf


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
    hidden_states = weights.word[input_ids]  # [V, H] at [B, S] -> [B, S, H]
    hidden_states += weights.token_type[0]
    hidden_states += weights.position[position_ids(input_ids, pad_token_id)]  # [P, H] at [B, S] -> [B, S, H]
    return layer_norm(hidden_states, weights.layer_norm, eps)
