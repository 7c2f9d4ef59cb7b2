"""Work in blocks that stay in the processor's cache."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .params import Array

# Elements of a block: 256 KB in float32, so that a block and its temporaries fit the second-level cache of a core. A
# chain of ufuncs over 4096 x 3072 elements takes less than half the time so; smaller blocks pay for the calls instead.
BLOCK = 65_536


def spans(array: Array) -> Iterator[slice]:
    """Some rows of an array (N, ...) at a time, from the first to the last; a GPU's array is best taken whole."""
    length = len(array)
    rows = max(1, BLOCK * length // max(1, array.size) if isinstance(array, np.ndarray) else length)
    for start in range(0, length, rows):
        yield slice(start, start + rows)


def blocks(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """The same rows of several arrays, some at a time, as views.

    Shapes: each (..., C), all of the same leading axes -> (..., C) of fewer rows. Contiguous arrays are cut anywhere,
    others along the first axis.
    """
    if arrays[0].size <= BLOCK or not isinstance(arrays[0], np.ndarray):  # a GPU's array is best taken whole
        yield arrays
        return
    if all(array.flags.c_contiguous for array in arrays):
        arrays = tuple(array.reshape(-1, array.shape[-1]) for array in arrays)
    for span in spans(arrays[0]):
        yield tuple(array[span] for array in arrays)
