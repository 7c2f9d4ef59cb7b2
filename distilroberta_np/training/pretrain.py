"""Pretraining: the loop of batches, updates and checkpoints, which can be stopped at any time and resumed to the bit.

A run is a folder:

    settings.json     what it was begun with
    tokenizer.json    of the model
    tokens.npy        all sequences, one after the other, and starts.npy where each begins
    losses.csv        a line an update
    checkpoint/       the last one: the model's files, the optimiser's state, and state.json

Everything random is drawn from the seed, the epoch and the update, so what a run does next follows from the
checkpoint alone.
"""

from __future__ import annotations

import csv
import functools
import json
import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from ..checkpoint.load import load_masked_lm
from ..checkpoint.save import recover_folder, replace_folder, save_masked_lm, save_tree
from ..config import RobertaConfig
from ..errors import TrainingError
from ..json_file import read_json
from ..model.dropout import Dropout
from ..model.roberta import MaskedLMWeights
from ..model.tree import Array, tree_leaves, tree_map
from ..packing import cut
from ..threads import map_in_threads
from .initialise import initial_weights
from .masked_lm import masked_lm_gradients
from .masking import mask_tokens
from .optimizer import AdamState, adamw, clip, linear_schedule
from .optimizer import start as start_optimizer
from .settings import Settings
from .text import MASK, SPECIAL, make_sequences, train_tokenizer


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


def pretrain(
    run: Path,
    files: Sequence[Path],
    settings: Settings,
    *,
    save_every: float = 600.0,
    report: Callable[[Report], None] = lambda report: None,
    say: Callable[[str], None] = lambda line: None,
) -> bool:
    """Train a masked language model from nothing, or go on with a run.

    Args:
        run: the run's folder.
        files: text, a paragraph a line and an empty line between documents; .txt or .txt.gz.
        settings: as the run was begun with, if it was.
        save_every: seconds between checkpoints.
        report: called after every update.
        say: called with a line where something takes time before the first.

    Returns:
        Whether all updates are made; False if a signal (SIGINT, SIGTERM) ended it, after a checkpoint.

    Raises:
        TrainingError: other settings than the run's, text that is too short, or a loss that is no number any more.
    """
    _prepare(run, files, settings, say)
    config = settings.config()
    data = _Data(run, settings)
    weights, state = _load(run, config, settings)
    checkpoint = functools.partial(_save, run, config, (run / "tokenizer.json").read_text(encoding="utf-8"))
    _shorten_log(run / "losses.csv", state.updates)
    saved = time.monotonic()
    with _signals() as stopped, open(run / "losses.csv", "a", newline="", encoding="utf-8") as file:
        log = csv.writer(file)
        for update in range(state.updates, settings.updates):
            began = time.monotonic()
            batch = data.batch(update)
            loss, gradients = _gradients(batch, weights, config, settings, update)
            norm = clip(gradients, settings.clip)
            if not math.isfinite(loss) or not math.isfinite(norm):
                raise TrainingError(
                    f"{run}: the loss of update {update + 1} is {loss} and its gradients' norm {norm}: the training "
                    f"diverged. The checkpoint of update {_saved_updates(run)} is whole; begin anew with a smaller "
                    "learning rate or a longer warm-up"
                )
            learning_rate = linear_schedule(update + 1, settings.updates, settings.warmup, settings.learning_rate)
            state = adamw(weights, gradients, state, learning_rate, settings.weight_decay)
            tokens = sum(ids.size for ids, _ in batch)
            seconds = time.monotonic() - began
            log.writerow([update + 1, f"{loss:.6f}", f"{learning_rate:.3e}", f"{norm:.4f}", tokens, f"{seconds:.3f}"])
            report(Report(update + 1, settings.updates, loss, learning_rate, norm, tokens, seconds))
            if stopped() or time.monotonic() - saved > save_every:
                file.flush()
                checkpoint(weights, state)
                saved = time.monotonic()
            if stopped():
                return False
    checkpoint(weights, state)
    return True


# -- batches ---------------------------------------------------------------------------------------------------------

# Each text with its labels, (S,) both, sorted by length.
Batch = list[tuple[Array, Array]]


class _Data:
    """The sequences of a run, in an order of their own each epoch, cut into batches of about equally many tokens."""

    def __init__(self, run: Path, settings: Settings) -> None:
        self._tokens = np.load(run / "tokens.npy", mmap_mode="r")
        self._starts = np.load(run / "starts.npy")
        self._settings = settings
        self._batches = max(1, round(len(self._tokens) / settings.batch_tokens))
        self._epoch = -1
        self._order: Array = np.empty(0, np.int64)
        self._borders: Array = np.empty(0, np.int64)

    def batch(self, update: int) -> Batch:
        epoch, number = divmod(update, self._batches)
        if epoch != self._epoch:
            sizes = np.diff(self._starts)
            self._epoch = epoch
            self._order = np.random.default_rng([self._settings.seed, 1, epoch]).permutation(len(sizes))
            ends = np.cumsum(sizes[self._order])
            shares = ends[-1] * np.arange(self._batches + 1) / self._batches
            self._borders = np.searchsorted(ends, shares[:-1], side="right")
            self._borders = np.append(self._borders, len(sizes))
        chosen = self._order[self._borders[number] : self._borders[number + 1]]
        by_length: dict[int, list[Array]] = {}
        for sequence in chosen.tolist():
            ids = self._tokens[self._starts[sequence] : self._starts[sequence + 1]]
            by_length.setdefault(len(ids), []).append(ids)
        rng = np.random.default_rng([self._settings.seed, 2, update])
        mask_token_id, special = self._settings.vocab_size - 1, range(len(SPECIAL))
        batch: Batch = []
        for _, texts in sorted(by_length.items()):
            ids = np.array(texts, np.int64)
            masked = mask_tokens(ids, rng, mask_token_id, mask_token_id, special, self._settings.masking)
            batch += zip(*masked, strict=True)
        return batch


def _gradients(
    batch: Batch, weights: MaskedLMWeights[Array], config: RobertaConfig, settings: Settings, update: int
) -> tuple[float, MaskedLMWeights[Array]]:
    """The loss of a batch and its gradients, in as many threads as there are."""
    asked = sum(int((labels >= 0).sum()) for _, labels in batch)
    if not asked:
        raise TrainingError("a batch has nothing that is asked for; batch_tokens or masking is too small")

    def compute(piece: tuple[int, slice]) -> tuple[float, MaskedLMWeights[Array]]:
        number, part = piece
        rng = np.random.default_rng([settings.seed, 3, update, number])
        dropout = Dropout(settings.dropout, rng)
        groups = [list(group) for _, group in groupby(batch[part], key=lambda text: len(text[0]))]
        texts, labels = ([np.array([text[side] for text in group]) for group in groups] for side in (0, 1))
        return masked_lm_gradients(texts, labels, weights, config, dropout, dropout, count=asked)

    pieces = list(enumerate(cut([len(ids) for ids, _ in batch])))
    (loss, gradients), *rest = map_in_threads(compute, pieces)
    for other_loss, other in rest:
        loss += other_loss
        for total, part in zip(tree_leaves(gradients), tree_leaves(other), strict=True):
            total += part
    return loss, gradients


# -- the run's folder ------------------------------------------------------------------------------------------------


def _prepare(run: Path, files: Sequence[Path], settings: Settings, say: Callable[[str], None]) -> None:
    """Make what a run needs once: settings, tokenizer and sequences, each written beside its place and renamed."""
    run.mkdir(parents=True, exist_ok=True)
    if (run / "settings.json").exists():
        before = read_json(run / "settings.json", TrainingError)
        changed = sorted(name for name, value in asdict(settings).items() if before.get(name) != value)
        if changed:
            told = ", ".join(f"{name} {before.get(name)!r}" for name in changed)
            raise TrainingError(
                f"{run}: this run was begun with {told}; go on with the same, or begin in another folder"
            )
    else:
        _write(run / "settings.json", lambda file: file.write(json.dumps(asdict(settings), indent=2).encode() + b"\n"))
    if not (run / "tokenizer.json").exists():
        say(f"learning {settings.vocab_size:,} tokens")
        tokenizer = train_tokenizer(files, settings.vocab_size)
        if tokenizer.get_vocab_size() != settings.vocab_size:
            raise TrainingError(
                f"the text has only {tokenizer.get_vocab_size()} different tokens in it; vocab_size can't be "
                f"{settings.vocab_size}"
            )
        _write(run / "tokenizer.json", lambda file: file.write(tokenizer.to_str().encode()))
    if not (run / "starts.npy").exists():
        say("reading the text")
        tokenizer = Tokenizer.from_file(str(run / "tokenizer.json"))
        assert tokenizer.token_to_id(MASK) == settings.vocab_size - 1
        tokens, starts = make_sequences(files, tokenizer, settings.length)
        _write(run / "tokens.npy", lambda file: np.save(file, tokens))
        _write(run / "starts.npy", lambda file: np.save(file, starts))


def _write(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Have a file written beside its place, and renamed into it."""
    beside = path.with_name(path.name + ".new")
    with open(beside, "wb") as file:
        fill(file)
    beside.replace(path)


def _load(run: Path, config: RobertaConfig, settings: Settings) -> tuple[MaskedLMWeights[Array], AdamState]:
    """The weights and the optimiser's state of the last checkpoint, or the first ones."""
    folder = run / "checkpoint"
    recover_folder(folder)
    if not folder.exists():
        weights = initial_weights(config, np.random.default_rng([settings.seed, 0]))
        return weights, start_optimizer(weights)
    weights = tree_map(np.array, load_masked_lm(folder, config))  # copies, to be trained
    like = start_optimizer(weights)
    for name, tree in (("mean", like.mean), ("square", like.square)):
        _fill(tree, load_file(folder / f"optimizer_{name}.safetensors"))
    return weights, like._replace(updates=_saved_updates(run))


def _fill(tree: Any, tensors: dict[str, Array]) -> None:
    for leaf, (_, stored) in zip(tree_leaves(tree), sorted(tensors.items()), strict=True):
        leaf[...] = stored


def _save(
    run: Path, config: RobertaConfig, tokenizer_json: str, weights: MaskedLMWeights[Array], state: AdamState
) -> None:
    def fill(beside: Path) -> None:
        save_masked_lm(beside, config, weights, tokenizer_json)
        save_tree(beside / "optimizer_mean.safetensors", state.mean)
        save_tree(beside / "optimizer_square.safetensors", state.square)
        (beside / "state.json").write_text(json.dumps({"updates": state.updates}) + "\n")

    replace_folder(run / "checkpoint", fill)


def _saved_updates(run: Path) -> int:
    path = run / "checkpoint" / "state.json"
    return int(read_json(path, TrainingError)["updates"]) if path.exists() else 0


def _shorten_log(path: Path, updates: int) -> None:
    """Take the lines off that were written after the checkpoint, as their updates are made again."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    header = "update,loss,learning_rate,gradient_norm,tokens,seconds\r\n"
    _write(path, lambda file: file.write("".join([header, *lines[1 : updates + 1]]).encode()))


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
