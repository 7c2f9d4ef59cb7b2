"""A process that is interrupted, forks, or computes in signal handlers at random moments: run by test_interrupts.py.

    python -m tests.support.interrupted SCENARIO COUNT SEED

It ends with an AssertionError if a computation then gives another answer, or if BLAS has another number of threads.
"""

import ctypes
import multiprocessing
import os
import random
import signal
import sys
import threading
import time

import numpy as np

from distilroberta_np.layers.kernels import affine
from distilroberta_np.runtime.threads import _openblas, map_in_threads

RNG = np.random.default_rng(0)
INPUTS = RNG.standard_normal((16, 512), np.float32)
WEIGHT = RNG.standard_normal((1024, 512), np.float32)
BIAS = np.zeros(1024, np.float32)
MOST_SECONDS = 0.004  # until an interrupt comes


def compute():
    """A single shard, whose product is shared out, and several shards."""
    single = map_in_threads(lambda part: affine(INPUTS, WEIGHT, BIAS), [0])
    return single + map_in_threads(lambda part: affine(INPUTS[part : part + 4], WEIGHT, BIAS), range(0, 16, 4))


EXPECTED = [compute() for _ in range(2)][1]


def check():
    for result, expected in zip(compute(), EXPECTED, strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-4)
    assert _openblas()[0]() == THREADS, f"BLAS has {_openblas()[0]()} threads, and had {THREADS}"


class Interrupt(BaseException):
    pass


def interrupt(number, frame):
    raise Interrupt


def by_signals(count, rng):
    """An interrupt at a random moment of the computation, in the main thread."""
    signal.signal(signal.SIGALRM, interrupt)
    caught = 0
    for _ in range(count):
        try:
            signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-6, MOST_SECONDS))
            while True:
                compute()
        except Interrupt:
            caught += 1
        assert _openblas()[0]() == THREADS, f"BLAS has {_openblas()[0]()} threads, and had {THREADS}"
    assert caught == count
    check()


def in_threads(count, rng):
    """Exceptions that are set in other threads while all of them compute."""
    stop = threading.Event()
    raised = []

    def work():
        while not stop.is_set():
            try:
                while not stop.is_set():
                    compute()
            except Interrupt:
                raised.append(1)

    def guarded():
        while not stop.is_set():
            try:
                work()
            except Interrupt:
                raised.append(1)

    threads = [threading.Thread(target=guarded) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(count):
        time.sleep(rng.uniform(0, MOST_SECONDS))
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(rng.choice(threads).ident), ctypes.py_object(Interrupt)
        )
    stop.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert raised
    check()


def in_handlers(count, rng):
    """A signal handler that computes, and raises at times, while its thread computes."""
    handled = 0

    def handler(number, frame):
        nonlocal handled
        handled += 1
        for result, expected in zip(compute(), EXPECTED, strict=True):
            np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-4)

    signal.signal(signal.SIGALRM, handler)
    while handled < count:
        before = handled
        signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-6, MOST_SECONDS))
        while handled == before:
            compute()
        check()


def by_forks(count, rng):
    """Children of a process that is computing in other threads: by os.fork in a thread, and by multiprocessing."""
    stop = threading.Event()
    statuses = []

    def work():
        while not stop.is_set():
            compute()

    def fork_in_thread():
        child = os.fork()
        if child == 0:
            signal.alarm(60)  # ends a child that hangs
            try:
                check()
                os._exit(0)
            finally:
                os._exit(1)
        statuses.append(os.waitpid(child, 0)[1])

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(count):
        time.sleep(rng.uniform(0, MOST_SECONDS))
        if number % 2:
            forking = threading.Thread(target=fork_in_thread)
            forking.start()
            forking.join()
        else:
            child = multiprocessing.get_context("fork").Process(target=check)
            child.start()
            child.join(60)
            statuses.append(child.exitcode)
    stop.set()
    for thread in threads:
        thread.join(60)
    assert statuses == [0] * count, statuses
    check()


if __name__ == "__main__":
    scenario, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    _openblas()[1](2)
    THREADS = 2
    check()
    globals()[scenario](count, random.Random(seed))
