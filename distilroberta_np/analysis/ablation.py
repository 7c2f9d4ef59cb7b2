"""Ablation: leave out one part at a time, and see what the answer loses."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..layers.params import Array
from ..pipelines.fill_mask import FillMaskPipeline
from .forward import Intervention, run_interventions
from .masked_sentence import find_target, log_softmax, read_masked_sentence
from .tracing import trace


class Ablation(NamedTuple):
    """Changes of the log-probability of the target. Negative: the part supports the target."""

    tokens: tuple[str, ...]
    target: str
    log_probability: float  # natural logarithm, with nothing left out
    heads: Array  # (layer, head) float64
    feed_forward: Array  # (layer,) float64
    left_out: Array  # (token,) float64; 0 at the mask, which stays


def ablate(unmasker: FillMaskPipeline, text: str, target: str | None = None) -> Ablation:
    """Leave out each attention head, each feed-forward block and each token in turn.

    A head left out adds nothing to the output of its attention (Michel et al. 2019, "Are Sixteen Heads Really Better
    than One?"); a feed-forward block left out adds nothing to the residual. A token left out is removed from the
    sentence (Li et al. 2016, "Understanding Neural Networks through Representation Erasure").

    `target` is the word whose log-probability is measured; the model's answer if None.

    Raises:
        PipelineException: the text has no mask or several, or is too long.
        ValueError: the target is not a single token.
    """
    sentence, model = read_masked_sentence(unmasker, text), unmasker.model
    recorded = trace(unmasker, text)
    log_probabilities = log_softmax(recorded["logits"][sentence.mask])  # [V]
    token = int(log_probabilities.argmax()) if target is None else find_target(unmasker, target)
    whole = float(log_probabilities[token])

    layers, heads = model.config.num_hidden_layers, model.config.num_attention_heads
    interventions = [
        intervention
        for layer in range(layers)
        for intervention in (
            *(Intervention(layer, head=head) for head in range(heads)),
            Intervention(layer, feed_forward=True),
        )
    ]
    final = run_interventions(model, recorded.hidden_states, interventions, sentence.mask)  # [L (A + 1), H]
    changes = (log_softmax(model.logits(final))[:, token] - whole).reshape(layers, heads + 1)

    others = [position for position in range(len(sentence.ids)) if position != sentence.mask]
    shorter = [sentence.ids[:position] + sentence.ids[position + 1 :] for position in others]
    masks = [[sentence.mask - (position < sentence.mask)] for position in others]
    left_out = np.zeros(len(sentence.ids))
    left_out[others] = [log_softmax(rows[0])[token] - whole for rows in model.logits_at(shorter, masks)]
    return Ablation(
        sentence.tokens, unmasker.tokenizer.decode([token]), whole, changes[:, :-1], changes[:, -1], left_out
    )
