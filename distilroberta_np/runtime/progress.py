"""Progress bars: those of tqdm if it is installed, in notebooks too, else a plain line on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any, Self

_WIDTH = 24  # of the plain bar, in characters


def track(batches: Iterable[slice], total: int, shown: bool | None) -> Iterator[slice]:
    """Yield slices of a list of inputs, and show on stderr how many of them have been processed.

    Args:
        batches: consecutive slices.
        total: the length of the list.
        shown: whether to show a progress bar.
    """
    if not shown:
        yield from batches
        return
    with _bar(total) as bar:
        for batch in batches:
            yield batch
            bar.update(batch.stop - batch.start)


def _bar(total: int) -> Any:
    try:
        return import_module("tqdm.auto").tqdm(total=total, unit="text")
    except ImportError:
        return _PlainBar(total)


class _PlainBar:
    """The part of tqdm's interface that `track` uses."""

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0
        self._start = time.monotonic()
        self._active = sys.stderr is not None and sys.stderr.isatty()

    def __enter__(self) -> Self:
        self.update(0)
        return self

    def __exit__(self, *_: object) -> None:
        if self._active:
            print(file=sys.stderr)

    def update(self, count: int) -> None:
        self._done += count
        if self._active:
            part = self._done / self._total
            bar = ("#" * round(part * _WIDTH)).ljust(_WIDTH, ".")
            left = f", {(time.monotonic() - self._start) * (1 / part - 1):,.0f} s left" if part else ""
            print(f"\r[{bar}] {self._done:,} of {self._total:,}{left}\x1b[K", end="", file=sys.stderr, flush=True)
