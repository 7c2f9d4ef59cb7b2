"""Distillation: a student of fewer layers from a teacher and text, as DistilBERT was trained. Besides the files of
every run (`run_folder.py`), its folder has

    tokenizer.json    the teacher's, and tokenizer_config.json
    text-tokens.npy   all sequences, one after the other, and text-starts.npy where each starts
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import numpy as np
from tokenizers import Tokenizer

from ..config import RobertaConfig
from ..errors import TrainingError
from ..hub import resolve_model
from ..layers.dropout import Dropout
from ..layers.params import Array, tree_map
from ..models import RobertaForMaskedLM
from ..models.masked_lm import MaskedLMWeights
from ..tokenizer import RobertaTokenizer
from .data.batches import MaskedBatches, write_sequences
from .data.source import check_file
from .device import to_device
from .loop import Options, RunOptions
from .pretrain import check_end, train_on_masked_text
from .run_folder import open_run
from .settings import DistillSettings
from .student import distillation_gradients, first_student

PHASE = "text"


def distill(folder: Path, files: Sequence[Path], settings: DistillSettings, **run_options: Unpack[RunOptions]) -> bool:
    """Train a student of a teacher, or resume a run. The student starts as the teacher without some of its layers.

    Args:
        files: text, as for `pretrain`.
        settings: of the run. `updates` may change until the learning rate falls, in the last `decay` updates.

    Returns whether all updates are made; False if a signal (SIGINT, SIGTERM) stopped the run, after a checkpoint.

    Raises:
        HubError: the teacher is not found.
        ConfigError, CheckpointError, TokenizerError: the teacher cannot be used.
        TrainingError: settings, teacher or text other than the run's, settings that the teacher does not allow, a loss
            that is not finite, or no usable GPU.
    """
    options = Options(**run_options)
    for path in files:
        check_file(path)
    source = resolve_model(settings.teacher)
    teacher, tokenizer = RobertaForMaskedLM.from_pretrained(source), RobertaTokenizer.from_pretrained(source)
    config = _student_config(teacher.config, tokenizer, settings)

    def prepare() -> Iterable[Path]:
        tokenizer.save_pretrained(folder)
        raw = Tokenizer.from_file(str(folder / "tokenizer.json"))
        return [
            *write_sequences(folder, PHASE, files, raw, settings.length, options.say),
            *folder.glob("tokenizer*.json"),
        ]

    with open_run(folder) as run:
        check_end(run, settings)
        data = {"text": files, "teacher": [source / "config.json", *sorted(source.glob("*.safetensors"))]}
        run.begin(settings, data, prepare)
        batches = MaskedBatches(folder, PHASE, settings.length, settings)
        initial = (
            first_student(teacher.weights, config.num_hidden_layers)
            if run.checkpoint is None
            else RobertaForMaskedLM.from_pretrained(run.checkpoint).weights
        )
        weights = to_device(tree_map(np.array, initial), options.device)  # writable copies
        teacher = RobertaForMaskedLM(teacher.config, to_device(teacher.weights, options.device))

        def compute(
            ids: list[Array], labels: list[Array], dropout: Dropout, masked: int, tokens: int
        ) -> tuple[float, MaskedLMWeights[Array]]:
            return distillation_gradients(ids, labels, weights, config, teacher, settings, dropout, masked, tokens)

        model = RobertaForMaskedLM(config, weights)
        return train_on_masked_text(run, model, tokenizer, settings, batches.batch, compute, options)


def _student_config(teacher: RobertaConfig, tokenizer: RobertaTokenizer, settings: DistillSettings) -> RobertaConfig:
    """The teacher's config with fewer layers."""
    layers, longest = settings.layers or max(1, teacher.num_hidden_layers // 2), teacher.max_sequence_length
    if layers > teacher.num_hidden_layers:
        raise TrainingError(
            f"layers must be at most {teacher.num_hidden_layers}, the number that {settings.teacher} has, not {layers}"
        )
    if settings.length > longest:
        raise TrainingError(
            f"length must be at most {longest}, the maximum of {settings.teacher}, not {settings.length}"
        )
    if tokenizer.vocab_size > teacher.vocab_size:
        raise TrainingError(
            f"{settings.teacher}: the tokenizer has {tokenizer.vocab_size:,} tokens, but the model only "
            f"{teacher.vocab_size:,}"
        )
    return replace(teacher, num_hidden_layers=layers, architectures=("RobertaForMaskedLM",))
