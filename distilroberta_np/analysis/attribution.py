"""Attribution: how much each token of a sentence contributes to the answer, by the gradients of the model."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..layers.attention import SequenceGroup
from ..layers.embeddings import position_ids
from ..layers.encoder import Caches, encoder, encoder_backward
from ..layers.kernels import ignore_spurious_flags
from ..layers.layer_norm import layer_norm, layer_norm_backward
from ..layers.params import Array
from ..models import RobertaForMaskedLM
from ..models.masked_lm import lm_head, lm_head_backward
from ..pipelines.fill_mask import FillMaskPipeline
from ..pipelines.options import as_integer
from ..runtime.batching import batches
from .masked_sentence import find_target, log_softmax, read_masked_sentence


class Attribution(NamedTuple):
    """Contributions of the tokens to the log-probability (natural) of the target."""

    tokens: tuple[str, ...]
    target: str
    log_probability: float  # of the sentence
    baseline_log_probability: float  # of the baseline
    gradient_times_input: Array  # (token,) float64
    integrated_gradients: Array  # (token,) float64

    @property
    def completeness_error(self) -> float:
        """The sum of the integrated gradients minus what it must be: the difference of the two log-probabilities."""
        difference = self.log_probability - self.baseline_log_probability
        return float(self.integrated_gradients.sum()) - difference


def attribute(unmasker: FillMaskPipeline, text: str, target: str | None = None, *, steps: int = 32) -> Attribution:
    """Attribute the log-probability of a word to the word embeddings of the tokens.

    Gradient times input is the first-order effect of each embedding (Shrikumar et al. 2017, "Learning Important
    Features Through Propagating Activation Differences", section 2). Integrated gradients (Sundararajan et al. 2017,
    "Axiomatic Attribution for Deep Networks", equation 1) average the gradient along the straight path from a
    baseline, times the distance. They are complete: they sum to the difference between sentence and baseline, up to
    the error of the numerical integral, which `completeness_error` shows.

    The baseline is the same sentence with every token masked but `<s>` and `</s>`. Tokens that it shares with the
    sentence get no integrated gradient.

    Args:
        target: the word whose log-probability is attributed; the model's answer if None.
        steps: the number of points of the integral (Gauss-Legendre quadrature).

    Raises:
        PipelineException: the text has no mask or several, or is too long.
        TypeError: `steps` is not an integer.
        ValueError: the target is not a single token, or `steps` is below 1.
    """
    steps = as_integer("steps", steps, smallest=1)
    sentence, model, tokenizer = read_masked_sentence(unmasker, text), unmasker.model, unmasker.tokenizer
    ends = (tokenizer.bos_token_id, tokenizer.eos_token_id)
    table, ids = model.weights.roberta.embeddings, np.array(sentence.ids)
    baseline_ids = np.array([token if token in ends else tokenizer.mask_token_id for token in sentence.ids])
    position = table.position[position_ids(ids[None], model.config.pad_token_id)[0]]  # [S, H]
    rest = position + table.token_type[0]  # [S, H], the same along the whole path
    if target is None:
        token = int(model.logits_at([sentence.ids], [[sentence.mask]])[0].argmax())
    else:
        token = find_target(unmasker, target)

    # The points of the integral over [0, 1], then both ends of the path.
    points, weights = np.polynomial.legendre.leggauss(steps)
    alphas = np.array([*(points + 1) / 2, 0, 1], np.float32)
    baseline, word = table.word[baseline_ids], table.word[ids]  # [S, H] each
    log_probabilities, gradients = [], []
    for batch in batches([len(ids)] * len(alphas)):
        path = baseline + alphas[batch, None, None] * (word - baseline)  # [B, S, H]
        values, d_path = _gradients(model, path + rest, sentence.mask, token)
        log_probabilities += values.tolist()
        gradients.append(d_path)
    d_word = np.concatenate(gradients).astype(np.float64)  # [steps + 2, S, H]
    average = np.tensordot(weights / 2, d_word[:steps], axes=1)  # [S, H]
    return Attribution(
        tokens=sentence.tokens,
        target=tokenizer.decode([token]),
        log_probability=log_probabilities[-1],
        baseline_log_probability=log_probabilities[-2],
        gradient_times_input=(d_word[-1] * word).sum(axis=-1),  # [S, H] -> [S]
        integrated_gradients=(average * (word - baseline)).sum(axis=-1),
    )


def _gradients(model: RobertaForMaskedLM, summed: Array, mask: int, token: int) -> tuple[Array, Array]:
    """The log-probability of a token at the mask, and its gradient with respect to the sum of the embeddings.

    Shapes: summed (B, S, H) -> (B,) float64 and (B, S, H).
    """
    (batch, tokens, hidden), weights, config = summed.shape, model.weights, model.config
    rows = summed.reshape(-1, hidden)  # [B, S, H] -> [N, H]
    groups, selected = [SequenceGroup(batch, tokens, queries=1)], np.arange(batch) * tokens + mask
    layers, heads, eps = weights.roberta.layers, config.num_attention_heads, config.layer_norm_eps
    norm, words, caches = weights.roberta.embeddings.layer_norm, weights.roberta.embeddings.word, Caches()
    with ignore_spurious_flags():
        final = encoder(layer_norm(rows, norm, eps), groups, selected, layers, heads, eps, caches=caches)  # [B, H]
        logits, cache = lm_head(final, weights.lm_head, words, eps)  # [B, V]
        log_probabilities = log_softmax(logits)
        # Of log p_t = z_t - log sum exp z, the gradient is 1[i = t] - p_i.
        d_logits = -np.exp(log_probabilities).astype(np.float32)
        d_logits[:, token] += 1
        d_final, _, _ = lm_head_backward(d_logits, cache, weights.lm_head, words, eps)
        d_normed, _ = encoder_backward(d_final, caches, groups, selected, layers, heads, eps)  # [N, H]
        d_summed, _ = layer_norm_backward(d_normed, rows, norm, eps)
    return log_probabilities[:, token], d_summed.reshape(summed.shape)
