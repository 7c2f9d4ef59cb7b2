"""Pretraining: a masked language model from text alone.

Beside what every run has (`run.py`), the folder of this one has

    tokenizer.json    of the model
    first-tokens.npy  all sequences, one after the other, and first-starts.npy where each begins
    last-tokens.npy   the same, longer, for the last updates

Everything random is drawn from the seed, the epoch and the update.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from ..checkpoint.keys import masked_lm_keys
from ..checkpoint.save import save_model, save_tokenizer
from ..config import RobertaConfig
from ..errors import TrainingError
from ..files import write_text
from ..layers.dropout import Dropout
from ..layers.params import Array, tree_map
from ..layers.roberta import MaskedLMWeights
from ..models.masked_lm import load_masked_lm
from ..tokenizer import SPECIAL_TOKENS
from .data.batches import Batch, MaskedBatches, Piece, add_up_pieces, count_asked, count_tokens, write_sequences
from .data.text import MASK, train_tokenizer
from .device import check_device, rng_for, to_device, to_host
from .initialise import initial_weights
from .loop import Job, Report, begin, last_checkpoint, noted_settings, resume, saved_updates, train
from .masked_lm import masked_lm_gradients
from .settings import Settings


def pretrain(
    run: Path,
    files: Sequence[Path],
    settings: Settings,
    *,
    last_files: Sequence[Path] = (),
    device: str = "cpu",
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
        device: "cpu", or "cuda" for an NVIDIA GPU.
        save_every: seconds between checkpoints.
        report: called after every update.
        say: called with a line where something takes time before the first.

    Returns:
        Whether all updates are made; False if a signal (SIGINT, SIGTERM) ended it, after a checkpoint.

    Raises:
        TrainingError: other settings than the run's, text that is too short, a loss that is no number any more, or no
            GPU that can be used.
    """
    check_device(device)
    config = settings.config()
    _check_end(run, settings)
    begun = bool(noted_settings(run))
    begin(run, settings, free=("updates",))
    try:
        _prepare(run, files, last_files or files, settings, say)
    except BaseException:
        if not begun:  # so that the run can be begun with what is mended
            for name in ("settings.json", "tokenizer.json"):
                (run / name).unlink(missing_ok=True)
        raise
    weights = to_device(_weights(run, config, settings), device)
    state = resume(run, weights)
    tokenizer_json = (run / "tokenizer.json").read_text(encoding="utf-8")
    batches = masked_batches(run, settings)

    def gradients(update: int) -> tuple[float, MaskedLMWeights[Array], int]:
        batch = batches(update)
        return *_gradients(batch, weights, config, settings, update, device), count_tokens(batch)

    def save(folder: Path) -> None:
        save_model(folder, config, masked_lm_keys(config), to_host(weights))
        save_tokenizer(folder, tokenizer_json, SPECIAL_TOKENS, config.max_sequence_length)

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


PHASES = ("first", "last")


def masked_batches(run: Path, settings: Settings) -> Callable[[int], Batch]:
    """The batch of any update: of short sequences first, and of long ones in the last updates."""
    lengths = (settings.length, settings.last_length)
    first, last = (MaskedBatches(run, *named, settings) for named in zip(PHASES, lengths, strict=True))
    return lambda update: (first if update < settings.updates - settings.last_updates else last).batch(update)


def _gradients(
    batch: Batch, weights: MaskedLMWeights[Array], config: RobertaConfig, settings: Settings, update: int, device: str
) -> tuple[float, MaskedLMWeights[Array]]:
    """The loss of a batch and its gradients."""
    asked = count_asked(batch)

    def compute(piece: Piece) -> tuple[float, MaskedLMWeights[Array]]:
        dropout = Dropout(settings.dropout, rng_for(device, [settings.seed, 3, update, piece.number]))
        return masked_lm_gradients(piece.texts, piece.labels, weights, config, dropout, dropout, count=asked)

    return add_up_pieces(batch, compute, device)


# -- the run's folder ------------------------------------------------------------------------------------------------


def _check_end(run: Path, settings: Settings) -> None:
    """See that what is counted from the end has not begun, where the end is another than was noted."""
    noted, made = noted_settings(run).get("updates", settings.updates), saved_updates(run)
    ending = max(settings.decay, settings.last_updates)
    if noted != settings.updates and made > min(noted, settings.updates) - ending:
        raise TrainingError(
            f"{run}: this run is to make {noted:,} updates; after {made:,} of them it is too late to make it "
            f"{settings.updates:,}, as the last {ending:,} are of another kind"
        )


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
                f"{settings.vocab_size}: make it smaller, or give more text"
            )
        write_text(run / "tokenizer.json", tokenizer.to_str())
    tokenizer = Tokenizer.from_file(str(run / "tokenizer.json"))
    assert tokenizer.token_to_id(MASK) == settings.vocab_size - 1
    lengths = (settings.length, settings.last_length)
    for phase, texts, length in zip(PHASES, (files, last_files), lengths, strict=True):
        write_sequences(run, phase, texts, tokenizer, length, say)


def _weights(run: Path, config: RobertaConfig, settings: Settings) -> MaskedLMWeights[Array]:
    """The weights of the last checkpoint, or the first ones."""
    folder = last_checkpoint(run)
    if folder is None:
        return initial_weights(config, np.random.default_rng([settings.seed, 0]))
    copies: MaskedLMWeights[Array] = tree_map(np.array, load_masked_lm(folder, config))
    return copies
