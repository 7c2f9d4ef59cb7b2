"""Progress bars: those of tqdm if it is installed, in notebooks too, else a plain line on a terminal."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Any, Protocol, Self

_WIDTH = 24  # characters
_EVERY = 0.1  # seconds


class Bar(Protocol):
    """What counts texts: a bar of this module, or one of tqdm's."""

    def update(self, count: int, /) -> object:
        """Count texts that are done."""


def progress_bar(progress: bool | Bar | None, total: int | None) -> AbstractContextManager[Bar | None]:
    """The bar for a call: a new one if `progress` is true, the given one, or none.

    Args:
        progress: the option of the call.
        total: the number of texts; None if it is unknown.
    """
    if progress is None or isinstance(progress, bool):
        return _new_bar(total) if progress else nullcontext()
    return nullcontext(progress)


def _new_bar(total: int | None) -> Any:
    try:
        return import_module("tqdm.auto").tqdm(total=total, unit=" texts")
    except ImportError:
        return PlainBar(total)


class PlainBar:
    """A line on stderr, if that is a terminal: texts done, texts per second, and the time that is left.

    Args:
        total: the number of texts; None if it is unknown.
        active: whether to show it.
        stays: whether the line stays at the end.
    """

    def __init__(self, total: int | None, *, active: bool = True, stays: bool = True) -> None:
        self._total, self._stays, self._done = total, stays, 0
        self._active = active and sys.stderr is not None and sys.stderr.isatty()
        self._shown = False
        self._start = self._next = time.monotonic()

    def __enter__(self) -> Self:
        self._draw()
        return self

    def __exit__(self, *_: object) -> None:
        self._draw()
        if self._stays and self._shown:
            print(file=sys.stderr)
        else:
            self.clear()

    def update(self, count: int, /) -> None:
        """Count texts that are done."""
        self._done += count
        if time.monotonic() >= self._next:
            self._draw()

    def clear(self) -> None:
        """Remove the line, before something else is printed."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._shown = False

    def _draw(self) -> None:
        if not self._active:
            return
        now = time.monotonic()
        self._next, seconds = now + _EVERY, max(now - self._start, 1e-9)
        line = f"{self._done:,} text{'s' * (self._done != 1)}"
        if self._total:
            part = min(self._done / self._total, 1)
            line = f"[{('#' * round(part * _WIDTH)).ljust(_WIDTH, '.')}] {self._done:,} of {self._total:,} texts"
        if self._done:
            line += f", {self._done / seconds:,.1f} per second"
            if self._total:
                line += f", {clock(seconds * max(self._total / self._done - 1, 0))} left"
        print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)
        self._shown = True


def clock(seconds: float) -> str:
    """A time as people write it, such as 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
