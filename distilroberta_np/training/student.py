"""Distillation (Sanh et al. 2019, "DistilBERT"): the loss of a batch for a student, and its gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..config import RobertaConfig
from ..layers.dropout import Dropout
from ..layers.kernels import to_device_of
from ..layers.losses import cosine_distance, cross_entropy, kl_divergence
from ..layers.params import Array
from ..models.inputs import pack, select_targets
from ..models.masked_lm import LMHeadWeights, MaskedLMWeights, lm_head, lm_head_backward
from ..models.roberta import roberta, roberta_gradients


class Objective(NamedTuple):
    """What a student is trained for: alpha_ce L_ce + alpha_mlm L_mlm + alpha_cos L_cos (Sanh et al. 2019, section 3).

    L_ce: `kl_divergence` from the teacher's probabilities, the mean over all tokens (with `restrict_ce_to_mask` over
        those that are asked for), as in the released code. (The paper writes the cross-entropy, which differs by the
        teacher's entropy, a constant.)
    L_mlm: `cross_entropy` with the true tokens, the mean over those that are asked for.
    L_cos: `cosine_distance` of the last hidden states, the mean over all tokens.
    """

    temperature: float = 2.0
    alpha_ce: float = 5.0
    alpha_mlm: float = 2.0
    alpha_cos: float = 1.0
    restrict_ce_to_mask: bool = False

    @property
    def ce_everywhere(self) -> bool:
        """Whether the logits of all tokens are compared."""
        return self.alpha_ce > 0 and not self.restrict_ce_to_mask


class Teacher(NamedTuple):
    """A model that stays as it is, of the student's width and vocabulary."""

    weights: MaskedLMWeights[Array]
    config: RobertaConfig


def distillation_gradients(
    groups: Sequence[Array],
    labels: Sequence[Array],
    weights: MaskedLMWeights[Array],
    config: RobertaConfig,
    teacher: Teacher,
    objective: Objective,
    dropout: Dropout | None = None,
    selected: int | None = None,
    tokens: int | None = None,
) -> tuple[float, MaskedLMWeights[Array]]:
    """The loss of a batch and its gradients: a forward pass of the teacher, which sees the same masks, and a forward
    and a backward pass of the student.

    Args:
        groups, labels: as `masked_lm_gradients` takes them.
        weights, config: of the student.
        teacher: on the same device.
        objective: the weights of the three losses.
        dropout: of the student.
        selected: the number of masked tokens of the whole batch, if this is a part of it.
        tokens: its number of tokens.

    Returns:
        The loss, and its gradients as a tree like the weights.
    """
    word, eps = weights.roberta.embeddings.word, config.layer_norm_eps
    targets = select_targets(labels, everywhere=bool(objective.ce_everywhere or objective.alpha_cos))
    selected = len(targets.rows) if selected is None else selected
    tokens = sum(ids.size for ids in groups) if tokens is None else tokens

    def head(hidden_states: Array) -> tuple[float, Array, tuple[LMHeadWeights[Array], Array]]:
        loss, d_hidden_states = 0.0, np.zeros_like(hidden_states)  # [M, H]
        if objective.alpha_ce or objective.alpha_cos:
            batch = pack(groups, targets.positions, teacher.config.pad_token_id)
            goal = roberta(batch, teacher.weights.roberta, teacher.config)  # [M, H]
        if objective.alpha_cos:
            part, d_part = cosine_distance(hidden_states, goal, tokens)
            loss += objective.alpha_cos * part
            d_hidden_states += objective.alpha_cos * d_part

        # The head, where logits are compared: R of the M rows, and the T masked ones among those.
        target_rows = to_device_of(hidden_states, targets.rows)
        everything = np.arange(len(hidden_states), like=hidden_states)
        compared = everything if objective.ce_everywhere else target_rows
        among = target_rows if objective.ce_everywhere else everything[: len(targets.rows)]
        logits, cache = lm_head(hidden_states[compared], weights.lm_head, word, eps)  # [R, V]
        part, d_target_logits = cross_entropy(logits[among], targets.labels, selected)
        loss += objective.alpha_mlm * part
        if objective.alpha_ce:
            teacher_word, teacher_eps = teacher.weights.roberta.embeddings.word, teacher.config.layer_norm_eps
            teacher_logits, _ = lm_head(goal[compared], teacher.weights.lm_head, teacher_word, teacher_eps)  # [R, V]
            count = tokens if objective.ce_everywhere else selected
            part, d_logits = kl_divergence(logits, teacher_logits, objective.temperature, count)
            loss += objective.alpha_ce * part
            d_logits *= objective.alpha_ce
        else:
            d_logits = np.zeros_like(logits)
        d_target_logits *= objective.alpha_mlm
        d_logits[among] += d_target_logits
        d_compared, d_head, d_word = lm_head_backward(d_logits, cache, weights.lm_head, word, eps)  # [R, H]
        d_hidden_states[compared] += d_compared
        return loss, d_hidden_states, (d_head, d_word)

    loss, d_roberta, (d_head, d_word) = roberta_gradients(
        groups, targets.positions, weights.roberta, config, dropout, head
    )
    d_roberta.embeddings.word[...] += d_word
    return loss, MaskedLMWeights(d_roberta, d_head)


def layers_of_student(teacher_layers: int, layers: int) -> list[int]:
    """Which layers of the teacher a student begins with: evenly spread from the first to the last.

    Of 12 they are 0, 2, 4, 7, 9 and 11, which DistilBERT's and DistilRoBERTa's weights were begun with ("one layer out
    of two", Sanh et al. 2019, section 3).

    Args:
        teacher_layers: how many there are.
        layers: how many are taken, at least 1 and no more than there are.
    """
    return [round(place * (teacher_layers - 1) / max(1, layers - 1)) for place in range(layers)]


def first_student(teacher: MaskedLMWeights[Array], layers: int) -> MaskedLMWeights[Array]:
    """The teacher's embeddings, some of its layers, and its head. The arrays are the teacher's own."""
    chosen = layers_of_student(len(teacher.roberta.layers), layers)
    return teacher._replace(
        roberta=teacher.roberta._replace(layers=tuple(teacher.roberta.layers[layer] for layer in chosen))
    )
