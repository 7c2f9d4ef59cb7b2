"""Batches of masked text: sequences from files, shuffled anew each epoch, and split into micro-batches for threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from tokenizers import Tokenizer

from ...errors import TrainingError
from ...files import atomic_write
from ...layers.dropout import Dropout
from ...layers.params import Array, tree_leaves
from ...runtime.batching import micro_batches
from ...runtime.threads import map_in_threads
from ..device import is_host, rng_for
from ..settings import MaskedLMSettings
from .masking import mask_tokens
from .text import MASK, SPECIAL, continuations, make_sequences

# Tokens of a micro-batch. Half as many cost 3% more time, since each micro-batch has gradients of all weights.
_MICRO_BATCH_TOKENS = 2048
# Each sequence with its labels, sorted by length.
Batch = list[tuple[Array, Array]]
Weights = TypeVar("Weights")
# The loss and the gradients of a part of a batch: of ids (B, S) for each length, labels alike, and a dropout.
Gradients = Callable[[list[Array], list[Array], Dropout], tuple[float, Weights]]


class MaskedBatches:
    """The sequences of a run in a new order each epoch, divided into batches of about equally many tokens.

    Args:
        run: the run's folder, with a tokenizer.json and what `write_sequences` wrote.
        phase: the name that the sequences were written under.
        length: their maximum length.
    """

    def __init__(self, run: Path, phase: str, length: int, settings: MaskedLMSettings) -> None:
        self._tokens = np.load(run / f"{phase}-tokens.npy", mmap_mode="r")
        self._starts = np.load(run / f"{phase}-starts.npy")
        self._settings, self._length = settings, length
        tokenizer = Tokenizer.from_file(str(run / "tokenizer.json"))
        vocabulary = tokenizer.get_vocab()
        self._mask, self._special = vocabulary[MASK], [vocabulary[token] for token in SPECIAL]
        self._vocab_size = len(vocabulary)
        self._continues = continuations(tokenizer) if settings.whole_words else None
        self._batches = max(1, round(len(self._tokens) / settings.batch_tokens))
        self._epoch = -1
        self._order: Array = np.empty(0, np.int64)
        self._borders: Array = np.empty(0, np.int64)

    def batch(self, update: int) -> Batch:
        """The masked batch of an update, counted from 0."""
        epoch, number = divmod(update, self._batches)
        if epoch != self._epoch:
            sizes = np.diff(self._starts)
            self._epoch = epoch
            self._order = np.random.default_rng([self._settings.seed, 1, self._length, epoch]).permutation(len(sizes))
            ends = np.cumsum(sizes[self._order])
            shares = ends[-1] * np.arange(self._batches + 1) / self._batches
            self._borders = np.append(np.searchsorted(ends, shares[:-1], side="right"), len(sizes))
        selected = self._order[self._borders[number] : self._borders[number + 1]]
        by_length: dict[int, list[Array]] = {}
        for sequence in selected.tolist():
            ids = self._tokens[self._starts[sequence] : self._starts[sequence + 1]]
            by_length.setdefault(len(ids), []).append(ids)
        rng = np.random.default_rng([self._settings.seed, 2, update])
        batch: Batch = []
        for _, sequences in sorted(by_length.items()):
            ids = np.array(sequences, np.int64)
            masking, continues = self._settings.masking, self._continues
            masked = mask_tokens(ids, rng, self._mask, self._vocab_size, self._special, masking, continues)
            batch += zip(*masked, strict=True)
        return batch


def write_sequences(
    run: Path, phase: str, files: Sequence[Path], tokenizer: Tokenizer, length: int, say: Callable[[str], None]
) -> list[Path]:
    """Write the sequences of files: all token ids as `<phase>-tokens.npy`, and where each sequence starts as
    `<phase>-starts.npy`. Returns the two paths. Raises TrainingError: no text, or a tokenizer without RoBERTa's special
    tokens."""
    missing = [token for token in (*SPECIAL, MASK) if tokenizer.token_to_id(token) is None]
    if missing:
        raise TrainingError(f"the tokenizer lacks {', '.join(missing)}; use a model with RoBERTa's special tokens")
    say(f"reading the text as sequences of at most {length} tokens")
    paths = [run / f"{phase}-{name}.npy" for name in ("tokens", "starts")]
    for path, array in zip(paths, make_sequences(files, tokenizer, length), strict=True):
        with atomic_write(path) as file:
            np.save(file, array)
    return paths


def batch_gradients(
    batch: Batch, compute: Gradients[Weights], dropout: float, seed: Sequence[int], device: str
) -> tuple[float, Weights]:
    """The loss of a batch and its gradients: summed over micro-batches in threads, or on a GPU all at once. `dropout`
    is a probability, and `seed` its seed."""
    total = OrderedSum()

    def add(numbered: tuple[int, slice]) -> None:
        number, part = numbered
        groups = [list(group) for _, group in groupby(batch[part], key=lambda pair: len(pair[0]))]
        ids, labels = ([np.array([pair[side] for pair in group]) for group in groups] for side in (0, 1))
        total.add(number, *compute(ids, labels, Dropout(dropout, rng_for(device, [*seed, number]))))

    lengths = [len(ids) for ids, _ in batch]
    parts = micro_batches(lengths, _MICRO_BATCH_TOKENS) if is_host(device) else [slice(None)]
    map_in_threads(add, list(enumerate(parts)))
    return total.loss, total.gradients


class OrderedSum:
    """The sum of the losses and the gradients of a batch's parts, which threads compute in any order.

    Parts are added in the order of their numbers, so that the sum is the same to the bit; only parts that wait for an
    earlier one are in memory next to the sum. The arrays of the first part are overwritten.
    """

    def __init__(self) -> None:
        self.loss = 0.0
        self.gradients: Any = None
        self._next = 0
        self._waiting: dict[int, tuple[float, Any]] = {}
        self._lock = threading.Lock()

    def add(self, number: int, loss: float, gradients: Any) -> None:
        """Add a part; all numbers from 0 must come once."""
        with self._lock:
            self._waiting[number] = loss, gradients
            while self._next in self._waiting:
                loss, gradients = self._waiting.pop(self._next)
                self._next += 1
                self.loss += loss
                if self.gradients is None:
                    self.gradients = gradients
                    continue
                for array, values in zip(tree_leaves(self.gradients), tree_leaves(gradients), strict=True):
                    array += values


def count_masked(batch: Batch) -> int:
    """The number of masked positions of a batch. Raises TrainingError if there is none."""
    masked = sum(int((labels >= 0).sum()) for _, labels in batch)
    if not masked:
        raise TrainingError("a batch has no masked tokens; increase batch_tokens or masking")
    return masked
