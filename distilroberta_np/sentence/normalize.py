"""Normalization of embeddings to unit length."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np

from ..files import write_json
from ..layers.params import Array
from .sentence_settings import read_module_config

# The smallest divisor, as in torch: a vector of zeros stays zeros.
_MIN_LENGTH = 1e-12


def normalize(embeddings: Array) -> Array:
    """Scale vectors to unit length: (..., D) -> (..., D), same dtype."""
    lengths = np.linalg.norm(embeddings, axis=-1, keepdims=True)
    result: Array = embeddings / np.maximum(lengths, _MIN_LENGTH)
    return result


class Normalize:
    """`normalize` as a module."""

    def __call__(self, embeddings: Array) -> Array:
        return normalize(embeddings)

    @classmethod
    def load(cls, folder: Path, width: int) -> Self:
        """Read a folder, which older versions do not write. Raises ConfigError."""
        if (folder / "config.json").exists():
            read_module_config(folder)
        return cls()

    def save(self, folder: Path) -> None:
        """Write config.json, which has no settings."""
        write_json(folder / "config.json", {})
