"""`RobertaModel` and `RobertaForMaskedLM`: the model under the names that users know, loaded and called."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np

from .checkpoint.load import load_masked_lm, load_roberta
from .config import RobertaConfig
from .hub import resolve_model
from .model.lm_head import lm_head
from .model.roberta import MaskedLMWeights, RobertaModelOutput, RobertaWeights, roberta
from .model.tree import Array
from .packing import cut
from .threads import map_in_threads

# Rows of logits that a thread makes at a time: 26 MB for 50,265 tokens.
_HEAD_ROWS = 128


class MaskedLMOutput(NamedTuple):
    """What `RobertaForMaskedLM` returns; all arrays float32."""

    logits: Array  # (B, S, V)
    hidden_states: tuple[Array, ...] | None  # as RobertaModelOutput
    attentions: tuple[Array, ...] | None


class RobertaModel:
    """The encoder: token ids in, a vector a token out.

    Args:
        config: the shape of the model.
        weights: its float32 arrays, shaped as `config` says (`from_pretrained` loads and checks them).
    """

    def __init__(self, config: RobertaConfig, weights: RobertaWeights[Array]) -> None:
        self.config = config
        self.weights = weights

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | os.PathLike[str],
        *,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
    ) -> RobertaModel:
        """Load a folder, or a model of the hub by its name. A name is looked up in the cache first.

        Args:
            name_or_path: a folder with config.json and model.safetensors, or a name such as "distilroberta-base".
            revision: branch, tag or commit of the hub's repository; distilroberta-base has its own pinned one.
            cache_dir: the hub's cache, where it isn't the usual one.
            local_files_only: never connect; use what is already on this machine.

        Raises:
            HubError: the model can't be found or fetched.
            ConfigError: its config.json can't be used.
            CheckpointError: its weights can't be used.
        """
        folder = resolve_model(name_or_path, revision=revision, cache_dir=cache_dir, local_files_only=local_files_only)
        config = RobertaConfig.from_file(folder / "config.json")
        return cls(config, load_roberta(folder, config))

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


class RobertaForMaskedLM:
    """The encoder with its language-model head: a score for every word of the vocabulary at every place.

    Args:
        config: the shape of the model.
        weights: its float32 arrays, shaped as `config` says (`from_pretrained` loads and checks them).
    """

    def __init__(self, config: RobertaConfig, weights: MaskedLMWeights[Array]) -> None:
        self.config = config
        self.weights = weights
        self.roberta = RobertaModel(config, weights.roberta)

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | os.PathLike[str],
        *,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
    ) -> RobertaForMaskedLM:
        """Load a folder, or a model of the hub by its name: arguments and errors as `RobertaModel.from_pretrained`."""
        folder = resolve_model(name_or_path, revision=revision, cache_dir=cache_dir, local_files_only=local_files_only)
        config = RobertaConfig.from_file(folder / "config.json")
        return cls(config, load_masked_lm(folder, config))

    def __call__(
        self,
        input_ids: Any,
        attention_mask: Any = None,
        *,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
    ) -> MaskedLMOutput:
        """Run the encoder and the head over all positions: arguments and errors as `RobertaModel.__call__`."""
        outputs = self.roberta(
            input_ids,
            attention_mask,
            output_hidden_states=output_hidden_states,
            output_attentions=output_attentions,
        )
        batch, sequence, hidden = outputs.last_hidden_state.shape
        logits = np.empty((batch * sequence, self.config.vocab_size), np.float32)
        rows = outputs.last_hidden_state.reshape(-1, hidden)  # [B, S, H] -> [N, H]

        def fill(part: slice) -> None:
            logits[part] = self.lm_head(rows[part])  # [N, H] -> [N, V]

        map_in_threads(fill, [slice(start, start + _HEAD_ROWS) for start in range(0, len(rows), _HEAD_ROWS)])
        return MaskedLMOutput(
            logits.reshape(batch, sequence, self.config.vocab_size), outputs.hidden_states, outputs.attentions
        )

    def lm_head(self, hidden_states: Array, vocabulary: slice = slice(None)) -> Array:
        """The head alone, for just the vectors whose words are asked for, and for a part of the vocabulary if need be:
        (..., H) -> logits (..., V)."""
        word_embeddings = self.weights.roberta.embeddings.word[vocabulary]  # [V, H], the same matrix in and out
        weights = self.weights.lm_head._replace(bias=self.weights.lm_head.bias[vocabulary])
        return lm_head(hidden_states, weights, word_embeddings, self.config.layer_norm_eps)


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
