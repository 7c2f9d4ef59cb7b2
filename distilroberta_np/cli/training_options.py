"""What the commands share that train: their settings as options, and how a training goes, on stderr."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ..training.device import DEVICES
from .terminal import clock

if TYPE_CHECKING:
    from ..training.loop import Report


def add_settings(
    parser: argparse.ArgumentParser, settings: Any, help_texts: Mapping[str, str], left_out: Collection[str] = ()
) -> None:
    """An option for each field of a dataclass of settings but some."""
    for field in fields(settings):
        if field.name not in left_out:
            parser.add_argument(
                "--" + field.name.replace("_", "-"),
                type={"int": int, "float": float, "str": str}[str(field.type)],
                default=field.default,
                metavar="N",
                help=f"{help_texts.get(field.name, '')} (default: {field.default})".strip(),
            )


def add_save_every(parser: Any) -> None:
    parser.add_argument(
        "--save-every", metavar="MINUTES", type=float, default=10.0, help="between checkpoints (default: 10)"
    )


def add_device(parser: Any) -> None:
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="cuda: an NVIDIA GPU (default: cpu)")


def run_training(train: Callable[..., bool], *arguments: Any, save_every: float, **named: Any) -> bool:
    """Call a function that trains, and show how it goes.

    Args:
        train: `pretrain`, `distill` or `finetune`.
        *arguments, **named: of it.
        save_every: minutes.

    Returns:
        Whether it is finished; if not, a line has said how to go on.
    """
    progress = _Progress()
    finished = train(*arguments, save_every=save_every * 60, report=progress.update, say=progress.say, **named)
    progress.end()
    if not finished:
        print("distilroberta-np: stopped, with a checkpoint; give the same command to go on", file=sys.stderr)
    return finished


class _Progress:
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
