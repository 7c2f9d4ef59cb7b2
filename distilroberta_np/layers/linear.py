"""The affine map that every layer is made of."""

from __future__ import annotations

from typing import Generic, NamedTuple

from .kernels import CHUNK, affine, affines, product
from .params import Array, Leaf


class LinearWeights(NamedTuple, Generic[Leaf]):
    weight: Leaf  # [out, in], as checkpoints store it
    bias: Leaf  # [out]


def linear(inputs: Array, weights: LinearWeights[Array], chunk: int = CHUNK) -> Array:
    """y = x W^T + b for every row x.

    Shapes: inputs (..., in) -> (..., out), same dtype. A smaller `chunk` rounds less (`kernels.affine`).
    """
    return affine(inputs, weights.weight, weights.bias, chunk)  # [..., in] @ [in, out] + [out] -> [..., out]


def linears(*maps: tuple[Array, LinearWeights[Array]]) -> list[Array]:
    """`linear` of several inputs and weights, which are computed together."""
    return affines([(inputs, weights.weight, weights.bias) for inputs, weights in maps])


def linear_backward(
    d_outputs: Array, inputs: Array, weights: LinearWeights[Array]
) -> tuple[Array, LinearWeights[Array]]:
    """Gradients of y = x W^T + b, row by row y_n = W x_n + b:

        dL/dx_n = W^T dL/dy_n        dL/dW = sum_n dL/dy_n x_n^T        dL/db = sum_n dL/dy_n

    Shapes: d_outputs (N, out), inputs (N, in) -> d_inputs (N, in), and the gradients of weight and bias.
    """
    d_inputs = product(d_outputs, weights.weight)  # [N, out] @ [out, in] -> [N, in]
    d_weight = product(d_outputs.T, inputs)  # [out, N] @ [N, in] -> [out, in]
    return d_inputs, LinearWeights(d_weight, d_outputs.sum(axis=0))
