"""A loaded model: its name, its task, and the operations that a request can ask of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..config import RobertaConfig
from ..errors import PipelineException, ServeError
from ..explain.document import explain
from ..hub import default_model, resolve_model
from ..layers.params import Array
from ..models import RobertaForMaskedLM, RobertaModel
from ..pipelines import Pipeline, pipeline
from ..pretrained import CONFIG, MODULES, TOKENIZER, WEIGHTS
from ..sentence.cross_encoder import CrossEncoder
from ..sentence.sentence_encoder import SentenceEncoder
from ..sentence.sentence_settings import SentenceSettings
from ..tokenizer import RobertaTokenizer
from .scheduler import Operation

# The tasks that a model of each kind answers, its own task first.
TASKS = {
    "fill-mask": ("fill-mask", "feature-extraction"),
    "text-classification": ("text-classification", "zero-shot-classification"),
    "zero-shot-classification": ("zero-shot-classification", "text-classification"),
    "token-classification": ("token-classification",),
    "question-answering": ("question-answering",),
    "feature-extraction": ("feature-extraction",),
    "sentence-similarity": ("sentence-similarity", "feature-extraction"),
    "text-ranking": ("text-ranking",),
}
# Without a task, the modules tell it.
_MAY_HAVE_MODULES = (None, "sentence-similarity", "text-ranking")
_BY_ARCHITECTURE = {
    "RobertaForMaskedLM": "fill-mask",
    "RobertaForSequenceClassification": "text-classification",
    "RobertaForTokenClassification": "token-classification",
    "RobertaForQuestionAnswering": "question-answering",
    "RobertaModel": "feature-extraction",
}


@dataclass(frozen=True)
class Source:
    """A model to load: the name that requests use, its task (None: from its files), and where it is."""

    name: str
    task: str | None
    path: str | None

    @classmethod
    def parse(cls, argument: str) -> Source:
        """Read a folder, a name on the hub, or NAME=TASK:MODEL with either as MODEL. Raises ServeError."""
        name, equals, rest = argument.partition("=")
        if not equals:
            # The absolute path gives "." a name too; that of a link is the link's own.
            folder = Path(os.path.abspath(argument))  # noqa: PTH100
            return cls(folder.name if folder.is_dir() else argument, None, argument)
        task, colon, path = rest.partition(":")
        if not colon or not name or not path or task not in TASKS:
            raise ServeError(f"--model {argument}: write NAME=TASK:MODEL, with a task of {', '.join(TASKS)}")
        return cls(name, task, path)

    @classmethod
    def parse_all(cls, arguments: Sequence[str]) -> list[Source]:
        """Read models that are served together; the default one if there are none. Raises ServeError."""
        sources = [cls.parse(argument) for argument in arguments] or [cls("default", None, None)]
        names = [source.name for source in sources]
        for name in names:
            if names.count(name) > 1:
                raise ServeError(f"--model: several models have the name {name}; name them with NAME=TASK:MODEL")
        return sources


class ServedModel:
    """A model in memory.

    Args:
        source: which model.
        revision, local_files_only: as `RobertaModel.from_pretrained`.

    Raises:
        DistilRobertaError: the model cannot be found, read, or used for the task.
    """

    def __init__(self, source: Source, *, revision: str | None = None, local_files_only: bool = False) -> None:
        self.name = source.name
        self.folder = (
            default_model()
            if source.path is None
            else resolve_model(
                source.path,
                revision=revision,
                local_files_only=local_files_only,
                parts=(CONFIG, WEIGHTS, TOKENIZER, *((MODULES,) if source.task in _MAY_HAVE_MODULES else ())),
            )
        )
        self.task = source.task or _task_of(self.folder)
        self.tasks = TASKS[self.task]
        self._model = self._load()
        self.tokenizer: RobertaTokenizer = self._model.tokenizer
        self.config: RobertaConfig = self._model.model.config

    def _load(self) -> Any:
        if self.task == "sentence-similarity":
            return SentenceEncoder.from_pretrained(self.folder)
        if self.task == "text-ranking":
            return CrossEncoder.from_pretrained(self.folder)
        return pipeline(self.task, self.folder)

    @property
    def max_length(self) -> int:
        """The most tokens of an input, special tokens included."""
        limit = self.tokenizer.longest_text(self.config.max_sequence_length)
        return getattr(self._model, "max_seq_length", None) or limit

    @cached_property
    def _pipelines(self) -> dict[str, Pipeline[Any, Any]]:
        return {self.task: self._model} if isinstance(self._model, Pipeline) else {}

    def pipeline(self, task: str) -> Any:
        """The pipeline of a task that shares this model's weights."""
        if task not in self._pipelines:
            model = self._encoder() if task == "feature-extraction" else self._model.model
            self._pipelines[task] = pipeline(task, model, self.tokenizer)
        return self._pipelines[task]

    @cached_property
    def sentence_encoder(self) -> SentenceEncoder:
        """The sentence encoder, or the mean of the hidden states of another model."""
        if isinstance(self._model, SentenceEncoder):
            return self._model
        return SentenceEncoder(self._encoder(), self.tokenizer)

    def _encoder(self) -> RobertaModel:
        model = self._model.model
        return RobertaModel(model.config, model.weights.roberta) if isinstance(model, RobertaForMaskedLM) else model

    # -- operations: every one maps a batch of inputs to results, with an exception for each failure --------

    def predict(self, task: str, options: Mapping[str, Any]) -> Operation:
        """The pipeline of a task, with options of its call."""
        answerer = self.pipeline(task)

        def run(items: list[Any]) -> list[Any]:
            return list(answerer.answers(items, **options))

        return Operation((self.name, task, json.dumps(options, sort_keys=True, default=str)), run)

    def embed(self, *, normalize: bool, prompt_name: str | None = None, dimensions: int | None = None) -> Operation:
        """One embedding per text, of the sentence encoder."""
        encoder = self.sentence_encoder

        def run(items: list[Any]) -> list[Any]:
            return list(
                encoder.answers(items, normalize_embeddings=normalize, prompt_name=prompt_name, truncate_dim=dimensions)
            )

        return Operation((self.name, "embed", normalize, prompt_name, dimensions), run)

    def prompt(self, name: str | None) -> str:
        """The prompt that `embed` prepends; "" for an unknown name, which `embed` refuses."""
        encoder = self.sentence_encoder
        return encoder.prompts.get(name or encoder.default_prompt_name or "", "")

    def explain(self) -> Operation:
        """The page of `explain` for each sentence with one mask."""
        unmasker = self.pipeline("fill-mask")

        def page(text: str) -> Any:
            try:
                return explain(unmasker, text)
            except PipelineException as error:
                return error

        return Operation((self.name, "explain"), lambda items: list(map(page, items)))

    def rank(self, *, raw_scores: bool) -> Operation:
        """The score of each (query, text): the cross-encoder's logit, or its sigmoid."""
        activation: Callable[[Array], Array] | None = (lambda logits: logits) if raw_scores else None

        def run(items: list[Any]) -> list[Any]:
            return list(self._model.answers(items, activation_fn=activation))

        return Operation((self.name, "rank", raw_scores), run)


def _task_of(folder: Path) -> str:
    """The task of a folder, from its files. Raises ServeError."""
    if (folder / "modules.json").exists():
        kind = SentenceSettings.load(folder).model_type
        return "text-ranking" if kind == "CrossEncoder" else "sentence-similarity"
    config = RobertaConfig.from_file(folder / "config.json")
    tasks = [_BY_ARCHITECTURE[name] for name in config.architectures if name in _BY_ARCHITECTURE]
    if not tasks:
        raise ServeError(f"{folder}: config.json names no known architecture; use --model NAME=TASK:MODEL")
    # A classifier with a single label scores pairs, as cross-encoders do.
    return "text-ranking" if tasks[0] == "text-classification" and config.num_labels == 1 else tasks[0]
