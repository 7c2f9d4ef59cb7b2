"""Layer normalisation (Ba, Kiros & Hinton 2016, "Layer Normalization", eq. 3 and 4)."""

from __future__ import annotations

from typing import Generic, NamedTuple

import numpy as np

from .tree import Array, Leaf


class LayerNormWeights(NamedTuple, Generic[Leaf]):
    weight: Leaf  # [H], the gain
    bias: Leaf  # [H]


def layer_norm(hidden_states: Array, weights: LayerNormWeights[Array], eps: float) -> Array:
    """Give every vector mean 0 and variance 1, then scale and shift it: (x - mean) / sqrt(var + eps) * weight + bias.

    The variance is the biased one (divided by H), and eps stands inside the root.

    Shapes: hidden_states (..., H) -> (..., H), same dtype.
    """
    centred: Array = hidden_states - hidden_states.mean(axis=-1, keepdims=True)  # [..., H]
    variance = np.square(centred).mean(axis=-1, keepdims=True)  # [..., 1]
    centred /= np.sqrt(variance + eps)
    centred *= weights.weight
    centred += weights.bias
    return centred
