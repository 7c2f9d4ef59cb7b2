"""The affine map that every layer is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple

import numpy as np

from .kernels import spans
from .params import Array, Leaf

# Up to so many rows OpenBLAS is faster with the weights as the first matrix: 14 ms against 18 for the products of six
# layers over 8 rows, 15 against 23 over 16, 69 against 86 over 128; from some hundred on they are alike.
_FEW_ROWS = 128
# Products of so few multiplications OpenBLAS makes by another routine, which does not halve their sums.
_SMALL = 10**6

# Once in thousands of passes a product of OpenBLAS's raises the processor's flag for an invalid operation although
# every number in it is right, and NumPy would report that; so what is made of products is computed with this.
ignore_stray_flags = np.errstate(invalid="ignore")


class LinearWeights(NamedTuple, Generic[Leaf]):
    weight: Leaf  # [out, in], as checkpoints store it
    bias: Leaf  # [out]


def linear(
    inputs: Array,
    weights: LinearWeights[Array],
    terms: int = 512,
    then: Callable[[Array, Array], Array] | None = None,
) -> Array:
    """inputs @ weight.T + bias, and what is made of that element by element.

    The product is made in slices of at most `terms` inputs, because a float32 sum loses digits with its length: NumPy
    2.4's OpenBLAS on AVX-512 adds up to 384 terms one after another, torch's MKL half as many, and whole products were
    1.4 times as far from float64 as torch's (scripts/parity_report.py). Slices of 512, which OpenBLAS halves by itself,
    take a twentieth more time and bring that to 1.1; smaller ones where rounding weighs most, to 1.05.

    Args:
        inputs: (..., in).
        weights: of the map.
        terms: of a slice.
        then: an elementwise function of an array that writes to another, such as `gelu`. It is given the outputs
            block by block, while they are in the cache.

    Shapes: inputs (..., in) -> (..., out), same dtype. Two-dimensional results of few rows are in Fortran order.
    """
    # One product over all rows: NumPy would otherwise make one product a text.
    rows = inputs.reshape(-1, inputs.shape[-1])  # [..., in] -> [N, in]
    few = len(rows) <= _FEW_ROWS
    if len(rows) * len(weights.weight) * terms <= _SMALL:
        terms = min(terms, 256)
    if len(rows) == 1:
        terms = rows.shape[1]  # OpenBLAS adds up a single row in another way, as accurate without slices
    slices = [slice(start, start + terms) for start in range(0, rows.shape[1], terms)]
    outputs, *rest = [_product(rows[:, part], weights.weight[:, part], few) for part in slices]  # [N, out] or [out, N]
    bias = weights.bias[:, None] if few else weights.bias
    for span in spans(outputs):
        block = outputs[span]
        for product in rest:
            block += product[span]
        block += bias[span] if few else bias
        if then is not None:
            then(block, block)
    if few:
        outputs = outputs.T  # [out, N] -> [N, out]
    return outputs.reshape(*inputs.shape[:-1], len(weights.bias))  # [N, out] -> [..., out]


def _product(rows: Array, weight: Array, few: bool) -> Array:
    """Shapes: rows (N, in), weight (out, in) -> (N, out), or (out, N) for few rows."""
    if few:
        return weight @ rows.T  # [out, in] @ [in, N] -> [out, N]
    return rows @ weight.T  # [N, in] @ [in, out] -> [N, out]


def linear_backward(
    d_outputs: Array, inputs: Array, weights: LinearWeights[Array]
) -> tuple[Array, LinearWeights[Array]]:
    """Gradients of y = x W^T + b, row by row y_n = W x_n + b:

        dL/dx_n = W^T dL/dy_n        dL/dW = sum_n dL/dy_n x_n^T        dL/db = sum_n dL/dy_n

    Shapes: d_outputs (N, out), inputs (N, in) -> d_inputs (N, in), and the gradients of weight and bias.
    """
    d_inputs = d_outputs @ weights.weight  # [N, out] @ [out, in] -> [N, in]
    d_weight = d_outputs.T @ inputs  # [out, N] @ [N, in] -> [out, in]
    return d_inputs, LinearWeights(d_weight, d_outputs.sum(axis=0))
