"""Pretraining: a masked language model from text alone.

Beside what every run has (`run.py`), the folder of this one has

    tokenizer.json    of the model
    first-tokens.npy  all sequences, one after the other, and first-starts.npy where each begins
    last-tokens.npy   the same, longer, for the last updates

Everything random is drawn from the seed, the epoch and the update.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from ..checkpoint.keys import masked_lm_keys
from ..checkpoint.load import load_masked_lm
from ..checkpoint.save import save_model, save_tokenizer
from ..config import RobertaConfig
from ..errors import TrainingError
from ..model.dropout import Dropout
from ..model.roberta import MaskedLMWeights
from ..model.tree import Array, tree_map
from ..packing import cut
from ..threads import map_in_threads
from .initialise import initial_weights
from .masked_lm import masked_lm_gradients
from .masking import mask_tokens
from .run import Job, Report, add_up, begin, last_checkpoint, resume, train, write_beside
from .settings import Settings
from .text import MASK, SPECIAL, continuations, make_sequences, train_tokenizer


def pretrain(
    run: Path,
    files: Sequence[Path],
    settings: Settings,
    *,
    last_files: Sequence[Path] = (),
    save_every: float = 600.0,
    report: Callable[[Report], None] = lambda report: None,
    say: Callable[[str], None] = lambda line: None,
) -> bool:
    """Train a masked language model from nothing, or go on with a run.

    Args:
        run: the run's folder.
        files: text, a paragraph a line and an empty line between documents; .txt or .txt.gz. A file that is named
            twice is seen twice as often.
        last_files: the text of the last updates, if it is another: the best there is, as a model remembers that most.
        settings: as the run was begun with, if it was. How many updates there are may change until those begin that
            are counted from the end, `decay` and `last_updates`.
        save_every: seconds between checkpoints.
        report: called after every update.
        say: called with a line where something takes time before the first.

    Returns:
        Whether all updates are made; False if a signal (SIGINT, SIGTERM) ended it, after a checkpoint.

    Raises:
        TrainingError: other settings than the run's, text that is too short, or a loss that is no number any more.
    """
    noted = begin(run, settings, free=("updates",))
    _prepare(run, files, last_files or files, settings, say)
    config = settings.config()
    weights = _weights(run, config, settings)
    state = resume(run, weights)
    ending = max(settings.decay, settings.last_updates)
    if noted["updates"] != settings.updates and state.updates > min(noted["updates"], settings.updates) - ending:
        raise TrainingError(
            f"{run}: this run is to make {noted['updates']:,} updates; after {state.updates:,} of them it is too late "
            f"to make it {settings.updates:,}, as the last {ending:,} are of another kind"
        )
    tokenizer_json = (run / "tokenizer.json").read_text(encoding="utf-8")
    batches = masked_batches(run, settings)

    def gradients(update: int) -> tuple[float, MaskedLMWeights[Array], int]:
        batch = batches(update)
        return *_gradients(batch, weights, config, settings, update), sum(ids.size for ids, _ in batch)

    def save(folder: Path) -> None:
        save_model(folder, config, masked_lm_keys(config), weights)
        save_tokenizer(folder, tokenizer_json, config.max_sequence_length)

    job = Job(
        updates=settings.updates,
        gradients=gradients,
        learning_rate=settings.rate_of,
        optimizer=settings.optimizer,
        weight_decay=settings.weight_decay,
        clip=settings.clip,
        save=save,
    )
    return train(run, weights, state, job, save_every=save_every, report=report)


# -- batches ---------------------------------------------------------------------------------------------------------

PHASES = ("first", "last")
# Each text with its labels, (S,) both, sorted by length.
Batch = list[tuple[Array, Array]]


def masked_batches(run: Path, settings: Settings) -> Callable[[int], Batch]:
    """The batch of any update: of short sequences first, and of long ones in the last updates."""
    first, last = (_Data(run, settings, phase) for phase in PHASES)
    return lambda update: (first if update < settings.updates - settings.last_updates else last).batch(update)


class _Data:
    """The sequences of a run, in an order of their own each epoch, cut into batches of about equally many tokens.

    Args:
        run: the run's folder.
        settings: of the run.
        phase: "first" or "last".
    """

    def __init__(self, run: Path, settings: Settings, phase: str) -> None:
        self._tokens = np.load(run / f"{phase}-tokens.npy", mmap_mode="r")
        self._starts = np.load(run / f"{phase}-starts.npy")
        self._settings = settings
        self._length = settings.length if phase == "first" else settings.last_length
        tokenizer = Tokenizer.from_file(str(run / "tokenizer.json"))
        self._continues = continuations(tokenizer) if settings.whole_words else None
        self._batches = max(1, round(len(self._tokens) / settings.batch_tokens))
        self._epoch = -1
        self._order: Array = np.empty(0, np.int64)
        self._borders: Array = np.empty(0, np.int64)

    def batch(self, update: int) -> Batch:
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
        mask_token_id, special = self._settings.vocab_size - 1, range(len(SPECIAL))
        batch: Batch = []
        for _, texts in sorted(by_length.items()):
            ids = np.array(texts, np.int64)
            masked = mask_tokens(
                ids, rng, mask_token_id, mask_token_id, special, self._settings.masking, self._continues
            )
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
    return add_up(map_in_threads(compute, pieces))


# -- the run's folder ------------------------------------------------------------------------------------------------


def _prepare(
    run: Path, files: Sequence[Path], last_files: Sequence[Path], settings: Settings, say: Callable[[str], None]
) -> None:
    """Make what a run needs once, tokenizer and sequences, each written beside its place and renamed."""
    if not (run / "tokenizer.json").exists():
        say(f"learning {settings.vocab_size:,} tokens")
        tokenizer = train_tokenizer(files, settings.vocab_size)
        if tokenizer.get_vocab_size() != settings.vocab_size:
            raise TrainingError(
                f"the text has only {tokenizer.get_vocab_size()} different tokens in it; vocab_size can't be "
                f"{settings.vocab_size}"
            )
        write_beside(run / "tokenizer.json", lambda file: file.write(tokenizer.to_str().encode()))
    tokenizer = Tokenizer.from_file(str(run / "tokenizer.json"))
    assert tokenizer.token_to_id(MASK) == settings.vocab_size - 1
    lengths = (settings.length, settings.last_length)
    for phase, texts, length in zip(PHASES, (files, last_files), lengths, strict=True):
        if not (run / f"{phase}-starts.npy").exists():
            say(f"reading the text as sequences of at most {length} tokens")
            _write_sequences(run, phase, *make_sequences(texts, tokenizer, length))


def _write_sequences(run: Path, phase: str, tokens: Array, starts: Array) -> None:
    write_beside(run / f"{phase}-tokens.npy", lambda file: np.save(file, tokens))
    write_beside(run / f"{phase}-starts.npy", lambda file: np.save(file, starts))


def _weights(run: Path, config: RobertaConfig, settings: Settings) -> MaskedLMWeights[Array]:
    """The weights of the last checkpoint, or the first ones."""
    folder = last_checkpoint(run)
    if folder is None:
        return initial_weights(config, np.random.default_rng([settings.seed, 0]))
    copies: MaskedLMWeights[Array] = tree_map(np.array, load_masked_lm(folder, config))
    return copies
