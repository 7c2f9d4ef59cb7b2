"""Token classification: a label per token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple

import numpy as np

from ..checkpoint.keys import Key, linear_keys
from ..config import RobertaConfig
from ..layers.dropout import Dropout, drop, drop_backward
from ..layers.kernels import to_device_of
from ..layers.linear import LinearWeights, linear, linear_backward
from ..layers.losses import cross_entropy
from ..layers.params import Array, Leaf
from .base import register
from .inputs import select_targets
from .outputs import LogitsOutput
from .roberta import ModelWithHead, RobertaWeights, roberta_gradients, roberta_keys


class TokenClassificationWeights(NamedTuple, Generic[Leaf]):
    roberta: RobertaWeights[Leaf]
    classifier: LinearWeights[Leaf]  # [C, H], a row per label


def token_classification_keys(config: RobertaConfig) -> TokenClassificationWeights[Key]:
    """The tensor names of the model."""
    classifier = linear_keys("classifier", config.num_labels, config.hidden_size)
    return TokenClassificationWeights(roberta_keys(config), classifier)


def token_classification_gradients(
    groups: Sequence[Array],
    labels: Sequence[Array],
    weights: TokenClassificationWeights[Array],
    config: RobertaConfig,
    dropout: Dropout | None = None,
    count: int | None = None,
) -> tuple[float, TokenClassificationWeights[Array]]:
    """The loss of a batch, the `cross_entropy` over the tokens with a label, and its gradients.

    Args:
        groups, weights, config, dropout: as `sequence_classification_gradients`.
        labels: of each group (B, S): the label of each token, or -100 for a token without one.
        count: the number of labels of the whole batch, if this is a part of it.

    Returns the loss, and its gradients as a tree like the weights.
    """
    targets = select_targets(labels)

    def head(hidden_states: Array) -> tuple[float, Array, LinearWeights[Array]]:
        rows = to_device_of(hidden_states, targets.rows)
        dropped, mask = drop(hidden_states, dropout)  # [M, H]
        inputs = dropped[rows]  # [T, H]
        loss, d_logits = cross_entropy(linear(inputs, weights.classifier), targets.labels, count)  # [T, C]
        d_inputs, d_classifier = linear_backward(d_logits, inputs, weights.classifier)
        d_dropped = np.zeros_like(hidden_states)
        d_dropped[rows] = d_inputs  # [M, H]
        return loss, drop_backward(d_dropped, mask), d_classifier

    loss, d_roberta, d_classifier = roberta_gradients(groups, targets.positions, weights.roberta, config, dropout, head)
    return loss, TokenClassificationWeights(d_roberta, d_classifier)


class TokenClassifierOutput(LogitsOutput):
    """The output of `RobertaForTokenClassification`: logits (B, S, C)."""


@register
class RobertaForTokenClassification(ModelWithHead[TokenClassificationWeights[Array], TokenClassifierOutput]):
    """The encoder with a head on every token: a logit per label (`config.id2label`)."""

    head, head_name, keys = "classifier", "token-classification", token_classification_keys
    gradients, output = token_classification_gradients, TokenClassifierOutput
