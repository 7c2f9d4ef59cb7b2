"""Pretraining: a masked language model from text alone. Besides the files of every run (`run_folder.py`), its folder
has

    tokenizer.json    of the model
    first-tokens.npy  all sequences, one after the other, and first-starts.npy where each starts
    last-tokens.npy   the same with longer sequences, for the last updates

Everything random is drawn from the seed, the epoch and the update.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Unpack

import numpy as np
from tokenizers import Tokenizer

from ..errors import TrainingError
from ..files import write_text
from ..layers.params import Array, tree_map
from ..models import RobertaForMaskedLM
from ..models.masked_lm import MaskedLMWeights, masked_lm_gradients, masked_lm_keys
from ..tokenizer import RobertaTokenizer
from .data.batches import Batch, MaskedBatches, batch_gradients, count_masked, count_tokens, write_sequences
from .data.source import check_file
from .data.text import MASK, train_tokenizer
from .device import to_device, to_host
from .initial_weights import initial_weights
from .loop import Job, Options, RunOptions, train
from .run_folder import RunFolder, open_run
from .settings import MaskedLMSettings, PretrainSettings

PHASES = ("first", "last")


def pretrain(
    folder: Path,
    files: Sequence[Path],
    settings: PretrainSettings,
    *,
    last_files: Sequence[Path] = (),
    **run_options: Unpack[RunOptions],
) -> bool:
    """Train a masked language model from scratch, or resume a run.

    Args:
        folder: of the run.
        files: text with a paragraph per line and an empty line between documents; .txt or .txt.gz. A file that is given
            twice is seen twice as often.
        last_files: the text of the last updates, by default the same; the best text, as a model remembers it best.
        settings: of the run. `updates` may change until the updates at the end begin, `decay` and `last_updates`.
        **run_options: as `RunOptions`.

    Returns:
        Whether all updates are made; False if a signal (SIGINT, SIGTERM) stopped the run, after a checkpoint.

    Raises:
        TrainingError: settings or text other than the run's, too little text, a loss that is not finite, or no usable
            GPU.
    """
    options, config = Options(**run_options), settings.config()
    texts = (files, last_files or files)
    for path in (*texts[0], *texts[1]):
        check_file(path)
    with open_run(folder) as run:
        check_end(run, settings)
        data = dict(zip(("text", "text for the last updates"), texts, strict=True))
        run.begin(settings, data, lambda: _prepare(folder, texts, settings, options.say), free=("updates",))
        if run.checkpoint is None:
            rng = np.random.default_rng([settings.seed, 0])
            initial = tree_map(lambda key: initial_weights(key, rng), masked_lm_keys(config))
            initial.roberta.embeddings.word[config.pad_token_id] = 0
            initial.roberta.embeddings.position[config.pad_token_id] = 0
        else:
            initial = tree_map(np.array, RobertaForMaskedLM.from_pretrained(run.checkpoint).weights)
        weights: MaskedLMWeights[Array] = to_device(initial, options.device)
        state = run.resume(weights, options.device, options.say)
        settings_of_tokenizer = {"model_max_length": config.max_sequence_length}
        tokenizer = RobertaTokenizer(Tokenizer.from_file(str(folder / "tokenizer.json")), settings_of_tokenizer)
        batches = masked_batches(folder, settings)

        def gradients(update: int) -> tuple[float, MaskedLMWeights[Array], int]:
            batch = batches(update)
            masked = count_masked(batch)
            loss, total = batch_gradients(
                batch,
                lambda part: masked_lm_gradients(part.ids, part.labels, weights, config, part.dropout, masked),
                settings.dropout,
                [settings.seed, 3, update],
                options.device,
            )
            return loss, total, count_tokens(batch)

        def save(target: Path) -> None:
            RobertaForMaskedLM(config, to_host(weights)).save_pretrained(target)
            tokenizer.save_pretrained(target)

        return train(run, weights, state, settings, Job(settings.updates, gradients, save), options)


def masked_batches(folder: Path, settings: PretrainSettings) -> Callable[[int], Batch]:
    """The batch of any update: of short sequences first, and of long ones in the last updates."""
    lengths = (settings.length, settings.last_length)
    first, last = (MaskedBatches(folder, *named, settings) for named in zip(PHASES, lengths, strict=True))
    return lambda update: (first if update < settings.updates - settings.last_updates else last).batch(update)


def check_end(run: RunFolder, settings: MaskedLMSettings) -> None:
    """Check that the number of updates is not changed after the updates at the end have begun."""
    noted, made, ending = run.settings.get("updates", settings.updates), run.updates, settings.ending
    if noted != settings.updates and made > min(noted, settings.updates) - ending:
        raise TrainingError(
            f"{run.path}: cannot change updates from {noted:,} to {settings.updates:,} at update {made:,}: the last "
            f"{ending:,} updates have begun"
        )


def _prepare(
    folder: Path, texts: Sequence[Sequence[Path]], settings: PretrainSettings, say: Callable[[str], None]
) -> Iterable[Path]:
    """Write the tokenizer and the sequences."""
    say(f"learning a vocabulary of {settings.vocab_size:,} tokens")
    tokenizer = train_tokenizer(texts[0], settings.vocab_size)
    if tokenizer.get_vocab_size() != settings.vocab_size:
        raise TrainingError(
            f"the text has only {tokenizer.get_vocab_size()} different tokens; vocab_size cannot be "
            f"{settings.vocab_size}: decrease it, or give more text"
        )
    path = folder / "tokenizer.json"
    write_text(path, tokenizer.to_str())
    # As saved: what a resumed run reads.
    tokenizer = Tokenizer.from_file(str(path))
    assert tokenizer.token_to_id(MASK) == settings.vocab_size - 1
    lengths = (settings.length, settings.last_length)
    phases = zip(PHASES, texts, lengths, strict=True)
    return [path, *(out for phase, files, length in phases for out in
                    write_sequences(folder, phase, files, tokenizer, length, say))]  # fmt: skip
