"""Sequence classification: a label per sequence, several labels, or a number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple

import numpy as np

from ..checkpoint.keys import Key, linear_keys
from ..config import RobertaConfig
from ..layers.dropout import Dropout, drop, drop_backward
from ..layers.kernels import ignore_spurious_flags
from ..layers.linear import LinearWeights, linear, linear_backward
from ..layers.losses import binary_cross_entropy, cross_entropy, mean_squared_error
from ..layers.params import Array, Leaf
from .base import register
from .outputs import LogitsOutput, check_labels, mean_cross_entropy
from .roberta import ModelWithHead, RobertaWeights, roberta_gradients, roberta_keys


class ClassificationHeadWeights(NamedTuple, Generic[Leaf]):
    dense: LinearWeights[Leaf]  # [H, H]
    output: LinearWeights[Leaf]  # [C, H], a row per label


class SequenceClassificationWeights(NamedTuple, Generic[Leaf]):
    roberta: RobertaWeights[Leaf]
    classifier: ClassificationHeadWeights[Leaf]


class ClassificationHeadCache(NamedTuple):
    """Activations saved for the backward pass; (B, H) each."""

    inputs: Array  # the hidden states after dropout
    input_mask: Array | None  # of the dropout
    active: Array  # after the tanh
    active_mask: Array | None
    dropped: Array  # the active ones after dropout


def sequence_classification_keys(config: RobertaConfig) -> SequenceClassificationWeights[Key]:
    """The tensor names of the model."""
    hidden = config.hidden_size
    classifier = ClassificationHeadWeights(
        dense=linear_keys("classifier.dense", hidden, hidden),
        output=linear_keys("classifier.out_proj", config.num_labels, hidden),
    )
    return SequenceClassificationWeights(roberta_keys(config), classifier)


def classification_head(
    hidden_states: Array, weights: ClassificationHeadWeights[Array], dropout: Dropout | None = None
) -> tuple[Array, ClassificationHeadCache]:
    """tanh of an affine map, and an affine map of that, with dropout before each.

    Shapes: hidden_states (B, H), of the first token of each sequence -> logits (B, C).
    """
    inputs, input_mask = drop(hidden_states, dropout)
    active = np.tanh(linear(inputs, weights.dense))
    dropped, active_mask = drop(active, dropout)
    logits = linear(dropped, weights.output)
    return logits, ClassificationHeadCache(inputs, input_mask, active, active_mask, dropped)


def classification_head_backward(
    d_logits: Array, cache: ClassificationHeadCache, weights: ClassificationHeadWeights[Array]
) -> tuple[Array, ClassificationHeadWeights[Array]]:
    """Back through the two maps; y = tanh(x) has dL/dx = dL/dy (1 - y^2).

    Shapes: d_logits (B, C) -> d_hidden_states (B, H), and the gradients of the weights.
    """
    d_dropped, d_output = linear_backward(d_logits, cache.dropped, weights.output)
    d_dense_outputs = drop_backward(d_dropped, cache.active_mask) * (1 - np.square(cache.active))
    d_inputs, d_dense = linear_backward(d_dense_outputs, cache.inputs, weights.dense)
    return drop_backward(d_inputs, cache.input_mask), ClassificationHeadWeights(d_dense, d_output)


_LOSSES: dict[str, Callable[[Array, Array, int | None], tuple[float, Array]]] = {
    "single_label_classification": cross_entropy,
    "multi_label_classification": binary_cross_entropy,
    "regression": mean_squared_error,
}


def sequence_classification_gradients(
    groups: Sequence[Array],
    labels: Sequence[Array],
    weights: SequenceClassificationWeights[Array],
    config: RobertaConfig,
    dropout: Dropout | None = None,
    count: int | None = None,
) -> tuple[float, SequenceClassificationWeights[Array]]:
    """The loss of a batch and its gradients, by one forward and one backward pass.

    Args:
        groups: the ids of the sequences of each length, (B, S) integer without padding; on the host, as the labels,
            wherever the weights are.
        labels: of each group. Their meaning and the loss depend on `config.problem_type`:
            "single_label_classification": (B,) integer; `cross_entropy`.
            "multi_label_classification": (B, C), 1 for labels that apply, else 0; `binary_cross_entropy`.
            "regression": (B,) or (B, C) numbers; `mean_squared_error`.
        dropout: in the encoder and in the head.
        count: the number of sequences of the whole batch, if this is a part of it.

    Returns the loss, and its gradients as a tree like the weights.
    """
    loss_function = _LOSSES[str(config.problem_type)]

    def head(hidden_states: Array) -> tuple[float, Array, ClassificationHeadWeights[Array]]:
        logits, cache = classification_head(hidden_states, weights.classifier, dropout)  # [B, H] -> [B, C]
        loss, d_logits = loss_function(logits, np.concatenate(labels), count)
        return loss, *classification_head_backward(d_logits, cache, weights.classifier)

    first = [np.zeros((len(ids), 1), np.int64) for ids in groups]  # `<s>` represents the sequence
    loss, d_roberta, d_classifier = roberta_gradients(groups, first, weights.roberta, config, dropout, head)
    return loss, SequenceClassificationWeights(d_roberta, d_classifier)


class SequenceClassifierOutput(LogitsOutput):
    """The output of `RobertaForSequenceClassification`: logits (B, C)."""


@register
class RobertaForSequenceClassification(ModelWithHead[SequenceClassificationWeights[Array], SequenceClassifierOutput]):
    """The encoder with a head on the first token: a logit per label (`config.id2label`), or with `problem_type`
    "regression" the predicted numbers."""

    head, head_name, keys = "classifier", "sequence-classification", sequence_classification_keys
    gradients, output = sequence_classification_gradients, SequenceClassifierOutput

    def logits(self, hidden_states: Array) -> Array:
        """The head alone, for the hidden states of the first tokens: (B, H) -> logits (B, C), float32."""
        with ignore_spurious_flags():
            return classification_head(hidden_states, self.weights.classifier)[0]

    def _all_logits(self, hidden_states: Array) -> Array:
        return self.logits(hidden_states[:, 0])  # [B, S, H] -> [B, H] -> [B, C]

    def _loss(self, logits: Array, labels: Any) -> np.float32:
        """The loss that the config names, or else transformers' choice: by the number of labels, and their dtype."""
        labels, kind = np.asarray(labels), self.config.problem_type
        if kind is None:
            several = "single" if np.issubdtype(labels.dtype, np.integer) else "multi"
            kind = "regression" if logits.shape[1] == 1 else f"{several}_label_classification"
        if kind == "single_label_classification":
            return mean_cross_entropy(logits, labels.reshape(-1))
        if kind == "regression" and logits.shape[1] == 1:
            labels = labels.reshape(-1, 1)
        return np.float32(_LOSSES[kind](logits, check_labels("labels", labels, logits.shape), None)[0])
