"""`ModelOutput`: what a model returns, by name, by index, or as a tuple."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ..layers.losses import cross_entropy
from ..layers.params import Array

_NO_LABEL = -100


class ModelOutput(Mapping[str, Any]):
    """Named arrays: `output.logits`, `output["logits"]`, and `output[0]` for the first that is not None.

    As in transformers, an output is a mapping of the names of those that are not None.
    """

    def __getitem__(self, key: str | int | slice) -> Any:
        return self._values()[key] if isinstance(key, str) else self.to_tuple()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values())

    def __len__(self) -> int:
        return len(self._values())

    def to_tuple(self) -> tuple[Any, ...]:
        """The values that are not None, in their order."""
        return tuple(self._values().values())

    def _values(self) -> dict[str, Any]:
        values = {each.name: getattr(self, each.name) for each in fields(self)}  # type: ignore[arg-type]
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, eq=False)
class LogitsOutput(ModelOutput):
    """The output of a model with one array of logits; all arrays float32."""

    loss: np.float32 | None  # if labels were given
    logits: Array  # the shape is that of the model
    hidden_states: tuple[Array, ...] | None  # as RobertaModelOutput
    attentions: tuple[Array, ...] | None


def mean_cross_entropy(logits: Array, labels: Any, name: str = "labels") -> np.float32:
    """The mean `cross_entropy` over what has a label; NaN, as in torch, if nothing has one.

    Args:
        logits: (..., C); unchanged.
        labels: (...) integers below C, or -100 for what has no label.
        name: of the labels, in errors.

    Raises:
        ValueError: labels of another shape or out of range.
        TypeError: labels that are not integers.
    """
    labels = check_labels(name, labels, logits.shape[:-1])
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"{name} must be integers, not {labels.dtype}")
    known = labels != _NO_LABEL
    wrong = labels[known & ((labels < 0) | (labels >= logits.shape[-1]))]
    if wrong.size:
        raise ValueError(f"{name} contain {wrong[0]}; they must be from 0 to {logits.shape[-1] - 1}, or {_NO_LABEL}")
    return np.float32(cross_entropy(logits[known], labels[known])[0] if known.any() else np.nan)


def check_labels(name: str, labels: Any, shape: tuple[int, ...]) -> Array:
    """Labels as an array of this shape. Raises ValueError for another one."""
    array: Array = np.asarray(labels)
    if array.shape != shape:
        raise ValueError(f"{name} must have the shape {shape}, not {array.shape}")
    return array
