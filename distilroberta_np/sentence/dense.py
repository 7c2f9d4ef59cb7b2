"""A dense layer after pooling."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from ..checkpoint.load import open_checkpoint
from ..checkpoint.safetensors_file import write_safetensors
from ..checkpoint.shards import WEIGHTS_FILE
from ..errors import CheckpointError, ConfigError
from ..files import atomic_write, write_json
from ..layers.kernels import ignore_spurious_flags
from ..layers.linear import LinearWeights, linear
from ..layers.params import Array
from ..messages import shown
from .sentence_settings import read_module_config
from .torch_functions import Activation, function_by_name, name_of_function


@dataclass(frozen=True)
class Dense:
    """y = f(x W^T + b), with shapes (N, H) -> (N, D)."""

    weights: LinearWeights[Array]
    activation: Activation

    @property
    def out_features(self) -> int:
        """The size D of the embeddings that it returns."""
        return len(self.weights.weight)

    def __call__(self, embeddings: Array) -> Array:
        with ignore_spurious_flags():
            return self.activation(linear(embeddings, self.weights))

    @classmethod
    def load(cls, folder: Path, width: int) -> Self:
        """Read a folder's config.json and weights, for embeddings of size `width`. Raises ConfigError, and
        CheckpointError if the weights cannot be read or have another shape."""
        path = folder / "config.json"
        values = read_module_config(folder)
        if values.get("use_residual"):
            raise ConfigError(f"{path}: use_residual is not supported")
        if values.get("in_features") != width:
            raise ConfigError(f"{path}: in_features is {shown(values.get('in_features'))}, but the input has {width}")
        try:
            activation = function_by_name(values.get("activation_function", "torch.nn.Tanh")) or np.tanh
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None
        outputs = values.get("out_features")
        shapes = {"linear.weight": (outputs, width)} | ({"linear.bias": (outputs,)} if values.get("bias", True) else {})
        stored = open_checkpoint(folder)
        found = {name: tensor.shape for name, tensor in stored.items()}
        if found != shapes:
            raise CheckpointError(f"{folder}: the weights are {shown(found)}, but must be {shapes} by config.json")
        weight = stored["linear.weight"].to_float32()
        bias = stored["linear.bias"].to_float32() if "linear.bias" in stored else np.zeros(len(weight), np.float32)
        return cls(LinearWeights(weight, bias), activation)

    def save(self, folder: Path) -> None:
        """Write config.json and the weights, as `load` and sentence-transformers read them. Raises ValueError if the
        activation function has no name in torch."""
        weight, bias = self.weights
        values = {"in_features": weight.shape[1], "out_features": self.out_features, "bias": True}
        values["activation_function"] = name_of_function(self.activation)
        write_json(folder / "config.json", values)
        with atomic_write(folder / WEIGHTS_FILE) as file:
            write_safetensors(file, {"linear.weight": weight, "linear.bias": bias}, {})
