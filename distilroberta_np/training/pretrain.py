"""Pretraining: a masked language model from text alone. Besides the files of every run (`run_folder.py`), its folder
has

    tokenizer.json    of the model
    first-tokens.npy  all sequences, one after the other, and first-starts.npy where each starts
    last-tokens.npy   the same with longer sequences, for the last updates

Everything random is drawn from the seed, the epoch and the update.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from tokenizers import Tokenizer

from ..errors import TrainingError
from ..files import write_text
from ..layers.dropout import Dropout
from ..layers.params import Array, tree_leaves, tree_map
from ..models import RobertaForMaskedLM
from ..models.masked_lm import MaskedLMWeights, masked_lm_gradients, masked_lm_keys
from ..tokenizer import RobertaTokenizer
from ..tokenizer_files import read_tokenizer
from .data.batches import Batch, MaskedBatches, batch_gradients, count_masked, write_sequences
from .data.source import check_file
from .data.text import train_tokenizer
from .device import to_device, to_host
from .initial_weights import initial_weights
from .loop import Options, RunOptions, train
from .positions import continue_positions
from .run_folder import RunFolder, open_run
from .settings import MaskedLMSettings, PretrainSettings

PHASES = ("first", "last")
# What weights were trained with and the shapes of their tensors do not show.
_UNSHAPED = ("num_attention_heads", "layer_norm_eps", "pad_token_id")


def pretrain(
    folder: Path,
    files: Sequence[Path],
    settings: PretrainSettings,
    *,
    last_files: Sequence[Path] = (),
    initial: Path | None = None,
    **run_options: Unpack[RunOptions],
) -> bool:
    """Train a masked language model from scratch or from another model, or resume a run.

    Args:
        files: text with a paragraph per line and an empty line between documents; .txt or .txt.gz. A file that is given
            twice is seen twice as often.
        last_files: the text of the last updates, by default the same; the best text, as a model remembers it best.
        initial: the folder of a model of the same shape, whose weights and tokenizer the run begins with.
        settings: of the run. Those of its end (`MAY_CHANGE`) may change until the end begins.

    Returns whether all updates are made; False if a signal (SIGINT, SIGTERM) stopped the run, after a checkpoint.

    Raises TrainingError: settings or text other than the run's, too little text, a loss that is not finite, or no
    usable GPU.
    """
    options, config = Options(**run_options), settings.config()
    texts = (files, last_files or files)
    for path in (*texts[0], *texts[1], *([] if initial is None else [initial / "config.json"])):
        check_file(path)
    with open_run(folder) as run:
        check_end(run, settings)
        data = dict(zip(("text", "text for the last updates"), texts, strict=True))
        if initial is not None:
            data["initial model"] = [initial / "config.json", *sorted(initial.glob("*.safetensors"))]
        run.begin(settings, data, lambda: _prepare(folder, texts, initial, settings, options.say))
        weights = to_device(_weights(run.checkpoint or initial, settings), options.device)
        settings_of_tokenizer = {"model_max_length": config.max_sequence_length}
        tokenizer = RobertaTokenizer(Tokenizer.from_file(str(folder / "tokenizer.json")), settings_of_tokenizer)

        def compute(
            ids: list[Array], labels: list[Array], dropout: Dropout, masked: int, tokens: int
        ) -> tuple[float, MaskedLMWeights[Array]]:
            return masked_lm_gradients(ids, labels, weights, config, dropout, masked)

        batches, positions = masked_batches(folder, settings), weights.roberta.embeddings.position
        learned = settings.length if initial is None else settings.learned_positions or settings.last_length

        def batch_of(update: int) -> Batch:
            if update == settings.updates - settings.last_updates and learned < settings.last_length:
                continued = to_host(positions)
                continue_positions(continued[config.pad_token_id + 1 :], learned)
                positions[:] = to_device(continued, options.device)
            return batches(update)

        model = RobertaForMaskedLM(config, weights)
        return train_on_masked_text(run, model, tokenizer, settings, batch_of, compute, options)


def masked_batches(folder: Path, settings: PretrainSettings) -> Callable[[int], Batch]:
    """The batch of any update: of short sequences first, and of long ones in the last updates."""
    first = MaskedBatches(folder, "first", settings.length, settings)
    last_settings = replace(settings, masking=settings.last_masking or settings.masking)
    last = MaskedBatches(folder, "last", settings.last_length, last_settings)
    return lambda update: (first if update < settings.updates - settings.last_updates else last).batch(update)


def train_on_masked_text(
    run: RunFolder,
    model: RobertaForMaskedLM,
    tokenizer: RobertaTokenizer,
    settings: MaskedLMSettings,
    batch_of: Callable[[int], Batch],
    compute: Callable[..., tuple[float, MaskedLMWeights[Array]]],
    options: Options,
) -> bool:
    """`train` on batches of masked text.

    Args:
        run, model, tokenizer, settings, options: as `train`.
        batch_of: the batch of an update, counted from 0.
        compute: as `batch_gradients`, but given the number of masked positions and of tokens of the whole batch too.
    """

    def gradients(update: int) -> tuple[float, MaskedLMWeights[Array], int]:
        batch = batch_of(update)
        masked, tokens = count_masked(batch), sum(ids.size for ids, _ in batch)

        def of_part(*part: Any) -> tuple[float, MaskedLMWeights[Array]]:
            return compute(*part, masked, tokens)

        seed = [settings.seed, 3, update]
        return *batch_gradients(batch, of_part, settings.dropout, seed, options.device), tokens

    return train(run, model, tokenizer, settings, settings.updates, gradients, options)


def check_end(run: RunFolder, settings: MaskedLMSettings) -> None:
    """Check that the end of a run is not changed after it has begun."""
    new = {name: getattr(settings, name) for name in settings.MAY_CHANGE}
    old = {name: run.settings.get(name, value) for name, value in new.items()}
    begins = min(end["updates"] - max(end["decay"], end.get("last_updates", 0)) for end in (old, new))
    if old != new and run.updates > begins:
        changes = ", ".join(f"{name} from {old[name]:,} to {new[name]:,}" for name in new if old[name] != new[name])
        raise TrainingError(
            f"{run.path}: cannot change {changes} at update {run.updates:,}: the end begins at "
            f"update {max(begins, 0):,}"
        )


def _weights(model: Path | None, settings: PretrainSettings) -> MaskedLMWeights[Array]:
    """The weights that a run goes on from: those of a model, or random ones."""
    config = settings.config()
    if model is not None:
        loaded = RobertaForMaskedLM.from_pretrained(model)
        other = any(getattr(loaded.config, name) != getattr(config, name) for name in _UNSHAPED)
        if other or list(tree_leaves(masked_lm_keys(loaded.config))) != list(tree_leaves(masked_lm_keys(config))):
            raise TrainingError(f"{model}: the settings describe a model of another shape; give those of this model")
        copies: MaskedLMWeights[Array] = tree_map(np.array, loaded.weights)
        return copies
    rng = np.random.default_rng([settings.seed, 0])
    weights: MaskedLMWeights[Array] = tree_map(lambda key: initial_weights(key, rng), masked_lm_keys(config))
    weights.roberta.embeddings.word[config.pad_token_id] = 0
    weights.roberta.embeddings.position[config.pad_token_id] = 0
    return weights


def _prepare(
    folder: Path,
    texts: Sequence[Sequence[Path]],
    initial: Path | None,
    settings: PretrainSettings,
    say: Callable[[str], None],
) -> Iterable[Path]:
    """Write the tokenizer and the sequences."""
    if initial is None:
        say(f"learning a vocabulary of {settings.vocab_size:,} tokens")
        tokenizer = train_tokenizer(texts[0], settings.vocab_size)
    else:
        tokenizer, _ = read_tokenizer(initial)
    size = tokenizer.get_vocab_size()
    if size != settings.vocab_size and initial is not None:
        raise TrainingError(f"{initial}: the tokenizer has {size} tokens; set vocab_size to {size}")
    if size != settings.vocab_size:
        raise TrainingError(
            f"the text has only {size} different tokens; vocab_size cannot be {settings.vocab_size}: decrease it, or "
            "give more text"
        )
    path = folder / "tokenizer.json"
    write_text(path, tokenizer.to_str())
    tokenizer = Tokenizer.from_file(str(path))  # as a resumed run reads it
    lengths = (settings.length, settings.last_length)
    phases = zip(PHASES, texts, lengths, strict=True)
    return [path, *(out for phase, files, length in phases for out in
                    write_sequences(folder, phase, files, tokenizer, length, say))]  # fmt: skip
