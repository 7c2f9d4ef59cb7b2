"""The tasks that `finetune` can train.

A task is one file here, named after the task: `text_classification.py` defines `TASK` for "text-classification".
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, cast

from ...layers.params import Array
from ..data.source import refuse
from ..device import to_host

if TYPE_CHECKING:
    from ...config import RobertaConfig
    from ...models.roberta import ModelWithHead
    from ...tokenizer import RobertaTokenizer
    from ..settings import FinetuneSettings

Row = TypeVar("Row")


class Example(NamedTuple):
    """An input as the model reads it: a whole row of the data, or a window of a long one."""

    ids: Array  # (S,) int64
    labels: Array  # as the model's `gradients` takes them, without the batch axis
    row: int  # index of its row in the data
    offsets: Array | None = None  # (S, 2), the characters of each token in a question's context; -1 outside it


@dataclass
class Context:
    """What tasks need to turn a file into examples."""

    settings: FinetuneSettings
    tokenizer: RobertaTokenizer
    max_length: int
    say: Callable[[str], None]
    skipped: int = 0

    def bad(self, sentence: str) -> None:
        """Report an unusable row: skip it with --skip-bad-rows, else raise a TrainingError."""
        if not self.settings.skip_bad_rows:
            refuse(sentence)
        self.skipped += 1
        self.say(f"skipped: {sentence}")


class Task(Protocol[Row]):
    """What `finetune` needs to know about a task. `Row` is what the task reads from a file, one per input."""

    model_class: type[ModelWithHead[Any, Any]]
    default_max_length: int | None = None  # in tokens; None: the model's maximum

    def read(self, path: Path, context: Context) -> list[Row]:
        """Read the rows of a file. Raises TrainingError."""

    def configure(self, rows: Sequence[Row], config: RobertaConfig, context: Context) -> RobertaConfig:
        """Return the config with the labels and the problem type that the training data call for."""

    def encode(self, rows: Sequence[Row], config: RobertaConfig, context: Context) -> list[Example]:
        """Tokenize rows, and cut long ones or split them into windows."""

    def count(self, labels: Sequence[Array], /) -> int | tuple[int, int]:
        """Count the labels of a batch, by which its loss is divided: for the `gradients` of the model."""

    def metric_names(self, config: RobertaConfig) -> tuple[str, ...]:
        """Name the metrics that `evaluate` returns. The first selects the best checkpoint by default."""

    def evaluate(self, model: Any, rows: Sequence[Row], examples: Sequence[Example]) -> dict[str, float]:
        """Compute the metrics of a model on encoded rows."""


def task_names() -> tuple[str, ...]:
    """The names of all tasks; none is imported."""
    return tuple(sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__)))


def find_task(name: str) -> Task[object]:
    """Import a task by its name, one of `task_names()`."""
    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    return cast("Task[object]", module.TASK)


def predict(
    model: ModelWithHead[Any, Any], examples: Sequence[Example], positions: Sequence[Sequence[int]]
) -> list[Array]:
    """The head's logits at some positions of each example, without dropout: (Q, C) each, on the host."""
    logits = model.logits_at([example.ids.tolist() for example in examples], positions)
    return [to_host(rows) for rows in logits]
