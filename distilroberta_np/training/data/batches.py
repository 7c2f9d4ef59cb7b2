"""Batches of masked text: sequences of ids from files, drawn in another order each epoch, and cut up for threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tokenizers import Tokenizer

from ...errors import TrainingError
from ...files import atomic_write
from ...layers.params import Array
from ...runtime.batching import cut
from ...runtime.threads import map_in_threads
from ..device import is_host
from ..loop import add_up
from ..settings import MaskedTextSettings
from .masking import mask_tokens
from .text import MASK, SPECIAL, continuations, make_sequences

# Each text with its labels, (S,) both, sorted by length.
Batch = list[tuple[Array, Array]]


class MaskedBatches:
    """The sequences of a run, in an order of their own each epoch, cut into batches of about equally many tokens.

    Args:
        run: the run's folder, with a tokenizer.json and what `write_sequences` has written.
        phase: the name that the sequences were written under.
        length: of the sequences, at most.
        settings: of the run.
    """

    def __init__(self, run: Path, phase: str, length: int, settings: MaskedTextSettings) -> None:
        self._tokens = np.load(run / f"{phase}-tokens.npy", mmap_mode="r")
        self._starts = np.load(run / f"{phase}-starts.npy")
        self._settings, self._length = settings, length
        tokenizer = Tokenizer.from_file(str(run / "tokenizer.json"))
        vocabulary = tokenizer.get_vocab()
        self._mask, self._special = vocabulary[MASK], [vocabulary[token] for token in SPECIAL]
        self._continues = continuations(tokenizer) if settings.whole_words else None
        self._batches = max(1, round(len(self._tokens) / settings.batch_tokens))
        self._epoch = -1
        self._order: Array = np.empty(0, np.int64)
        self._borders: Array = np.empty(0, np.int64)

    def batch(self, update: int) -> Batch:
        """The batch of an update, counted from 0, with masks in it."""
        epoch, number = divmod(update, self._batches)
        if epoch != self._epoch:
            sizes = np.diff(self._starts)
            self._epoch = epoch
            self._order = np.random.default_rng([self._settings.seed, 1, self._length, epoch]).permutation(len(sizes))
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
        batch: Batch = []
        for _, texts in sorted(by_length.items()):
            ids = np.array(texts, np.int64)
            masked = mask_tokens(
                ids, rng, self._mask, self._mask, self._special, self._settings.masking, self._continues
            )
            batch += zip(*masked, strict=True)
        return batch


def write_sequences(
    run: Path,
    phase: str,
    files: Sequence[Path],
    tokenizer: Tokenizer,
    length: int,
    say: Callable[[str], None],
) -> None:
    """Write the sequences of files as `<phase>-tokens.npy`, one after the other, and `<phase>-starts.npy`, where each
    begins; if that isn't done yet. Each is written beside its place and renamed, the starts last."""
    if (run / f"{phase}-starts.npy").exists():
        return
    say(f"reading the text as sequences of at most {length} tokens")
    tokens, starts = make_sequences(files, tokenizer, length)
    for name, array in (("tokens", tokens), ("starts", starts)):
        with atomic_write(run / f"{phase}-{name}.npy") as file:
            np.save(file, array)


class Piece(NamedTuple):
    """A part of a batch that a thread computes."""

    number: int
    texts: list[Array]  # the ids, (B, S) for each length
    labels: list[Array]  # alike


def add_up_pieces(batch: Batch, compute: Callable[[Piece], tuple[float, Any]], device: str) -> tuple[float, Any]:
    """The loss of a batch and its gradients: of its pieces, in as many threads as there are, added up; on a GPU of all
    at once."""

    def of(numbered: tuple[int, slice]) -> tuple[float, Any]:
        number, part = numbered
        groups = [list(group) for _, group in groupby(batch[part], key=lambda text: len(text[0]))]
        texts, labels = ([np.array([text[side] for text in group]) for group in groups] for side in (0, 1))
        return compute(Piece(number, texts, labels))

    parts = cut([len(ids) for ids, _ in batch]) if is_host(device) else [slice(None)]
    return add_up(map_in_threads(of, list(enumerate(parts))))


def count_asked(batch: Batch) -> int:
    """How many tokens of a batch are asked for. Raises TrainingError where none is."""
    asked = sum(int((labels >= 0).sum()) for _, labels in batch)
    if not asked:
        raise TrainingError("a batch has nothing that is asked for; batch_tokens or masking is too small")
    return asked


def count_tokens(batch: Batch) -> int:
    """How many tokens a batch has."""
    return sum(ids.size for ids, _ in batch)
