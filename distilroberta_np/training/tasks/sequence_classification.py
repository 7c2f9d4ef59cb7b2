"""Fine-tuning a model to classify texts or pairs of texts: with one label, with several, or with a number."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...checkpoint.keys import sequence_classification_keys as head_keys
from ...config import RobertaConfig
from ...errors import TokenizerError, TrainingError
from ...layers.params import Array
from ...models import RobertaForSequenceClassification as Model
from ...pipelines.truncation import truncate
from ...tokenizer import RobertaTokenizer
from ..data.labelled import Bad, Columns, LabelledText, read_texts
from ..examples import Example, predict
from ..finetune_settings import FinetuneSettings
from ..head_gradients import sequence_classification_gradients as gradients
from ..metrics.classification import accuracy, f1, matthews, pearson, spearman

__all__ = ["Model", "count", "encode", "gradients", "head_keys", "learn", "measure", "metric_names", "read"]


def read(path: Path, settings: FinetuneSettings, bad: Bad) -> list[LabelledText]:
    columns = Columns(settings.text_column, settings.pair_column, settings.label_column, settings.header)
    return read_texts(path, columns, bad)


def learn(
    rows: Sequence[LabelledText], config: RobertaConfig, settings: FinetuneSettings, say: Callable[[str], None]
) -> RobertaConfig:
    """What the rows to train on say of the head: the kind of its scores, and its labels.

    Where the kind isn't given, numbers of which at least one isn't whole are a regression's, as the reference takes
    floats to be. Labels are sorted, as numbers where all are whole ones.

    Raises:
        TrainingError: there is nothing to tell apart.
    """
    kind = settings.problem_type
    if kind is None:
        listed = any(isinstance(row.label, tuple) for row in rows)
        numbers = [None if listed else _number(str(row.label)) for row in rows]
        if listed:
            kind = "multi_label_classification"
        elif None not in numbers and not all(str(row.label).lstrip("+-").isdigit() for row in rows):
            kind = "regression"
        else:
            kind = "single_label_classification"
        what = {"multi_label_classification": "lists", "regression": "numbers"}.get(kind, "names")
        say(f"{settings.train}: the labels are {what}, so this is {kind.replace('_', ' ')}")
    if kind == "regression":
        return replace(config, labels=("LABEL_0",), problem_type=kind)
    labels = {label for row in rows for label in _labels_of(row, kind) if label}
    if len(labels) < 2:
        raise TrainingError(f"{settings.train}: a classifier needs two labels at least, and here is {sorted(labels)}")
    as_numbers = all(label.isascii() and label.isdigit() for label in labels)
    order = sorted(labels, key=lambda label: (int(label) if as_numbers else 0, label))
    return replace(config, labels=tuple(order), problem_type=kind)


def encode(
    rows: Sequence[LabelledText],
    tokenizer: RobertaTokenizer,
    config: RobertaConfig,
    settings: FinetuneSettings,
    longest: int,
    bad: Bad,
    say: Callable[[str], None],
) -> list[Example]:
    """An example a row. Texts that are too long are cut as the reference's `longest_first` does, and counted."""
    examples, cut = [], 0
    ids_of = config.label2id
    for number, row in enumerate(rows):
        try:
            labels = _as_array(row, config, ids_of)
            encoding = tokenizer.encode(row.text, row.pair)
        except (TokenizerError, ValueError) as error:
            bad(f"{row.place}: {error}")
            continue
        ids = truncate(encoding, longest, "longest_first")
        cut += len(ids) < len(encoding.ids)
        examples.append(Example(np.array(ids, np.int64), labels, number))
    if cut:
        say(f"{cut:,} of {len(rows):,} texts are longer than {longest} tokens and were cut")
    return examples


def count(labels: Sequence[Array]) -> int:
    return len(labels)


def metric_names(config: RobertaConfig) -> tuple[str, ...]:
    """What `measure` gives; the first is what the best checkpoint is chosen by, unless told otherwise."""
    if config.problem_type == "regression":
        return ("pearson", "spearman")
    if config.problem_type == "multi_label_classification":
        return ("f1_micro", "f1_macro", "accuracy")
    return ("accuracy", *(["f1"] if config.num_labels == 2 else []), "f1_macro", "matthews")


def measure(model: Model, rows: Sequence[LabelledText], examples: Sequence[Example]) -> dict[str, float]:
    """How good a model's answers are. Of several labels those count whose probability is above a half."""
    logits = np.concatenate(predict(model, model.logits, examples, [[0]] * len(examples)))  # [N, C]
    labels = np.array([example.labels for example in examples])
    if model.config.problem_type == "regression":
        return {"pearson": pearson(logits[:, 0], labels), "spearman": spearman(logits[:, 0], labels)}
    if model.config.problem_type == "multi_label_classification":
        chosen = logits > 0
        return {
            "f1_micro": f1(chosen, labels == 1, "micro"),
            "f1_macro": f1(chosen, labels == 1, "macro"),
            "accuracy": accuracy(chosen, labels == 1),
        }
    best = logits.argmax(axis=1)
    scores = {"accuracy": accuracy(best, labels)}
    if model.config.num_labels == 2:
        scores["f1"] = f1(best, labels)
    return scores | {"f1_macro": f1(best, labels, "macro"), "matthews": matthews(best, labels)}


def _labels_of(row: LabelledText, kind: str | None) -> tuple[str, ...]:
    """The labels of a row as text; of several, those between commas."""
    if isinstance(row.label, tuple):
        return row.label
    if kind == "multi_label_classification":
        return tuple(part.strip() for part in row.label.split(",")) if row.label else ()
    return (row.label,)


def _as_array(row: LabelledText, config: RobertaConfig, ids_of: dict[str, int]) -> Array:
    """A row's label as `tasks.py` takes it. Raises ValueError where it can't be used."""
    names = _labels_of(row, config.problem_type)
    if config.problem_type == "regression":
        number = _number(names[0]) if len(names) == 1 else None
        if number is None:
            raise ValueError(f"{row.label!r:.60} is not a number")
        return np.array(number, np.float32)
    unknown = [name for name in names if name not in ids_of]
    if unknown:
        raise ValueError(f"the label {unknown[0]!r:.60} is none of the labels to train on")
    if config.problem_type == "multi_label_classification":
        chosen = np.zeros(len(ids_of), np.float32)
        chosen[[ids_of[name] for name in names]] = 1
        return chosen
    if len(names) != 1:
        raise ValueError(f"{len(names)} labels, where each text must have one")
    return np.array(ids_of[names[0]])


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
