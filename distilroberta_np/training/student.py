"""The student of a distillation (Sanh et al. 2019, "DistilBERT"): its first weights, its loss and its gradients."""

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
    """The loss of a student, alpha_ce L_ce + alpha_mlm L_mlm + alpha_cos L_cos (Sanh et al. 2019, section 3).

    L_ce: `kl_divergence` from the teacher's probabilities (soft targets), the mean over all positions, or over masked
        ones with `restrict_ce_to_mask`, as in the released code. (The cross-entropy of the paper differs by a constant,
        the teacher's entropy.)
    L_mlm: `cross_entropy` with the true tokens, the mean over masked positions.
    L_cos: `cosine_distance` between final hidden states, the mean over all positions.
    """

    temperature: float = 2.0
    alpha_ce: float = 5.0
    alpha_mlm: float = 2.0
    alpha_cos: float = 1.0
    restrict_ce_to_mask: bool = False

    @property
    def ce_everywhere(self) -> bool:
        """Whether the logits at all positions are compared."""
        return self.alpha_ce > 0 and not self.restrict_ce_to_mask


class Teacher(NamedTuple):
    """A model that does not change, with the hidden size and the vocabulary of the student."""

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
    masked: int | None = None,
    tokens: int | None = None,
) -> tuple[float, MaskedLMWeights[Array]]:
    """Run the teacher forward on the masked input, and the student forward and backward.

    Args:
        texts, labels: as for `masked_lm_gradients`.
        weights, config: of the student.
        teacher: on the same device.
        objective: the weights of the three losses.
        dropout, attention_dropout: of the student.
        masked, tokens: the number of masked positions and of all tokens in the whole batch, if this is a part of it.

    Returns:
        The loss, and its gradients as a tree like the weights.
    """
    word, eps = weights.roberta.embeddings.word, config.layer_norm_eps
    if objective.ce_everywhere or objective.alpha_cos:
        places = [np.broadcast_to(np.arange(ids.shape[1]), ids.shape) for ids in texts]
    else:
        places = [places_of(group >= 0) for group in labels]
    vectors, kept = roberta_forward(texts, places, weights.roberta, config, dropout, attention_dropout)  # [M, H]
    truth = np.concatenate(
        [np.take_along_axis(group, at, axis=1).reshape(-1) for group, at in zip(labels, places, strict=True)]
    )  # [M]
    at_masked = np.flatnonzero(truth >= 0)
    masked = len(at_masked) if masked is None else masked
    tokens = sum(ids.size for ids in texts) if tokens is None else tokens
    loss, d_vectors = 0.0, np.zeros_like(vectors)

    if objective.alpha_ce or objective.alpha_cos:
        rows_of_texts, rows_of_places = ([row for group in groups for row in group] for groups in (texts, places))
        goal = roberta_at(rows_of_texts, rows_of_places, teacher.weights.roberta, teacher.config)  # [M, H]
    if objective.alpha_cos:
        part, d_part = cosine_distance(vectors, goal, tokens)
        loss += objective.alpha_cos * part
        d_vectors += objective.alpha_cos * d_part

    # The head, for the R rows of M whose logits are compared; `among` are the masked ones of the R.
    scored = np.arange(len(truth)) if objective.ce_everywhere else at_masked
    among = at_masked if objective.ce_everywhere else np.arange(len(at_masked))
    scored, among = (np.asarray(indices, like=vectors) for indices in (scored, among))
    logits, head = lm_head_forward(vectors[scored], weights.lm_head, word, eps)  # [R, V]
    part, d_masked = cross_entropy(logits[among], truth[at_masked], masked)
    loss += objective.alpha_mlm * part
    if objective.alpha_ce:
        their_word, their_eps = teacher.weights.roberta.embeddings.word, teacher.config.layer_norm_eps
        their_logits = lm_head(goal[scored], teacher.weights.lm_head, their_word, their_eps)  # [R, V]
        count = tokens if objective.ce_everywhere else masked
        part, d_logits = kl_divergence(logits, their_logits, objective.temperature, count)
        loss += objective.alpha_ce * part
        d_logits *= objective.alpha_ce
    else:
        d_logits = np.zeros_like(logits)
    d_masked *= objective.alpha_mlm
    d_logits[among] += d_masked
    d_scored, d_head, d_word = lm_head_backward(d_logits, head, weights.lm_head, word, eps)  # [R, H]
    d_vectors[scored] += d_scored

    d_roberta = roberta_backward(d_vectors, kept, weights.roberta, config)
    d_roberta.embeddings.word[...] += d_word
    return loss, MaskedLMWeights(d_roberta, d_head)


def layers_of_student(teacher_layers: int, layers: int) -> list[int]:
    """The layers of the teacher that a student starts with, evenly spread from the first to the last.

    For 6 of 12 they are 0, 2, 4, 7, 9 and 11, as for DistilBERT and DistilRoBERTa ("one layer out of two", Sanh et al.
    2019, section 3).

    Args:
        teacher_layers: the number of layers of the teacher.
        layers: the number of layers of the student, from 1 to that of the teacher.
    """
    return [round(layer * (teacher_layers - 1) / max(1, layers - 1)) for layer in range(layers)]


def first_student(teacher: MaskedLMWeights[Array], layers: int) -> MaskedLMWeights[Array]:
    """The teacher's embeddings, some of its layers, and its head, without copies."""
    chosen = layers_of_student(len(teacher.roberta.layers), layers)
    return teacher._replace(
        roberta=teacher.roberta._replace(layers=tuple(teacher.roberta.layers[layer] for layer in chosen))
    )
