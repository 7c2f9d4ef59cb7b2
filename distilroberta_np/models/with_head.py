"""What the models with a head share: the encoder is run first, and the head on what it gives."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from ..config import RobertaConfig
from ..layers.params import Array
from ..layers.roberta import RobertaModelOutput
from ..runtime.batching import batches
from .base import PretrainedModel, check_finite
from .roberta import RobertaModel

Output = TypeVar("Output")


class ModelWithHead(PretrainedModel, Generic[Output]):
    """The encoder, as `roberta`, under a head."""

    def __init__(self, config: RobertaConfig, weights: Any) -> None:
        super().__init__(config, weights)
        self.roberta = RobertaModel(config, weights.roberta)

    @abstractmethod
    def _outputs(self, encoded: RobertaModelOutput) -> Output:
        """What the model returns, by what the encoder gave."""

    @abstractmethod
    def logits(self, hidden_states: Array) -> Array:
        """The head alone: final hidden states (..., H) -> logits (..., C), float32."""

    def encode(self, sequences: Sequence[Sequence[int]], positions: Sequence[Sequence[int]]) -> list[Array]:
        """Final hidden states at selected positions of each sequence: as `RobertaModel.encode`."""
        return self.roberta.encode(sequences, positions)

    def logits_at(self, sequences: Sequence[Sequence[int]], positions: Sequence[Sequence[int]]) -> list[Array]:
        """Logits at selected positions of sequences of any lengths, without padding, in batches that bound memory.

        Args:
            sequences, positions: as `RobertaModel.encode`.

        Returns:
            For each sequence, in order, its logits: float32 (Q, C).

        Raises:
            CheckpointError: the logits contain NaN or infinity.
        """
        order = sorted(range(len(sequences)), key=lambda index: len(sequences[index]))
        results: dict[int, Array] = {}
        for batch in batches([len(sequences[index]) for index in order]):
            indices = order[batch]
            hidden_states = self.encode([sequences[i] for i in indices], [positions[i] for i in indices])
            logits = check_finite(self.logits(np.concatenate(hidden_states)))  # [M, H] -> [M, C]
            ends = np.cumsum([len(rows) for rows in hidden_states])
            results |= zip(indices, np.split(logits, ends[:-1]), strict=True)
        return [results[index] for index in range(len(sequences))]

    def __call__(
        self,
        input_ids: Any,
        attention_mask: Any = None,
        *,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
    ) -> Output:
        """Run the encoder, and the head over all it gives: arguments and errors as `RobertaModel.__call__`."""
        return self._outputs(
            self.roberta(
                input_ids,
                attention_mask,
                output_hidden_states=output_hidden_states,
                output_attentions=output_attentions,
            )
        )
