"""Tensor names and shapes. A model describes its checkpoint as a tree like its weights, with a `Key` per tensor."""

from __future__ import annotations

from dataclasses import dataclass

from ..layers.layer_norm import LayerNormWeights
from ..layers.linear import LinearWeights


@dataclass(frozen=True)
class Key:
    """A tensor's name in the checkpoint, and the shape it must have there."""

    name: str
    shape: tuple[int, ...]


def linear_keys(name: str, outputs: int, inputs: int) -> LinearWeights[Key]:
    """The two tensors of an affine map."""
    return LinearWeights(Key(f"{name}.weight", (outputs, inputs)), Key(f"{name}.bias", (outputs,)))


def layer_norm_keys(name: str, width: int) -> LayerNormWeights[Key]:
    """The two tensors of a layer norm."""
    return LayerNormWeights(Key(f"{name}.weight", (width,)), Key(f"{name}.bias", (width,)))
