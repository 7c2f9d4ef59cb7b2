"""The affine map that every layer is made of."""

from __future__ import annotations

from typing import Generic, NamedTuple

from .tree import Array, Leaf


class LinearWeights(NamedTuple, Generic[Leaf]):
    weight: Leaf  # [out, in], as checkpoints store it
    bias: Leaf  # [out]


# A float32 sum loses digits with its length. NumPy 2.4's OpenBLAS on AVX-512 adds up to 384 terms one after another,
# torch's MKL half as many, so that our errors were 1.4 times torch's (scripts/parity_report.py measures them). Longer
# products are therefore made in slices, which costs a tenth of their time. Slices of 512 are as accurate as of 256,
# because OpenBLAS halves what is longer than 384.
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
    for start in range(terms, rows.shape[1], terms):
        part = slice(start, start + terms)
        outputs += rows[:, part] @ weights.weight[:, part].T  # [N, terms] @ [terms, out] -> [N, out]
    outputs += weights.bias
    return outputs.reshape(*inputs.shape[:-1], len(weights.bias))  # [N, out] -> [..., out]
