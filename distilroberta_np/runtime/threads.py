"""Threads that share out the work of a computation, while OpenBLAS uses only the thread that calls it.

OpenBLAS's own threads divide each product into equal parts and wait for each other, and for more work, in loops that
occupy a core. On a busy machine they wait for cores that others have, which took up to 15 times as long as one thread.
So OpenBLAS is held to one thread during a computation. The threads here sleep until there is work, and take small
shards of it one after another: a thread that gets little time takes few.

Interrupts, signal handlers and forks come at any moment. So each step below can be cut off, or made twice.
"""

from __future__ import annotations

import contextvars
import ctypes
import functools
import itertools
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np

Shard = TypeVar("Shard")
Result = TypeVar("Result")

# The names of OpenBLAS's functions in NumPy's own wheels, and in system-wide builds.
_NAMES = ("scipy_openblas_{}64_", "scipy_openblas_{}", "openblas_{}64_", "openblas_{}")
# A little less than the largest threshold of glibc, 32 MB.
_LARGE_BLOCK_BYTES = 2**25 - 2**16
# Seconds that a computation waits at most while there are more of them than cores.
_LONGEST_WAIT = 1.0
_lock = threading.RLock()  # re-entrant, as a signal handler may compute while its thread holds the lock
_an_end = threading.Condition(_lock)  # of a computation
_computations: set[object] = set()  # that need BLAS on one thread
_usual: int | None = None  # the number of threads of BLAS, to be restored after the last computation
_jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()  # what the helpers do
_helpers = 0  # threads that wait for jobs; they are never ended
# Whether the code that runs belongs to a computation, and whether it may be shared out to helpers.
_computing = contextvars.ContextVar("computing", default=False)
_divisible = contextvars.ContextVar("divisible", default=False)


def worker_threads() -> int:
    """The number of threads for shards: as many as BLAS has, or 1 if that number can't be read and set."""
    blas = _openblas()
    if blas is None:
        return 1
    with _lock:
        return _usual or max(1, int(blas[0]()))


def available_threads() -> int:
    """The number of threads that share out the work of the calling code now, itself included.

    Computations of several threads at once share the cores between them. Outside of `map_in_threads`, and in its shards
    if there are several, it is 1.
    """
    return max(1, (_usual or 1) // max(1, len(_computations))) if _divisible.get() else 1


def map_in_threads(function: Callable[[Shard], Result], shards: Sequence[Shard]) -> list[Result]:
    """The results of a function for all shards, in order.

    The calling thread computes, too. Where only one thread is available, or there is only one shard, it computes
    everything. The function of a single shard may call `map_in_threads` again to share out its products.
    The first exception is raised when the shards that have started are finished; the others are dropped.
    """
    if _computing.get():
        return _share_out(function, shards)
    _retain_freed_memory()
    computation = object()
    try:
        try:
            _hold_blas(computation)
            return contextvars.copy_context().run(_compute, function, shards)
        finally:
            _release_blas(computation)
    finally:
        _release_blas(computation)  # again, as an interrupt may have cut off the first


def _compute(function: Callable[[Shard], Result], shards: Sequence[Shard]) -> list[Result]:
    """A computation, in a context of its own."""
    _computing.set(True)
    _divisible.set(True)
    return _share_out(function, shards)


def _share_out(function: Callable[[Shard], Result], shards: Sequence[Shard]) -> list[Result]:
    threads = min(available_threads(), len(shards))
    if threads <= 1:
        return [function(shard) for shard in shards]
    results: list[Any] = [None] * len(shards)
    errors: list[BaseException] = []
    numbers = itertools.count()

    def work() -> None:
        _divisible.set(False)
        try:
            while not errors and (index := next(numbers)) < len(shards):
                results[index] = function(shards[index])
        except BaseException as error:
            errors.append(error)

    # A helper holds its lock while it works. One that has not started when the shards are used up is not waited for.
    at_work = [threading.Lock() for _ in range(threads - 1)]
    core = _current_core()
    try:
        _start_helpers(threads - 1)
        for lock in at_work:
            # Contexts carry NumPy's errstate, which threads don't inherit.
            _jobs.put(functools.partial(contextvars.copy_context().run, _locked, lock, work, core))
        contextvars.copy_context().run(work)
        _wait_for(at_work)
    except BaseException as interrupt:
        errors.append(interrupt)
        _wait_for(at_work)
        raise
    if errors:
        raise min(errors, key=lambda error: isinstance(error, Exception))  # an interrupt before all others
    return results


def _locked(lock: threading.Lock, work: Callable[[], None], core: int | None) -> None:
    with lock:
        _leave(core)
        work()


def _leave(core: int | None) -> None:
    """Move the calling helper to another core, if it is on this one.

    Linux wakes a thread on the core of the one that wakes it if all others seem to be taken, and to a virtual machine's
    kernel sleeping cores do. After a pause, both threads would share one core for a whole computation.
    """
    if core is not None and _current_core() == core:
        others = os.sched_getaffinity(os.getpid()) - {core}
        if others:
            with suppress(OSError):
                os.sched_setaffinity(0, others)


@functools.cache
def _cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(os.getpid())) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _current_core() -> int | None:
    """The core that runs the calling thread; None where that can't be read."""
    get = _sched_getcpu()
    return None if get is None else get()


@functools.cache
def _sched_getcpu() -> Callable[[], int] | None:
    if not hasattr(os, "sched_setaffinity"):  # not Linux
        return None
    try:
        function: Callable[[], int] = ctypes.CDLL(None).sched_getcpu
    except (AttributeError, OSError):
        return None
    return function


def _wait_for(locks: list[threading.Lock]) -> None:
    for lock in locks:
        with lock:
            pass


def _start_helpers(count: int) -> None:
    global _helpers
    # Where no thread can be started, as at the end of the process, the caller computes everything.
    with _lock, suppress(RuntimeError):
        while _helpers < count:
            threading.Thread(target=_help, args=(_jobs,), name="distilroberta-np", daemon=True).start()
            _helpers += 1


def _help(jobs: SimpleQueue[Callable[[], None]]) -> None:
    while True:
        jobs.get()()


def _hold_blas(computation: object) -> None:
    """Set BLAS to one thread, for the whole process, until the last computation ends.

    Many computations at once take the caches and the interpreter from each other: with 32 callers on two cores, a text
    took 1.3 times as long in distilroberta-base, and twice as long in the embedded model. So only one more than cores
    run at once, and the others wait, though not for long ones.
    """
    global _usual
    blas = _openblas()
    if blas is None:
        return
    get, set_to = blas
    with _lock:
        _an_end.wait_for(lambda: len(_computations) <= _cores(), _LONGEST_WAIT)
        _computations.add(computation)
        if _usual is None:
            _usual = max(1, int(get()))
        set_to(1)


def _release_blas(computation: object) -> None:
    with _lock:
        _computations.discard(computation)
        _an_end.notify()
        if not _computations:
            _restore_blas()


def _restore_blas() -> None:
    global _usual
    blas, usual = _openblas(), _usual
    if blas is not None and usual is not None:
        blas[1](usual)
        _usual = None


def _begin_as_child() -> None:
    """In a forked process there are no helpers, and none of the computations of other threads."""
    global _lock, _an_end, _jobs, _helpers
    _lock, _jobs, _helpers = threading.RLock(), SimpleQueue(), 0
    _an_end = threading.Condition(_lock)
    _computations.clear()
    _restore_blas()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_begin_as_child)


def _retain_freed_memory() -> None:
    """Make the C library retain the memory of freed arrays for the next ones.

    glibc returns memory to the system when a block larger than any freed before is freed, and the system fills it with
    zeros again, which takes a tenth of a forward pass over many sequences. Freeing a large array that is never written
    to, and so takes no memory, raises that limit (M_MMAP_THRESHOLD in mallopt(3)) to its size, 32 MB at most.
    """
    np.empty(_LARGE_BLOCK_BYTES, np.uint8)


@functools.cache
def has_small_products() -> bool:
    """Whether OpenBLAS multiplies small matrices without copying them, as it does with its kernels for AVX-512."""
    get_corename = _openblas_function("get_corename")
    if get_corename is None:
        return False
    get_corename.restype = ctypes.c_char_p
    return get_corename() in (b"SkylakeX", b"Cooperlake", b"SapphireRapids")


@functools.cache
def _openblas() -> tuple[Callable[[], int], Callable[[int], Any]] | None:
    """The functions that read and set the number of threads of OpenBLAS; None if NumPy uses another BLAS."""
    get, set_to = _openblas_function("get_num_threads"), _openblas_function("set_num_threads")
    if get is None or set_to is None:
        return None
    set_to.argtypes, set_to.restype = [ctypes.c_int], None
    return get, set_to


def _openblas_function(name: str) -> Any:
    """A function of the OpenBLAS that NumPy has loaded; None if there is none."""
    try:
        # NumPy's own library gives the symbols of the libraries that it is linked to, too.
        library = ctypes.CDLL(np._core._multiarray_umath.__file__)  # type: ignore[attr-defined]
    except (AttributeError, OSError):
        return None
    return next((library[form.format(name)] for form in _NAMES if hasattr(library, form.format(name))), None)
