"""`RobertaModel`: the encoder alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoint.keys import UNUSED_BY_ROBERTA, roberta_keys, stored_roberta_keys
from ..checkpoint.load import load_tree, open_checkpoint
from ..config import RobertaConfig
from ..layers.params import Array
from ..layers.roberta import RobertaModelOutput, RobertaWeights, roberta
from ..runtime.batching import cut, encode_at
from ..runtime.threads import map_in_threads
from .base import PretrainedModel


class RobertaModel(PretrainedModel):
    """The encoder: token ids in, a vector a token out. It loads checkpoints of the encoder alone, or with any head."""

    weights: RobertaWeights[Array]

    @staticmethod
    def _load(folder: Path, config: RobertaConfig) -> RobertaWeights[Array]:
        return load_roberta(folder, config)

    def _keys(self) -> Any:
        return roberta_keys(self.config, "", with_pooler=self.weights.pooler is not None)

    def __call__(
        self,
        input_ids: Any,
        attention_mask: Any = None,
        *,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
    ) -> RobertaModelOutput:
        """Run the encoder.

        Args:
            input_ids: integers (B, S), at most 512 of a text other than padding.
            attention_mask: integers or booleans (B, S), 1 for a token and 0 for padding. Without one, everything is
                seen, padding too.
            output_hidden_states: also return the embeddings and every layer's output.
            output_attentions: also return every layer's attention probabilities.

        Raises:
            TypeError: ids or mask are not integers.
            ValueError: wrong shapes, ids outside the vocabulary, a mask of other values, or a text too long.
        """
        input_ids, attention_mask = check_inputs(input_ids, attention_mask, self.config)

        def run(texts: slice) -> RobertaModelOutput:
            return roberta(
                input_ids[texts],
                attention_mask[texts],
                self.weights,
                self.config,
                keep_hidden_states=output_hidden_states,
                keep_attentions=output_attentions,
            )

        batch, sequence = input_ids.shape
        return _join(map_in_threads(run, cut([sequence] * batch)))

    def encode(self, sequences: Sequence[Sequence[int]], positions: Sequence[Sequence[int]]) -> list[Array]:
        """Final hidden states at selected positions of sequences of any lengths, without padding.

        The sequences are sorted by length, packed into micro-batches and computed in threads; the last layer computes
        the selected positions only.

        Args:
            sequences: the token ids of each sequence, special tokens included; none longer than the model reads.
            positions: at least one position in each sequence.

        Returns:
            For each sequence, in order, its hidden states: float32 (Q, H).
        """
        return encode_at(sequences, positions, self.weights, self.config)


def _join(outputs: list[RobertaModelOutput]) -> RobertaModelOutput:
    """One output for all texts from those for some texts each."""
    if len(outputs) == 1:
        return outputs[0]

    def joined(parts: tuple[Any, ...]) -> Any:
        if parts[0] is None:
            return None
        if isinstance(parts[0], tuple):  # an array a layer
            return tuple(np.concatenate(layer) for layer in zip(*parts, strict=True))
        return np.concatenate(parts)

    return RobertaModelOutput(*map(joined, zip(*outputs, strict=True)))


def check_inputs(input_ids: Any, attention_mask: Any, config: RobertaConfig) -> tuple[Array, Array]:
    """Ids and mask as (B, S) arrays that the model can compute; the mask all ones where none is given.

    An index out of range would otherwise wrap round or crash far inside, so everything is checked here, once.
    """
    input_ids = _as_array("input_ids", input_ids)
    if input_ids.ndim != 2:
        raise ValueError(f"input_ids must have the shape (batch, sequence), not {input_ids.shape}")
    if input_ids.size == 0:
        raise ValueError(f"input_ids are empty: their shape is {input_ids.shape}")
    if not np.issubdtype(input_ids.dtype, np.integer):
        raise TypeError(f"input_ids must be integers, not {input_ids.dtype}")
    lowest, highest = int(input_ids.min()), int(input_ids.max())
    if lowest < 0 or highest >= config.vocab_size:
        wrong = lowest if lowest < 0 else highest
        raise ValueError(f"input_ids hold {wrong}, outside the vocabulary of {config.vocab_size}")
    longest = int((input_ids != config.pad_token_id).sum(axis=1).max())
    if longest > config.max_sequence_length:
        raise ValueError(f"a text has {longest} tokens, and this model reads at most {config.max_sequence_length}")

    if attention_mask is None:
        return input_ids, np.ones_like(input_ids)
    attention_mask = _as_array("attention_mask", attention_mask)
    if attention_mask.shape != input_ids.shape:
        raise ValueError(
            f"attention_mask has the shape {attention_mask.shape}, input_ids {input_ids.shape}; they must be the same"
        )
    if attention_mask.dtype != bool and not np.issubdtype(attention_mask.dtype, np.integer):
        raise TypeError(f"attention_mask must be integers or booleans, not {attention_mask.dtype}")
    if not np.isin(attention_mask, (0, 1)).all():
        raise ValueError("attention_mask must hold only 1 (a token) and 0 (padding)")
    return input_ids, attention_mask


def _as_array(name: str, values: Any) -> Array:
    try:
        return np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} must have rows of one length; pad the shorter ones, as the tokenizer does") from None


def load_roberta(folder: Path, config: RobertaConfig) -> RobertaWeights[Array]:
    """The weights of the encoder, from a model with or without a head. Raises CheckpointError."""
    stored = open_checkpoint(folder)
    weights: RobertaWeights[Array] = load_tree(folder, stored, stored_roberta_keys(config, stored), UNUSED_BY_ROBERTA)
    return weights
