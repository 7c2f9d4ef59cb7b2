"""Layer normalization (Ba, Kiros & Hinton 2016, "Layer Normalization", eq. 3 and 4)."""

from __future__ import annotations

from typing import Generic, NamedTuple

import numpy as np

from .kernels import blocks, in_blocks, row_of, squared_norms
from .params import Array, Leaf


class LayerNormWeights(NamedTuple, Generic[Leaf]):
    weight: Leaf  # [H], the gain
    bias: Leaf  # [H]


def layer_norm(inputs: Array, weights: LayerNormWeights[Array], eps: float) -> Array:
    """Give every row mean 0 and variance 1, then scale and shift it: (x - mean) / sqrt(var + eps) * weight + bias.

    The variance is the biased one (divided by H), and eps is inside the root.

    Shapes: inputs (..., H) -> (..., H), same dtype.
    """
    average = row_of(1 / inputs.shape[-1], like=inputs)  # [H]
    outputs = np.empty_like(inputs, order="C")

    def fill(x: Array, result: Array) -> None:
        np.subtract(x, (x @ average)[..., None], out=result)
        variance = squared_norms(result)[..., None] / x.shape[-1]
        result /= np.sqrt(variance + eps)
        result *= weights.weight
        result += weights.bias

    in_blocks(fill, inputs, outputs)
    return outputs


def layer_norm_backward(
    d_outputs: Array, inputs: Array, weights: LayerNormWeights[Array], eps: float
) -> tuple[Array, LayerNormWeights[Array]]:
    """Gradients of y = n w + b with n = (x - mean(x)) / s and s = sqrt(var(x) + eps).

    With g = dL/dy w, each row by itself, and means over its H entries (mean and variance depend on every entry):

        dL/dx = (g - mean(g) - n mean(g n)) / s        dL/dw = sum_rows dL/dy n        dL/db = sum_rows dL/dy

    Shapes: d_outputs and inputs (N, H) -> d_inputs (N, H), and the gradients of the weights.
    """
    average = row_of(1 / inputs.shape[-1], like=inputs)  # [H]
    d_inputs = np.empty_like(inputs)
    d_weight, d_bias = np.zeros_like(weights.weight), np.zeros_like(weights.bias)
    for d_block, x, result in blocks(d_outputs, inputs, d_inputs):
        normed = x - (x @ average)[..., None]
        scale = 1 / np.sqrt(squared_norms(normed)[..., None] / x.shape[-1] + eps)
        normed *= scale
        product = d_block * normed
        d_weight += product.sum(axis=0)
        d_bias += d_block.sum(axis=0)
        np.multiply(d_block, weights.weight, out=result)  # g
        product *= weights.weight
        normed *= (product @ average)[..., None]
        normed += (result @ average)[..., None]
        result -= normed
        result *= scale
    return d_inputs, LayerNormWeights(d_weight, d_bias)
