"""`RobertaForMaskedLM`: the encoder with its language-model head."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..checkpoint.keys import masked_lm_keys
from ..checkpoint.load import load_masked_lm
from ..config import RobertaConfig
from ..layers.lm_head import lm_head
from ..layers.params import Array
from ..layers.roberta import MaskedLMWeights, RobertaModelOutput
from ..runtime.threads import map_in_threads
from .with_head import ModelWithHead

# Rows of logits that a thread makes at a time: 26 MB for 50,265 tokens.
_HEAD_ROWS = 128


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
            logits[part] = self.lm_head(rows[part])  # [N, H] -> [N, V]

        map_in_threads(fill, [slice(start, start + _HEAD_ROWS) for start in range(0, len(rows), _HEAD_ROWS)])
        return MaskedLMOutput(
            logits.reshape(batch, sequence, self.config.vocab_size), encoded.hidden_states, encoded.attentions
        )

    def lm_head(self, hidden_states: Array, vocabulary: slice = slice(None)) -> Array:
        """The head alone, for just the vectors whose words are asked for, and for a part of the vocabulary if need be:
        (..., H) -> logits (..., V)."""
        word_embeddings = self.weights.roberta.embeddings.word[vocabulary]  # [V, H], the same matrix in and out
        weights = self.weights.lm_head._replace(bias=self.weights.lm_head.bias[vocabulary])
        return lm_head(hidden_states, weights, word_embeddings, self.config.layer_norm_eps)
