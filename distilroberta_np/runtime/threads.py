"""Several threads where BLAS would leave cores idle.

A BLAS spreads a product over the cores, and everything between the products runs on one. So where there is enough work
it is cut into pieces, each thread takes whole pieces, and BLAS keeps to the thread that calls it meanwhile.
"""

from __future__ import annotations

import contextvars
import ctypes
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

Piece = TypeVar("Piece")
Result = TypeVar("Result")

# OpenBLAS's functions under the names that they have in NumPy's own wheels, and in builds for a whole system.
_NAMES = ("scipy_openblas_{}64_", "scipy_openblas_{}", "openblas_{}64_", "openblas_{}")
# A little less than the 32 MB that glibc goes up to.
_KEPT_BYTES = 2**25 - 2**16
_lock = threading.Lock()
_users = 0  # of BLAS on a single thread
_before = 1  # BLAS's threads when the first of them came


def worker_threads() -> int:
    """How many threads there are for pieces: as many as BLAS has; 1 where that can't be read and set."""
    blas = _openblas()
    if blas is None:
        return 1
    with _lock:
        return _before if _users else max(1, int(blas[0]()))


def map_in_threads(function: Callable[[Piece], Result], pieces: Sequence[Piece]) -> list[Result]:
    """The function's results of all pieces, in order. The first exception is raised, and pieces not begun are dropped.

    A single piece is computed by the calling thread, and BLAS spreads its products.
    """
    _keep_freed_memory()
    threads = min(worker_threads(), len(pieces))
    if threads <= 1:
        return [function(piece) for piece in pieces]
    # NumPy's errstate is a context variable, which threads don't inherit.
    contexts = [contextvars.copy_context() for _ in pieces]
    with _single_threaded_blas(), ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(context.run, function, piece) for context, piece in zip(contexts, pieces, strict=True)]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _keep_freed_memory() -> None:
    """Have the C library keep the memory of arrays that are let go, for the next ones.

    glibc gives memory back to the system when a block larger than any freed before comes free, and the system fills it
    with zeros anew: a tenth of a pass over many texts. A large array that is never written to, so takes no memory, and
    is let go raises that limit (M_MMAP_THRESHOLD in mallopt(3)) to its size, 32 MB at most.
    """
    np.empty(_KEPT_BYTES, np.uint8)


@contextmanager
def _single_threaded_blas() -> Iterator[None]:
    """BLAS's number of threads is the process's: it is set when the first comes, and set back when the last leaves."""
    global _users, _before
    blas = _openblas()
    assert blas is not None
    get, set_to = blas
    with _lock:
        if _users == 0:
            _before = max(1, int(get()))
            set_to(1)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                set_to(_before)


@functools.cache
def _openblas() -> tuple[Callable[[], int], Callable[[int], Any]] | None:
    """The functions that read and set the number of threads of NumPy's OpenBLAS; None with another BLAS."""
    try:
        # The library that NumPy has loaded already: its symbols, and those of what it is linked to.
        library = ctypes.CDLL(np._core._multiarray_umath.__file__)  # type: ignore[attr-defined]
    except (AttributeError, OSError):
        return None
    for name in _NAMES:
        try:
            get = library[name.format("get_num_threads")]
            set_to = library[name.format("set_num_threads")]
        except AttributeError:
            continue
        set_to.argtypes, set_to.restype = [ctypes.c_int], None
        return get, set_to
    return None
