"""Fine-tuning a model to classify texts or pairs of texts: with one label, with several labels, or with a number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...config import RobertaConfig
from ...errors import TokenizerError, TrainingError
from ...layers.params import Array
from ...messages import shown
from ...models import RobertaForSequenceClassification
from ...models.sequence_classification import sequence_classification_gradients, sequence_classification_keys
from ...pipelines.truncation import truncate
from ..data.tables import Columns, LabelledText, read_table
from ..metrics.classification import accuracy, f1, matthews, pearson, spearman
from . import Context, Example, Task, predict


class TextClassification(Task[LabelledText]):
    model_class = RobertaForSequenceClassification
    keys = staticmethod(sequence_classification_keys)
    gradients = staticmethod(sequence_classification_gradients)
    count = staticmethod(len)

    def read(self, path: Path, context: Context) -> list[LabelledText]:
        settings = context.settings
        columns = Columns(settings.text_column, settings.pair_column, settings.label_column, settings.header)
        return read_table(path, columns, context.bad)

    def configure(self, rows: Sequence[LabelledText], config: RobertaConfig, context: Context) -> RobertaConfig:
        """Choose the problem type, unless the settings give it, and collect the labels.

        Numbers are a regression's if at least one is not whole, as transformers takes floats. Labels are sorted, as
        numbers if all are whole.

        Raises:
            TrainingError: a classifier with fewer than two labels.
        """
        kind, path = context.settings.problem_type, context.settings.train
        if kind is None:
            kind, what = _problem_type(rows)
            context.say(f"{path}: the labels are {what}, so this is {kind.replace('_', ' ')}")
        if kind == "regression":
            return replace(config, labels=("LABEL_0",), problem_type=kind)
        labels = {label for row in rows for label in _labels_of(row, kind) if label}
        if len(labels) < 2:
            raise TrainingError(
                f"{path}: a classifier needs at least two labels, but the data have only {sorted(labels)}"
            )
        whole = all(label.isascii() and label.isdigit() for label in labels)
        order = sorted(labels, key=lambda label: (int(label) if whole else 0, label))
        return replace(config, labels=tuple(order), problem_type=kind)

    def encode(self, rows: Sequence[LabelledText], config: RobertaConfig, context: Context) -> list[Example]:
        """One example per row. Texts that are too long are truncated as by the "longest_first" of transformers."""
        examples, truncated = [], 0
        ids_of = config.label2id
        for index, row in enumerate(rows):
            try:
                labels = _as_array(row, config, ids_of)
                encoding = context.tokenizer.encode(row.text, row.pair)
            except (TokenizerError, ValueError) as error:
                context.bad(f"{row.location}: {error}")
                continue
            ids = truncate(encoding, context.max_length, "longest_first")
            truncated += len(ids) < len(encoding.ids)
            examples.append(Example(np.array(ids, np.int64), labels, index))
        if truncated:
            context.say(f"{truncated:,} of {len(rows):,} texts are longer than {context.max_length} tokens: truncated")
        return examples

    def metric_names(self, config: RobertaConfig) -> tuple[str, ...]:
        if config.problem_type == "regression":
            return ("pearson", "spearman")
        if config.problem_type == "multi_label_classification":
            return ("f1_micro", "f1_macro", "accuracy")
        return ("accuracy", *(["f1"] if config.num_labels == 2 else []), "f1_macro", "matthews")

    def evaluate(
        self, model: RobertaForSequenceClassification, rows: Sequence[LabelledText], examples: Sequence[Example]
    ) -> dict[str, float]:
        """Compute the metrics. Of several labels, those with a probability above one half are predicted."""
        logits = np.concatenate(predict(model, examples, [[0]] * len(examples)))  # [N, C]
        labels = np.array([example.labels for example in examples])
        if model.config.problem_type == "regression":
            return {"pearson": pearson(logits[:, 0], labels), "spearman": spearman(logits[:, 0], labels)}
        if model.config.problem_type == "multi_label_classification":
            predicted, labels = logits > 0, labels == 1
            return {
                "f1_micro": f1(predicted, labels, "micro"),
                "f1_macro": f1(predicted, labels, "macro"),
                "accuracy": accuracy(predicted, labels),
            }
        predicted = logits.argmax(axis=1)
        scores = {"accuracy": accuracy(predicted, labels)}
        if model.config.num_labels == 2:
            scores["f1"] = f1(predicted, labels)
        return scores | {"f1_macro": f1(predicted, labels, "macro"), "matthews": matthews(predicted, labels)}


TASK = TextClassification()


def _problem_type(rows: Sequence[LabelledText]) -> tuple[str, str]:
    """The problem type that the labels look like, and what they are."""
    if any(isinstance(row.label, tuple) for row in rows):
        return "multi_label_classification", "lists"
    texts = [str(row.label) for row in rows]
    if all(_number(text) is not None for text in texts) and not all(text.lstrip("+-").isdigit() for text in texts):
        return "regression", "numbers"
    return "single_label_classification", "names"


def _labels_of(row: LabelledText, kind: str | None) -> tuple[str, ...]:
    """The labels of a row as text; several labels in one cell are separated by commas."""
    if isinstance(row.label, tuple):
        return row.label
    if kind == "multi_label_classification":
        return tuple(part.strip() for part in row.label.split(",")) if row.label else ()
    return (row.label,)


def _as_array(row: LabelledText, config: RobertaConfig, ids_of: dict[str, int]) -> Array:
    """A row's label as the gradients take it. Raises ValueError if it is unusable."""
    names = _labels_of(row, config.problem_type)
    if config.problem_type == "regression":
        number = _number(names[0]) if len(names) == 1 else None
        if number is None:
            raise ValueError(f"{shown(row.label)} is not a number")
        return np.array(number, np.float32)
    unknown = [name for name in names if name not in ids_of]
    if unknown:
        raise ValueError(f"the label {shown(unknown[0])} does not occur in the training data")
    if config.problem_type == "multi_label_classification":
        labels = np.zeros(len(ids_of), np.float32)
        labels[[ids_of[name] for name in names]] = 1
        return labels
    if len(names) != 1:
        raise ValueError(f"{len(names)} labels, but each text must have one")
    return np.array(ids_of[names[0]])


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
