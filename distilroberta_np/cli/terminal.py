"""What the commands share: tables, a progress bar, and the arguments that name a model."""

from __future__ import annotations

import argparse
import math
import os
import stat
import sys
import time
from collections.abc import Iterable, Sequence
from typing import TextIO

from ..messages import printable


def add_model_arguments(
    parser: argparse.ArgumentParser, *, required: bool = False, suggested: str | None = None
) -> None:
    """Add --model and where it comes from. For tasks that need a fine-tuned model, `suggested` is one of the hub."""
    default = " (default: distilroberta-base if it is on this machine, else the small embedded model)"
    if required or suggested is not None:
        default = "" if suggested is None else f", fine-tuned for the task, such as {suggested}"
    parser.add_argument(
        "--model", metavar="MODEL", required=required, help=f"a folder, or a model's name on the hub{default}"
    )
    parser.add_argument("--revision", help="branch, tag or commit of a model of the hub")
    parser.add_argument("--local-files-only", action="store_true", help="never connect to the hub")


def print_table(rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()) -> None:
    """Print rows as aligned columns on a terminal, separated by tabs otherwise.

    Args:
        rows: the cells, as text.
        right: the columns that are aligned on the right.
    """
    cells = [[_one_line(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in cells:
            print("\t".join(row))
        return
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = set(right)
    for row in cells:
        padded = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  " + "  ".join(padded).rstrip())


def print_result(
    headings: Iterable[str], prefix: Sequence[str], rows: Sequence[Sequence[str]], *, right: Iterable[int] = (0,)
) -> None:
    """Print the rows of a result: on a terminal below headings, such as the text; otherwise each after a prefix, such
    as the number of the text. The other arguments are as for `print_table`."""
    if not sys.stdout.isatty():
        print_table([*prefix, *row] for row in rows)
        return
    for heading in headings:
        print(printable(heading))
    print_table(rows, right=right)


def score_cells(scores: Sequence[float]) -> list[str]:
    """Scores as text with four significant digits; on a terminal of the largest, so that decimal points align."""
    if not sys.stdout.isatty():
        return [f"{score:.4g}" for score in scores]
    largest = max(map(abs, scores), default=0)
    decimals = 4 if largest == 0 else max(0, 3 - math.floor(math.log10(largest)))
    return [f"{score:.{decimals}f}" for score in scores]


def _one_line(cell: str) -> str:
    return printable(cell.replace("\t", " ").replace("\r", " ").replace("\n", " "))


def _is_file(stream: TextIO) -> bool:
    """Whether a stream goes into a file, rather than to a terminal or a pipe that may end at one."""
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except OSError:
        return False


class Progress:
    """A progress bar on stderr for a long input, if stderr is a terminal and the answers go into a file.

    Args:
        size: of the whole input in bytes; None if unknown.
    """

    _EVERY = 0.2  # seconds
    _WIDTH = 24  # characters of the bar

    def __init__(self, size: int | None) -> None:
        self._size = size
        self._shown = False
        self._active = sys.stderr.isatty() and _is_file(sys.stdout)
        self._began = self._next = time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def update(self, texts: int, read: int) -> None:
        """Show that this number of texts is answered, and this number of bytes read."""
        now = time.monotonic()
        if not self._active or now < self._next:
            return
        self._next = now + self._EVERY
        seconds = max(now - self._began, 1e-9)
        line = f"{texts:,} text{'s' * (texts != 1)}, {texts / seconds:,.1f} a second"
        if self._size and read:
            part = min(read / self._size, 1)
            bar = ("#" * round(part * self._WIDTH)).ljust(self._WIDTH, ".")
            line = f"[{bar}] {part:4.0%}  {line}, {clock(seconds * max(self._size / read - 1, 0))} left"
        print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)
        self._shown = True

    def clear(self) -> None:
        """Remove the line, before something else is printed and at the end."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._shown = False


def clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
