"""What the subcommands share: tables, a progress line, and the argument that names a model."""

from __future__ import annotations

import argparse
import os
import stat
import sys
import time
from collections.abc import Iterable, Sequence
from typing import TextIO

from ..messages import printable


def add_model_arguments(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """--model and where it comes from; required for what the published model, not fine-tuned, can't do."""
    default = "distilroberta-base where it is already on this machine, else the small embedded model"
    parser.add_argument(
        "--model",
        metavar="MODEL",
        required=required,
        help="a folder, or a model's name on the hub" + ("" if required else f" (default: {default})"),
    )
    parser.add_argument("--revision", help="branch, tag or commit of a model of the hub")
    parser.add_argument("--local-files-only", action="store_true", help="never connect to the hub")


def print_table(rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()) -> None:
    """Columns side by side on a terminal, separated by tabs otherwise.

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
    for line in cells:
        padded = [
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  " + "  ".join(padded).rstrip())


def _one_line(cell: str) -> str:
    return printable(cell.replace("\t", " ").replace("\r", " ").replace("\n", " "))


def _is_file(stream: TextIO) -> bool:
    """Whether a stream goes into a file, and so neither to a terminal nor through a pipe that may end at one."""
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except OSError:
        return False


class Progress:
    """A progress bar on stderr for a long input, if a person is watching and the answers go into a file.

    Args:
        size: the length of the whole input in bytes, or None where it isn't known.
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
        """So many texts are answered, and so many bytes of the input behind us."""
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
        """Take the line away, before something else is printed and at the end, however that comes."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._shown = False


def clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
