"""The affine map that every layer is made of."""

from __future__ import annotations

from typing import Generic, NamedTuple

from .tree import Array, Leaf


class LinearWeights(NamedTuple, Generic[Leaf]):
    weight: Leaf  # [out, in], as checkpoints store it
    bias: Leaf  # [out]


def linear(inputs: Array, weights: LinearWeights[Array], terms: int = 512) -> Array:
    """inputs @ weight.T + bias.

    The product is made in slices of at most `terms` inputs, because a float32 sum loses digits with its length: NumPy
    2.4's OpenBLAS on AVX-512 adds up to 384 terms one after another, torch's MKL half as many, and whole products were
    1.4 times as far from float64 as torch's (scripts/parity_report.py). Slices of 512, which OpenBLAS halves by itself,
    take a tenth more time and bring that to 1.1; smaller ones where rounding weighs most, to 1.05.

    Shapes: inputs (..., in) -> (..., out), same dtype.
    """
    # One product over all rows: NumPy would otherwise make one product a text.
    rows = inputs.reshape(-1, inputs.shape[-1])  # [..., in] -> [N, in]
    if len(rows) == 1:
        terms = rows.shape[1]  # OpenBLAS adds up a single row in another way, as accurate without slices
    outputs = rows[:, :terms] @ weights.weight[:, :terms].T  # [N, slice] @ [slice, out] -> [N, out]
    for start in range(terms, rows.shape[1], terms):
        part = slice(start, start + terms)
        outputs += rows[:, part] @ weights.weight[:, part].T  # [N, slice] @ [slice, out] -> [N, out]
    outputs += weights.bias
    return outputs.reshape(*inputs.shape[:-1], len(weights.bias))  # [N, out] -> [..., out]
