"""The loop of every training run: updates, a log and checkpoints, so that the run can be stopped and resumed.

What a run does next must follow from its settings, its checkpoint and the number of the update alone: then a run that
was stopped, by a signal or by a kill, goes on to the bit.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Generic, TypedDict, TypeVar

from ..errors import TrainingError
from ..layers.params import tree_leaves
from .device import check_device
from .loss_curve import draw_losses
from .optim import OPTIMIZERS
from .optim.adamw import AdamState, clip
from .run_folder import LOSSES, Log, RunFolder, writing
from .settings import TrainingSettings

Weights = TypeVar("Weights")


@dataclass(frozen=True)
class Report:
    """The state of a run after an update."""

    update: int
    updates: int
    loss: float
    learning_rate: float
    norm: float  # of the gradients, before clipping
    tokens: int  # in this update
    seconds: float


def _ignore(_: object) -> None:
    pass


class RunOptions(TypedDict, total=False):
    """How a run is executed; this changes nothing but the rounding of its results.

    device: "cpu" (the default), or "cuda" for an NVIDIA GPU.
    save_every: seconds between checkpoints; 600 by default.
    report: called after every update.
    say: called with a line about the data, an evaluation, or something that takes time.
    """

    device: str
    save_every: float
    report: Callable[[Report], None]
    say: Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Options:
    """`RunOptions` with their defaults. Raises TrainingError if the device cannot be used."""

    device: str = "cpu"
    save_every: float = 600.0
    report: Callable[[Report], None] = _ignore
    say: Callable[[str], None] = _ignore

    def __post_init__(self) -> None:
        check_device(self.device)
        if not self.save_every >= 0:
            raise TrainingError(f"save_every must be a number of at least 0, not {self.save_every!r}")


@dataclass(frozen=True)
class Job:
    """What a run computes.

    Args:
        updates: how many there are in all.
        gradients: of an update, counted from 0: the loss, the gradients as a tree like the weights, and the number of
            tokens.
        save: writes the model's files into a folder.
        after: called after every update with the number of updates made.
    """

    updates: int
    gradients: Callable[[int], tuple[float, Any, int]]
    save: Callable[[Path], None]
    after: Callable[[int], None] = _ignore


def train(
    run: RunFolder, weights: Any, state: AdamState, settings: TrainingSettings, job: Job, options: Options
) -> bool:
    """Make the remaining updates, in place.

    Args:
        run: the folder.
        weights: a tree of arrays to write to.
        state: of the optimizer, from `RunFolder.resume`.
        settings: of the run.
        job: what to compute.
        options: how to execute it.

    Returns:
        Whether all updates are made; False if a signal (SIGINT, SIGTERM) stopped the run, after a checkpoint.

    Raises:
        TrainingError: the loss or the gradients are not finite, or a file cannot be written. The last checkpoint stays.
    """
    if state.updates >= job.updates:
        options.say(f"{run.path}: this run is finished, after {state.updates:,} updates")
        return True
    optimize = OPTIMIZERS[settings.optimizer]
    saved = time.monotonic()
    log = Log(run.path / LOSSES, ["update", "loss", "learning_rate", "gradient_norm", "tokens", "seconds"])

    def checkpoint() -> None:
        run.save(job.save, state, options.device)
        with writing(run.path):
            draw_losses(run.path / LOSSES)

    with _signals() as stopped:
        for update in range(state.updates, job.updates):
            began = time.monotonic()
            loss, gradients, tokens = job.gradients(update)
            norm = clip(gradients, settings.clip)
            if not math.isfinite(loss) or not math.isfinite(norm):
                raise TrainingError(
                    f"{run.path}: training diverged: at update {update + 1} the loss is {loss} and the gradient norm "
                    f"{norm}. The checkpoint of update {run.updates} is intact; begin a new run with a smaller "
                    "learning rate or a longer warmup"
                )
            learning_rate = settings.learning_rate_at(update, job.updates)
            state = optimize(weights, gradients, state, learning_rate, settings.weight_decay)
            seconds = time.monotonic() - began
            log.add([update + 1, f"{loss:.6f}", f"{learning_rate:.3e}", f"{norm:.4f}", tokens, f"{seconds:.3f}"])
            options.report(Report(update + 1, job.updates, loss, learning_rate, norm, tokens, seconds))
            job.after(update + 1)
            if stopped() or time.monotonic() - saved > options.save_every:
                checkpoint()
                saved = time.monotonic()
            if stopped():
                return False
        checkpoint()
    return True


class OrderedSum(Generic[Weights]):
    """The sum of the losses and the gradients of a batch's parts, which threads compute in any order.

    Parts are added in the order of their numbers, so that the sum is the same to the bit; only parts that wait for an
    earlier one are in memory next to the sum. The arrays of the first part are overwritten.
    """

    def __init__(self) -> None:
        self._sum: tuple[float, Weights] | None = None
        self._next = 0
        self._waiting: dict[int, tuple[float, Weights]] = {}
        self._lock = threading.Lock()

    def add(self, number: int, part: tuple[float, Weights]) -> None:
        """Add a part; all numbers from 0 must come once."""
        with self._lock:
            self._waiting[number] = part
            while self._next in self._waiting:
                loss, gradients = self._waiting.pop(self._next)
                self._next += 1
                if self._sum is None:
                    self._sum = loss, gradients
                    continue
                total, totals = self._sum
                for array, values in zip(tree_leaves(totals), tree_leaves(gradients), strict=True):
                    array += values
                self._sum = total + loss, totals

    def result(self) -> tuple[float, Weights]:
        """The loss and the gradients, after the last part."""
        assert self._sum is not None and not self._waiting
        return self._sum


@contextmanager
def _signals() -> Iterator[Callable[[], bool]]:
    """Whether a signal has asked to stop. The second one stops at once, as usual."""
    received: list[int] = []
    before: dict[signal.Signals, Any] = {}

    def remember(number: int, frame: FrameType | None) -> None:
        received.append(number)
        signal.signal(number, before[signal.Signals(number)])

    try:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # no SIGHUP on Windows; nohup ignores it
            which = getattr(signal, name, signal.SIGINT)
            if signal.getsignal(which) is not signal.SIG_IGN and which not in before:
                before[which] = signal.signal(which, remember)
    except ValueError:
        pass  # not the main thread, where signals don't arrive
    try:
        yield lambda: bool(received)
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
