"""Fine-tuning: a pretrained encoder with a new head, trained on a task's labelled data. Besides the files of every run
(`run_folder.py`), its folder has

    evaluations.csv   one line per epoch: the metrics on the evaluation data
    best/             the model with the best of them, as pipelines load it, and evaluation.json

Each task has a file in `tasks/`. Everything random is drawn from the seed, the epoch and the update.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from ..checkpoint.save import recover_folder, replace_folder
from ..config import RobertaConfig
from ..errors import TrainingError
from ..hub import default_model, resolve_model
from ..layers.params import tree_leaves, tree_map
from ..models import RobertaModel
from ..pretrained import CONFIG, TOKENIZER, WEIGHTS
from ..tokenizer import RobertaTokenizer
from .data.batches import batch_gradients
from .data.source import check_file
from .device import to_device
from .initial_weights import initial_weights
from .loop import Options, RunOptions, save_checkpoint, train
from .run_folder import EVALUATIONS, RunFolder, append_row, open_run, read_record, write_record, writing
from .settings import FinetuneSettings, default_epochs, default_learning_rate
from .tasks import Context, Example, Task, find_task

_CHOSEN = ("model", "learning_rate", "epochs")  # settings that None leaves to the run


def finetune(
    folder: Path, settings: FinetuneSettings, *, local_files_only: bool = False, **run_options: Unpack[RunOptions]
) -> bool:
    """Fine-tune a model, or resume a run.

    Args:
        settings: of the run. `epochs` may change, and `train` and `eval` if the files were moved.
        local_files_only: never connect to the hub for the model.

    Returns whether all updates are made; False if a signal (SIGINT, SIGTERM) stopped the run, after a checkpoint.

    Raises:
        TrainingError: unusable data, settings or data other than the run's, a loss that is not finite, or no usable
            GPU.
        DistilRobertaError: the model cannot be found or read; its subclasses say which.
    """
    options = Options(**run_options)
    task = find_task(settings.task)
    files = {"training data": settings.train} | ({"evaluation data": settings.eval} if settings.eval else {})
    for path in files.values():
        check_file(Path(path))
    with open_run(folder) as run:
        noted = run.settings
        if noted and "task" not in noted:
            raise TrainingError(f"{folder}: holds a run of another kind; give another folder")
        chosen = {name: noted[name] for name in _CHOSEN if noted and getattr(settings, name) is None}
        settings = replace(settings, **chosen)
        settings = replace(settings, model=settings.model or str(default_model()))
        source = run.checkpoint or resolve_model(
            settings.model or "",
            revision=settings.revision,
            local_files_only=local_files_only,
            parts=(CONFIG, WEIGHTS, TOKENIZER),
        )
        config, tokenizer = RobertaConfig.from_file(source / "config.json"), RobertaTokenizer.from_folder(source)
        context = _context(settings, config, tokenizer, task, options.say)
        config, examples, eval_rows, eval_examples = _read_data(task, config, context)
        names = task.metric_names(config)
        metric = settings.metric or names[0]
        if metric not in names:
            raise TrainingError(f"metric must be {', '.join(names)} for these data, not {metric!r}")
        weights = _weights(task, source, config, settings.seed, resumed=run.checkpoint is not None)
        parameters = sum(leaf.size for leaf in tree_leaves(weights))
        per_epoch = math.ceil(len(examples) / settings.batch_size)
        epochs = settings.epochs or default_epochs(per_epoch)
        rate = settings.learning_rate or default_learning_rate(parameters)
        settings = replace(settings, learning_rate=rate, epochs=epochs)
        options.say(
            f"parameters: {parameters:,}, learning rate: {rate:g}, epochs: {epochs}, updates: {epochs * per_epoch:,}"
        )
        run.begin(settings, {name: [Path(path)] for name, path in files.items()})
        model = task.model_class(config, to_device(weights, options.device))
        scores_so_far = _scores_so_far(run, metric)

        def gradients(update: int) -> tuple[float, Any, int]:
            epoch, number = divmod(update, per_epoch)
            order = np.random.default_rng([settings.seed, 1, epoch]).permutation(len(examples))
            selected = order[number * settings.batch_size :][: settings.batch_size].tolist()
            batch = sorted((examples[index] for index in selected), key=lambda example: len(example.ids))
            count = task.count([example.labels for example in batch])

            def compute(*part: Any) -> tuple[float, Any]:
                ids, labels, dropout = part
                return task.model_class.gradients(ids, labels, model.weights, config, dropout, count)

            pairs, seed = [(example.ids, example.labels) for example in batch], [settings.seed, 2, update]
            loss, total = batch_gradients(pairs, compute, settings.dropout, seed, options.device)
            return loss, total, sum(len(example.ids) for example in batch)

        def after(made: int) -> None:
            epoch, rest = divmod(made, per_epoch)
            if rest:
                return
            scores = task.evaluate(model, eval_rows, eval_examples)

            def fill(target: Path) -> None:
                save_checkpoint(model, tokenizer, target)
                values = {"epoch": epoch, "update": made, "metric": metric} | scores
                write_record(target / "evaluation.json", values, target.iterdir())

            best = is_best(scores[metric], scores_so_far)
            if best:
                with writing(folder / "best"):
                    replace_folder(folder / "best", fill)
            scores_so_far.append(scores[metric])
            # In full digits, so that a resumed run compares the same numbers.
            row = {"update": made, "epoch": epoch} | {name: repr(scores[name]) for name in names}
            append_row(run.path / EVALUATIONS, row)
            shown = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
            options.say(f"epoch {epoch} of {epochs}: {shown}{' (the best so far)' * best}")

        return train(run, model, tokenizer, settings, epochs * per_epoch, gradients, options, after)


def evaluate(
    folder: Path, path: Path, settings: FinetuneSettings, say: Callable[[str], None] = lambda line: None
) -> dict[str, float]:
    """Compute the metrics of a fine-tuned model, such as a run's `best`, on labelled data.

    Args:
        path: of the data, in the format of the training data.
        settings: for the task, the columns and the length.

    Raises:
        TrainingError: unusable data.
        DistilRobertaError: the model cannot be read; its subclasses say which.
    """
    task = find_task(settings.task)
    model, tokenizer = task.model_class.from_pretrained(folder), RobertaTokenizer.from_pretrained(folder)
    context = _context(replace(settings, model=str(folder)), model.config, tokenizer, task, say)
    rows = task.read(path, context)
    return task.evaluate(model, rows, _examples(task, str(path), rows, model.config, context))


def _context(
    settings: FinetuneSettings,
    config: RobertaConfig,
    tokenizer: RobertaTokenizer,
    task: Task[object],
    say: Callable[[str], None],
) -> Context:
    if tokenizer.vocab_size > config.vocab_size or tokenizer.pad_token_id != config.pad_token_id:
        raise TrainingError(
            f"{settings.model}: the tokenizer does not belong to the model: it has {tokenizer.vocab_size:,} tokens and "
            f"{tokenizer.pad_token} is {tokenizer.pad_token_id}; by config.json they are {config.vocab_size:,} and "
            f"{config.pad_token_id}"
        )
    longest = tokenizer.longest_text(config.max_sequence_length)
    if settings.max_length is not None and settings.max_length > longest:
        raise TrainingError(f"max_length {settings.max_length} is above {longest}, the maximum of {settings.model}")
    return Context(settings, tokenizer, settings.max_length or min(task.default_max_length or longest, longest), say)


def _read_data(
    task: Task[object], config: RobertaConfig, context: Context
) -> tuple[RobertaConfig, list[Example], Sequence[object], list[Example]]:
    """The config with the labels of the training data, their examples, and the rows and examples to evaluate on: of a
    file, or a tenth of the training data, at random."""
    settings = context.settings
    rows = task.read(Path(settings.train), context)
    config = task.configure(rows, config, context)
    if settings.eval is None:
        count = max(1, round(len(rows) / 10))
        if len(rows) < 2:
            raise TrainingError(f"{settings.train}: too few rows to hold out a tenth; give a file with --eval")
        order = np.random.default_rng([settings.seed, 3]).permutation(len(rows)).tolist()
        context.say(f"{settings.train}: without --eval, {count:,} of {len(rows):,} rows are held out for evaluation")
        rows, eval_rows = ([rows[index] for index in sorted(part)] for part in (order[count:], order[:count]))
    examples = _examples(task, settings.train, rows, config, context)
    if settings.eval is not None:
        eval_rows = task.read(Path(settings.eval), context)
    return config, examples, eval_rows, _examples(task, settings.eval or "held out", eval_rows, config, context)


def _examples(
    task: Task[object], path: str, rows: Sequence[object], config: RobertaConfig, context: Context
) -> list[Example]:
    examples = task.encode(rows, config, context)
    if context.skipped:
        context.say(f"{path}: {context.skipped:,} rows were skipped")
        context.skipped = 0
    if not examples:
        raise TrainingError(f"{path}: no rows")
    mean = sum(len(example.ids) for example in examples) / len(examples)
    context.say(f"{path}: {len(rows):,} rows, {len(examples):,} inputs of {mean:.1f} tokens on average")
    return examples


def _weights(task: Task[object], source: Path, config: RobertaConfig, seed: int, *, resumed: bool) -> Any:
    """Those of the run's checkpoint; or a model's encoder with a new head."""
    if resumed:
        return tree_map(np.array, task.model_class.from_pretrained(source).weights)
    keys = task.model_class.keys(config)
    rng = np.random.default_rng([seed, 0])
    encoder = RobertaModel.from_pretrained(source).weights._replace(pooler=None)
    return type(keys)(tree_map(np.array, encoder), tree_map(lambda key: initial_weights(key, rng), keys[1]))


def _scores_so_far(run: RunFolder, metric: str) -> list[float]:
    """The scores of the evaluations up to the run's checkpoint. Raises TrainingError if the best model is damaged."""
    scores, log, best = [], run.path / EVALUATIONS, run.path / "best"
    if log.exists():
        with open(log, newline="", encoding="utf-8") as file:
            scores = [float(row[metric]) for row in csv.DictReader(file)]
    recover_folder(best)
    if scores or best.exists():
        read_record(best / "evaluation.json")
    return scores


def is_best(score: float, before: Sequence[float]) -> bool:
    """Whether a score is above all before. The first is; NaN is below everything."""
    return not before or (not math.isnan(score) and all(math.isnan(other) or score > other for other in before))
