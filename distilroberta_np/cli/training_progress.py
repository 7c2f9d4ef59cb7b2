"""How a training goes, on stderr."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from .terminal import clock

if TYPE_CHECKING:
    from ..training.run import Report


class TrainingProgress:
    """A line on stderr: updates, loss, tokens a second and the time left. On a terminal it is written over; elsewhere
    one is written a minute."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._every = 1.0 if self._terminal else 60.0
        self._next = 0.0
        self._loss: float | None = None
        self._seconds = self._tokens = 0.0

    def update(self, report: Report) -> None:
        # Means over about the last 50 updates.
        self._loss = report.loss if self._loss is None else 0.98 * self._loss + 0.02 * report.loss
        self._seconds = 0.98 * self._seconds + 0.02 * report.seconds
        self._tokens = 0.98 * self._tokens + 0.02 * report.tokens
        now = time.monotonic()
        if now < self._next and report.update < report.updates:
            return
        self._next = now + self._every
        speed = self._tokens / self._seconds
        left = (report.updates - report.update) * report.tokens / speed
        line = (
            f"update {report.update:,} of {report.updates:,}, loss {self._loss:.3f}, {speed:,.0f} tokens a second, "
            f"{clock(left)} left"
        )
        print(
            f"\r{line}\x1b[K" if self._terminal else line,
            end="" if self._terminal else "\n",
            file=sys.stderr,
            flush=True,
        )

    def say(self, line: str) -> None:
        """Another line, in the place of this one, which the next update writes below it."""
        clear = "\r\x1b[K" if self._terminal else ""
        print(f"{clear}distilroberta-np: {line}", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._terminal:
            print(file=sys.stderr)
