"""Masked language modelling: logits over the vocabulary at every position."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Generic, NamedTuple, TypeVar

import numpy as np

from ..checkpoint.keys import Key, layer_norm_keys, linear_keys
from ..checkpoint.safetensors_file import StoredTensor
from ..config import RobertaConfig
from ..errors import CheckpointError
from ..layers.activation import gelu, gelu_backward
from ..layers.dropout import Dropout
from ..layers.kernels import FINE_CHUNK, even_slices, ignore_spurious_flags, to_device_of
from ..layers.layer_norm import LayerNormWeights, layer_norm, layer_norm_backward
from ..layers.linear import LinearWeights, linear, linear_backward
from ..layers.losses import cross_entropy
from ..layers.params import Array, Leaf
from ..runtime.batching import threads_for
from ..runtime.threads import map_in_threads
from .base import check_finite, register
from .inputs import select_targets
from .outputs import LogitsOutput
from .roberta import ModelWithHead, RobertaWeights, roberta_gradients, roberta_keys

# Rows of logits that a thread computes at a time: 26 MB for 50,265 tokens.
_HEAD_ROWS = 128
# Rows of logits per thread that `map_logits` holds at a time: 13 MB.
MAPPED_ROWS = 64

Result = TypeVar("Result")


class LMHeadWeights(NamedTuple, Generic[Leaf]):
    dense: LinearWeights[Leaf]  # [H, H]
    layer_norm: LayerNormWeights[Leaf]
    bias: Leaf  # [V]


class MaskedLMWeights(NamedTuple, Generic[Leaf]):
    roberta: RobertaWeights[Leaf]
    lm_head: LMHeadWeights[Leaf]


class LMHeadCache(NamedTuple):
    """Activations saved for the backward pass; (N, H) each."""

    hidden_states: Array
    dense: Array  # before the GELU
    active: Array  # after it
    transformed: Array  # after the norm


def masked_lm_keys(config: RobertaConfig) -> MaskedLMWeights[Key]:
    """The tensor names of the model. The output matrix is the word embeddings', so it has no name of its own."""
    hidden = config.hidden_size
    head = LMHeadWeights(
        dense=linear_keys("lm_head.dense", hidden, hidden),
        layer_norm=layer_norm_keys("lm_head.layer_norm", hidden),
        bias=Key("lm_head.bias", (config.vocab_size,)),
    )
    return MaskedLMWeights(roberta_keys(config), head)


def lm_head(
    hidden_states: Array, weights: LMHeadWeights[Array], word_embeddings: Array, eps: float
) -> tuple[Array, LMHeadCache]:
    """Dense, GELU, layer norm, then the product with every word embedding, plus a bias per word.

    The output matrix is the word embedding matrix again (Press & Wolf 2017, "Using the Output Embedding"), so the
    logit of a word is how well the transformed hidden state agrees with the word's own embedding.

    Over all positions this product costs as much as five encoder layers of distilroberta-base: give it only the
    hidden states of selected positions.

    Shapes: hidden_states (..., H), word_embeddings (V, H) -> logits (..., V).
    """
    dense = linear(hidden_states, weights.dense, FINE_CHUNK)  # small, and its rounding affects every logit
    active = gelu(dense)
    transformed = layer_norm(active, weights.layer_norm, eps)  # [..., H]
    logits = linear(transformed, LinearWeights(word_embeddings, weights.bias))  # [..., H] @ [H, V] -> [..., V]
    return logits, LMHeadCache(hidden_states, dense, active, transformed)


def lm_head_backward(
    d_logits: Array, cache: LMHeadCache, weights: LMHeadWeights[Array], word_embeddings: Array, eps: float
) -> tuple[Array, LMHeadWeights[Array], Array]:
    """Back through the four steps. The output matrix is the word embeddings, so its gradient is a part of theirs.

    Shapes: d_logits (N, V) -> d_hidden_states (N, H), the gradients of the weights, d_word_embeddings (V, H).
    """
    output = LinearWeights(word_embeddings, weights.bias)
    d_transformed, d_output = linear_backward(d_logits, cache.transformed, output)
    d_active, d_layer_norm = layer_norm_backward(d_transformed, cache.active, weights.layer_norm, eps)
    d_dense = gelu_backward(d_active, cache.dense, out=d_active)
    d_hidden_states, d_dense_weights = linear_backward(d_dense, cache.hidden_states, weights.dense)
    return d_hidden_states, LMHeadWeights(d_dense_weights, d_layer_norm, d_output.bias), d_output.weight


def masked_lm_gradients(
    groups: Sequence[Array],
    labels: Sequence[Array],
    weights: MaskedLMWeights[Array],
    config: RobertaConfig,
    dropout: Dropout | None = None,
    count: int | None = None,
) -> tuple[float, MaskedLMWeights[Array]]:
    """The loss of a batch, the `cross_entropy` over the masked positions, and its gradients.

    Args:
        groups: the masked ids of the sequences of each length, (B, S) integer without padding; on the host, as the
            labels, wherever the weights are.
        labels: of each group (B, S): the original token at the masked positions, and -100 elsewhere.
        count: the number of labels of the whole batch, if this is a part of it.

    Returns the loss, and its gradients as a tree like the weights.
    """
    word, eps, targets = weights.roberta.embeddings.word, config.layer_norm_eps, select_targets(labels)

    def head(hidden_states: Array) -> tuple[float, Array, tuple[LMHeadWeights[Array], Array]]:
        rows = to_device_of(hidden_states, targets.rows)
        logits, cache = lm_head(hidden_states[rows], weights.lm_head, word, eps)  # [T, H] -> [T, V]
        loss, d_logits = cross_entropy(logits, targets.labels, count)
        d_selected, d_head, d_word = lm_head_backward(d_logits, cache, weights.lm_head, word, eps)  # [T, H]
        d_hidden_states = np.zeros_like(hidden_states)
        d_hidden_states[rows] = d_selected  # [M, H]
        return loss, d_hidden_states, (d_head, d_word)

    loss, d_roberta, (d_head, d_word) = roberta_gradients(
        groups, targets.positions, weights.roberta, config, dropout, head
    )
    d_roberta.embeddings.word[...] += d_word  # tied: looked up at the bottom, multiplied with at the top
    return loss, MaskedLMWeights(d_roberta, d_head)


class MaskedLMOutput(LogitsOutput):
    """The output of `RobertaForMaskedLM`: logits (B, S, V)."""


@register
class RobertaForMaskedLM(ModelWithHead[MaskedLMWeights[Array], MaskedLMOutput]):
    """The encoder with its language-model head: logits over the vocabulary at every position."""

    head, head_name, keys = "lm_head", "masked-language-model", masked_lm_keys
    gradients, output = masked_lm_gradients, MaskedLMOutput
    ignored = ("roberta.pooler.dense.", "lm_head.decoder.")
    # The output matrix is tied to the word embeddings, so either of the two may be stored.
    aliases: ClassVar[dict[str, str]] = {
        "roberta.embeddings.word_embeddings.weight": "lm_head.decoder.weight",
        "lm_head.bias": "lm_head.decoder.bias",
    }

    @classmethod
    def _check(
        cls, folder: Path, config: RobertaConfig, stored: dict[str, StoredTensor], weights: MaskedLMWeights[Array]
    ) -> None:
        # Copies of the tied matrix and of its bias may be stored too. If they differ, the head isn't tied.
        ties = {"lm_head.decoder.weight": weights.roberta.embeddings.word, "lm_head.decoder.bias": weights.lm_head.bias}
        for name, tied in ties.items():
            if name not in stored and not config.tie_word_embeddings:
                raise CheckpointError(f"{folder}: {name} is missing, but config.json says that it is not tied")
            if name in stored and not np.array_equal(stored[name].to_float32(), tied):
                raise CheckpointError(
                    f"{folder}: {name} differs from the word embeddings or lm_head.bias, to which it is tied; "
                    "an untied output matrix is not supported"
                )

    def logits(self, hidden_states: Array, vocabulary: slice = slice(None)) -> Array:
        """The head alone, over a part of the vocabulary if given: (..., H) -> logits (..., V), float32."""
        word_embeddings = self.weights.roberta.embeddings.word[vocabulary]  # [V, H], the same matrix in and out
        weights = self.weights.lm_head._replace(bias=self.weights.lm_head.bias[vocabulary])
        with ignore_spurious_flags():
            return lm_head(hidden_states, weights, word_embeddings, self.config.layer_norm_eps)[0]

    def map_logits(
        self,
        function: Callable[[Array], Result],
        sequences: Sequence[Sequence[int]],
        positions: Sequence[Sequence[int]],
    ) -> Iterator[Result]:
        """A function's results for the logits at selected positions, some rows at a time, in threads.

        The head is applied to the selected positions only: over all of them it would cost more than the encoder.

        Args:
            function: takes logits (N, V) float32, which it may overwrite, of any number of rows.
            sequences, positions: as `encode`. The rows are the positions, sequence after sequence.

        Yields:
            The results, in the order of the rows.

        Raises CheckpointError: the logits contain NaN or infinity.
        """
        hidden_states = np.concatenate(self.encode(sequences, positions))  # [M, H]
        threads = threads_for(sum(map(len, sequences)))
        # Each thread takes a part of the vocabulary, so that the word embeddings are read once.
        parts = even_slices(self.config.vocab_size, threads)
        for start in range(0, len(hidden_states), threads * MAPPED_ROWS):
            rows = hidden_states[start : start + threads * MAPPED_ROWS]
            logits = np.empty((len(rows), self.config.vocab_size), np.float32)  # [N, V]

            def fill(part: slice, rows: Array = rows, logits: Array = logits) -> None:
                logits[:, part] = self.logits(rows, part)

            map_in_threads(fill, parts)
            blocks = np.array_split(logits, min(threads, len(rows)))
            yield from map_in_threads(lambda block: function(check_finite(block)), blocks)

    def _all_logits(self, hidden_states: Array) -> Array:
        rows = hidden_states.reshape(-1, hidden_states.shape[-1])  # [B, S, H] -> [N, H]
        logits = np.empty((len(rows), self.config.vocab_size), np.float32)

        def fill(part: slice) -> None:
            logits[part] = self.logits(rows[part])  # [N, H] -> [N, V]

        map_in_threads(fill, [slice(start, start + _HEAD_ROWS) for start in range(0, len(rows), _HEAD_ROWS)])
        return logits.reshape(*hidden_states.shape[:2], -1)
