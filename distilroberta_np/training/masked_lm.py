"""Masked language modelling: the loss of a batch, and its gradient with respect to every weight."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..config import RobertaConfig
from ..layers.dropout import Dropout
from ..layers.linear import ignore_stray_flags
from ..layers.lm_head import lm_head_backward, lm_head_forward
from ..layers.losses import cross_entropy
from ..layers.params import Array
from ..layers.roberta import MaskedLMWeights, roberta_backward, roberta_forward


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
        texts: the ids, with the masks in them: an integer array (B, S) for each length of text, without padding; on the
            host, wherever the weights are.
        labels: arrays alike: the token that was there, where it is asked for, and -100 elsewhere.
        weights: of the model.
        config: of the model.
        dropout: on the embeddings and on what each half of a layer gives.
        attention_dropout: on the attention probabilities.
        count: of labels in the whole batch, where this is only a part of it; by default those that are here.

    Returns:
        The loss, and its gradients as a tree like the weights.
    """
    word, eps = weights.roberta.embeddings.word, config.layer_norm_eps
    places = [places_of(group >= 0) for group in labels]
    vectors, kept = roberta_forward(texts, places, weights.roberta, config, dropout, attention_dropout)  # [M, H]

    # The head, and the loss, where something is asked for.
    wanted = np.concatenate(
        [np.take_along_axis(group, at, axis=1).reshape(-1) for group, at in zip(labels, places, strict=True)]
    )  # [M]
    asked = np.flatnonzero(wanted >= 0)
    truth, asked = wanted[asked], np.asarray(asked, like=vectors)
    logits, head = lm_head_forward(vectors[asked], weights.lm_head, word, eps)  # [asked, V]
    loss, d_logits = cross_entropy(logits, truth, count)
    d_asked, d_head, d_word = lm_head_backward(d_logits, head, weights.lm_head, word, eps)  # [asked, H]
    d_vectors = np.zeros_like(vectors)
    d_vectors[asked] = d_asked  # [M, H]

    d_roberta = roberta_backward(d_vectors, kept, weights.roberta, config)
    d_roberta.embeddings.word[...] += d_word  # tied: looked up at the bottom, multiplied with at the top
    return loss, MaskedLMWeights(d_roberta, d_head)


def places_of(asked: Array) -> Array:
    """The places of what is asked for in texts of one length, as many of each: those with fewer than the most get some
    others too, which cost less than a group of texts for each number would.

    Shapes: asked (B, S) bool -> (B, Q) integer, rising; Q is at least 1.
    """
    most = max(1, int(asked.sum(axis=1).max()))
    return np.sort(np.argsort(~asked, axis=1, kind="stable")[:, :most], axis=1)
