"""The pieces put together: the encoder with its embeddings, as one function of ids, mask and weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Generic, NamedTuple

import numpy as np

from ..config import RobertaConfig
from .attention import TextGroup, attention_bias
from .embeddings import EmbeddingsWeights, embeddings
from .encoder import EncoderLayerWeights, encoder, encoder_layer
from .linear import LinearWeights
from .lm_head import LMHeadWeights
from .pooler import pooler
from .tree import Array, Leaf


class RobertaWeights(NamedTuple, Generic[Leaf]):
    embeddings: EmbeddingsWeights[Leaf]
    layers: tuple[EncoderLayerWeights[Leaf], ...]
    pooler: LinearWeights[Leaf] | None  # [H, H]; not every checkpoint has one


class MaskedLMWeights(NamedTuple, Generic[Leaf]):
    roberta: RobertaWeights[Leaf]
    lm_head: LMHeadWeights[Leaf]


class RobertaModelOutput(NamedTuple):
    """What `RobertaModel` returns; all arrays float32."""

    last_hidden_state: Array  # (B, S, H)
    pooler_output: Array | None  # (B, H), where the checkpoint has a pooler
    hidden_states: tuple[Array, ...] | None  # L + 1 times (B, S, H), the embeddings first
    attentions: tuple[Array, ...] | None  # L times (B, A, S, S): from each query (rows) to each key (columns)


def roberta(
    input_ids: Array,
    attention_mask: Array,
    weights: RobertaWeights[Array],
    config: RobertaConfig,
    *,
    keep_hidden_states: bool = False,
    keep_attentions: bool = False,
) -> RobertaModelOutput:
    """Token ids in, a vector a token out. Expects ids and mask that `RobertaModel` has checked.

    Shapes: input_ids and attention_mask (B, S) integer -> as `RobertaModelOutput` says, the dtype of the weights.
    """
    batch, sequence = input_ids.shape
    embedded = embeddings(input_ids, weights.embeddings, config.pad_token_id, config.layer_norm_eps)  # [B, S, H]
    bias = attention_bias(attention_mask, like=embedded)  # [B, 1, 1, S]
    last_hidden_state, hidden_states, attentions = encoder(
        embedded.reshape(-1, config.hidden_size),  # [B, S, H] -> [N, H]: all but attention takes a token by itself
        [TextGroup(batch, sequence, queries=sequence, bias=bias)],
        weights.layers,
        config.num_attention_heads,
        config.layer_norm_eps,
        keep_hidden_states=keep_hidden_states,
        keep_attentions=keep_attentions,
    )
    last_hidden_state = last_hidden_state.reshape(embedded.shape)  # [N, H] -> [B, S, H]
    return RobertaModelOutput(
        last_hidden_state,
        None if weights.pooler is None else pooler(last_hidden_state, weights.pooler),  # [B, H]
        tuple(rows.reshape(embedded.shape) for rows in hidden_states) if keep_hidden_states else None,
        tuple(probabilities for (probabilities,) in attentions) if keep_attentions else None,
    )


def roberta_at(
    sequences: Sequence[Sequence[int]],
    places: Sequence[Sequence[int]],
    weights: RobertaWeights[Array],
    config: RobertaConfig,
) -> Array:
    """The last vectors at some places of texts, with no padding: less work than `roberta` for the same vectors.

    The texts' tokens stand one under the other, so that the products are of tokens alone; attention goes through the
    texts in groups of one length, whose scores make one array. And the last layer computes only the vectors wanted:
    keys and values of all tokens, and the rest, five sixths of it, at the places.

    Shapes: B sequences of ids, Q places in each (at least one) -> (sum of the Qs, H), text after text. Neighbours of
    equal length with equally many places make a group, so sort them.
    """
    groups, ids = [], []
    for (tokens, queries), group in groupby(
        zip(sequences, places, strict=True), key=lambda text: tuple(map(len, text))
    ):
        texts = np.array([sequence for sequence, _ in group])  # [B, S]
        groups.append(TextGroup(len(texts), tokens, queries))
        ids.append(texts)
    eps = config.layer_norm_eps
    hidden_states = np.concatenate(
        [
            embeddings(texts, weights.embeddings, config.pad_token_id, eps).reshape(-1, config.hidden_size)
            for texts in ids
        ]
    )  # [N, H]
    all_queries = [group._replace(queries=group.tokens) for group in groups]
    *layers, last = weights.layers
    hidden_states, _, _ = encoder(hidden_states, all_queries, tuple(layers), config.num_attention_heads, eps)

    starts = np.cumsum([0, *map(len, sequences)])  # of each text in the rows
    wanted = np.concatenate([start + np.asarray(row) for start, row in zip(starts, places, strict=False)])  # [M]
    vectors, _ = encoder_layer(hidden_states[wanted], hidden_states, groups, last, config.num_attention_heads, eps)
    return vectors
