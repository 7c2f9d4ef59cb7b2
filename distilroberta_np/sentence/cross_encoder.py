"""`CrossEncoder`: a score for each pair of texts, as the cross-encoders of sentence-transformers compute it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, Self, TypedDict, Unpack, overload

import numpy as np

from ..errors import ConfigError
from ..files import read_json
from ..layers.activation import sigmoid, softmax
from ..layers.params import Array
from ..models import RobertaForSequenceClassification
from ..pipelines.base import name_of
from ..pipelines.options import as_boolean, as_integer
from ..tokenizer import RobertaTokenizer
from .modules import check_modules
from .sentence_model import SentenceModel
from .sentence_settings import SentenceSettings, read_max_seq_length
from .torch_functions import Activation, function_by_name, identity

Pair = tuple[str, str] | list[str]


class RankedDocument(TypedDict):
    """A document in the result of `CrossEncoder.rank`: its index, its score and, if requested, its text."""

    corpus_id: int
    score: float
    text: NotRequired[str]


class PredictArguments(TypedDict, total=False):
    """The keyword arguments of `CrossEncoder.predict`."""

    prompt_name: str | None
    prompt: str | None
    batch_size: int | None
    activation_fn: Activation | None
    apply_softmax: bool


@dataclass(frozen=True)
class Options:
    """The checked arguments of `CrossEncoder.predict`."""

    prompt: str
    batch_size: int | None
    activation_fn: Activation
    apply_softmax: bool


class CrossEncoder(SentenceModel):
    """Scores pairs of texts that it reads together: slower, but more accurate than comparing embeddings.

    Args:
        model: the encoder with a classification head, mostly with a single label.
        tokenizer: its tokenizer.
        activation_fn: a function that maps logits (N, C) to scores (N, C). If None, the sigmoid for a single label,
            else the identity.
        max_seq_length: maximum number of tokens of a pair, special tokens included; longer pairs are truncated, the
            longer text first. If None, the limit of model and tokenizer.
        prompts: texts that can be prepended to the first text of a pair, by name.
        default_prompt_name: the prompt to use if a call names none.

    All but the first two are attributes that can be changed.

    Raises:
        PipelineException: model and tokenizer do not belong together.
    """

    task = "text-ranking"
    _ORGANIZATION = "cross-encoder"
    _MIN_LENGTH = 6  # <s> a </s></s> b </s>

    def __init__(
        self,
        model: RobertaForSequenceClassification,
        tokenizer: RobertaTokenizer,
        *,
        activation_fn: Activation | None = None,
        max_seq_length: int | None = None,
        prompts: Mapping[str, str] | None = None,
        default_prompt_name: str | None = None,
    ) -> None:
        super().__init__(model, tokenizer, max_seq_length, prompts, default_prompt_name)
        default = sigmoid if model.config.num_labels == 1 else identity
        self.activation_fn = default if activation_fn is None else activation_fn

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | os.PathLike[str],
        *,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
        activation_fn: Activation | None = None,
        max_length: int | None = None,
    ) -> Self:
        """Load a folder, or a model of the hub by its name.

        Args:
            name_or_path: a folder, or a name such as "cross-encoder/stsb-distilroberta-base". A name without an
                organization gets "cross-encoder/", except for the names of RoBERTa's own models.
            revision, cache_dir, local_files_only: as in `RobertaModel.from_pretrained`.
            activation_fn: used instead of the one in the model's settings.
            max_length: used as `max_seq_length` instead of the one in the model's settings.

        Raises:
            HubError: the model cannot be found or fetched.
            ConfigError: a setting is malformed or not supported.
            CheckpointError, TokenizerError: the weights or the tokenizer cannot be used.
        """
        folder, modules, settings, encoder = cls._find(name_or_path, revision, cache_dir, local_files_only)
        saved_length = None
        if modules:
            if settings.model_type != "CrossEncoder":
                raise ConfigError(f"{folder} was saved as a {settings.model_type}, not as a CrossEncoder")
            check_modules(folder, modules, ())
            saved_length = read_max_seq_length(encoder)
        else:
            settings = SentenceSettings()
        return cls(
            RobertaForSequenceClassification.from_pretrained(encoder),
            RobertaTokenizer.from_pretrained(encoder),
            activation_fn=_read_activation(encoder, settings) if activation_fn is None else activation_fn,
            max_seq_length=saved_length if max_length is None else max_length,
            prompts=settings.prompts,
            default_prompt_name=settings.default_prompt_name,
        )

    @overload
    def predict(self, inputs: Pair | Sequence[Pair] | Array, **arguments: Unpack[PredictArguments]) -> Array: ...  # type: ignore[overload-overlap]

    @overload
    def predict(self, inputs: Iterable[Pair], **arguments: Unpack[PredictArguments]) -> Iterator[Array]: ...

    def predict(
        self,
        inputs: Pair | Iterable[Pair] | Array,
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int | None = None,
        activation_fn: Activation | None = None,
        apply_softmax: bool = False,
    ) -> Array | Iterator[Array]:
        """Compute the scores of pairs of texts. A pair that is too long is truncated, the longer text first.

        Args:
            inputs: a pair, as a list or tuple of two strings; a list, tuple or array of pairs; or any other iterable
                of pairs, which is read as its results are consumed.
            prompt_name: the name of the prompt to prepend to the first text; `default_prompt_name` if None.
            prompt: a text to prepend to the first text; takes precedence over `prompt_name`.
            batch_size: how many pairs of an iterator to read ahead and compute together; 1 if None. Lists do not need
                it.
            activation_fn: a function that maps logits (N, C) to scores, instead of the encoder's own.
            apply_softmax: with several labels, apply a softmax over each pair's scores, after `activation_fn`.

        Returns:
            With one label, a float32 for a pair and float32 (N,) for a list; with several, (C,) and (N, C). For
            another iterable, an iterator over the results of one pair each. Equal pairs have equal scores.

        Raises:
            PipelineException: a pair cannot be scored; `index` says which. Nothing of a list is computed then; the
                preceding pairs of an iterator are returned first.
            TypeError: an input or argument of the wrong type.
            ValueError: an argument out of range, or an unknown prompt.
            CheckpointError: the logits are not finite.
        """
        options = self._options(
            prompt_name=prompt_name,
            prompt=prompt,
            batch_size=batch_size,
            activation_fn=activation_fn,
            apply_softmax=apply_softmax,
        )
        result: Array | Iterator[Array]
        result = self._run(inputs.tolist() if isinstance(inputs, np.ndarray) else inputs, options)
        return result

    def rank(
        self,
        query: str,
        documents: Iterable[str],
        *,
        top_k: int | None = None,
        return_documents: bool = False,
        prompt_name: str | None = None,
        prompt: str | None = None,
        activation_fn: Activation | None = None,
    ) -> list[RankedDocument]:
        """Sort documents by their relevance to a query, best first.

        Args:
            query: a text.
            documents: the texts to sort.
            top_k: return only the best documents; all if None.
            return_documents: return the texts too.
            prompt_name, prompt, activation_fn: as in `predict`.

        Returns:
            Dicts of `corpus_id` (the document's index), `score` and, if requested, `text`. Documents with equal
            scores keep their order. Equal documents have equal scores.

        Raises:
            ValueError: the model has several labels; or as `predict`.
            PipelineException, TypeError, CheckpointError: as `predict`.
        """
        if self.model.config.num_labels != 1:
            raise ValueError(
                f"rank needs a model with one label, but this one has {self.model.config.num_labels}; use predict"
            )
        if isinstance(documents, str):
            raise TypeError(f"documents must be a list of strings, not a string: {documents!r:.80}")
        count = None if top_k is None else as_integer("top_k", top_k, smallest=0)
        return_documents = as_boolean("return_documents", return_documents)
        documents = list(documents)
        pairs = [(query, document) for document in documents]
        scores = self.predict(pairs, prompt_name=prompt_name, prompt=prompt, activation_fn=activation_fn)
        ranked: list[RankedDocument] = []
        for index in np.argsort(-scores, kind="stable").tolist()[:count]:
            ranked.append({"corpus_id": index, "score": float(scores[index])})
            if return_documents:
                ranked[-1]["text"] = documents[index]
        return ranked

    def __repr__(self) -> str:
        labels = self.model.config.num_labels
        return (
            f"CrossEncoder({self.model!r}, {labels} label{'s' * (labels != 1)}, max_seq_length={self.max_seq_length})"
        )

    # -- as a pipeline -----------------------------------------------------------------------------------------

    def _options(  # type: ignore[override]
        self,
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int | None = None,
        activation_fn: Activation | None = None,
        apply_softmax: bool = False,
    ) -> Options:
        if activation_fn is not None and not callable(activation_fn):
            raise TypeError(f"activation_fn must be a function of an array, not {activation_fn!r:.80}")
        return Options(
            prompt=self._choose_prompt(prompt, prompt_name),
            batch_size=None if batch_size is None else as_integer("batch_size", batch_size, smallest=1),
            activation_fn=self.activation_fn if activation_fn is None else activation_fn,
            apply_softmax=as_boolean("apply_softmax", apply_softmax),
        )

    def _is_one(self, inputs: Any) -> bool:
        return isinstance(inputs, list | tuple) and len(inputs) > 0 and isinstance(inputs[0], str)

    def _read(self, item: Any, index: int | None, options: Options) -> tuple[int, ...]:
        if not isinstance(item, list | tuple) or len(item) != 2:
            raise TypeError(f"{name_of(index)} must be a pair of texts, not {item!r:.80}")
        return self._token_ids(options.prompt, item, index)

    def _answer(self, sequences: Sequence[tuple[int, ...]], options: Options) -> list[Any]:
        logits = np.concatenate(self.model.logits_at(sequences, [[0]] * len(sequences)))  # [N, C]
        scores = np.asarray(options.activation_fn(logits), np.float32)
        if scores.shape != logits.shape:
            raise ValueError(f"activation_fn maps the shape {logits.shape} to {scores.shape}; it must keep the shape")
        if self.model.config.num_labels == 1:
            return list(scores[:, 0])
        return list(softmax(scores) if options.apply_softmax else scores)

    def _answer_list(self, inputs: Sequence[Any], options: Options) -> Array:
        scores = super()._answer_list(inputs, options)
        labels = self.model.config.num_labels
        return np.stack(scores) if scores else np.empty((0, labels) if labels > 1 else 0, np.float32)


def _read_activation(folder: Path, settings: SentenceSettings) -> Activation | None:
    """The activation function in the settings, or in the encoder's config.json under a new and an old key; None if
    there is none. Raises ConfigError if it is not supported."""
    values = read_json(folder / "config.json", ConfigError)
    values = values if isinstance(values, dict) else {}
    own = values.get("sentence_transformers")
    names = (
        settings.activation_fn,
        own.get("activation_fn") if isinstance(own, dict) else None,
        values.get("sbert_ce_default_activation_function"),
    )
    name = next((name for name in names if name is not None), None)
    try:
        return None if name is None else function_by_name(name)
    except ConfigError as error:
        raise ConfigError(f"{folder}: {error}; give another one as activation_fn") from None
