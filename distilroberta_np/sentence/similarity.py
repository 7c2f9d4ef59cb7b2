"""How similar vectors are.

The four measures of sentence-transformers, the greater the more similar:

    cosine  a.b / (|a| |b|)        dot  a.b        euclidean  -|a - b|        manhattan  -sum_i |a_i - b_i|
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..layers.params import Array

SIMILARITY_FUNCTIONS = ("cosine", "dot", "euclidean", "manhattan")
# The least length that a vector is divided by, as in torch: that of zeros alone stays zeros.
_SHORTEST = 1e-12
_ORDERS = {"euclidean": 2, "manhattan": 1}


def similarity(embeddings1: Any, embeddings2: Any, function: str = "cosine") -> Array:
    """The similarity of all vectors to all others: (N, H) and (M, H) -> (N, M) float32. One vector (H,) is a row.

    Raises:
        ValueError: an unknown function, or other shapes.
    """
    _check_function(function)
    first, second = (np.atleast_2d(vectors) for vectors in _as_vectors(embeddings1, embeddings2))
    result: Array
    if function in _ORDERS:
        # By differences, one row at a time: the shorter way over |a|^2 - 2 a.b + |b|^2 loses what is close.
        result = np.empty((len(first), len(second)), np.float32)
        for row, vector in zip(result, first, strict=True):
            np.negative(np.linalg.norm(second - vector, ord=_ORDERS[function], axis=1), out=row)
        return result
    if function == "cosine":
        first, second = normalize(first), normalize(second)
    result = first @ second.T  # [N, H] @ [H, M] -> [N, M]
    return result


def similarity_pairwise(embeddings1: Any, embeddings2: Any, function: str = "cosine") -> Array:
    """The similarity of each vector to the one in the same place: (N, H) and (N, H) -> (N,) float32.

    Raises:
        ValueError: an unknown function, or other shapes.
    """
    _check_function(function)
    first, second = _as_vectors(embeddings1, embeddings2)
    if first.shape != second.shape and first.ndim == second.ndim:
        raise ValueError(f"there are {len(first)} embeddings and {len(second)}; pairs need as many of both")
    result: Array
    if function in _ORDERS:
        result = -np.linalg.norm(first - second, ord=_ORDERS[function], axis=-1)
        return result
    if function == "cosine":
        first, second = normalize(first), normalize(second)
    result = (first * second).sum(axis=-1)
    return result


def normalize(vectors: Array) -> Array:
    """Vectors of length 1 in the same directions. Shapes: (..., H) -> the same, same dtype."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    result: Array = vectors / np.maximum(lengths, _SHORTEST)
    return result


def _as_vectors(embeddings1: Any, embeddings2: Any) -> tuple[Array, Array]:
    first, second = (np.asarray(embeddings, np.float32) for embeddings in (embeddings1, embeddings2))
    for vectors in (first, second):
        if vectors.ndim not in (1, 2):
            raise ValueError(f"embeddings must have the shape (N, H) or (H,), not {vectors.shape}")
    if first.shape[-1] != second.shape[-1]:
        raise ValueError(
            f"embeddings of {first.shape[-1]} and of {second.shape[-1]} numbers can't be compared; they come of two "
            "models, or one is truncated"
        )
    return first, second


def _check_function(function: str) -> None:
    if function not in SIMILARITY_FUNCTIONS:
        raise ValueError(f"similarity_fn_name must be one of {', '.join(SIMILARITY_FUNCTIONS)}, not {function!r}")
