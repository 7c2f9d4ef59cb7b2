"""Extractive question answering: the first and the last token of an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple

import numpy as np

from ..checkpoint.keys import Key, linear_keys
from ..config import RobertaConfig
from ..layers.dropout import Dropout
from ..layers.kernels import to_device_of
from ..layers.linear import LinearWeights, linear, linear_backward
from ..layers.losses import cross_entropy
from ..layers.params import Array, Leaf
from .base import register
from .outputs import ModelOutput, check_labels, mean_cross_entropy
from .roberta import ModelWithHead, RobertaWeights, roberta_gradients, roberta_keys


class QuestionAnsweringWeights(NamedTuple, Generic[Leaf]):
    roberta: RobertaWeights[Leaf]
    qa_outputs: LinearWeights[Leaf]  # [2, H]: whether the answer starts at a token, and whether it ends there


def question_answering_keys(config: RobertaConfig) -> QuestionAnsweringWeights[Key]:
    """The tensor names of the model."""
    return QuestionAnsweringWeights(roberta_keys(config), linear_keys("qa_outputs", 2, config.hidden_size))


def question_answering_gradients(
    groups: Sequence[Array],
    answers: Sequence[Array],
    weights: QuestionAnsweringWeights[Array],
    config: RobertaConfig,
    dropout: Dropout | None = None,
    count: tuple[int, int] | None = None,
) -> tuple[float, QuestionAnsweringWeights[Array]]:
    """The loss of a batch, the mean of a `cross_entropy` over the tokens for the start of the answer and one for its
    end (Devlin et al. 2018, section 4.2), and its gradients. (In transformers padding competes too, if there is any.)

    Args:
        groups, weights, config, dropout: as `sequence_classification_gradients`; the head has no dropout.
        answers: of each group (B, 2) integer: the first and the last token of each answer. As in transformers, one
            beyond the sequence is left out of the loss, and a negative one stands for `<s>`.
        count: the number of starts and of ends inside their sequences in the whole batch, if this is a part of it.

    Returns the loss, and its gradients as a tree like the weights.
    """
    inside = [group < ids.shape[1] for ids, group in zip(groups, answers, strict=True)]  # [B, 2] each
    counts = np.concatenate(inside).sum(axis=0).tolist() if count is None else count

    def head(hidden_states: Array) -> tuple[float, Array, LinearWeights[Array]]:
        logits = linear(hidden_states, weights.qa_outputs)  # [N, H] -> [N, 2]
        loss, d_groups = 0.0, []
        ends = np.cumsum([ids.size for ids in groups])
        for ids, group, known, end in zip(groups, answers, inside, ends.tolist(), strict=True):
            group_logits = logits[end - ids.size : end].reshape(*ids.shape, 2)  # [B x S, 2] -> [B, S, 2]
            d_logits = np.zeros_like(group_logits)
            for side in (0, 1):
                targets = np.flatnonzero(known[:, side])
                if len(targets):
                    labels = np.maximum(group[targets, side], 0)
                    rows = to_device_of(logits, targets)
                    part, d_part = cross_entropy(group_logits[..., side][rows], labels, counts[side])  # [T, S]
                    loss += part / 2
                    d_logits[rows, :, side] = d_part / 2
            d_groups.append(d_logits.reshape(-1, 2))  # [B, S, 2] -> [B x S, 2]
        return loss, *linear_backward(np.concatenate(d_groups), hidden_states, weights.qa_outputs)

    loss, d_roberta, d_outputs = roberta_gradients(groups, None, weights.roberta, config, dropout, head)
    return loss, QuestionAnsweringWeights(d_roberta, d_outputs)


@dataclass(frozen=True, eq=False)
class QuestionAnsweringOutput(ModelOutput):
    """The output of `RobertaForQuestionAnswering`; all arrays float32."""

    loss: np.float32 | None  # if the answers were given
    start_logits: Array  # (B, S)
    end_logits: Array  # (B, S)
    hidden_states: tuple[Array, ...] | None  # as RobertaModelOutput
    attentions: tuple[Array, ...] | None


@register
class RobertaForQuestionAnswering(ModelWithHead[QuestionAnsweringWeights[Array], QuestionAnsweringOutput]):
    """The encoder with a head on every token: a logit for the start of an answer, and one for its end."""

    head, head_name, keys = "qa_outputs", "question-answering", question_answering_keys
    gradients = question_answering_gradients

    @staticmethod
    def output(loss: np.float32 | None, logits: Array, *others: Any) -> QuestionAnsweringOutput:
        return QuestionAnsweringOutput(loss, logits[..., 0], logits[..., 1], *others)  # (B, S, 2) -> (B, S) each

    def _loss(self, logits: Array, answers: tuple[Any, Any]) -> np.float32:
        """The mean of the losses of starts and ends. Those beyond the sequence have no part in it."""
        batch, sequence, _ = logits.shape
        losses = []
        for side, name in enumerate(("start_positions", "end_positions")):
            positions = np.maximum(check_labels(name, answers[side], (batch,)), 0)
            losses.append(mean_cross_entropy(logits[..., side], np.where(positions < sequence, positions, -100), name))
        return np.float32(sum(losses) / 2)

    def __call__(
        self, *inputs: Any, labels: Any = None, start_positions: Any = None, end_positions: Any = None, **options: Any
    ) -> QuestionAnsweringOutput:
        """As the other models with a head; the labels are the first and the last token of each answer, (B,) each."""
        if labels is not None or (start_positions is None) != (end_positions is None):
            raise TypeError("give the answers as both start_positions and end_positions")
        answers = None if start_positions is None else (start_positions, end_positions)
        return super().__call__(*inputs, labels=answers, **options)
