"""The head of sequence classification: from the vector of `<s>` to a score for every label."""

from __future__ import annotations

from typing import Generic, NamedTuple

import numpy as np

from .dropout import Dropout, dropped
from .linear import LinearWeights, ignore_stray_flags, linear, linear_backward
from .params import Array, Leaf


class ClassificationHeadWeights(NamedTuple, Generic[Leaf]):
    dense: LinearWeights[Leaf]  # [H, H]
    output: LinearWeights[Leaf]  # [C, H], a row a label


@ignore_stray_flags
def classification_head(vectors: Array, weights: ClassificationHeadWeights[Array]) -> Array:
    """tanh of an affine map, and an affine map of that. (To classify tokens or find answers, `linear` alone serves.)

    Shapes: vectors (B, H), of the first token of each text -> logits (B, C).
    """
    return linear(np.tanh(linear(vectors, weights.dense)), weights.output)


class ClassificationHeadKept(NamedTuple):
    """What the backward pass needs of the forward pass; (B, H) each."""

    factors: Array | None  # of dropout on the vectors
    inputs: Array  # the vectors after it
    active: Array  # after the tanh
    active_factors: Array | None  # of dropout on that
    outputs: Array  # what the last map takes


@ignore_stray_flags
def classification_head_forward(
    vectors: Array, weights: ClassificationHeadWeights[Array], dropout: Dropout
) -> tuple[Array, ClassificationHeadKept]:
    """`classification_head` with dropout before each map, keeping what backward needs."""
    factors = dropout.factors(vectors)
    inputs = dropped(vectors, factors)
    active = np.tanh(linear(inputs, weights.dense))
    active_factors = dropout.factors(active)
    outputs = dropped(active, active_factors)
    logits = linear(outputs, weights.output)
    logits = np.ascontiguousarray(logits, like=logits)
    return logits, ClassificationHeadKept(factors, inputs, active, active_factors, outputs)


@ignore_stray_flags
def classification_head_backward(
    d_logits: Array, kept: ClassificationHeadKept, weights: ClassificationHeadWeights[Array]
) -> tuple[Array, ClassificationHeadWeights[Array]]:
    """Back through the two maps; y = tanh(x) has dL/dx = dL/dy (1 - y^2).

    Shapes: d_logits (B, C) -> d_vectors (B, H), and the gradients of the weights.
    """
    d_outputs, d_output = linear_backward(d_logits, kept.outputs, weights.output)
    d_dense_outputs = dropped(d_outputs, kept.active_factors) * (1 - np.square(kept.active))
    d_inputs, d_dense = linear_backward(d_dense_outputs, kept.inputs, weights.dense)
    return dropped(d_inputs, kept.factors), ClassificationHeadWeights(d_dense, d_output)
