"""Threads for work that BLAS would leave to a single core.

BLAS spreads a product over the cores, but everything between the products runs on one. So larger work is split into
shards, each thread takes whole shards, and BLAS uses only the calling thread meanwhile.
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

Shard = TypeVar("Shard")
Result = TypeVar("Result")

# The names of OpenBLAS's functions in NumPy's own wheels, and in system-wide builds.
_NAMES = ("scipy_openblas_{}64_", "scipy_openblas_{}", "openblas_{}64_", "openblas_{}")
# A little less than the largest threshold of glibc, 32 MB.
_LARGE_BLOCK_BYTES = 2**25 - 2**16
_lock = threading.Lock()
_users = 0  # of single-threaded BLAS
_before = 1  # threads of BLAS when the first user came


def worker_threads() -> int:
    """The number of threads for shards: as many as BLAS has, or 1 if that number can't be read and set."""
    blas = _openblas()
    if blas is None:
        return 1
    with _lock:
        return _before if _users else max(1, int(blas[0]()))


def map_in_threads(function: Callable[[Shard], Result], shards: Sequence[Shard]) -> list[Result]:
    """The results of a function for all shards, in order.

    A single shard is computed by the calling thread, and BLAS spreads its products. The first exception is raised, and
    shards that have not started are dropped.
    """
    _retain_freed_memory()
    threads = min(worker_threads(), len(shards))
    if threads <= 1:
        return [function(shard) for shard in shards]
    # NumPy's errstate is a context variable, which threads don't inherit.
    contexts = [contextvars.copy_context() for _ in shards]
    with _single_threaded_blas(), ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(context.run, function, shard) for context, shard in zip(contexts, shards, strict=True)]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _retain_freed_memory() -> None:
    """Make the C library retain the memory of freed arrays for the next ones.

    glibc returns memory to the system when a block larger than any freed before is freed, and the system fills it with
    zeros again, which takes a tenth of a forward pass over many sequences. Freeing a large array that is never written
    to, and so takes no memory, raises that limit (M_MMAP_THRESHOLD in mallopt(3)) to its size, 32 MB at most.
    """
    np.empty(_LARGE_BLOCK_BYTES, np.uint8)


@contextmanager
def _single_threaded_blas() -> Iterator[None]:
    """The number of BLAS threads is global: the first user sets it to 1, and the last one restores it."""
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
    """The functions that read and set the number of threads of OpenBLAS; None if NumPy uses another BLAS."""
    try:
        # The library that NumPy has already loaded, with the symbols of the libraries that it is linked to.
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
