"""Layer normalisation (Ba, Kiros & Hinton 2016, "Layer Normalization", eq. 3 and 4)."""

from __future__ import annotations

from typing import Generic, NamedTuple

import numpy as np

from .kernels import blocks
from .params import Array, Leaf


class LayerNormWeights(NamedTuple, Generic[Leaf]):
    weight: Leaf  # [H], the gain
    bias: Leaf  # [H]


def layer_norm(
    hidden_states: Array, weights: LayerNormWeights[Array], eps: float, residual: Array | None = None
) -> Array:
    """Give every vector mean 0 and variance 1, then scale and shift it: (x - mean) / sqrt(var + eps) * weight + bias.

    The variance is the biased one (divided by H), and eps stands inside the root. x is hidden_states, or its sum with
    a residual: the sum is made here, block by block, because it costs next to nothing while the block is in the cache.

    Shapes: hidden_states and residual (..., H) -> (..., H), same dtype, C-contiguous.
    """
    size = hidden_states.shape[-1]
    average = np.full_like(weights.weight, 1 / size)  # [H]; a product with it is the mean, five times as fast
    normed = np.empty_like(hidden_states, order="C")
    for x, result, added in blocks(hidden_states, normed, hidden_states if residual is None else residual):
        # In C order: means of rows in Fortran order, which `linear` gives of few rows, are less accurate.
        if residual is None:
            result[...] = x
        else:
            np.add(x, added, out=result)
        result -= (result @ average)[..., None]  # centred
        variance = _squared_norms(result)[..., None] / size
        result /= np.sqrt(variance + eps)
        result *= weights.weight
        result += weights.bias
    return normed


def layer_norm_backward(
    d_outputs: Array, inputs: Array, weights: LayerNormWeights[Array], eps: float
) -> tuple[Array, LayerNormWeights[Array]]:
    """Gradients of y = n w + b with n = (x - mean(x)) / s and s = sqrt(var(x) + eps).

    With g = dL/dy w, each row by itself, and means over its H entries (mean and variance depend on every entry):

        dL/dx = (g - mean(g) - n mean(g n)) / s        dL/dw = sum_rows dL/dy n        dL/db = sum_rows dL/dy

    Shapes: d_outputs and inputs (x, with the residual) (N, H) -> d_inputs (N, H), and the gradients of the weights.
    """
    size = inputs.shape[-1]
    average = np.full_like(weights.weight, 1 / size)  # [H]
    d_inputs = np.empty_like(inputs)
    d_weight, d_bias = np.zeros_like(weights.weight), np.zeros_like(weights.bias)
    for d_block, x, result in blocks(d_outputs, inputs, d_inputs):
        normed = x - (x @ average)[..., None]
        scale = 1 / np.sqrt(_squared_norms(normed)[..., None] / size + eps)
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


def _squared_norms(rows: Array) -> Array:
    """The sum of each row's squares. Shapes: (..., H) -> (...).

    NumPy's vecdot makes no array of the squares on the way; CuPy has none.
    """
    norms: Array = np.vecdot(rows, rows) if isinstance(rows, np.ndarray) else np.square(rows).sum(axis=-1)
    return norms
