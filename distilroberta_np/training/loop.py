"""The loop round every training: updates, a log, and checkpoints, so that it can be stopped at any time and resumed.

A run is a folder:

    settings.json     what it was begun with
    losses.csv        a line an update
    losses.png        the same drawn, where matplotlib is installed
    checkpoint/       the last one: the model's files, the optimiser's state, and state.json

What a run does next must follow from its settings, its checkpoint and the update's number alone: then a run that was
stopped, by a signal or by a kill, goes on to the bit.
"""

from __future__ import annotations

import csv
import json
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from ..checkpoint.save import recover_folder, replace_folder, save_tree
from ..errors import TrainingError
from ..files import read_json, write_json, write_text
from ..layers.params import tree_leaves
from .device import to_host
from .loss_curve import draw_losses
from .optim.adamw import AdamState, adamw, clip, start
from .optim.muon import muon

OPTIMIZERS = {"adamw": adamw, "muon": muon}
_HEADER = "update,loss,learning_rate,gradient_norm,tokens,seconds\r\n"


@dataclass(frozen=True)
class Report:
    """How a run goes, after an update."""

    update: int
    updates: int
    loss: float
    learning_rate: float
    norm: float  # of the gradients, before clipping
    tokens: int  # of this update
    seconds: float


@dataclass(frozen=True)
class Job:
    """What a training does, for `train` to do it.

    Args:
        updates: how many.
        gradients: of an update, counted from 0: the loss, its gradients as a tree like the weights, and how many tokens
            were seen.
        learning_rate: of an update.
        optimizer: "adamw" or "muon".
        weight_decay: of matrices.
        clip: largest global norm of the gradients.
        save: writes the model's files into a folder.
        after: called after every update with how many are made; what it makes (an evaluation, say) must be kept in the
            run's folder.
    """

    updates: int
    gradients: Callable[[int], tuple[float, Any, int]]
    learning_rate: Callable[[int], float]
    optimizer: str
    weight_decay: float
    clip: float
    save: Callable[[Path], None]
    after: Callable[[int], None] = lambda updates: None


def train(
    run: Path,
    weights: Any,
    state: AdamState,
    job: Job,
    *,
    save_every: float = 600.0,
    report: Callable[[Report], None] = lambda report: None,
) -> bool:
    """Make the updates that are left, in place.

    Args:
        run: the run's folder.
        weights: a tree of arrays that may be written to.
        state: the optimiser's, as `resume` gives it.
        job: what to do.
        save_every: seconds between checkpoints.
        report: called after every update.

    Returns:
        Whether all updates are made; False if a signal (SIGINT, SIGTERM) ended it, after a checkpoint.

    Raises:
        TrainingError: the loss is no number any more. The last checkpoint stays as it is.
    """
    _shorten_log(run / "losses.csv", state.updates)
    optimize = OPTIMIZERS[job.optimizer]
    saved = time.monotonic()

    def checkpoint() -> None:
        def fill(beside: Path) -> None:
            job.save(beside)
            save_tree(beside / "optimizer_mean.safetensors", to_host(state.mean))
            save_tree(beside / "optimizer_square.safetensors", to_host(state.square))
            (beside / "state.json").write_text(json.dumps({"updates": state.updates}) + "\n")

        replace_folder(run / "checkpoint", fill)
        draw_losses(run / "losses.csv")

    with _signals() as stopped, open(run / "losses.csv", "a", newline="", encoding="utf-8") as file:
        log = csv.writer(file)
        for update in range(state.updates, job.updates):
            began = time.monotonic()
            loss, gradients, tokens = job.gradients(update)
            norm = clip(gradients, job.clip)
            if not math.isfinite(loss) or not math.isfinite(norm):
                raise TrainingError(
                    f"{run}: the loss of update {update + 1} is {loss} and its gradients' norm {norm}: the training "
                    f"diverged. The checkpoint of update {saved_updates(run)} is whole; begin anew with a smaller "
                    "learning rate or a longer warm-up"
                )
            learning_rate = job.learning_rate(update)
            state = optimize(weights, gradients, state, learning_rate, job.weight_decay)
            seconds = time.monotonic() - began
            log.writerow([update + 1, f"{loss:.6f}", f"{learning_rate:.3e}", f"{norm:.4f}", tokens, f"{seconds:.3f}"])
            file.flush()
            report(Report(update + 1, job.updates, loss, learning_rate, norm, tokens, seconds))
            job.after(update + 1)
            if stopped() or time.monotonic() - saved > save_every:
                checkpoint()
                saved = time.monotonic()
            if stopped():
                return False
        checkpoint()
    return True


def begin(run: Path, settings: Any, free: tuple[str, ...] = ()) -> None:
    """Make a run's folder and note its settings in it, or see that a run there was begun with the same.

    Args:
        run: the folder.
        settings: a dataclass of what can be written as JSON.
        free: names of settings that may differ from those noted.

    Raises:
        TrainingError: it was begun with others.
    """
    run.mkdir(parents=True, exist_ok=True)
    values = asdict(settings)
    before = noted_settings(run)
    if before:
        told = [
            f"{name} {before.get(name)!r}"
            for name, value in sorted(values.items())
            if name not in free and before.get(name) != value
        ]
        if told:
            raise TrainingError(
                f"{run}: this run was begun with {', '.join(told)}; go on with the same, or begin in another folder"
            )
    write_json(run / "settings.json", values)


def noted_settings(run: Path) -> dict[str, Any]:
    """What a run was begun with; nothing, if it wasn't."""
    path = run / "settings.json"
    return dict(read_json(path, TrainingError)) if path.exists() else {}


def resume(run: Path, weights: Any) -> AdamState:
    """The optimiser's state of the run's last checkpoint, or the first one where there is none.

    Args:
        run: the run's folder.
        weights: the tree that will be trained; `last_checkpoint` says where those of the checkpoint are.
    """
    state = start(weights)
    folder = last_checkpoint(run)
    if folder is None:
        return state
    for name, tree in (("mean", state.mean), ("square", state.square)):
        stored = load_file(folder / f"optimizer_{name}.safetensors")
        for leaf, (_, values) in zip(tree_leaves(tree), sorted(stored.items()), strict=True):
            leaf[...] = np.asarray(values, like=leaf)
    return state._replace(updates=saved_updates(run))


def last_checkpoint(run: Path) -> Path | None:
    """The folder of the run's last checkpoint, if it has one."""
    recover_folder(run / "checkpoint")
    return run / "checkpoint" if (run / "checkpoint").exists() else None


def add_up(parts: list[tuple[float, Any]]) -> tuple[float, Any]:
    """The loss and the gradients of a batch from those of its parts. The first part's arrays are written over."""
    (loss, gradients), *rest = parts
    for other_loss, other in rest:
        loss += other_loss
        for total, part in zip(tree_leaves(gradients), tree_leaves(other), strict=True):
            total += part
    return loss, gradients


def saved_updates(run: Path) -> int:
    """How many updates the run's last checkpoint has."""
    recover_folder(run / "checkpoint")
    path = run / "checkpoint" / "state.json"
    return int(read_json(path, TrainingError)["updates"]) if path.exists() else 0


def _shorten_log(path: Path, updates: int) -> None:
    """Take the lines off that were written after the checkpoint, as their updates are made again."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    write_text(path, "".join([_HEADER, *lines[1 : updates + 1]]))


@contextmanager
def _signals() -> Iterator[Callable[[], bool]]:
    """Whether a signal has asked to stop. A second one stops at once, as ever."""
    received: list[int] = []
    before: dict[signal.Signals, Any] = {}

    def remember(number: int, frame: FrameType | None) -> None:
        received.append(number)
        signal.signal(number, before[signal.Signals(number)])

    try:
        for which in (signal.SIGINT, signal.SIGTERM):
            before[which] = signal.signal(which, remember)
    except ValueError:
        pass  # not the main thread, where signals don't come
    try:
        yield lambda: bool(received)
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
