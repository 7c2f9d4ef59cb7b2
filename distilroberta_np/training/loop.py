"""The loop of every training run: updates, a log and checkpoints, so that the run can be stopped and resumed.

What a run does next must follow from its settings, its checkpoint and the number of the update alone: then a run that
was stopped, by a signal or by a kill, goes on to the bit.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, TypedDict

from ..errors import TrainingError
from ..models.base import PretrainedModel
from ..tokenizer import RobertaTokenizer
from .device import to_device, to_host
from .loss_curve import draw_losses
from .optim import OPTIMIZERS
from .optim.adamw import clip
from .run_folder import LOSSES, RunFolder, append_row, writing
from .settings import TrainingSettings


class Report(NamedTuple):
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
        to_device(None, self.device)
        if not self.save_every >= 0:
            raise TrainingError(f"save_every must be a number of at least 0, not {self.save_every!r}")


def train(
    run: RunFolder,
    model: PretrainedModel[Any],
    tokenizer: RobertaTokenizer,
    settings: TrainingSettings,
    updates: int,
    gradients: Callable[[int], tuple[float, Any, int]],
    options: Options,
    after: Callable[[int], None] = _ignore,
) -> bool:
    """Make the remaining updates, in place.

    Args:
        run: the folder, after `begin`.
        model: with the weights of the last checkpoint, if there is one, as arrays to write to on the device.
        tokenizer: saved with the model.
        updates: how many there are in all.
        gradients: of an update, counted from 0: the loss, the gradients as a tree like the weights, and the number of
            tokens.
        after: called after every update with the number of updates made.

    Returns whether all updates are made; False if a signal (SIGINT, SIGTERM) stopped the run, after a checkpoint.

    Raises:
        TrainingError: the loss or the gradients are not finite, or a file cannot be written. The last checkpoint stays.
    """
    state = run.resume(model.weights, options.device, options.say)
    if state.updates >= updates:
        options.say(f"{run.path}: this run is finished, after {state.updates:,} updates")
        return True
    optimize = OPTIMIZERS[settings.optimizer]
    saved = time.monotonic()

    def checkpoint() -> None:
        run.save(lambda folder: save_checkpoint(model, tokenizer, folder), state, options.device)
        with writing(run.path):
            draw_losses(run.path / LOSSES)

    with _signals() as stopped:
        for update in range(state.updates, updates):
            began = time.monotonic()
            loss, tree, tokens = gradients(update)
            norm = clip(tree, settings.clip)
            if not math.isfinite(loss) or not math.isfinite(norm):
                raise TrainingError(
                    f"{run.path}: training diverged: at update {update + 1} the loss is {loss} and the gradient norm "
                    f"{norm}. The checkpoint of update {run.updates} is intact; begin a new run with a smaller "
                    "learning rate or a longer warmup"
                )
            learning_rate = settings.learning_rate_at(update, updates)
            state = optimize(model.weights, tree, state, learning_rate, settings.weight_decay)
            seconds = time.monotonic() - began
            row = {
                "update": update + 1, "loss": f"{loss:.6f}", "learning_rate": f"{learning_rate:.3e}",
                "gradient_norm": f"{norm:.4f}", "tokens": tokens, "seconds": f"{seconds:.3f}",
            }  # fmt: skip
            append_row(run.path / LOSSES, row)
            options.report(Report(update + 1, updates, loss, learning_rate, norm, tokens, seconds))
            after(update + 1)
            if stopped() or time.monotonic() - saved > options.save_every:
                checkpoint()
                saved = time.monotonic()
            if stopped():
                return update + 1 == updates
        checkpoint()
    return True


def save_checkpoint(model: PretrainedModel[Any], tokenizer: RobertaTokenizer, folder: Path) -> None:
    """Write a model, wherever its weights are, and its tokenizer."""
    type(model)(model.config, to_host(model.weights)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


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
            # None: a handler of the program that Python is embedded in.
            if signal.getsignal(which) not in (signal.SIG_IGN, None) and which not in before:
                before[which] = signal.signal(which, remember)
    except ValueError:
        pass  # not the main thread, where signals don't arrive
    try:
        yield lambda: bool(received)
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
