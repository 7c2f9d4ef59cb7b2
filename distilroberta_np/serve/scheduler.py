"""Dynamic batching: whatever waits when the worker is free is computed together, up to a budget of tokens.

One computation runs at a time and uses all cores; requests that arrive meanwhile wait, and those whose client has gone
are dropped before they are computed. A batch waits for others that may come only a moment, and only for as many inputs
as the last batch answered: clients that have been answered mostly ask again at once. Otherwise they would divide into
two halves that take turns, and small batches take more time per text.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from .telemetry import Metrics

# How long a batch may wait for the clients of the batch before it, in relation to the time which that one took.
_PATIENCE = 0.1


class OverloadError(Exception):
    """More tokens are waiting than the server accepts.

    Attributes:
        retry_after: seconds until the waiting tokens should be computed, at least 1.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"the server is overloaded; try again in {retry_after} s")
        self.retry_after = retry_after


@dataclass(frozen=True)
class Operation:
    """A computation on a batch of inputs.

    Attributes:
        key: inputs of operations with equal keys are computed together.
        run: maps inputs to one result each; the result of an input that cannot be answered is an exception.
    """

    key: Hashable
    run: Callable[[list[Any]], list[Any]]


@dataclass
class _Job:
    operation: Operation
    item: Any
    tokens: int
    result: asyncio.Future[Any]
    arrived: float = field(default_factory=time.monotonic)


class Scheduler:
    """A queue of inputs and the one worker that computes them.

    Args:
        max_batch_tokens: the most tokens of one batch; an input with more is a batch of its own.
        max_waiting_tokens: requests beyond this many waiting tokens are refused.
        metrics: counts queue and batches.
    """

    def __init__(self, max_batch_tokens: int, max_waiting_tokens: int, metrics: Metrics) -> None:
        self.max_batch_tokens, self.max_waiting_tokens, self.metrics = max_batch_tokens, max_waiting_tokens, metrics
        self._jobs: deque[_Job] = deque()
        self._waiting_tokens = 0
        self._rate = 1000.0  # tokens per second, a running mean
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="compute")

    async def submit(self, operation: Operation, items: Sequence[Any], tokens: Sequence[int]) -> list[Any]:
        """Compute inputs together with those of other requests.

        Cancelling the task that waits here drops those of its inputs that are not computed yet.

        Args:
            operation: what to compute.
            items: the inputs.
            tokens: how many tokens each has, at least 1.

        Returns:
            The results in the order of the inputs; an exception for an input that cannot be answered.

        Raises:
            OverloadError: too many tokens are waiting. A request is accepted or refused as a whole.
        """
        total = sum(tokens)
        if self._waiting_tokens and self._waiting_tokens + total > self.max_waiting_tokens:
            raise OverloadError(max(1, round(self._waiting_tokens / self._rate)))
        loop = asyncio.get_running_loop()
        jobs = [_Job(operation, item, count, loop.create_future()) for item, count in zip(items, tokens, strict=True)]
        self._jobs.extend(jobs)
        self._waiting_tokens += total
        self._arrived.set()
        self.metrics.queue_size(len(self._jobs))
        try:
            return [await job.result for job in jobs]
        except asyncio.CancelledError:  # the client has gone
            for job in jobs:
                job.result.cancel()  # no effect on those that are done
            self._jobs = deque(job for job in self._jobs if not job.result.cancelled())
            self._waiting_tokens = sum(job.tokens for job in self._jobs)
            self.metrics.queue_size(len(self._jobs))
            raise

    async def run(self) -> None:
        """Compute batches for as long as this task is not cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._arrived.wait()
            batch = self._take()
            if not batch:
                self._arrived.clear()
                continue
            started = time.monotonic()
            results = await loop.run_in_executor(self._thread, _compute, batch)
            seconds = time.monotonic() - started
            tokens = sum(job.tokens for job in batch)
            self._rate += 0.2 * (tokens / max(seconds, 1e-6) - self._rate)
            self.metrics.batch(len(batch), tokens, seconds)
            for job, result in zip(batch, results, strict=True):
                self.metrics.waited(started - job.arrived)
                if not job.result.done():
                    job.result.set_result(result)
            await self._wait_for(len(self._jobs) + len(batch), _PATIENCE * seconds)

    async def _wait_for(self, inputs: int, seconds: float) -> None:
        """Wait until this many inputs, or a full batch of tokens, are waiting, but no longer than some seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while len(self._jobs) < inputs and self._waiting_tokens < self.max_batch_tokens:
                    self._arrived.clear()
                    await self._arrived.wait()
        self._arrived.set()

    def _take(self) -> list[_Job]:
        """Take waiting inputs in the order of their arrival, up to the budget of tokens."""
        batch: list[_Job] = []
        tokens = 0
        while self._jobs and (not batch or tokens + self._jobs[0].tokens <= self.max_batch_tokens):
            job = self._jobs.popleft()
            self._waiting_tokens -= job.tokens
            batch.append(job)
            tokens += job.tokens
        self.metrics.queue_size(len(self._jobs))
        return batch


def _compute(batch: list[_Job]) -> list[Any]:
    """The results of a batch, operation by operation. An operation that fails fails for its own inputs alone."""
    groups: dict[Hashable, list[int]] = {}
    for index, job in enumerate(batch):
        groups.setdefault(job.operation.key, []).append(index)
    results: list[Any] = [None] * len(batch)
    for indices in groups.values():
        operation = batch[indices[0]].operation
        try:
            answers = operation.run([batch[index].item for index in indices])
        except Exception as error:
            answers = [error] * len(indices)
        for index, answer in zip(indices, answers, strict=True):
            results[index] = answer
    return results
