"""The affine map that every layer is made of."""

from __future__ import annotations

from typing import Generic, NamedTuple

import numpy as np

from .layer_norm import Array, Leaf


class LinearWeights(NamedTuple, Generic[Leaf]):
    weight: Leaf  # [out, in], as checkpoints store it
    bias: Leaf  # [out]


# A float32 sum loses digits with its length. NumPy's OpenBLAS adds up to 384 terms one after another, torch's MKL half
# as many, so that our errors were 1.4 times torch's. A product over more terms is therefore made in slices, which costs
# a tenth of its time. Slices of 512 are as accurate as of 256, because OpenBLAS halves what is longer than 384.
_TERMS = 512


def linear(inputs: Array, weights: LinearWeights[Array], terms: int = _TERMS) -> Array:
    """inputs @ weight.T + bias, in products over at most `terms` inputs at a time.

    Shapes: inputs (..., in) -> (..., out), same dtype.
    """
    # One product over all rows: NumPy would otherwise make one product a text.
    rows = inputs.reshape(-1, inputs.shape[-1])  # [..., in] -> [N, in]
    if len(rows) == 1:
        terms = rows.shape[1]  # OpenBLAS adds up a single row in another way, as accurate without slices
    outputs = rows[:, :terms] @ weights.weight[:, :terms].T  # [N, terms] @ [terms, out] -> [N, out]
    partial = np.empty_like(outputs)
    for start in range(terms, rows.shape[1], terms):
        part = slice(start, start + terms)
        np.matmul(rows[:, part], weights.weight[:, part].T, out=partial)  # [N, terms] @ [terms, out] -> [N, out]
        outputs += partial
    outputs += weights.bias
    return outputs.reshape(*inputs.shape[:-1], -1)  # [N, out] -> [..., out]
