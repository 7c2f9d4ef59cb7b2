"""What the training commands share: options for the settings, and progress on stderr."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..messages import printable
from ..runtime.progress import clock
from ..training.device import DEVICES
from ..training.settings import TrainingSettings, rules

if TYPE_CHECKING:
    from ..training.loop import Report

Settings = TypeVar("Settings", bound=TrainingSettings)

RESUMING = """\
Ctrl-C or SIGTERM stops the run after a checkpoint; the same command resumes it with
identical results (on a GPU, up to rounding)."""


def add_training_arguments(parser: argparse.ArgumentParser, settings: type[TrainingSettings]) -> None:
    """Add --out, --device, --save-every and an option for each setting, in the groups that the settings name."""
    groups: dict[str, Any] = {}
    by_group = sorted(rules(settings).items(), key=lambda item: item[1][0].group == "training")  # which comes last
    for name, (rule, kind, default) in by_group:
        if rule.group not in groups:
            groups[rule.group] = parser.add_argument_group(rule.group)
        shown = "" if default in (None, MISSING) or kind is bool else f" (default: {default})"
        named: dict[str, Any] = {"dest": name, "help": rule.help + shown}
        if kind is bool:
            named["action"] = "store_false" if default else "store_true"
        elif rule.choices:
            named["choices"] = rule.choices
        else:
            named |= {"type": kind, "metavar": rule.metavar}
        named |= {"required": True} if default is MISSING else {"default": default}
        flag = "--no-" if default is True else "--"
        groups[rule.group].add_argument(flag + name.replace("_", "-"), **named)
    parser.add_argument("--out", metavar="FOLDER", type=Path, required=True, help="folder of the run")
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="cuda: an NVIDIA GPU (default: cpu)")
    parser.add_argument(
        "--save-every", metavar="MINUTES", type=float, default=10.0, help="time between checkpoints (default: 10)"
    )


def add_text_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", metavar="FILE", nargs="+", type=Path, help="text in UTF-8, .txt or .txt.gz: a paragraph per line"
    )


def settings_from(options: argparse.Namespace, settings: type[Settings]) -> Settings:
    """The settings that the options give."""
    return settings(**{each.name: getattr(options, each.name) for each in fields(settings)})


def run_training(train: Callable[..., bool], *arguments: Any, save_every: float, **named: Any) -> bool:
    """Call a function that trains, with progress on stderr.

    Args:
        train: `pretrain`, `distill` or `finetune`.
        *arguments, **named: of it.
        save_every: minutes between checkpoints.

    Returns:
        Whether the run is finished; if not, a line has said how to resume it.
    """
    progress = _Progress()
    finished = train(*arguments, save_every=save_every * 60, report=progress.update, say=progress.say, **named)
    progress.end()
    if not finished:
        say("stopped after a checkpoint; the same command resumes the run")
    return finished


def train_on_texts(
    train: Callable[..., bool], options: argparse.Namespace, settings: type[TrainingSettings], **named: Any
) -> int:
    """Run a command that trains a masked language model, and say where it is. Returns the exit status."""
    named |= {"device": options.device, "save_every": options.save_every}
    if not run_training(train, options.out, options.files, settings_from(options, settings), **named):
        return 130
    say(f'the model is in {options.out / "checkpoint"}: distilroberta-np fill-mask "A <mask>." --model {options.out}')
    return 0


def say(line: str) -> None:
    print(f"distilroberta-np: {printable(line)}", file=sys.stderr, flush=True)


class _Progress:
    """A line on stderr: updates, loss, tokens per second and time left; on a terminal it is overwritten, elsewhere
    there is one per minute."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._every = 1.0 if self._terminal else 60.0
        self._next = 0.0
        self._loss: float | None = None
        self._seconds = self._tokens = 0.0

    def update(self, report: Report) -> None:
        # Moving averages over about 50 updates.
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
            f"update {report.update:,} of {report.updates:,}, loss {self._loss:.3f}, {speed:,.0f} tokens per second, "
            f"{clock(left)} left"
        )
        start, end = ("\r", "\x1b[K") if self._terminal else ("", "\n")
        print(start, line, sep="", end=end, file=sys.stderr, flush=True)

    def say(self, line: str) -> None:
        """Print another line above this one."""
        clear = "\r\x1b[K" if self._terminal else ""
        print(f"{clear}distilroberta-np: {printable(line)}", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._terminal:
            print(file=sys.stderr)
