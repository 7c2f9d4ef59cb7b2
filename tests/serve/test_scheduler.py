"""The queue: batches by budget, order, dropped clients, overload, failures."""

import asyncio
import threading

import pytest

pytest.importorskip("starlette", reason="needs the serve extra: pip install '.[serve]'")

from distilroberta_np.serve import scheduler as scheduler_module
from distilroberta_np.serve.scheduler import Operation, OverloadError, Scheduler
from distilroberta_np.serve.telemetry import Metrics


class Recorder:
    """An operation that doubles numbers, remembers its batches, and can be held up."""

    def __init__(self, key="double"):
        self.batches, self.gate, self.begun = [], threading.Event(), 0
        self.gate.set()
        self.operation = Operation(key, self.run)

    def run(self, items):
        self.begun += 1
        assert self.gate.wait(30)
        self.batches.append(items)
        return [2 * item for item in items]


def with_scheduler(test, **options):
    async def run():
        scheduler = Scheduler(**{"max_batch_tokens": 10, "max_waiting_tokens": 30, "metrics": Metrics()} | options)
        worker = asyncio.create_task(scheduler.run())
        try:
            await asyncio.wait_for(test(scheduler), 30)
        finally:
            worker.cancel()

    asyncio.run(run())


async def until(condition):
    while not condition():
        await asyncio.sleep(0.001)


def test_requests_that_wait_together_are_computed_together():
    recorder = Recorder()

    async def test(scheduler):
        recorder.gate.clear()
        first = asyncio.create_task(scheduler.submit(recorder.operation, [1], [1]))
        await until(lambda: recorder.begun)
        others = [asyncio.create_task(scheduler.submit(recorder.operation, [n, -n], [2, 2])) for n in (2, 3, 4)]
        await until(lambda: len(scheduler._jobs) == 6)
        recorder.gate.set()
        assert await first == [2]
        assert [await other for other in others] == [[4, -4], [6, -6], [8, -8]]
        assert recorder.batches == [[1], [2, -2, 3, -3, 4], [-4]]

    with_scheduler(test)


def test_an_input_beyond_the_budget_is_a_batch_of_its_own():
    recorder = Recorder()

    async def test(scheduler):
        assert await scheduler.submit(recorder.operation, [1, 2], [50, 1]) == [2, 4]
        assert recorder.batches == [[1], [2]]

    with_scheduler(test)


def test_a_batch_waits_for_the_clients_of_the_last_one(monkeypatch):
    monkeypatch.setattr(scheduler_module, "_PATIENCE", 1e9)
    recorder = Recorder()

    async def test(scheduler):
        async def client(*numbers):
            for number in numbers:
                await scheduler.submit(recorder.operation, [number], [1])
                await asyncio.sleep(0.01)

        recorder.gate.clear()
        first = asyncio.create_task(client(1, 11, 21))
        await until(lambda: recorder.begun)
        others = [asyncio.create_task(client(number, number + 10)) for number in (2, 3)]
        await until(lambda: len(scheduler._jobs) == 2)
        recorder.gate.set()
        await asyncio.gather(first, *others)
        assert [len(batch) for batch in recorder.batches] == [1, 3, 3]

    with_scheduler(test)


def test_a_batch_does_not_wait_for_long(monkeypatch):
    monkeypatch.setattr(scheduler_module, "_PATIENCE", 0)
    recorder = Recorder()

    async def test(scheduler):
        assert await scheduler.submit(recorder.operation, [1, 2], [1, 1]) == [2, 4]
        assert await scheduler.submit(recorder.operation, [3], [1]) == [6]

    with_scheduler(test)


def test_inputs_of_clients_that_have_gone_are_not_computed():
    recorder = Recorder()

    async def test(scheduler):
        recorder.gate.clear()
        first = asyncio.create_task(scheduler.submit(recorder.operation, [1], [1]))
        await until(lambda: recorder.begun)
        gone = asyncio.create_task(scheduler.submit(recorder.operation, [2], [9]))
        stays = asyncio.create_task(scheduler.submit(recorder.operation, [3], [9]))
        await until(lambda: len(scheduler._jobs) == 2)
        gone.cancel()
        await until(lambda: scheduler._waiting_tokens == 9)
        assert [job.item for job in scheduler._jobs] == [3]  # nothing keeps the text
        recorder.gate.set()
        assert await stays == [6]
        assert await first == [2]
        assert recorder.batches == [[1], [3]]

    with_scheduler(test)


def test_overload_is_refused_as_a_whole_and_recovers():
    recorder = Recorder()

    async def test(scheduler):
        recorder.gate.clear()
        waiting = [asyncio.create_task(scheduler.submit(recorder.operation, [0], [10]))]
        await until(lambda: recorder.begun)
        waiting += [asyncio.create_task(scheduler.submit(recorder.operation, [n], [10])) for n in range(1, 4)]
        await until(lambda: scheduler._waiting_tokens == 30)
        with pytest.raises(OverloadError) as caught:
            await scheduler.submit(recorder.operation, [7, 8], [1, 1])
        assert caught.value.retry_after >= 1
        recorder.gate.set()
        assert [await task for task in waiting] == [[0], [2], [4], [6]]
        assert await scheduler.submit(recorder.operation, [7, 8], [1, 1]) == [14, 16]

    with_scheduler(test)


def test_a_request_larger_than_the_queue_is_accepted_when_nothing_waits():
    recorder = Recorder()

    async def test(scheduler):
        assert await scheduler.submit(recorder.operation, [1] * 50, [1] * 50) == [2] * 50

    with_scheduler(test)


def test_a_failing_operation_fails_for_its_own_inputs():
    recorder = Recorder()
    failing = Operation("fails", lambda items: 1 / 0)

    async def test(scheduler):
        good, bad = await asyncio.gather(
            scheduler.submit(recorder.operation, [1], [1]), scheduler.submit(failing, [1, 2], [1, 1])
        )
        assert good == [2]
        assert [type(error) for error in bad] == [ZeroDivisionError] * 2

    with_scheduler(test)
