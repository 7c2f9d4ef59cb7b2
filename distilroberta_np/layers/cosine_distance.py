"""The loss of directions: the angle between a student's vectors and its teacher's."""

from __future__ import annotations

import numpy as np

from .kernels import blocks
from .params import Array

_EPS = 1e-12  # on each squared length, as in torch's CosineEmbeddingLoss


def cosine_distance(vectors: Array, teacher_vectors: Array, count: int | None = None) -> tuple[float, Array]:
    """The mean over the rows of 1 - cos(x, y), and its gradient (Sanh et al. 2019, section 3, "cosine embedding loss").

        cos = x.y / (|x| |y|)        L = 1/N sum_n (1 - cos_n)        dL/dx = -1/N (y / (|x| |y|) - cos x / |x|^2)

    as d(x.y)/dx = y and d(1 / |x|)/dx = -x / |x|^3.

    Args:
        vectors: x, (N, H).
        teacher_vectors: y, (N, H); they are given, and have no gradient.
        count: what to divide by, where these are only some of the rows of a batch; N if None.

    Returns:
        The loss, as torch's `CosineEmbeddingLoss` gives it for a target of 1, and d_vectors (N, H).
    """
    count = len(vectors) if count is None else count
    ones = np.ones_like(vectors, shape=vectors.shape[-1])
    d_vectors = np.empty_like(vectors)
    loss = 0.0
    for x, y, result in blocks(vectors, teacher_vectors, d_vectors):
        squared, other = (((block * block) @ ones)[:, None] + _EPS for block in (x, y))  # |x|^2 and |y|^2
        lengths = np.sqrt(squared * other)
        cosine = ((x * y) @ ones)[:, None] / lengths
        loss += float((1 - cosine).sum(dtype=np.float64))
        np.multiply(x, cosine / squared, out=result)
        result -= y / lengths
        result *= 1 / count
    return loss / count, d_vectors
