"""`CrossEncoder`: a score for each pair of texts, as the cross-encoders of sentence-transformers compute it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, NotRequired, TypedDict, Unpack, overload

import numpy as np

from ..checkpoint.sentence_folder import Module, write_modules
from ..config import RobertaConfig
from ..errors import ConfigError
from ..layers.activation import sigmoid, softmax
from ..layers.params import Array
from ..models import RobertaForSequenceClassification
from ..pipelines.base import name_of
from ..pipelines.loading import PathLike
from ..pipelines.options import Option, as_boolean, as_integer
from ..tokenizer import RobertaTokenizer
from .modules import check_modules
from .sentence_model import SentenceLoadingOptions, SentenceModel, SentenceOptions, TensorOptions, Tensors
from .sentence_settings import SentenceSettings, read_object
from .torch_functions import Activation, as_function, function_by_name, identity, name_of_function

Pair = tuple[str, str] | list[str]


class RankedDocument(TypedDict):
    """A document in the result of `CrossEncoder.rank`: its index, its score and, if requested, its text."""

    corpus_id: int
    score: float
    text: NotRequired[str]


class ScoreOptions(SentenceOptions, total=False):
    """Options of `CrossEncoder.predict` with which it returns an array."""

    activation_fn: Annotated[
        Activation | None, Option(None, as_function, "maps logits (N, C) to scores, instead of the encoder's own")
    ]
    apply_softmax: Annotated[
        bool, Option(False, as_boolean, "with several labels, apply a softmax to each pair's scores")
    ]


class PredictOptions(ScoreOptions, TensorOptions, total=False):
    """Options of `CrossEncoder.predict`."""


class CrossEncoder(SentenceModel):
    """Scores pairs of texts that it reads together: slower, but more accurate than comparing embeddings.

    Args:
        model: a folder; a name such as "cross-encoder/stsb-distilroberta-base", where "cross-encoder/" can be omitted;
            or a loaded model.
        tokenizer: the tokenizer of a loaded model.
        activation_fn: maps logits (N, C) to scores (N, C). If None, the function in the model's settings, else the
            sigmoid for a single label and the identity for several.
        max_seq_length: maximum number of tokens of a pair, special tokens included; longer pairs are truncated, the
            longer text first. If None, the limit of model and tokenizer.
        prompts: texts that can be prepended to the first text of a pair, by name, in addition to the model's own.
        default_prompt_name: the prompt to use if a call names none.
        max_length: another name for `max_seq_length`.
        num_labels: the number of labels to expect of the model.
        **loading: arguments for a folder or a name (`SentenceLoadingOptions`), such as `revision` and `cache_folder`.

    The settings from `activation_fn` to `default_prompt_name` are attributes that can be changed.
    Raises DistilRobertaError: the model cannot be found, fetched or used; its subclasses say which.
    """

    task = "text-ranking"
    options_type = PredictOptions
    call_name = "predict"
    ORGANIZATION = "cross-encoder"
    _MIN_LENGTH = 6  # <s> a </s></s> b </s>

    def __init__(
        self,
        model: RobertaForSequenceClassification | PathLike,
        tokenizer: RobertaTokenizer | None = None,
        *,
        activation_fn: Activation | None = None,
        max_seq_length: int | None = None,
        prompts: Mapping[str, str] | None = None,
        default_prompt_name: str | None = None,
        max_length: int | None = None,
        num_labels: int | None = None,
        **loading: Unpack[SentenceLoadingOptions],
    ) -> None:
        settings = SentenceSettings()
        if isinstance(model, str | os.PathLike):
            folder = self._find(model, loading)
            if folder.modules:
                settings = folder.settings
                if settings.model_type != "CrossEncoder":
                    raise ConfigError(f"{folder.path} was saved as a {settings.model_type}, not as a CrossEncoder")
                check_modules(folder.path, folder.modules, ())
            model = folder.model(RobertaForSequenceClassification)
            tokenizer = folder.tokenizer("sequence-classification")
            activation_fn = _read_activation(folder.encoder, settings) if activation_fn is None else activation_fn
        labels = model.config.num_labels
        if num_labels not in (None, labels):
            raise ValueError(f"num_labels is {num_labels}, but the model has {labels}; a new head would need training")
        max_seq_length = max_length if max_seq_length is None else max_seq_length
        super().__init__(model, tokenizer, settings, max_seq_length, prompts, default_prompt_name)
        default = sigmoid if labels == 1 else identity
        self.activation_fn = default if activation_fn is None else as_function("activation_fn", activation_fn)

    @property
    def config(self) -> RobertaConfig:
        """The config of the model."""
        return self.model.config  # type: ignore[no-any-return]

    @property
    def num_labels(self) -> int:
        """The number of scores of a pair."""
        return self.config.num_labels

    def save_pretrained(self, folder: PathLike) -> None:
        """Save to a folder that this class and sentence-transformers load. Raises ValueError if `activation_fn` has no
        name that can be saved."""
        settings = SentenceSettings(
            model_type="CrossEncoder",
            prompts=self.prompts,
            default_prompt_name=self.default_prompt_name,
            activation_fn=name_of_function(self.activation_fn),
        )
        write_modules(Path(folder), [Module("Transformer", "")])
        self._save_encoder(Path(folder), "sequence-classification", settings)

    @overload
    def predict(self, inputs: Pair | Sequence[Pair] | Array, **options: Unpack[ScoreOptions]) -> Array: ...  # type: ignore[overload-overlap]
    @overload
    def predict(self, inputs: Iterable[Pair], **options: Unpack[ScoreOptions]) -> Iterator[Array]: ...
    @overload
    def predict(self, inputs: Any, **options: Unpack[PredictOptions]) -> Tensors: ...
    def predict(self, inputs: Any, **options: Any) -> Any:
        """Compute the scores of pairs of texts. A pair that is too long is truncated, the longer text first.

        Args:
            inputs: a pair, as a list or tuple of two strings; a list, tuple or array of pairs; or any other iterable
                of pairs, which is read as its results are consumed.
            **options: see below.

        Returns:
            With one label, a float32 for a pair and float32 (N,) for a list; with several, (C,) and (N, C). For
            another iterable, an iterator over the results of one pair each. Equal pairs have equal scores.
        """
        return self._run(inputs, self._options(**options))

    __call__ = predict

    def rank(
        self,
        query: str,
        documents: Iterable[str],
        top_k: int | None = None,
        return_documents: bool = False,
        **options: Unpack[ScoreOptions],
    ) -> list[RankedDocument]:
        """Sort documents by their relevance to a query, best first.

        Args:
            query, documents: the texts.
            top_k: return only the best documents; all if None.
            return_documents: return the texts too.
            **options: as in `predict`, whose errors this raises too.

        Returns:
            Dicts of `corpus_id` (the document's index), `score` and, if requested, `text`. Documents with equal
            scores keep their order. Equal documents have equal scores.

        Raises:
            ValueError: the model has several labels.
        """
        if self.num_labels != 1:
            raise ValueError(f"rank needs a model with one label, but this one has {self.num_labels}; use predict")
        if isinstance(documents, str):
            raise TypeError(f"documents must be a list of strings, not a string: {documents!r:.80}")
        count = None if top_k is None else as_integer("top_k", top_k, smallest=0)
        texts = list(documents)
        scores = self.predict([(query, text) for text in texts], **options)
        order = np.argsort(-scores, kind="stable").tolist()[:count]
        if as_boolean("return_documents", return_documents):
            return [{"corpus_id": index, "score": float(scores[index]), "text": texts[index]} for index in order]
        return [{"corpus_id": index, "score": float(scores[index])} for index in order]

    def __repr__(self) -> str:
        labels = f"{self.num_labels} label{'s' * (self.num_labels != 1)}"
        return f"CrossEncoder({self.model!r}, {labels}, max_seq_length={self.max_seq_length})"

    def _is_one(self, inputs: Any) -> bool:
        return isinstance(inputs, list | tuple) and len(inputs) > 0 and isinstance(inputs[0], str)

    def _read(self, item: Any, index: int | None, options: SimpleNamespace) -> tuple[int, ...]:
        if not isinstance(item, list | tuple) or len(item) != 2:
            raise TypeError(f"{name_of(index)} must be a pair of texts, not {item!r:.80}")
        return self._token_ids(options.prompt, item, index)

    def _compute(self, sequences: Sequence[tuple[int, ...]], options: SimpleNamespace) -> list[Array]:
        logits = np.concatenate(self.model.logits_at(sequences, [[0]] * len(sequences)))  # [N, C]
        scores = np.asarray((options.activation_fn or self.activation_fn)(logits), np.float32)
        if scores.shape != logits.shape:
            raise ValueError(f"activation_fn maps the shape {logits.shape} to {scores.shape}; it must keep the shape")
        if self.num_labels == 1:
            return list(scores[:, 0])
        return list(softmax(scores) if options.apply_softmax else scores)

    def _stacked(self, rows: list[Array], options: SimpleNamespace) -> Array:
        return np.stack(rows) if rows else np.empty((0, self.num_labels) if self.num_labels > 1 else 0, np.float32)


def _read_activation(folder: Path, settings: SentenceSettings) -> Activation | None:
    """The activation function in the settings, else in the encoder's config.json under a new or an old key; None if
    there is none, or with a warning if it is not a class of torch. Raises ConfigError if it is not supported."""
    values = read_object(folder / "config.json")
    own, old = values.get("sentence_transformers"), values.get("sbert_ce_default_activation_function")
    for name in (settings.activation_fn, own.get("activation_fn", old) if isinstance(own, dict) else old):
        if name is not None:
            try:
                function = function_by_name(name)
            except ConfigError as error:
                raise ConfigError(f"{folder}: {error}; give another one as activation_fn") from None
            if function is not None:
                return function
    return None
