"""Distillation (Sanh et al. 2019, "DistilBERT"): the loss of a batch for a student, and its gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..config import RobertaConfig
from ..layers.cosine_distance import cosine_distance
from ..layers.dropout import Dropout
from ..layers.kl_divergence import kl_divergence
from ..layers.linear import ignore_stray_flags
from ..layers.lm_head import lm_head, lm_head_backward, lm_head_forward
from ..layers.losses import cross_entropy
from ..layers.params import Array
from ..layers.roberta import MaskedLMWeights, roberta_at, roberta_backward, roberta_forward
from .masked_lm import places_of


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


@ignore_stray_flags
def distillation_gradients(
    texts: Sequence[Array],
    labels: Sequence[Array],
    weights: MaskedLMWeights[Array],
    config: RobertaConfig,
    teacher: Teacher,
    objective: Objective,
    dropout: Dropout,
    attention_dropout: Dropout,
    asked: int | None = None,
    tokens: int | None = None,
) -> tuple[float, MaskedLMWeights[Array]]:
    """One pass forward of the teacher, which sees the same masks, and one forward and back of the student.

    Args:
        texts, labels: as `masked_lm_gradients` takes them.
        weights, config: of the student.
        teacher: on the same device.
        objective: the three losses' weights.
        dropout, attention_dropout: the student's.
        asked: how many tokens of the whole batch are asked for, where this is only a part of it; by default those here.
        tokens: how many it has.

    Returns:
        The loss, and its gradients as a tree like the weights.
    """
    word, eps = weights.roberta.embeddings.word, config.layer_norm_eps
    if objective.ce_everywhere or objective.alpha_cos:
        places = [np.broadcast_to(np.arange(ids.shape[1]), ids.shape) for ids in texts]
    else:
        places = [places_of(group >= 0) for group in labels]
    vectors, kept = roberta_forward(texts, places, weights.roberta, config, dropout, attention_dropout)  # [M, H]
    wanted = np.concatenate(
        [np.take_along_axis(group, at, axis=1).reshape(-1) for group, at in zip(labels, places, strict=True)]
    )  # [M]
    at_asked = np.flatnonzero(wanted >= 0)
    asked = len(at_asked) if asked is None else asked
    tokens = sum(ids.size for ids in texts) if tokens is None else tokens
    loss, d_vectors = 0.0, np.zeros_like(vectors)

    if objective.alpha_ce or objective.alpha_cos:
        rows_of_texts, rows_of_places = ([row for group in groups for row in group] for groups in (texts, places))
        goal = roberta_at(rows_of_texts, rows_of_places, teacher.weights.roberta, teacher.config)  # [M, H]
    if objective.alpha_cos:
        part, d_part = cosine_distance(vectors, goal, tokens)
        loss += objective.alpha_cos * part
        d_vectors += objective.alpha_cos * d_part

    # The head, where logits are compared: R rows of the M, and among those the ones asked for.
    scored = np.arange(len(wanted)) if objective.ce_everywhere else at_asked
    among = at_asked if objective.ce_everywhere else np.arange(len(at_asked))
    scored, among = (np.asarray(numbers, like=vectors) for numbers in (scored, among))
    logits, head = lm_head_forward(vectors[scored], weights.lm_head, word, eps)  # [R, V]
    part, d_asked = cross_entropy(logits[among], wanted[at_asked], asked)
    loss += objective.alpha_mlm * part
    if objective.alpha_ce:
        their_word, their_eps = teacher.weights.roberta.embeddings.word, teacher.config.layer_norm_eps
        their_logits = lm_head(goal[scored], teacher.weights.lm_head, their_word, their_eps)  # [R, V]
        count = tokens if objective.ce_everywhere else asked
        part, d_logits = kl_divergence(logits, their_logits, objective.temperature, count)
        loss += objective.alpha_ce * part
        d_logits *= objective.alpha_ce
    else:
        d_logits = np.zeros_like(logits)
    d_asked *= objective.alpha_mlm
    d_logits[among] += d_asked
    d_scored, d_head, d_word = lm_head_backward(d_logits, head, weights.lm_head, word, eps)  # [R, H]
    d_vectors[scored] += d_scored

    d_roberta = roberta_backward(d_vectors, kept, weights.roberta, config)
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
