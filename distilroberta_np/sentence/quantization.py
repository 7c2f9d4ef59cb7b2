"""Embeddings of lower precision, as sentence-transformers stores them."""

from __future__ import annotations

import numpy as np

from ..layers.params import Array

PRECISIONS = ("float32", "int8", "uint8", "binary", "ubinary")


def quantize(embeddings: Array, precision: str) -> Array:
    """Convert float32 embeddings (N, D), or one (D,), to another precision.

    int8 and uint8 divide the range of each dimension over all embeddings into 256 steps: (N, D). binary and ubinary
    pack the signs of 8 dimensions into a byte, which is int8 less 128 or uint8: (N, ceil(D / 8)). Raises ValueError:
    int8 or uint8 for a single embedding, which has no range.
    """
    if precision == "float32":
        return embeddings
    if precision in ("binary", "ubinary"):
        packed = np.packbits(embeddings > 0, axis=-1)
        return packed if precision == "ubinary" else (packed ^ np.uint8(128)).view(np.int8)
    if embeddings.size == 0:
        return embeddings.astype(precision)
    if embeddings.ndim == 1 or len(embeddings) == 1:
        raise ValueError(f"{precision} needs the range of several embeddings, but there is only one")
    lowest, highest = embeddings.min(axis=0), embeddings.max(axis=0)
    steps = (highest - lowest) / 255
    levels = np.clip(np.floor((embeddings - lowest) / np.where(steps == 0, 1, steps)), 0, 255)
    result: Array = levels.astype(np.uint8) if precision == "uint8" else (levels - 128).astype(np.int8)
    return result
