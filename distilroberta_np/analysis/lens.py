"""The logit lens: the head of the model applied to the hidden states of every layer.

nostalgebraist 2020, "interpreting GPT: the logit lens". GPT needs its final layer norm first. RoBERTa is post-norm and
its head has a layer norm of its own, so the head is applied as it is. Early layers were never trained for it: their
words show what the head sees in them, not what the model "thinks".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..layers.params import Array
from ..pipelines.fill_mask import FillMaskPipeline
from ..pipelines.options import as_integer
from .masked_sentence import find_target, log_softmax, read_masked_sentence
from .tracing import trace


class LogitLens(NamedTuple):
    """What the head predicts at the mask after the embeddings (index 0) and after each of the L layers."""

    words: list[list[str]]  # L + 1 lists of K, most likely first
    word_probabilities: Array  # (L + 1, K) float64
    target: str
    ranks: Array  # (L + 1,) integer: the rank of the target, from 1
    probabilities: Array  # (L + 1,) float64: the probability of the target


def logit_lens(unmasker: FillMaskPipeline, text: str, target: str | None = None, *, top_k: int = 5) -> LogitLens:
    """Apply the head to every layer's hidden state at the mask.

    Args:
        target: the word to follow through the layers; the model's answer if None.
        top_k: the number of words per layer.

    Raises:
        PipelineException: the text has no mask or several, or is too long.
        ValueError: the target is not a single token, or `top_k` is below 1.
        TypeError: `top_k` is not an integer.
    """
    top_k = as_integer("top_k", top_k, smallest=1)
    sentence = read_masked_sentence(unmasker, text)
    hidden_states = trace(unmasker, text).hidden_states[:, sentence.mask]  # [L + 1, S, H] -> [L + 1, H]
    probabilities = np.exp(log_softmax(unmasker.model.logits(hidden_states)))  # [L + 1, V]
    best = np.argsort(-probabilities, axis=-1, kind="stable")[:, :top_k]  # [L + 1, K]
    token = int(best[-1, 0]) if target is None else find_target(unmasker, target)
    of_target = probabilities[:, token]
    return LogitLens(
        words=[[unmasker.tokenizer.decode([word]) for word in row] for row in best.tolist()],
        word_probabilities=np.take_along_axis(probabilities, best, axis=-1),
        target=unmasker.tokenizer.decode([token]),
        ranks=1 + (probabilities > of_target[:, None]).sum(axis=-1),
        probabilities=of_target,
    )
