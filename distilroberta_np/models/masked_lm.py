"""`RobertaForMaskedLM`: the encoder with its language-model head."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ..checkpoint.keys import UNUSED_BY_MASKED_LM, masked_lm_keys
from ..checkpoint.load import load_tree, open_checkpoint, require_head
from ..config import RobertaConfig
from ..errors import CheckpointError
from ..layers.lm_head import lm_head
from ..layers.params import Array
from ..layers.roberta import MaskedLMWeights, RobertaModelOutput
from ..runtime.batching import threads_for
from ..runtime.threads import map_in_threads
from .base import check_finite
from .with_head import ModelWithHead

# Rows of logits that a thread makes at a time: 26 MB for 50,265 tokens.
_HEAD_ROWS = 128
# Rows of logits per thread that `map_logits` holds at a time: 13 MB.
_MAPPED_ROWS = 64

Result = TypeVar("Result")


class MaskedLMOutput(NamedTuple):
    """What `RobertaForMaskedLM` returns; all arrays float32."""

    logits: Array  # (B, S, V)
    hidden_states: tuple[Array, ...] | None  # as RobertaModelOutput
    attentions: tuple[Array, ...] | None


class RobertaForMaskedLM(ModelWithHead[MaskedLMOutput]):
    """The encoder with its language-model head: a score for every word of the vocabulary at every place."""

    weights: MaskedLMWeights[Array]

    @staticmethod
    def _load(folder: Path, config: RobertaConfig) -> MaskedLMWeights[Array]:
        return load_masked_lm(folder, config)

    def _keys(self) -> Any:
        return masked_lm_keys(self.config)

    def _outputs(self, encoded: RobertaModelOutput) -> MaskedLMOutput:
        batch, sequence, hidden = encoded.last_hidden_state.shape
        logits = np.empty((batch * sequence, self.config.vocab_size), np.float32)
        rows = encoded.last_hidden_state.reshape(-1, hidden)  # [B, S, H] -> [N, H]

        def fill(part: slice) -> None:
            logits[part] = self.logits(rows[part])  # [N, H] -> [N, V]

        map_in_threads(fill, [slice(start, start + _HEAD_ROWS) for start in range(0, len(rows), _HEAD_ROWS)])
        return MaskedLMOutput(
            logits.reshape(batch, sequence, self.config.vocab_size), encoded.hidden_states, encoded.attentions
        )

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

        Raises:
            CheckpointError: the logits contain NaN or infinity.
        """
        hidden_states = np.concatenate(self.encode(sequences, positions))  # [M, H]
        threads = threads_for(sum(map(len, sequences)))
        # Each thread takes a part of the vocabulary, so that the word embeddings are read once.
        borders = [self.config.vocab_size * number // threads for number in range(threads + 1)]
        for start in range(0, len(hidden_states), threads * _MAPPED_ROWS):
            rows = hidden_states[start : start + threads * _MAPPED_ROWS]
            logits = np.empty((len(rows), self.config.vocab_size), np.float32)  # [N, V]

            def fill(part: slice, rows: Array = rows, logits: Array = logits) -> None:
                logits[:, part] = self.logits(rows, part)

            map_in_threads(fill, [slice(*pair) for pair in pairwise(borders)])
            blocks = np.array_split(logits, min(threads, len(rows)))
            yield from map_in_threads(lambda block: function(check_finite(block)), blocks)

    def logits(self, hidden_states: Array, vocabulary: slice = slice(None)) -> Array:
        """The head alone, over a part of the vocabulary if given: (..., H) -> logits (..., V), float32."""
        word_embeddings = self.weights.roberta.embeddings.word[vocabulary]  # [V, H], the same matrix in and out
        weights = self.weights.lm_head._replace(bias=self.weights.lm_head.bias[vocabulary])
        return lm_head(hidden_states, weights, word_embeddings, self.config.layer_norm_eps)


def load_masked_lm(folder: Path, config: RobertaConfig) -> MaskedLMWeights[Array]:
    """The weights of the encoder and of the masked-language-model head. Raises CheckpointError."""
    stored = open_checkpoint(folder)
    require_head(folder, stored, "lm_head.", "masked-language-model")
    weights: MaskedLMWeights[Array] = load_tree(folder, stored, masked_lm_keys(config), UNUSED_BY_MASKED_LM)
    # Copies of the tied matrix and of its bias may be stored too. If they aren't copies, the head isn't tied.
    ties = {"lm_head.decoder.weight": weights.roberta.embeddings.word, "lm_head.decoder.bias": weights.lm_head.bias}
    for name, tied in ties.items():
        if name in stored and not np.array_equal(stored[name].to_float32(), tied):
            raise CheckpointError(
                f"{folder}: {name} differs from the word embeddings or lm_head.bias, to which it is tied; "
                "an untied output matrix is not supported"
            )
    return weights
