"""Distillation as a run: a student of fewer layers from a teacher and text, in the manner of DistilBERT.

Beside what every run has (`run.py`), the folder of this one has

    tokenizer.json    the teacher's, and tokenizer_config.json
    tokens.npy        all sequences, one after the other, and starts.npy where each begins
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from ..checkpoint.keys import masked_lm_keys
from ..checkpoint.save import save_model
from ..config import RobertaConfig
from ..errors import TrainingError
from ..hub import resolve_model
from ..layers.dropout import Dropout
from ..layers.params import Array, tree_map
from ..layers.roberta import MaskedLMWeights
from ..models.masked_lm import load_masked_lm
from ..tokenizer import SPECIAL_TOKENS, RobertaTokenizer
from .data.batches import Batch, MaskedBatches, Piece, add_up_pieces, count_asked, count_tokens, write_sequences
from .device import check_device, rng_for, to_device, to_host
from .loop import Job, Report, begin, last_checkpoint, resume, train
from .settings import DistillationSettings
from .student import Objective, Teacher, distillation_gradients, first_student

PHASE = "text"


def distill(
    run: Path,
    files: Sequence[Path],
    settings: DistillationSettings,
    *,
    device: str = "cpu",
    save_every: float = 600.0,
    report: Callable[[Report], None] = lambda report: None,
    say: Callable[[str], None] = lambda line: None,
) -> bool:
    """Train a student of a teacher, or go on with a run. It begins as the teacher with layers left out.

    Args:
        run: the run's folder.
        files: text, as `pretrain` takes it.
        settings: as the run was begun with, if it was.
        device: "cpu", or "cuda" for an NVIDIA GPU.
        save_every: seconds between checkpoints.
        report: called after every update.
        say: called with a line where something takes time before the first.

    Returns:
        Whether all updates are made; False if a signal (SIGINT, SIGTERM) ended it, after a checkpoint.

    Raises:
        HubError: the teacher can't be found.
        ConfigError, CheckpointError, TokenizerError: it can't be used.
        TrainingError: other settings than the run's, or than the teacher allows; a loss that is no number any more; or
            no GPU that can be used.
    """
    check_device(device)
    folder = resolve_model(settings.teacher)
    teacher_config = RobertaConfig.from_file(folder / "config.json")
    teacher = Teacher(load_masked_lm(folder, teacher_config), teacher_config)
    config = _student_config(teacher_config, settings)
    tokenizer = RobertaTokenizer.from_folder(folder)
    _check_tokenizer(tokenizer, config, settings.teacher)
    begin(run, settings)
    tokenizer.save_pretrained(run)
    write_sequences(run, PHASE, files, Tokenizer.from_file(str(run / "tokenizer.json")), settings.length, say)
    batches = MaskedBatches(run, PHASE, settings.length, settings)

    checkpoint = last_checkpoint(run)
    begun = (
        first_student(teacher.weights, config.num_hidden_layers)
        if checkpoint is None
        else load_masked_lm(checkpoint, config)
    )
    weights = to_device(tree_map(np.array, begun), device)  # copies, which may be written to
    teacher = teacher._replace(weights=to_device(teacher.weights, device))

    def gradients(update: int) -> tuple[float, MaskedLMWeights[Array], int]:
        batch = batches.batch(update)
        return *_gradients(batch, weights, config, teacher, settings, update, device), count_tokens(batch)

    def save(beside: Path) -> None:
        save_model(beside, config, masked_lm_keys(config), to_host(weights))
        tokenizer.save_pretrained(beside)

    job = Job(
        updates=settings.updates,
        gradients=gradients,
        learning_rate=settings.rate_of,
        optimizer=settings.optimizer,
        weight_decay=settings.weight_decay,
        clip=settings.clip,
        save=save,
    )
    return train(run, weights, resume(run, weights), job, save_every=save_every, report=report)


def _gradients(
    batch: Batch,
    weights: MaskedLMWeights[Array],
    config: RobertaConfig,
    teacher: Teacher,
    settings: DistillationSettings,
    update: int,
    device: str,
) -> tuple[float, MaskedLMWeights[Array]]:
    """The loss of a batch and its gradients."""
    asked, tokens = count_asked(batch), count_tokens(batch)
    objective = Objective(
        settings.temperature,
        settings.alpha_ce,
        settings.alpha_mlm,
        settings.alpha_cos,
        bool(settings.restrict_ce_to_mask),
    )

    def compute(piece: Piece) -> tuple[float, MaskedLMWeights[Array]]:
        dropout = Dropout(settings.dropout, rng_for(device, [settings.seed, 3, update, piece.number]))
        return distillation_gradients(
            piece.texts, piece.labels, weights, config, teacher, objective, dropout, dropout, asked, tokens
        )

    return add_up_pieces(batch, compute, device)


def _student_config(teacher: RobertaConfig, settings: DistillationSettings) -> RobertaConfig:
    """The teacher's, with fewer layers."""
    layers = settings.layers or max(1, teacher.num_hidden_layers // 2)
    if layers > teacher.num_hidden_layers:
        raise TrainingError(
            f"layers must be at most {teacher.num_hidden_layers}, as many as {settings.teacher} has, not {layers}"
        )
    if settings.length > teacher.max_sequence_length:
        raise TrainingError(
            f"length must be at most {teacher.max_sequence_length}, what {settings.teacher} can read, not "
            f"{settings.length}"
        )
    return replace(teacher, num_hidden_layers=layers, architectures=("RobertaForMaskedLM",))


def _check_tokenizer(tokenizer: RobertaTokenizer, config: RobertaConfig, teacher: str) -> None:
    absent = [token for token in SPECIAL_TOKENS.values() if tokenizer.token_to_id(token) is None]
    if absent:
        raise TrainingError(f"{teacher}: its tokenizer has no {', '.join(absent)}, which sequences are made with")
    if tokenizer.vocab_size > config.vocab_size:
        raise TrainingError(
            f"{teacher}: its tokenizer has {tokenizer.vocab_size:,} tokens and the model only {config.vocab_size:,}"
        )
