"""The student of a distillation (Sanh et al. 2019, "DistilBERT"): its first weights, its loss and its gradients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..config import RobertaConfig
from ..layers.dropout import Dropout
from ..layers.kernels import to_device_of
from ..layers.losses import cosine_distance, cross_entropy, kl_divergence
from ..layers.params import Array
from ..models import RobertaForMaskedLM
from ..models.inputs import pack, select_targets
from ..models.masked_lm import LMHeadWeights, MaskedLMWeights, lm_head, lm_head_backward
from ..models.roberta import roberta, roberta_gradients
from .settings import DistillSettings


def distillation_gradients(
    groups: Sequence[Array],
    labels: Sequence[Array],
    weights: MaskedLMWeights[Array],
    config: RobertaConfig,
    teacher: RobertaForMaskedLM,
    settings: DistillSettings,
    dropout: Dropout | None = None,
    masked: int | None = None,
    tokens: int | None = None,
) -> tuple[float, MaskedLMWeights[Array]]:
    """The loss of a batch and its gradients: a forward pass of the teacher, which sees the same masks, and a forward
    and a backward pass of the student.

    The loss is alpha_ce L_ce + alpha_mlm L_mlm + alpha_cos L_cos (Sanh et al. 2019, section 3):

    L_ce: `kl_divergence` from the teacher's probabilities (soft targets), the mean over all positions, or over masked
        ones with `restrict_ce_to_mask`, as in the released code. (The cross-entropy of the paper differs by a constant,
        the teacher's entropy.)
    L_mlm: `cross_entropy` with the true tokens, the mean over masked positions.
    L_cos: `cosine_distance` between final hidden states, the mean over all positions.

    Args:
        groups, labels: as `masked_lm_gradients` takes them.
        teacher: of the hidden size and the vocabulary of the student, on the same device.
        settings: the weights of the three losses, and the temperature.
        masked, tokens: the number of masked positions and of all tokens in the whole batch, if this is a part of it.

    Returns the loss, and its gradients as a tree like the weights.
    """
    word, eps = weights.roberta.embeddings.word, config.layer_norm_eps
    ce_everywhere = settings.alpha_ce > 0 and not settings.restrict_ce_to_mask  # compare the logits at all positions
    targets = select_targets(labels, everywhere=bool(ce_everywhere or settings.alpha_cos))
    masked = len(targets.rows) if masked is None else masked
    tokens = sum(ids.size for ids in groups) if tokens is None else tokens

    def head(hidden_states: Array) -> tuple[float, Array, tuple[LMHeadWeights[Array], Array]]:
        loss, d_hidden_states = 0.0, np.zeros_like(hidden_states)  # [M, H]
        if settings.alpha_ce or settings.alpha_cos:
            batch = pack(groups, targets.positions, teacher.config.pad_token_id)
            goal = roberta(batch, teacher.weights.roberta, teacher.config)  # [M, H]
        if settings.alpha_cos:
            part, d_part = cosine_distance(hidden_states, goal, tokens)
            loss += settings.alpha_cos * part
            d_hidden_states += settings.alpha_cos * d_part

        # The head, where logits are compared: R of the M rows, and the T masked ones among those.
        target_rows = to_device_of(hidden_states, targets.rows)
        everything = np.arange(len(hidden_states), like=hidden_states)
        compared = everything if ce_everywhere else target_rows
        among = target_rows if ce_everywhere else everything[: len(targets.rows)]
        logits, cache = lm_head(hidden_states[compared], weights.lm_head, word, eps)  # [R, V]
        part, d_target_logits = cross_entropy(logits[among], targets.labels, masked)
        loss += settings.alpha_mlm * part
        if settings.alpha_ce:
            teacher_word, teacher_eps = teacher.weights.roberta.embeddings.word, teacher.config.layer_norm_eps
            teacher_logits, _ = lm_head(goal[compared], teacher.weights.lm_head, teacher_word, teacher_eps)  # [R, V]
            count = tokens if ce_everywhere else masked
            part, d_logits = kl_divergence(logits, teacher_logits, settings.temperature, count)
            loss += settings.alpha_ce * part
            d_logits *= settings.alpha_ce
        else:
            d_logits = np.zeros_like(logits)
        d_target_logits *= settings.alpha_mlm
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
    """The layers of the teacher that a student starts with, evenly spread from the first to the last.

    For 6 of 12 they are 0, 2, 4, 7, 9 and 11, as for DistilBERT and DistilRoBERTa ("one layer out of two", Sanh et al.
    2019, section 3).

    `layers` is the number of layers of the student, from 1 to that of the teacher.
    """
    return [round(layer * (teacher_layers - 1) / max(1, layers - 1)) for layer in range(layers)]


def first_student(teacher: MaskedLMWeights[Array], layers: int) -> MaskedLMWeights[Array]:
    """The teacher's embeddings, some of its layers, and its head, without copies."""
    chosen = layers_of_student(len(teacher.roberta.layers), layers)
    return teacher._replace(
        roberta=teacher.roberta._replace(layers=tuple(teacher.roberta.layers[layer] for layer in chosen))
    )
