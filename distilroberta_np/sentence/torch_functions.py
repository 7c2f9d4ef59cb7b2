"""Activation functions by the names of torch's classes, as configs of sentence-transformers store them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..layers.activation import gelu, sigmoid, softmax
from ..layers.params import Array
from ..messages import shown, warn

Activation = Callable[[Array], Array]


def identity(x: Array) -> Array:
    return x


# Softmax is over the labels, as torch's is for the shape (N, C).
_FUNCTIONS: dict[str, Activation] = {
    "torch.nn.modules.linear.Identity": identity,
    "torch.nn.modules.activation.Sigmoid": sigmoid,
    "torch.nn.modules.activation.Softmax": softmax,
    "torch.nn.modules.activation.Tanh": np.tanh,
    "torch.nn.modules.activation.ReLU": lambda x: np.maximum(x, 0),
    "torch.nn.modules.activation.GELU": gelu,
}
_BY_CLASS = {name.rpartition(".")[2]: function for name, function in _FUNCTIONS.items()}


def function_by_name(name: Any) -> Activation | None:
    """The function of a torch class such as "torch.nn.modules.activation.Sigmoid". Nothing is imported or run.

    A class of another package gives None, with a warning: sentence-transformers then uses a default too. Raises
    ConfigError if a class of torch is not supported.
    """
    package, _, class_name = str(name).rpartition(".")
    if isinstance(name, str) and package and not package.startswith("torch."):
        warn(f"the activation {shown(name)} is not a class of torch; using the default instead")
        return None
    if class_name not in _BY_CLASS:
        raise ConfigError(f"the activation {shown(name)} is not supported, only {', '.join(_BY_CLASS)}")
    return _BY_CLASS[class_name]


def as_function(name: str, value: Any) -> Activation:
    """Check a function of an array. A module of torch, such as `torch.nn.Sigmoid()`, becomes the function of its class.
    Raises TypeError, and ConfigError if the class of torch is not supported."""
    if not callable(value):
        raise TypeError(f"{name} must be a function of an array, not {value!r:.80}")
    kind = type(value)
    module = function_by_name(f"{kind.__module__}.{kind.__name__}") if kind.__module__.startswith("torch.") else None
    return value if module is None else module


def name_of_function(function: Activation) -> str:
    """The name of the torch class of a function. Raises ValueError if it has none."""
    names = [name for name, known in _FUNCTIONS.items() if known is function]
    if not names:
        raise ValueError(f"{function!r:.80} cannot be saved: only {', '.join(_BY_CLASS)} have a name in a config")
    return names[0]
