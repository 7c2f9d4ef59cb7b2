"""What every model can do: be loaded from a folder or the hub, and saved to a folder."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..checkpoint.save import save_model
from ..config import RobertaConfig
from ..errors import CheckpointError
from ..hub import resolve_model
from ..layers.params import Array


class PretrainedModel(ABC):
    """A config, and weights shaped as it says.

    Args:
        config: the shape of the model.
        weights: its float32 arrays, as a tree of `model/roberta.py` (`from_pretrained` loads and checks them).
    """

    def __init__(self, config: RobertaConfig, weights: Any) -> None:
        self.config = config
        self.weights = weights

    @staticmethod
    @abstractmethod
    def _load(folder: Path, config: RobertaConfig) -> Any:
        """The weights in a folder. Raises CheckpointError."""

    @abstractmethod
    def _keys(self) -> Any:
        """The names of the weights in a checkpoint, as a tree alike."""

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | os.PathLike[str],
        *,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
    ) -> Self:
        """Load a folder, or a model of the hub by its name. A name is looked up in the cache first.

        Args:
            name_or_path: a folder with config.json and model.safetensors, or a name such as "distilroberta-base".
            revision: branch, tag or commit of the hub's repository; distilroberta-base has its own pinned one.
            cache_dir: the hub's cache, where it isn't the usual one.
            local_files_only: never connect; use what is already on this machine.

        Raises:
            HubError: the model can't be found or fetched.
            ConfigError: its config.json can't be used.
            CheckpointError: its weights can't be used, or are another kind of model's.
        """
        folder = resolve_model(name_or_path, revision=revision, cache_dir=cache_dir, local_files_only=local_files_only)
        config = RobertaConfig.from_file(folder / "config.json")
        return cls(config, cls._load(folder, config))

    def save_pretrained(self, folder: str | os.PathLike[str], *, dtype: str = "float32") -> None:
        """Write config.json and model.safetensors, as this package and transformers load them.

        The tokenizer has a `save_pretrained` of its own.

        Args:
            folder: made if it isn't there.
            dtype: "float32" or "float16", to store the weights in.
        """
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        config = replace(self.config, architectures=(type(self).__name__,))
        save_model(path, config, self._keys(), self.weights, dtype)


def check_finite(logits: Array) -> Array:
    """The logits as they are. Raises CheckpointError if one of them is NaN or infinite."""
    if not np.isfinite(logits).all():
        raise CheckpointError("the logits contain NaN or infinity; the checkpoint is probably corrupt")
    return logits
