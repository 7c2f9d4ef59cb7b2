"""Fine-tuning: the loss of a batch for each kind of head, and its gradient with respect to every weight."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..config import RobertaConfig
from ..layers.activation import sigmoid
from ..layers.classification_head import classification_head_backward, classification_head_forward
from ..layers.dropout import Dropout, dropped
from ..layers.linear import ignore_stray_flags, linear, linear_backward
from ..layers.losses import cross_entropy
from ..layers.params import Array
from ..layers.roberta import (
    QuestionAnsweringWeights,
    SequenceClassificationWeights,
    TokenClassificationWeights,
    roberta_backward,
    roberta_forward,
)
from .masked_lm import places_of


@ignore_stray_flags
def sequence_classification_gradients(
    texts: Sequence[Array],
    labels: Sequence[Array],
    weights: SequenceClassificationWeights[Array],
    config: RobertaConfig,
    dropout: Dropout,
    attention_dropout: Dropout,
    count: int | None = None,
) -> tuple[float, SequenceClassificationWeights[Array]]:
    """One pass forward and one back, for a label a text, several, or a number.

    Args:
        texts: the ids, an integer array (B, S) for each length of text, without padding; on the host, as the labels,
            wherever the weights are.
        labels: of each of those. What they are, and the loss, follows from `config.problem_type`:
            "single_label_classification": (B,) integer; `cross_entropy`.
            "multi_label_classification": (B, C), 1 for what applies and 0 for what doesn't; `binary_cross_entropy`.
            "regression": (B,) or (B, C) numbers; `mean_squares`.
        weights: of the model.
        config: of the model.
        dropout: on the embeddings, on what each half of a layer gives, and in the head.
        attention_dropout: on the attention probabilities.
        count: of texts in the whole batch, where this is only a part of it; by default those that are here.

    Returns:
        The loss, and its gradients as a tree like the weights.
    """
    loss_of = _SEQUENCE_LOSSES[str(config.problem_type)]
    first = [np.zeros((len(ids), 1), np.int64) for ids in texts]  # <s>, whose vector stands for the text
    vectors, kept = roberta_forward(texts, first, weights.roberta, config, dropout, attention_dropout)  # [B, H]
    logits, head = classification_head_forward(vectors, weights.classifier, dropout)  # [B, C]
    loss, d_logits = loss_of(logits, np.concatenate(labels), count)
    d_vectors, d_classifier = classification_head_backward(d_logits, head, weights.classifier)  # [B, H]
    d_roberta = roberta_backward(d_vectors, kept, weights.roberta, config)
    return loss, SequenceClassificationWeights(d_roberta, d_classifier)


@ignore_stray_flags
def token_classification_gradients(
    texts: Sequence[Array],
    labels: Sequence[Array],
    weights: TokenClassificationWeights[Array],
    config: RobertaConfig,
    dropout: Dropout,
    attention_dropout: Dropout,
    count: int | None = None,
) -> tuple[float, TokenClassificationWeights[Array]]:
    """One pass forward and one back, for a label a token: `cross_entropy` over those that have one.

    Args:
        texts, weights, config, dropout, attention_dropout: as `sequence_classification_gradients`.
        labels: arrays alike to the texts: a label's id, or -100 for a token without one.
        count: of labels in the whole batch, where this is only a part of it; by default those that are here.

    Returns:
        The loss, and its gradients as a tree like the weights.
    """
    places = [places_of(group >= 0) for group in labels]
    vectors, kept = roberta_forward(texts, places, weights.roberta, config, dropout, attention_dropout)  # [M, H]
    wanted = np.concatenate(
        [np.take_along_axis(group, at, axis=1).reshape(-1) for group, at in zip(labels, places, strict=True)]
    )  # [M]
    asked = np.flatnonzero(wanted >= 0)
    truth, asked = wanted[asked], np.asarray(asked, like=vectors)
    factors = dropout.factors(vectors)
    inputs = dropped(vectors, factors)[asked]  # [asked, H]
    logits = linear(inputs, weights.classifier)
    logits = np.ascontiguousarray(logits, like=logits)  # [asked, C]
    loss, d_logits = cross_entropy(logits, truth, count)
    d_inputs, d_classifier = linear_backward(d_logits, inputs, weights.classifier)
    d_vectors = np.zeros_like(vectors)
    d_vectors[asked] = d_inputs  # [M, H]
    d_roberta = roberta_backward(dropped(d_vectors, factors), kept, weights.roberta, config)
    return loss, TokenClassificationWeights(d_roberta, d_classifier)


@ignore_stray_flags
def question_answering_gradients(
    texts: Sequence[Array],
    positions: Sequence[Array],
    weights: QuestionAnsweringWeights[Array],
    config: RobertaConfig,
    dropout: Dropout,
    attention_dropout: Dropout,
    count: tuple[int, int] | None = None,
) -> tuple[float, QuestionAnsweringWeights[Array]]:
    """One pass forward and one back, for where an answer starts and ends: the mean of a `cross_entropy` over the tokens
    for each (Devlin et al. 2018, section 4.2). (In the reference padding competes too, where a batch has some.)

    Args:
        texts, weights, config, dropout, attention_dropout: as `sequence_classification_gradients`; the head has none.
        positions: for each length of text, (B, 2) integer: the answer's first and its last token. One beyond the text
            is left out of the loss, and a negative one stands for `<s>`, both as in the reference.
        count: of starts and of ends inside their texts in the whole batch, where this is only a part of it; by default
            those that are here.

    Returns:
        The loss, and its gradients as a tree like the weights.
    """
    everywhere = [np.broadcast_to(np.arange(ids.shape[1]), ids.shape) for ids in texts]
    vectors, kept = roberta_forward(texts, everywhere, weights.roberta, config, dropout, attention_dropout)  # [N, H]
    logits = linear(vectors, weights.qa_outputs)  # [N, 2]
    inside = [group < ids.shape[1] for ids, group in zip(texts, positions, strict=True)]  # [B, 2] each
    counts = np.concatenate(inside).sum(axis=0).tolist() if count is None else count

    loss, d_groups = 0.0, []
    ends = np.cumsum([ids.size for ids in texts])
    for ids, group, known, end in zip(texts, positions, inside, ends.tolist(), strict=True):
        scores = logits[end - ids.size : end].reshape(*ids.shape, 2)  # [B x S, 2] -> [B, S, 2]
        d_scores = np.zeros_like(scores)
        for side in (0, 1):
            asked = np.flatnonzero(known[:, side])
            if len(asked):
                truth, asked = np.maximum(group[asked, side], 0), np.asarray(asked, like=scores)
                chosen = scores[asked, :, side]
                chosen = np.ascontiguousarray(chosen, like=chosen)  # [asked, S]
                part, d_chosen = cross_entropy(chosen, truth, counts[side])
                loss += part / 2
                d_scores[asked, :, side] = d_chosen / 2
        d_groups.append(d_scores.reshape(-1, 2))  # [B, S, 2] -> [B x S, 2]
    d_vectors, d_outputs = linear_backward(np.concatenate(d_groups), vectors, weights.qa_outputs)  # [N, H]
    return loss, QuestionAnsweringWeights(roberta_backward(d_vectors, kept, weights.roberta, config), d_outputs)


def binary_cross_entropy(logits: Array, labels: Array, count: int | None = None) -> tuple[float, Array]:
    """The mean over texts and labels of -log of the probability that a sigmoid gives to what is so, and its gradient.

        L = 1/NC sum_nc (max(z, 0) - z y + log(1 + exp(-|z|)))        dL/dz = (sigmoid(z) - y) / NC

    Shapes: logits (N, C), labels (N, C) of 0 and 1 -> the loss, and d_logits (N, C). `count`: as N in the division.
    """
    of = logits.shape[1] * (len(logits) if count is None else count)
    labels = np.asarray(labels, like=logits)
    losses = np.maximum(logits, 0) - logits * labels + np.log1p(np.exp(-np.abs(logits)))
    d_logits: Array = ((sigmoid(logits) - labels) * (1 / of)).astype(logits.dtype)
    return float(losses.sum(dtype=np.float64)) / of, d_logits


def mean_squares(logits: Array, labels: Array, count: int | None = None) -> tuple[float, Array]:
    """The mean of (z - y)^2, and its gradient 2 (z - y) / NC.

    Shapes: logits (N, C), labels (N, C), or (N,) for C = 1 -> the loss, and d_logits (N, C). `count`: as N in the
    division.
    """
    of = logits.shape[1] * (len(logits) if count is None else count)
    error = logits - np.asarray(labels.reshape(logits.shape), like=logits)
    d_logits: Array = (error * (2 / of)).astype(logits.dtype)
    return float(np.square(error, dtype=np.float64).sum()) / of, d_logits


_SEQUENCE_LOSSES: dict[str, Callable[[Array, Array, int | None], tuple[float, Array]]] = {
    "single_label_classification": cross_entropy,
    "multi_label_classification": binary_cross_entropy,
    "regression": mean_squares,
}
