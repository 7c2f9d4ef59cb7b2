"""Fine-tuning a model to classify texts or pairs of texts: with one label, with several labels, or with a number."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ...config import RobertaConfig
from ...errors import TokenizerError, TrainingError
from ...layers.params import Array
from ...messages import shown
from ...models.sequence_classification import RobertaForSequenceClassification
from ...pipelines.truncation import truncate
from ..data.tables import Columns, LabelledText, read_table
from ..metrics.classification import accuracy, f1, matthews, pearson, spearman
from . import Context, Example, Task, predict


class TextClassification(Task[LabelledText]):
    model_class = RobertaForSequenceClassification
    count = staticmethod(len)

    def read(self, path: Path, context: Context) -> list[LabelledText]:
        settings = context.settings
        columns = Columns(settings.text_column, settings.pair_column, settings.label_column, settings.header)
        return read_table(path, columns, context.bad)

    def configure(self, rows: Sequence[LabelledText], config: RobertaConfig, context: Context) -> RobertaConfig:
        """Choose the problem type, unless the settings give it, and collect the labels.

        Numbers are a regression's if one is not whole. Whole numbers are classes, 1.0 the same as 1, in their order;
        other labels are sorted as text.

        Raises TrainingError: a classifier with fewer than two labels, or numbers with a decimal comma.
        """
        kind, path = context.settings.problem_type, context.settings.train
        if kind is None:
            kind, what = _problem_type(rows)
            context.say(f"{path}: the labels are {what}, so this is {kind.replace('_', ' ')}")
        if kind == "regression":
            return config.with_labels(("LABEL_0",), kind)
        labels = {label for row in rows for label in _labels_of(row, kind) if label}
        if len(labels) < 2:
            raise TrainingError(
                f"{path}: a classifier needs at least two labels, but the data have only {sorted(labels)}"
            )
        whole = {label: _whole(label) for label in labels}
        if all(whole.values()):
            labels = set(filter(None, whole.values()))
            return config.with_labels(tuple(sorted(labels, key=lambda label: (int(label), label))), kind)
        return config.with_labels(tuple(sorted(labels)), kind)

    def encode(self, rows: Sequence[LabelledText], config: RobertaConfig, context: Context) -> list[Example]:
        """One example per row. Texts that are too long are truncated as by the "longest_first" of transformers."""
        examples, truncated = [], 0
        ids_of = config.label2id
        for index, row in enumerate(rows):
            try:
                labels = _as_array(row, config, ids_of)
                encoding = context.tokenizer.encoding(row.text, row.pair)
            except (TokenizerError, ValueError) as error:
                context.bad(f"{row.location}: {error}")
                continue
            ids = truncate(encoding, context.max_length, "longest_first", side=context.tokenizer.truncation_side)
            truncated += len(ids) < len(encoding.ids)
            examples.append(Example(np.array(ids, np.int64), labels, index))
        if truncated:
            context.say(f"{truncated:,} of {len(rows):,} texts are longer than {context.max_length} tokens: truncated")
        return examples

    def metric_names(self, config: RobertaConfig) -> tuple[str, ...]:
        return tuple(_metrics(config))

    def evaluate(
        self, model: RobertaForSequenceClassification, rows: Sequence[LabelledText], examples: Sequence[Example]
    ) -> dict[str, float]:
        """Compute the metrics. Of several labels, those with a probability above one half are predicted."""
        logits = np.concatenate(predict(model, examples, [[0]] * len(examples)))  # [N, C]
        labels = np.array([example.labels for example in examples])
        if model.config.problem_type == "regression":
            predicted = logits[:, 0]
        elif model.config.problem_type == "multi_label_classification":
            predicted, labels = logits > 0, labels == 1
        else:
            predicted = logits.argmax(axis=1)
        return {name: metric(predicted, labels) for name, metric in _metrics(model.config).items()}


TASK = TextClassification()


def _metrics(config: RobertaConfig) -> dict[str, Callable[[Array, Array], float]]:
    micro, macro = (functools.partial(f1, average=average) for average in ("micro", "macro"))
    if config.problem_type == "regression":
        return {"pearson": pearson, "spearman": spearman}
    if config.problem_type == "multi_label_classification":
        return {"f1_micro": micro, "f1_macro": macro, "accuracy": accuracy}
    binary = {"f1": f1} if config.num_labels == 2 else {}
    return {"accuracy": accuracy, **binary, "f1_macro": macro, "matthews": matthews}


def _problem_type(rows: Sequence[LabelledText]) -> tuple[str, str]:
    """The problem type that the labels look like, and what they are."""
    if any(isinstance(row.label, tuple) for row in rows):
        return "multi_label_classification", "lists"
    texts = [str(row.label) for row in rows]
    numbers = [text for text in texts if _number(text) is not None]
    # A few labels that are no numbers, such as nan, don't turn a regression into classes: `encode` reports them.
    if 2 * len(numbers) > len(texts) and not all(map(_whole, numbers)):
        return "regression", "numbers"
    commas = next((row for row in rows if re.fullmatch(r"[+-]?\d+,\d+", str(row.label))), None)
    if commas is not None and all(_number(text.replace(",", ".")) is not None for text in texts):
        raise TrainingError(
            f"{commas.location}: the label {shown(commas.label)} could be a number with a decimal comma, or two "
            "labels; write 0.5, or give --problem-type multi_label_classification"
        )
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
    names: Sequence[str] = _labels_of(row, config.problem_type)
    if config.problem_type == "regression":
        number = _number(names[0]) if len(names) == 1 else None
        if number is None:
            raise ValueError(f"{shown(row.label)} is not a number")
        return np.array(number, np.float32)
    names = [name if name in ids_of else _whole(name) or name for name in names]
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
    """A finite number as CSV and JSON have it: Python's float also takes nan, 1_000 and other digits than ASCII's."""
    number = (
        float(text) if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", text, re.ASCII | re.IGNORECASE) else math.inf
    )
    return number if math.isfinite(number) else None


def _whole(text: str) -> str | None:
    """A whole number, without a fraction of zeros: 1 for 1.0; None for other text."""
    number = _number(text)
    if number is None or not number.is_integer():
        return None
    return text if text.lstrip("+-").isdigit() else str(int(number))
