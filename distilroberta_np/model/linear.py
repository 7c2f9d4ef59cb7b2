"""The affine map that every layer is made of."""

from __future__ import annotations

from typing import Generic, NamedTuple

from .layer_norm import Array, Leaf


class LinearWeights(NamedTuple, Generic[Leaf]):
    weight: Leaf  # [out, in], as checkpoints store it
    bias: Leaf  # [out]


def linear(inputs: Array, weights: LinearWeights[Array]) -> Array:
    """inputs @ weight.T + bias.

    Shapes: inputs (..., in) -> (..., out), same dtype.
    """
    # One product over all rows: NumPy would otherwise make one product a text.
    rows = inputs.reshape(-1, inputs.shape[-1])  # [..., in] -> [N, in]
    outputs = rows @ weights.weight.T  # [N, in] @ [in, out] -> [N, out]
    outputs += weights.bias
    return outputs.reshape(*inputs.shape[:-1], -1)  # [N, out] -> [..., out]
