"""The pieces put together: the encoder with its embeddings, as one function of ids, mask and weights."""

from __future__ import annotations

from typing import Generic, NamedTuple

from ..config import RobertaConfig
from .attention import attention_bias
from .embeddings import EmbeddingsWeights, embeddings
from .encoder import EncoderLayerWeights, encoder
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
    last_hidden_state, hidden_states, attentions = encoder(
        embeddings(input_ids, weights.embeddings, config.pad_token_id, config.layer_norm_eps),  # [B, S, H]
        attention_bias(attention_mask, like=weights.embeddings.word),  # [B, 1, 1, S]
        weights.layers,
        config.num_attention_heads,
        config.layer_norm_eps,
        keep_hidden_states=keep_hidden_states,
        keep_attentions=keep_attentions,
    )
    pooled = None if weights.pooler is None else pooler(last_hidden_state, weights.pooler)  # [B, H]
    return RobertaModelOutput(last_hidden_state, pooled, hidden_states, attentions)
