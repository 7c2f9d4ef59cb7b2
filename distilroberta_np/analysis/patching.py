"""Activation patching: which hidden states carry the difference between two sentences."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import PipelineException
from ..layers.params import Array
from ..pipelines.fill_mask import FillMaskPipeline
from .forward import Intervention, run_interventions
from .masked_sentence import find_target, log_softmax, read_masked_sentence
from .tracing import trace

# The default target is among this many most likely words of either sentence.
_CANDIDATES = 5


class Patching(NamedTuple):
    """Log-probabilities (natural) of the target in a sentence with one hidden state of another sentence."""

    tokens: tuple[str, ...]
    source_tokens: tuple[str, ...]
    target: str
    log_probability: float  # in the sentence
    source_log_probability: float  # in the source
    log_probabilities: Array  # (L + 1, token) float64: after the embeddings, then after each layer

    @property
    def effects(self) -> Array:
        """The part of the difference that each state carries: 0 as in the sentence, 1 as in the source."""
        effects: Array = (self.log_probabilities - self.log_probability) / (
            self.source_log_probability - self.log_probability
        )
        return effects


def patch(unmasker: FillMaskPipeline, text: str, source: str, target: str | None = None) -> Patching:
    """Replace each hidden state of a sentence by that of another sentence, one at a time, and run the rest.

    Vig et al. 2020, "Investigating Gender Bias in Language Models Using Causal Mediation Analysis"; Meng et al. 2022,
    "Locating and Editing Factual Associations in GPT", section 2.

    Args:
        text: a sentence with one mask.
        source: a sentence with the same number of tokens and its mask at the same position.
        target: the word whose log-probability is measured. If None, of the five most likely words of either sentence
            the one whose log-probability differs most between the two.

    Raises:
        PipelineException: a sentence has no mask or several, or is too long, or the two do not match.
        ValueError: the target is not a single token, or it is equally likely in both sentences.
    """
    sentences = [read_masked_sentence(unmasker, each) for each in (text, source)]
    (base, other), model = sentences, unmasker.model
    if (len(base.ids), base.mask) != (len(other.ids), other.mask):
        raise PipelineException(
            f"the sentences have {len(base.ids)} and {len(other.ids)} tokens and their masks at positions {base.mask} "
            f"and {other.mask}; both must be equal"
        )
    recorded, patched_in = (trace(unmasker, each) for each in (text, source))
    before, after = (log_softmax(each["logits"][base.mask]) for each in (recorded, patched_in))  # [V] each
    if target is None:
        words = np.concatenate([np.argsort(-each, kind="stable")[:_CANDIDATES] for each in (before, after)])
        token = int(words[np.abs(after - before)[words].argmax()])
    else:
        token = find_target(unmasker, target)
    if before[token] == after[token]:
        word = unmasker.tokenizer.decode([token])
        raise ValueError(f"{word!r} is equally likely in both sentences; choose another target or sentence")

    states, length = patched_in.hidden_states, len(base.ids)
    interventions = [
        Intervention(layer, position=position, state=states[layer, position])
        for layer in range(len(states))
        for position in range(length)
    ]
    final = run_interventions(model, recorded.hidden_states, interventions, base.mask)  # [(L + 1) S, H]
    # The head in blocks, as each row of logits has the size of the vocabulary.
    blocks = [final[start : start + length] for start in range(0, len(final), length)]
    log_probabilities = np.array([log_softmax(model.logits(block))[:, token] for block in blocks])  # [L + 1, S]
    return Patching(
        base.tokens,
        other.tokens,
        unmasker.tokenizer.decode([token]),
        float(before[token]),
        float(after[token]),
        log_probabilities,
    )
