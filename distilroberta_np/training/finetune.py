"""Fine-tuning: a pretrained encoder with a new head, trained on a task's labelled data.

Beside what every run has (`run.py`), the folder of this one has

    evaluations.csv   a line an epoch: the measures on the data to evaluate on
    best/             the model of the best of them, as pipelines load it, and evaluation.json

Each task has a file in `tasks/`. Everything random is drawn from the seed, the epoch and the update.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoint.keys import Key
from ..checkpoint.save import recover_folder, replace_folder
from ..config import RobertaConfig
from ..errors import TrainingError
from ..files import write_text
from ..hub import resolve_model
from ..layers.dropout import Dropout
from ..layers.params import Array, tree_map
from ..models.roberta import load_roberta
from ..pretrained import CONFIG, TOKENIZER, WEIGHTS
from ..tokenizer import RobertaTokenizer
from .data.batches import Piece, add_up_pieces
from .data.labelled import refuse
from .device import check_device, rng_for, to_device, to_host
from .examples import Example
from .finetune_settings import FinetuneSettings
from .loop import Job, Report, begin, last_checkpoint, resume, train
from .tasks import question_answering, sequence_classification, token_classification

_TASKS: dict[str, Any] = {
    "text-classification": sequence_classification,
    "token-classification": token_classification,
    "question-answering": question_answering,
}
_HEAD_RANGE = 0.02  # Devlin et al. 2018's initializer_range


def finetune(
    run: Path,
    settings: FinetuneSettings,
    *,
    local_files_only: bool = False,
    device: str = "cpu",
    save_every: float = 600.0,
    report: Callable[[Report], None] = lambda report: None,
    say: Callable[[str], None] = lambda line: None,
) -> bool:
    """Fine-tune a model, or go on with a run.

    Args:
        run: the run's folder.
        settings: as the run was begun with, if it was.
        local_files_only: never connect to the hub for the model.
        device: "cpu", or "cuda" for an NVIDIA GPU.
        save_every: seconds between checkpoints.
        report: called after every update.
        say: called with a line about the data, and one after every evaluation.

    Returns:
        Whether all updates are made; False if a signal (SIGINT, SIGTERM) ended it, after a checkpoint.

    Raises:
        TrainingError: data that can't be used, other settings or data than the run's, a loss that is no number, or no
            GPU that can be used.
        DistilRobertaError: the model can't be found or read; its subclasses say which.
    """
    check_device(device)
    task = _TASKS[settings.task]
    source = last_checkpoint(run) or resolve_model(
        settings.model,
        revision=settings.revision,
        local_files_only=local_files_only,
        parts=(CONFIG, WEIGHTS, TOKENIZER),
    )
    config, tokenizer = RobertaConfig.from_file(source / "config.json"), RobertaTokenizer.from_folder(source)
    data = _Reader(settings, config, tokenizer, say)
    rows = data.rows(settings.train)
    config = task.learn(rows, config, settings, say)
    metric = _metric(task.metric_names(config), settings)
    examples = data.examples(settings.train, rows, config)
    eval_rows = data.rows(settings.eval)
    eval_examples = data.examples(settings.eval, eval_rows, config)
    begin(
        run,
        replace(settings, train_sha256=_digest(settings.train), eval_sha256=_digest(settings.eval)),
        free=("train", "eval"),
    )
    weights = _weights(task, source, config, settings, resumed=source == last_checkpoint(run))
    model = task.Model(config, to_device(weights, device))
    state = resume(run, model.weights)
    per_epoch = math.ceil(len(examples) / settings.batch_size)
    updates = settings.epochs * per_epoch
    evaluations = _Evaluations(run, task.metric_names(config), metric, state.updates)

    def gradients(update: int) -> tuple[float, Any, int]:
        epoch, number = divmod(update, per_epoch)
        order = np.random.default_rng([settings.seed, 1, epoch]).permutation(len(examples))
        chosen = order[number * settings.batch_size :][: settings.batch_size].tolist()
        batch = sorted((examples[place] for place in chosen), key=lambda example: len(example.ids))
        labels_of_batch = task.count([example.labels for example in batch])

        def compute(piece: Piece) -> tuple[float, Any]:
            dropout = Dropout(settings.dropout, rng_for(device, [settings.seed, 2, update, piece.number]))
            loss_and_gradients: tuple[float, Any] = task.gradients(
                piece.texts, piece.labels, model.weights, config, dropout, dropout, labels_of_batch
            )
            return loss_and_gradients

        loss, of_weights = add_up_pieces([(example.ids, example.labels) for example in batch], compute, device)
        return loss, of_weights, sum(len(example.ids) for example in batch)

    def save(folder: Path) -> None:
        task.Model(config, to_host(model.weights)).save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    def after(made: int) -> None:
        epoch, rest = divmod(made, per_epoch)
        if rest:
            return
        scores = task.measure(model, eval_rows, eval_examples)
        best = evaluations.is_best(scores)
        if best:
            told = {"epoch": epoch, "update": made, "metric": metric} | scores

            def fill(folder: Path) -> None:
                save(folder)
                (folder / "evaluation.json").write_text(json.dumps(told) + "\n", encoding="utf-8")

            replace_folder(run / "best", fill)
        evaluations.add(made, epoch, scores)
        say(f"epoch {epoch} of {settings.epochs}: {shown_scores(scores)}{' (the best so far)' * best}")

    job = Job(
        updates=updates,
        gradients=gradients,
        learning_rate=lambda update: settings.rate_of(update, updates),
        optimizer=settings.optimizer,
        weight_decay=settings.weight_decay,
        clip=settings.clip,
        save=save,
        after=after,
    )
    return train(run, model.weights, state, job, save_every=save_every, report=report)


def evaluate(
    folder: Path, path: Path, settings: FinetuneSettings, say: Callable[[str], None] = lambda line: None
) -> dict[str, float]:
    """The measures of a fine-tuned model, such as a run's `best`, on a file of labelled data.

    Args:
        folder: the model's.
        path: as the files to train on.
        settings: what they say of the task, the columns and the length.
        say: called with a line about the data.

    Raises:
        TrainingError: data that can't be used.
        DistilRobertaError: the model can't be read; its subclasses say which.
    """
    task = _TASKS[settings.task]
    model = task.Model.from_pretrained(folder)
    data = _Reader(settings, model.config, RobertaTokenizer.from_folder(folder), say)
    rows = data.rows(str(path))
    scores: dict[str, float] = task.measure(model, rows, data.examples(str(path), rows, model.config))
    return scores


def shown_scores(scores: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in scores.items())


# -- data ------------------------------------------------------------------------------------------------------------


class _Reader:
    """Reads files of labelled data, and makes examples of their rows."""

    def __init__(
        self,
        settings: FinetuneSettings,
        config: RobertaConfig,
        tokenizer: RobertaTokenizer,
        say: Callable[[str], None],
    ) -> None:
        if tokenizer.vocab_size > config.vocab_size or tokenizer.pad_token_id != config.pad_token_id:
            raise TrainingError(
                f"{settings.model}: the tokenizer has {tokenizer.vocab_size} tokens and {tokenizer.pad_token} is "
                f"{tokenizer.pad_token_id}; by the config they are {config.vocab_size} and {config.pad_token_id}. "
                "They don't belong together"
            )
        self._task, self._settings, self._tokenizer, self._say = _TASKS[settings.task], settings, tokenizer, say
        longest = tokenizer.longest_text(config.max_sequence_length)
        if settings.max_length is not None and settings.max_length > longest:
            raise TrainingError(
                f"max_length {settings.max_length} is more than the {longest} tokens that {settings.model} reads"
            )
        usual = 384 if settings.task == "question-answering" else longest
        self._longest = settings.max_length or min(usual, longest)
        self._left_out = 0

    def rows(self, path: str) -> list[Any]:
        self._left_out = 0
        rows: list[Any] = self._task.read(Path(path), self._settings, self._bad())
        return rows

    def examples(self, path: str, rows: Sequence[Any], config: RobertaConfig) -> list[Example]:
        examples: list[Example] = self._task.encode(
            rows, self._tokenizer, config, self._settings, self._longest, self._bad(), self._say
        )
        if self._left_out:
            self._say(f"{path}: {self._left_out:,} rows were left out")
        if not examples:
            raise TrainingError(f"{path}: it has no rows")
        tokens = sum(len(example.ids) for example in examples)
        self._say(f"{path}: {len(rows):,} rows, {len(examples):,} texts of {tokens / len(examples):.1f} tokens")
        return examples

    def _bad(self) -> Callable[[str], None]:
        def note(sentence: str) -> None:
            self._left_out += 1
            self._say(f"left out: {sentence}")

        return note if self._settings.skip_bad_rows else refuse


def _digest(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


# -- weights ---------------------------------------------------------------------------------------------------------


def _weights(task: Any, source: Path, config: RobertaConfig, settings: FinetuneSettings, *, resumed: bool) -> Any:
    """Those of a run's checkpoint; or a model's encoder with a new head, matrices normal and biases 0."""
    if resumed:
        return tree_map(np.array, task.Model.from_pretrained(source).weights)
    rng = np.random.default_rng([settings.seed, 0])

    def draw(key: Key) -> Array:
        values = rng.normal(0, _HEAD_RANGE, key.shape) if len(key.shape) > 1 else np.zeros(key.shape)
        return values.astype(np.float32)

    keys = task.head_keys(config)
    encoder = load_roberta(source, config)._replace(pooler=None)
    return type(keys)(tree_map(np.array, encoder), tree_map(draw, keys[1]))


# -- evaluations -----------------------------------------------------------------------------------------------------


def _metric(names: Sequence[str], settings: FinetuneSettings) -> str:
    if settings.metric is not None and settings.metric not in names:
        raise TrainingError(f"metric must be {', '.join(names)} for this task, not {settings.metric!r}")
    return settings.metric or names[0]


class _Evaluations:
    """A run's evaluations.csv. Those made after the checkpoint are taken off, as their updates are made again.

    Args:
        run: the run's folder.
        names: of the measures.
        metric: that the best is chosen by.
        updates: of the checkpoint.
    """

    def __init__(self, run: Path, names: Sequence[str], metric: str, updates: int) -> None:
        recover_folder(run / "best")
        self._path, self._names, self._metric = run / "evaluations.csv", names, metric
        self._rows: list[dict[str, str]] = []
        if self._path.exists():
            with open(self._path, newline="", encoding="utf-8") as file:
                self._rows = [row for row in csv.DictReader(file) if int(row["update"]) <= updates]

    def is_best(self, scores: dict[str, float]) -> bool:
        """Whether these are better than all before; the first are. What is not a number is better than nothing else."""
        score = scores[self._metric]
        before = [float(row[self._metric]) for row in self._rows]
        return not before or (not math.isnan(score) and all(math.isnan(other) or score > other for other in before))

    def add(self, update: int, epoch: int, scores: dict[str, float]) -> None:
        # In full digits, so that a resumed run compares what a whole one would.
        self._rows.append({"update": str(update), "epoch": str(epoch)} | {k: repr(v) for k, v in scores.items()})
        header = ["update", "epoch", *self._names]
        lines = [header, *([row[name] for name in header] for row in self._rows)]
        text = "".join(",".join(line) + "\r\n" for line in lines)
        write_text(self._path, text)
