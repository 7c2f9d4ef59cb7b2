"""What all models share: loading, saving, and what can be asked of their weights."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np

from ..checkpoint.load import open_checkpoint
from ..checkpoint.safetensors_file import MappedFile, StoredTensor, write_safetensors
from ..checkpoint.shards import WEIGHTS_FILE
from ..config import RobertaConfig
from ..errors import CheckpointError
from ..files import atomic_write, write_json
from ..harmless import LOADING, OnTheCPU, check_harmless
from ..layers.params import Array, tree_leaves
from ..pretrained import CONFIG, WEIGHTS, Pretrained

Weights = TypeVar("Weights", bound=tuple[Any, ...])
Model = TypeVar("Model", bound="PretrainedModel[Any]")

# Every model by the name of its class, which is how a config.json names its architecture.
MODELS: dict[str, type[PretrainedModel[Any]]] = {}


def register(model: type[Model]) -> type[Model]:
    """Add a model to `MODELS`."""
    MODELS[model.__name__] = model
    return model


class PretrainedModel(OnTheCPU, Pretrained, ABC, Generic[Weights]):
    """A config, and weights of the shapes that it says.

    The weights are a tree of float32 arrays (`from_pretrained` loads and checks them).
    """

    PARTS = (CONFIG, WEIGHTS)
    # How the names of the head's tensors begin in a checkpoint ("lm_head"); empty for the encoder alone.
    head: ClassVar[str] = ""

    _files: Collection[MappedFile] = ()

    def __init__(self, config: RobertaConfig, weights: Weights) -> None:
        self.config = config
        self.weights = weights

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, config: RobertaConfig, stored: dict[str, StoredTensor]) -> Weights:
        """The weights, from the tensors of a folder. Raises CheckpointError if they belong to another kind of model."""

    @abstractmethod
    def _keys(self) -> Weights:
        """The names of the weights in a checkpoint: a tree like the weights, with a `Key` per array."""

    @classmethod
    def from_folder(
        cls, folder: Path, *, memory_map: bool = True, config: RobertaConfig | None = None, **options: Any
    ) -> Self:
        """Read config.json and the weights of a folder.

        Args:
            memory_map: map float32 weights from their file, which takes no time and no memory of its own. Every call
                then checks that the file has not changed. False reads the weights into memory instead.
            config: instead of the folder's own.
            options: `id2label`, `label2id`, `num_labels` and `problem_type`, instead of those of config.json; and
                arguments of transformers that change nothing here, such as torch_dtype="auto".

        Raises:
            ConfigError: its config.json can't be used.
            CheckpointError: its weights can't be used, or belong to another kind of model.
            ValueError: an option that would change something.
        """
        if config is None:
            config = RobertaConfig.from_folder(folder, **options)
        else:
            check_harmless(LOADING, options)
        stored = open_checkpoint(folder, memory_map)
        model = cls(config, cls.load(folder, config, stored))
        model.watch({tensor.file for tensor in stored.values() if tensor.dtype == "F32"})
        return model

    def watch(self, files: Collection[MappedFile]) -> None:
        """Have every call check that these files, from which weights are mapped, have not changed."""
        self._files = files

    def save_pretrained(self, folder: str | os.PathLike[str], *, dtype: str = "float32") -> None:
        """Write config.json and model.safetensors atomically, as this package and transformers load them.

        The tokenizer has its own `save_pretrained`.

        Args:
            folder: created if it does not exist.
            dtype: "float32" or "float16", of the stored weights.

        Raises ValueError: another dtype.
        """
        if dtype not in ("float32", "float16"):
            raise ValueError(f"dtype must be float32 or float16, not {dtype!r}")
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        config = replace(self.config, architectures=(type(self).__name__,))
        tensors = {name: array.astype(dtype, copy=False) for name, array in self.state_dict().items()}
        with atomic_write(path / WEIGHTS_FILE) as file:
            write_safetensors(file, tensors, {"format": "pt"})
            write_json(path / "config.json", config.to_dict() | {"dtype": dtype})

    def state_dict(self) -> dict[str, Array]:
        """The weights by their names in a checkpoint. The arrays are the model's own, not copies."""
        names = (key.name for key in tree_leaves(self._keys()))
        return dict(zip(names, tree_leaves(self.weights), strict=True))

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """The dtype of the computation, float32."""
        return np.dtype(np.float32)

    def num_parameters(self) -> int:
        """The number of weights, tied ones counted once."""
        return sum(array.size for array in tree_leaves(self.weights))

    def __repr__(self) -> str:
        config = self.config
        return (
            f"{type(self).__name__}({config.num_hidden_layers} layers, hidden_size {config.hidden_size}, "
            f"{config.num_attention_heads} heads, vocab_size {config.vocab_size:,}; "
            f"{self.num_parameters():,} parameters)"
        )


def check_finite(values: Array, name: str = "logits") -> Array:
    """The values as they are. Raises CheckpointError if one of them is NaN or infinite."""
    if not np.isfinite(values).all():
        raise CheckpointError(f"the {name} contain NaN or infinity; the checkpoint is probably corrupt")
    return values
