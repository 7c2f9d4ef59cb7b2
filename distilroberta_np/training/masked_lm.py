"""Masked language modelling: the loss of a batch, and its gradient with respect to every weight."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..config import RobertaConfig
from ..model.attention import TextGroup
from ..model.cross_entropy import cross_entropy
from ..model.dropout import Dropout, dropped
from ..model.embeddings import embeddings_backward, embeddings_forward, position_ids
from ..model.encoder import encoder_layer_backward, encoder_layer_forward
from ..model.linear import ignore_stray_flags
from ..model.lm_head import lm_head_backward, lm_head_forward
from ..model.roberta import MaskedLMWeights, RobertaWeights
from ..model.tree import Array


@ignore_stray_flags
def masked_lm_gradients(
    texts: Sequence[Array],
    labels: Sequence[Array],
    weights: MaskedLMWeights[Array],
    config: RobertaConfig,
    dropout: Dropout,
    attention_dropout: Dropout,
    count: int | None = None,
) -> tuple[float, MaskedLMWeights[Array]]:
    """One pass forward and one back.

    Args:
        texts: the ids, with the masks in them: an integer array (B, S) for each length of text, without padding.
        labels: arrays alike: the token that was there, where it is asked for, and -100 elsewhere.
        weights: of the model.
        config: of the model.
        dropout: on the embeddings and on what each half of a layer gives.
        attention_dropout: on the attention probabilities.
        count: of labels in the whole batch, where this is only a part of it; by default those that are here.

    Returns:
        The loss, and its gradients as a tree like the weights.
    """
    pad, eps, heads = config.pad_token_id, config.layer_norm_eps, config.num_attention_heads
    roberta = weights.roberta
    word = roberta.embeddings.word
    groups = [TextGroup(len(ids), ids.shape[1], queries=ids.shape[1]) for ids in texts]
    ids = np.concatenate([group.reshape(-1) for group in texts])  # [N]
    positions = np.concatenate([position_ids(group, pad).reshape(-1) for group in texts])  # [N]

    hidden_states, embedded = embeddings_forward(ids, positions, roberta.embeddings, eps)  # [N, H]
    factors = dropout.factors(hidden_states)
    hidden_states = dropped(hidden_states, factors)
    kept = []
    for layer in roberta.layers:
        hidden_states, layer_kept = encoder_layer_forward(
            hidden_states, groups, layer, heads, eps, attention_dropout, dropout
        )
        kept.append(layer_kept)

    # The head, and the loss, where something is asked for: M of the N rows.
    wanted = np.concatenate([group.reshape(-1) for group in labels])  # [N]
    asked = np.flatnonzero(wanted >= 0)  # [M]
    logits, head = lm_head_forward(hidden_states[asked], weights.lm_head, word, eps)  # [M, V]
    loss, d_logits = cross_entropy(logits, wanted[asked], count)
    d_asked, d_head, d_word = lm_head_backward(d_logits, head, weights.lm_head, word, eps)  # [M, H]
    d_hidden_states = np.zeros_like(hidden_states)
    d_hidden_states[asked] = d_asked  # [N, H]

    d_layers = []
    for layer in reversed(roberta.layers):
        d_hidden_states, d_layer = encoder_layer_backward(d_hidden_states, kept.pop(), groups, layer, heads, eps)
        d_layers.append(d_layer)
    d_embeddings = embeddings_backward(dropped(d_hidden_states, factors), embedded, roberta.embeddings, pad, eps)
    d_embeddings.word[...] += d_word  # tied: looked up at the bottom, multiplied with at the top
    return loss, MaskedLMWeights(RobertaWeights(d_embeddings, tuple(reversed(d_layers)), None), d_head)
