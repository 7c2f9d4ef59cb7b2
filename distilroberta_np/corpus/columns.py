"""The columns that each task adds to a table, computed from a batch of rows."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..analysis import PseudoLikelihoodScorer
from ..errors import CheckpointError, CorpusError
from ..files import sha256
from ..hub import files_in, find_embedded, find_published, in_organization, resolve_model
from ..pipelines import pipeline
from ..pretrained import CONFIG, MODULES, TOKENIZER, WEIGHTS
from ..sentence.sentence_encoder import SentenceEncoder

ERROR = "error"


@dataclass(frozen=True)
class Task:
    """A task as a corpus job runs it: which model, which columns in and out.

    Attributes:
        name: a key of `COLUMNS`.
        model: a folder, or a name on the hub; None: the default model of the task.
        inputs: the columns with the text (question answering: question and context; classification of pairs: two).
        options: arguments of the pipeline's call, or of `SentenceEncoder.encode`.
        local_files_only: never connect to the hub.
        digests: of the model's files, with which those that are there when the model is loaded are compared.
    """

    name: str
    model: str | None
    inputs: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)
    local_files_only: bool = False
    digests: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.name not in COLUMNS:
            raise CorpusError(f"unknown task {self.name!r}; choose from {', '.join(COLUMNS)}")
        counts = {"question-answering": (2,), "text-classification": (1, 2)}.get(self.name, (1,))
        if len(self.inputs) not in counts:
            needed = f"{' or '.join(map(str, counts))} column{'' if counts == (1,) else 's'}"
            raise CorpusError(f"{self.name} needs {needed}, and got {len(self.inputs)}: {', '.join(self.inputs)}")
        if "top_k" in self.options and self.name in ("question-answering", "text-classification"):
            raise CorpusError(f"{self.name} writes only the best answer of each row; omit top_k")
        if (precision := self.options.get("precision")) in ("int8", "uint8"):
            raise CorpusError(
                f"precision {precision} needs the range of all embeddings, and a job computes them batch by batch; "
                "choose from float32, binary, ubinary"
            )

    @property
    def outputs(self) -> dict[str, str]:
        """The columns that are added, with their types: those of the task, and the error."""
        return {**COLUMNS[self.name], ERROR: "string"}


# Types: "string", "float", "int", "embedding" (a list of float32), and "json" (a nested value).
COLUMNS: dict[str, dict[str, str]] = {
    "fill-mask": {"predictions": "json"},
    "text-classification": {"label": "string", "score": "float"},
    "zero-shot-classification": {"labels": "json", "scores": "json"},
    "token-classification": {"entities": "json"},
    "question-answering": {"answer": "string", "score": "float", "start": "int", "end": "int"},
    "encode": {"embedding": "embedding"},
    "score": {"pseudo_log_likelihood": "float", "tokens": "int"},
}


def _named(*names: str) -> Callable[[Any], dict[str, Any]]:
    return lambda result: {name: result[name] for name in names}


_FROM_RESULT: dict[str, Callable[[Any], dict[str, Any]]] = {
    "fill-mask": lambda result: {"predictions": result},
    "text-classification": _named("label", "score"),
    "zero-shot-classification": _named("labels", "scores"),
    "token-classification": lambda result: {"entities": result},
    "question-answering": _named("answer", "score", "start", "end"),
    "encode": lambda result: {"embedding": result},
    "score": lambda result: {
        "pseudo_log_likelihood": result["pseudo_log_likelihood"],
        "tokens": len(result["tokens"]),
    },
}


def add_columns(task: Task, rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    """Compute the columns of a task. The model is loaded once per process.

    Args:
        task: the task.
        rows: per row, the values of the task's input columns.

    Returns:
        A list per output column. A row that cannot be answered has None in all of them but `error`.

    Raises CheckpointError: the weights are damaged, or have changed since they were loaded.
    """
    columns: dict[str, list[Any]] = {name: [] for name in task.outputs}
    try:
        for result in _answer(task, rows):
            values = {ERROR: _message(result)} if isinstance(result, Exception) else _FROM_RESULT[task.name](result)
            for name, column in columns.items():
                column.append(values.get(name))
    except CheckpointError:
        _load.cache_clear()  # for the next job of this process
        raise
    return columns


def check(task: Task) -> None:
    """Load the model and check the options, before a job starts. Raises DistilRobertaError, ValueError."""
    model = _load(task.name, task.model, task.local_files_only, task.digests)
    try:
        model.answers([], **task.options)
    except TypeError as error:
        raise CorpusError(f"{task.name}: {error}") from None


def model_files(name: str, model: str | None, local_files_only: bool) -> tuple[Path, list[str]]:
    """The folder of a task's model, and the files of it that are read. Raises DistilRobertaError."""
    parts: tuple[str, ...] = (CONFIG, WEIGHTS, TOKENIZER)
    if name == "encode":
        if model is None:
            raise CorpusError("encode needs a sentence encoder; name one with --model")
        parts, model = (*parts, MODULES), os.fspath(in_organization(model, SentenceEncoder.ORGANIZATION))
    # Not `default_model`, which says on stderr which model it is: loading it does.
    default = find_published() or find_embedded()
    folder = resolve_model(model or default, local_files_only=local_files_only, parts=parts)
    return folder, files_in(folder, parts)


def model_digests(name: str, model: str | None, local_files_only: bool) -> tuple[tuple[str, str], ...]:
    """The SHA-256 of each file that is read of a task's model."""
    folder, files = model_files(name, model, local_files_only)
    return tuple((file, sha256(folder / file)) for file in sorted(files))


@functools.lru_cache(maxsize=2)
def _load(name: str, model: str | None, local_files_only: bool, digests: tuple[tuple[str, str], ...]) -> Any:
    if digests and digests != model_digests(name, model, local_files_only):
        raise CorpusError(f"the files of {model or 'the model'} have changed since the job began; use another folder")
    if name == "encode":
        assert model is not None  # `model_files` says so
        return SentenceEncoder.from_pretrained(model, local_files_only=local_files_only)
    if name == "score":
        unmasker = pipeline("fill-mask", model, local_files_only=local_files_only)
        return PseudoLikelihoodScorer(unmasker.model, unmasker.tokenizer)
    return pipeline(name, model, local_files_only=local_files_only)


def _answer(task: Task, rows: Sequence[Sequence[Any]]) -> Iterator[Any]:
    """The result of each row, or its exception."""
    model = _load(task.name, task.model, task.local_files_only, task.digests)
    missing = {
        index: CorpusError(
            f"column {name} is missing" if value is None else f"column {name} is {value!r:.40}, not a text"
        )
        for index, row in enumerate(rows)
        for name, value in zip(task.inputs, row, strict=True)
        if not isinstance(value, str)
    }
    items = [_item(task, row) for index, row in enumerate(rows) if index not in missing]
    results = model.answers(items, **task.options)
    for index in range(len(rows)):
        yield missing[index] if index in missing else next(results)


def _item(task: Task, row: Sequence[str]) -> Any:
    if task.name == "question-answering":
        return {"question": row[0], "context": row[1]}
    return {"text": row[0], "text_pair": row[1]} if len(row) == 2 else row[0]


def _message(error: Exception) -> str:
    return str(getattr(error, "reason", error))  # without the index within a batch
