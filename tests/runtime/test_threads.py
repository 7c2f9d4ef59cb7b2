import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from distilroberta_np.runtime import threads as module
from distilroberta_np.runtime.threads import available_threads, map_in_threads, worker_threads


class Blas:
    """A BLAS with a number of threads."""

    def __init__(self, threads):
        self.threads = threads

    def get(self):
        return self.threads

    def set_to(self, threads):
        self.threads = threads


@pytest.fixture
def blas(monkeypatch):
    blas = Blas(3)
    monkeypatch.setattr(module, "_openblas", lambda: (blas.get, blas.set_to))
    return blas


def test_results_are_in_order_from_as_many_threads_as_blas_has(blas):
    together = threading.Barrier(3, timeout=30)
    seen = set()

    def work(shard):
        seen.add(threading.get_ident())
        assert blas.threads == 1
        if shard < 3:
            together.wait()  # passes only if three run at once
        return shard * 10

    assert worker_threads() == 3
    assert map_in_threads(work, range(5)) == [0, 10, 20, 30, 40]
    assert len(seen) == 3
    assert threading.get_ident() in seen
    assert blas.threads == 3


def test_a_single_shard_is_computed_by_the_caller(blas):
    assert map_in_threads(lambda shard: threading.get_ident(), [1]) == [threading.get_ident()]
    assert map_in_threads(lambda shard: shard, []) == []
    assert blas.threads == 3


def test_a_single_shard_can_be_shared_out_and_the_shards_of_several_cannot(blas):
    assert available_threads() == 1
    assert map_in_threads(lambda shard: available_threads(), [1]) == [3]
    assert map_in_threads(lambda shard: available_threads(), [1, 2]) == [1, 1]
    together = threading.Barrier(3, timeout=30)
    assert map_in_threads(lambda shard: map_in_threads(lambda part: together.wait() >= 0, range(3)), [1]) == [
        [True] * 3
    ]
    assert available_threads() == 1


def test_computations_of_several_threads_share_the_cores(blas):
    together = threading.Barrier(3, timeout=30)
    counts = []

    def work(shard):
        together.wait()
        counts.append(available_threads())
        together.wait()

    callers = [threading.Thread(target=map_in_threads, args=(work, [1])) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert counts == [1, 1, 1]
    assert blas.threads == 3


def test_one_more_computation_than_cores_runs_at_once(monkeypatch, blas):
    together, waits, end = threading.Barrier(4, timeout=30), threading.Event(), threading.Event()

    class Condition(threading.Condition):
        def wait(self, timeout=None):
            waits.set()
            return super().wait(timeout)

    def work(shard):
        together.wait()
        return end.wait(30)

    monkeypatch.setattr(module, "_cores", lambda: 2)
    monkeypatch.setattr(module, "_LONGEST_WAIT", 60.0)
    monkeypatch.setattr(module, "_an_end", Condition(module._lock))
    with ThreadPoolExecutor(4) as pool:
        first = [pool.submit(map_in_threads, work, [number]) for number in range(3)]
        together.wait()  # passes only if three run at once
        fourth = pool.submit(map_in_threads, str, [4])
        assert waits.wait(30)
        assert not fourth.done()
        end.set()
        assert fourth.result(30) == ["4"]
        assert [each.result() for each in first] == [[True]] * 3
    assert blas.threads == 3


def test_a_long_computation_is_not_waited_for(monkeypatch, blas):
    monkeypatch.setattr(module, "_cores", lambda: 0)
    monkeypatch.setattr(module, "_LONGEST_WAIT", 0.01)
    end = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(map_in_threads, lambda shard: end.wait(30), [1])
        while not module._computations:
            time.sleep(0.001)
        assert map_in_threads(str, [1]) == ["1"]
        end.set()
        assert long.result() == [True]


def test_without_openblas_all_shards_are_computed_by_the_caller(monkeypatch):
    monkeypatch.setattr(module, "_openblas", lambda: None)
    assert worker_threads() == 1
    assert map_in_threads(lambda shard: threading.get_ident(), [1, 2]) == [threading.get_ident()] * 2


def test_the_threads_of_blas_are_restored_by_the_last_computation(blas):
    def outer(shard):
        assert worker_threads() == 3  # BLAS itself says 1 by now
        results = map_in_threads(lambda inner: (shard, inner), [1, 2])
        assert blas.threads == 1
        return results

    assert map_in_threads(outer, [1, 2]) == [[(1, 1), (1, 2)], [(2, 1), (2, 2)]]
    assert blas.threads == 3


def test_the_number_that_a_user_sets_between_computations_is_restored(blas):
    map_in_threads(str, [1, 2])
    blas.set_to(2)
    map_in_threads(str, [1, 2])
    assert blas.threads == 2


@pytest.mark.parametrize("kind", [ArithmeticError, KeyboardInterrupt, IndexError, StopIteration])
def test_the_first_exception_is_raised_and_other_shards_are_dropped(blas, kind):
    begun = []

    def work(shard):
        begun.append(shard)
        if shard == 1:
            raise kind("shard 1")
        time.sleep(0.05)

    with pytest.raises(kind, match="shard 1"):
        map_in_threads(work, range(100))
    assert len(begun) < 100
    assert blas.threads == 3
    assert map_in_threads(str, [1, 2, 3]) == ["1", "2", "3"]  # the helpers are still there


def test_a_thread_that_has_not_started_is_not_waited_for(blas):
    hold = threading.Event()
    jobs = [lambda: hold.wait(30)] * 2
    try:
        module._start_helpers(2)
        for job in jobs:
            module._jobs.put(job)  # all helpers are busy
        while not module._jobs.empty():
            time.sleep(0.001)
        assert map_in_threads(lambda shard: threading.get_ident(), [1, 2]) == [threading.get_ident()] * 2
    finally:
        hold.set()


def test_where_no_thread_can_be_started_the_caller_computes(blas, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(module, "_helpers", 0)
    monkeypatch.setattr(module, "_jobs", module.SimpleQueue())
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert map_in_threads(lambda shard: shard + 1, [1, 2, 3]) == [2, 3, 4]


def test_numpys_error_state_applies_in_threads(blas):
    def divide(shard):
        return np.float32(1) / np.zeros(1, np.float32)

    with np.errstate(divide="ignore"):
        assert map_in_threads(divide, [1, 2]) == [np.inf, np.inf]
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        map_in_threads(divide, [1, 2])


def test_numpys_own_openblas_is_found_and_set():
    if "openblas" not in np.show_config("dicts")["Build Dependencies"]["blas"]["name"]:
        pytest.skip("this NumPy has another BLAS than OpenBLAS")
    get, set_to = module._openblas()
    before = get()
    try:
        set_to(2)
        assert get() == worker_threads() == 2
        assert map_in_threads(lambda shard: get(), [1, 2, 3]) == [1, 1, 1]
        assert get() == 2
    finally:
        set_to(before)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux has affinities of threads")
def test_a_helper_leaves_the_core_of_its_caller(monkeypatch):
    moves = []
    monkeypatch.setattr(module, "_current_core", lambda: 1)
    monkeypatch.setattr(os, "sched_setaffinity", lambda thread, cores: moves.append((thread, cores)))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2})
    for core in (1, 2, None):
        module._leave(core)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {1})
    module._leave(1)
    assert moves == [(0, {0, 2})]
