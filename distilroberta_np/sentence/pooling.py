"""Pooling: one embedding for a text from the hidden states of its tokens (Reimers & Gurevych 2019, section 3).

For the final hidden states h_1 ... h_n of the pooled tokens, and the position p_i of each in its sequence, from 1:

    cls  h_1        lasttoken  h_n        max  max_i h_i, elementwise
    mean  sum_i h_i / n        mean_sqrt_len_tokens  sum_i h_i / sqrt(n)
    weightedmean  sum_i p_i h_i / sum_i p_i                 (Muennighoff 2022, "SGPT", equation 2)

Several modes are concatenated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..errors import ConfigError
from ..files import write_json
from ..layers.params import Array
from ..messages import shown
from .sentence_settings import read_object

POOLING_MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
# Old configs have a boolean for each mode, and concatenate them in this order.
_OLD_KEYS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
# Modes may be repeated, but a config must not make an embedding of any length.
_MAX_MODES = 16


@dataclass(frozen=True)
class Pooling:
    """A pooling layer. Raises ConfigError if there is no mode, an unknown one, or too many."""

    modes: tuple[str, ...] = ("mean",)  # of `POOLING_MODES`
    include_prompt: bool = True  # whether the tokens of a prompt are pooled too

    def __post_init__(self) -> None:
        if not 0 < len(self.modes) <= _MAX_MODES or not set(self.modes) <= set(POOLING_MODES):
            raise ConfigError(
                f"pooling_mode must be 1 to {_MAX_MODES} of {', '.join(POOLING_MODES)}, not {shown(self.modes)}"
            )

    def positions(self, length: int, skipped: int = 0) -> list[int]:
        """The positions of a sequence of `length` tokens whose hidden states are pooled, ascending. The first `skipped`
        tokens are not."""
        ends = {"cls": skipped, "lasttoken": length - 1}
        if all(mode in ends for mode in self.modes):
            return sorted({ends[mode] for mode in self.modes})
        return list(range(skipped, length))

    def __call__(self, hidden_states: Array, positions: Sequence[int]) -> Array:
        """Pool the hidden states at the `positions` of one sequence: (Q, H) -> (modes x H,), same dtype."""
        return np.concatenate([_pool(hidden_states, positions, mode) for mode in self.modes])

    @classmethod
    def load(cls, folder: Path, width: int) -> Self:
        """Read a folder's config.json, for hidden states of size `width`. Raises ConfigError."""
        path = folder / "config.json"
        values = read_object(path)
        stored_width = values.get("embedding_dimension", values.get("word_embedding_dimension"))
        if stored_width != width:
            raise ConfigError(f"{path}: the embedding dimension is {shown(stored_width)}, but the model's is {width}")
        modes = values.get("pooling_mode")
        if modes is None:
            modes = [mode for key, mode in _OLD_KEYS.items() if values.get(key)] or ["mean"]
        modes = [modes] if isinstance(modes, str) else modes
        include_prompt = values.get("include_prompt", True)
        if not isinstance(modes, list) or not all(isinstance(mode, str) for mode in modes[: _MAX_MODES + 1]):
            raise ConfigError(f"{path}: pooling_mode must be a name or a list of names, not {shown(modes)}")
        if not isinstance(include_prompt, bool):
            raise ConfigError(f"{path}: include_prompt must be true or false, not {shown(include_prompt)}")
        try:
            return cls(tuple(modes[: _MAX_MODES + 1]), include_prompt)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None

    def save(self, folder: Path, width: int) -> None:
        """Write config.json, as `load` and sentence-transformers read it."""
        modes = self.modes[0] if len(self.modes) == 1 else list(self.modes)
        # word_embedding_dimension: the key that all versions of sentence-transformers read.
        values = {"word_embedding_dimension": width, "pooling_mode": modes, "include_prompt": self.include_prompt}
        write_json(folder / "config.json", values)


def _pool(hidden_states: Array, positions: Sequence[int], mode: str) -> Any:
    if mode in ("cls", "lasttoken"):
        return hidden_states[0 if mode == "cls" else -1]
    if mode == "max":
        return hidden_states.max(axis=0)
    if mode == "weightedmean":
        weights = np.array(positions, hidden_states.dtype) + 1  # [Q]
        return weights / weights.sum() @ hidden_states  # [Q] @ [Q, H] -> [H]
    return hidden_states.sum(axis=0) / (len(hidden_states) if mode == "mean" else math.sqrt(len(hidden_states)))
