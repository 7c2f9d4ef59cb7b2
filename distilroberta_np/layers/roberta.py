"""The pieces put together: the encoder with its embeddings, as one function of ids, mask and weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Generic, NamedTuple

import numpy as np

from ..config import RobertaConfig
from .attention import TextGroup, attention_bias
from .classification_head import ClassificationHeadWeights
from .dropout import Dropout, dropped
from .embeddings import (
    EmbeddingsKept,
    EmbeddingsWeights,
    embeddings,
    embeddings_backward,
    embeddings_forward,
    position_ids,
)
from .encoder import (
    EncoderLayerKept,
    EncoderLayerWeights,
    encoder,
    encoder_layer,
    encoder_layer_backward,
    encoder_layer_forward,
)
from .linear import LinearWeights, ignore_stray_flags
from .lm_head import LMHeadWeights
from .params import Array, Leaf
from .pooler import pooler


class RobertaWeights(NamedTuple, Generic[Leaf]):
    embeddings: EmbeddingsWeights[Leaf]
    layers: tuple[EncoderLayerWeights[Leaf], ...]
    pooler: LinearWeights[Leaf] | None  # [H, H]; not every checkpoint has one


class MaskedLMWeights(NamedTuple, Generic[Leaf]):
    roberta: RobertaWeights[Leaf]
    lm_head: LMHeadWeights[Leaf]


class SequenceClassificationWeights(NamedTuple, Generic[Leaf]):
    roberta: RobertaWeights[Leaf]
    classifier: ClassificationHeadWeights[Leaf]


class TokenClassificationWeights(NamedTuple, Generic[Leaf]):
    roberta: RobertaWeights[Leaf]
    classifier: LinearWeights[Leaf]  # [C, H], a row a label


class QuestionAnsweringWeights(NamedTuple, Generic[Leaf]):
    roberta: RobertaWeights[Leaf]
    qa_outputs: LinearWeights[Leaf]  # [2, H]: whether the answer starts at a token, and whether it ends there


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
    wanted = np.asarray(wanted, like=hidden_states)
    vectors, _ = encoder_layer(hidden_states[wanted], hidden_states, groups, last, config.num_attention_heads, eps)
    return vectors


class RobertaKept(NamedTuple):
    """What the backward pass needs of the forward pass."""

    embeddings: EmbeddingsKept
    factors: Array | None  # of dropout on the embeddings, (N, H)
    layers: list[EncoderLayerKept]
    groups: list[TextGroup]  # of all layers but the last, in which every token is asked for
    last_groups: list[TextGroup]
    wanted: Array  # (M,) which of the N rows the last layer computes


@ignore_stray_flags
def roberta_forward(
    texts: Sequence[Array],
    places: Sequence[Array],
    weights: RobertaWeights[Array],
    config: RobertaConfig,
    dropout: Dropout,
    attention_dropout: Dropout,
) -> tuple[Array, RobertaKept]:
    """`roberta_at` with dropout, keeping what backward needs.

    Args:
        texts: the ids, (B, S) integer for each length of text, without padding; on the host, wherever the weights are.
        places: of each of those, the tokens whose last vectors are wanted, (B, Q) integer, rising.
        weights, config: of the model.
        dropout: on the embeddings and on what each half of a layer gives.
        attention_dropout: on the attention probabilities.

    Returns:
        The vectors (M, H), text after text, and what is kept. M is the sum of the B x Q.
    """
    pad, eps, heads = config.pad_token_id, config.layer_norm_eps, config.num_attention_heads
    groups = [TextGroup(len(ids), ids.shape[1], queries=ids.shape[1]) for ids in texts]
    last_groups = [group._replace(queries=row.shape[1]) for group, row in zip(groups, places, strict=True)]
    input_ids = np.concatenate([ids.reshape(-1) for ids in texts])  # [N]
    positions = np.concatenate([position_ids(ids, pad).reshape(-1) for ids in texts])  # [N]
    starts = np.cumsum([0, *(ids.size for ids in texts)])  # of each group's rows
    wanted = np.concatenate(
        [
            (start + np.arange(len(ids))[:, None] * ids.shape[1] + row).reshape(-1)  # [B, Q] -> [B x Q]
            for start, ids, row in zip(starts.tolist(), texts, places, strict=False)
        ]
    )  # [M]
    wanted = np.asarray(wanted, like=weights.embeddings.word)

    hidden_states, embedded = embeddings_forward(input_ids, positions, weights.embeddings, eps)  # [N, H]
    factors = dropout.factors(hidden_states)
    hidden_states = dropped(hidden_states, factors)
    *layers, last = weights.layers
    kept = []
    for layer in layers:
        hidden_states, layer_kept = encoder_layer_forward(
            hidden_states, hidden_states, groups, layer, heads, eps, attention_dropout, dropout
        )
        kept.append(layer_kept)
    vectors, layer_kept = encoder_layer_forward(
        hidden_states[wanted], hidden_states, last_groups, last, heads, eps, attention_dropout, dropout
    )  # [M, H]
    kept.append(layer_kept)
    return vectors, RobertaKept(embedded, factors, kept, groups, last_groups, wanted)


@ignore_stray_flags
def roberta_backward(
    d_vectors: Array, kept: RobertaKept, weights: RobertaWeights[Array], config: RobertaConfig
) -> RobertaWeights[Array]:
    """Back through the layers, the last first, and the embeddings.

    `kept` is used up: a layer's part is let go when it is done with. The pooler has no part in this.

    Shapes: d_vectors (M, H) -> the gradients of the weights.
    """
    pad, eps, heads = config.pad_token_id, config.layer_norm_eps, config.num_attention_heads
    d_queries, d_hidden_states, d_last = encoder_layer_backward(
        d_vectors, kept.layers.pop(), kept.last_groups, weights.layers[-1], heads, eps
    )
    d_hidden_states[kept.wanted] += d_queries  # [M, H] at M of [N, H]; no row is wanted twice
    d_layers = [d_last]
    for layer in reversed(weights.layers[:-1]):
        d_queries, d_hidden_states, d_layer = encoder_layer_backward(
            d_hidden_states, kept.layers.pop(), kept.groups, layer, heads, eps
        )
        d_hidden_states += d_queries
        d_layers.append(d_layer)
    d_embeddings = embeddings_backward(
        dropped(d_hidden_states, kept.factors), kept.embeddings, weights.embeddings, pad, eps
    )
    return RobertaWeights(d_embeddings, tuple(reversed(d_layers)), None)
