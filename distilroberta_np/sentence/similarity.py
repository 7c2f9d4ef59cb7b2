"""Similarity of embeddings: the four measures of sentence-transformers. More similar embeddings have larger values.

cosine  a.b / (|a| |b|)        dot  a.b        euclidean  -|a - b|        manhattan  -sum_i |a_i - b_i|
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..layers.params import Array
from .normalize import normalize

SIMILARITY_FUNCTIONS = ("cosine", "dot", "euclidean", "manhattan")
_NORMS = {"euclidean": 2, "manhattan": 1}


def similarity(embeddings1: ArrayLike, embeddings2: ArrayLike, function: str = "cosine") -> Array:
    """The similarity of every embedding to every other: (N, D) and (M, D) -> (N, M) float32. One embedding (D,) is a
    row. Raises ValueError: an unknown function, or other shapes."""
    first, second = map(np.atleast_2d, _check(embeddings1, embeddings2, function))
    result: Array
    if function in _NORMS:
        # Row by row from the differences: |a|^2 - 2 a.b + |b|^2 is faster, but inaccurate for close embeddings.
        result = np.empty((len(first), len(second)), np.float32)
        for row, embedding in zip(result, first, strict=True):
            np.negative(np.linalg.norm(second - embedding, ord=_NORMS[function], axis=1), out=row)
        return result
    result = first @ second.T  # [N, D] @ [D, M] -> [N, M]
    return result


def similarity_pairwise(embeddings1: ArrayLike, embeddings2: ArrayLike, function: str = "cosine") -> Array:
    """The similarity of each embedding to the one with the same index: (N, D) and (N, D) -> (N,) float32. Raises
    ValueError: an unknown function, or other shapes."""
    first, second = _check(embeddings1, embeddings2, function)
    if first.shape != second.shape and first.ndim == second.ndim:
        raise ValueError(f"there are {len(first)} and {len(second)} embeddings; pairs need the same number of both")
    if function in _NORMS:
        return -np.linalg.norm(first - second, ord=_NORMS[function], axis=-1)  # type: ignore[no-any-return]
    return (first * second).sum(axis=-1)  # type: ignore[no-any-return]


def _check(embeddings1: ArrayLike, embeddings2: ArrayLike, function: str) -> tuple[Array, Array]:
    """Both as float32 arrays of matching widths, with unit length for the cosine. Raises ValueError."""
    if function not in SIMILARITY_FUNCTIONS:
        raise ValueError(f"similarity_fn_name must be one of {', '.join(SIMILARITY_FUNCTIONS)}, not {function!r}")
    first, second = (np.asarray(embeddings, np.float32) for embeddings in (embeddings1, embeddings2))
    for embeddings in (first, second):
        if embeddings.ndim not in (1, 2):
            raise ValueError(f"embeddings must have the shape (N, D) or (D,), not {embeddings.shape}")
    if first.shape[-1] != second.shape[-1]:
        raise ValueError(
            f"embeddings of size {first.shape[-1]} and {second.shape[-1]} cannot be compared; they are from different "
            "models, or one is truncated"
        )
    return (normalize(first), normalize(second)) if function == "cosine" else (first, second)
