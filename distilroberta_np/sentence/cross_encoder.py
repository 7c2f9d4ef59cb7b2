"""`CrossEncoder`: pairs of texts in, a score for each out, as the cross-encoders of sentence-transformers have it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..checkpoint.sentence_folder import MODULES_FILE, encoder_path, read_modules
from ..errors import ConfigError, PipelineException
from ..files import read_json
from ..hub import in_organization, resolve_model
from ..layers.activation import softmax
from ..layers.params import Array
from ..models import RobertaForSequenceClassification
from ..pipelines.base import Pipeline, as_boolean, as_integer, place_of
from ..pipelines.text_classification import classification_logits
from ..pipelines.truncation import truncate
from ..pretrained import CONFIG, MODULES, TOKENIZER, WEIGHTS
from ..runtime.batching import distinct
from ..tokenizer import RobertaTokenizer
from .modules import (
    SentenceSettings,
    activation,
    check_modules,
    read_max_seq_length,
    read_sentence_settings,
)
from .prompts import choose_prompt

# The special tokens of a pair, and a token of each text.
_SHORTEST = 6


@dataclass(frozen=True)
class Options:
    """The arguments of a call, checked. `CrossEncoder.predict` says what they mean."""

    prompt: str
    batch_size: int | None
    activation_fn: Callable[[Array], Array]
    apply_softmax: bool


class CrossEncoder(Pipeline):
    """Scores pairs of texts read together: slower than comparing the vectors of a `SentenceEncoder`, and more exact.

    Args:
        model: the encoder with a head that scores pairs, most often with a single label.
        tokenizer: its tokenizer.
        activation_fn: what makes scores of logits: a function of an array (N, C) to one alike. The sigmoid where there
            is one label, else nothing, if None.
        max_seq_length: most tokens of a pair, special ones included; of one that is longer, the longer text is cut
            first. As many as model and tokenizer have room for, if None.
        prompts: what may be put before the first text of a pair, by names.
        default_prompt_name: of the one that is put there where none is asked for.

    All of these but the first two are attributes that may be set.

    Raises:
        PipelineException: model and tokenizer don't belong together.
    """

    task = "text-ranking"

    def __init__(
        self,
        model: RobertaForSequenceClassification,
        tokenizer: RobertaTokenizer,
        *,
        activation_fn: Callable[[Array], Array] | None = None,
        max_seq_length: int | None = None,
        prompts: Mapping[str, str] | None = None,
        default_prompt_name: str | None = None,
    ) -> None:
        super().__init__(model, tokenizer)
        default = "Sigmoid" if model.config.num_labels == 1 else "Identity"
        self.activation_fn = activation(f"torch.nn.{default}") if activation_fn is None else activation_fn
        self.max_seq_length = self.max_length if max_seq_length is None else max_seq_length
        self.prompts = dict(prompts or {})
        self.default_prompt_name = default_prompt_name

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | os.PathLike[str],
        *,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
        activation_fn: Callable[[Array], Array] | None = None,
        max_length: int | None = None,
    ) -> Self:
        """Load a folder, or a model of the hub by its name.

        Args:
            name_or_path: a folder, or a name such as "cross-encoder/stsb-distilroberta-base". A name without an
                organization is one of cross-encoder's, but for those of RoBERTa itself.
            revision, cache_dir, local_files_only: as `RobertaModel.from_pretrained`.
            activation_fn: in the place of the one that the model's settings name.
            max_length: `max_seq_length`, in the place of what the settings say.

        Raises:
            HubError: the model can't be found or fetched.
            ConfigError: one of its settings can't be used, or asks for something that isn't computed here.
            CheckpointError, TokenizerError: its weights or its tokenizer can't be used.
        """
        folder = resolve_model(
            in_organization(name_or_path, "cross-encoder"),
            revision=revision,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            parts=(CONFIG, WEIGHTS, TOKENIZER, MODULES),
        )
        settings, encoder, saved_length = SentenceSettings(), folder, None
        if (folder / MODULES_FILE).exists():
            modules, settings = read_modules(folder), read_sentence_settings(folder)
            if settings.model_type != "CrossEncoder":
                raise ConfigError(f"{folder} was made as a {settings.model_type}, and is no CrossEncoder")
            check_modules(folder, modules, ())
            encoder = folder / encoder_path(modules)
            saved_length = read_max_seq_length(encoder)
        return cls(
            RobertaForSequenceClassification.from_pretrained(encoder),
            RobertaTokenizer.from_pretrained(encoder),
            activation_fn=_read_activation(encoder, settings) if activation_fn is None else activation_fn,
            max_seq_length=saved_length if max_length is None else max_length,
            prompts=settings.prompts,
            default_prompt_name=settings.default_prompt_name,
        )

    def predict(
        self,
        inputs: Any,
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int | None = None,
        activation_fn: Callable[[Array], Array] | None = None,
        apply_softmax: bool = False,
    ) -> Any:
        """The scores of one pair of texts, or of many. A pair that is too long is cut, the longer text first.

        Args:
            inputs: a pair, as a list or tuple of two texts; a list, tuple or array of pairs; or any other iterable of
                them, which is read as its results are asked for.
            prompt_name: of the one of `prompts` that is put before the first text of each pair; the one named
                `default_prompt_name`, if any, if None.
            prompt: put before the first text of each pair, whatever `prompt_name` is.
            batch_size: how many pairs of an iterator are read ahead, to be computed together; 1 if None. Lists don't
                need it.
            activation_fn: what makes scores of logits (N, C), in the place of the encoder's own.
            apply_softmax: where there are several labels, make each pair's scores sum to 1 by a softmax, after
                `activation_fn`.

        Returns:
            With one label, a float32 for a pair and float32 (N,) for a list of them; with several, (C,) and (N, C).
            For another iterable, an iterator over what one pair gives.

        Raises:
            PipelineException: a pair can't be scored; its `index` says which. Of a list, nothing is computed then; of
                an iterator, the pairs before it are scored first.
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
        return self._run(inputs.tolist() if isinstance(inputs, np.ndarray) else inputs, options)

    def rank(
        self,
        query: str,
        documents: Iterable[str],
        *,
        top_k: int | None = None,
        return_documents: bool = False,
        prompt_name: str | None = None,
        prompt: str | None = None,
        activation_fn: Callable[[Array], Array] | None = None,
    ) -> list[dict[str, Any]]:
        """Documents by how well they answer a query, best first.

        Args:
            query: a text.
            documents: texts.
            top_k: how many of them; all if None.
            return_documents: give the texts too.
            prompt_name, prompt, activation_fn: as `predict`.

        Returns:
            Dicts of `corpus_id` (a document's place, from 0), `score` and, where asked for, `text`; equal scores in
            the documents' order. Equal documents have equal scores.

        Raises:
            ValueError: the model has several labels, none of which is the one to go by; or as `predict`.
            PipelineException, TypeError, CheckpointError: as `predict`.
        """
        if self.model.config.num_labels != 1:
            raise ValueError(
                f"rank needs a model with one label, and this one has {self.model.config.num_labels}; predict scores "
                "pairs with each of them"
            )
        if isinstance(documents, str):
            raise TypeError(f"documents must be a list of texts, not a single one: {documents!r:.80}")
        count = None if top_k is None else as_integer("top_k", top_k, smallest=0)
        documents = list(documents)
        scores = self.predict(
            [(query, document) for document in documents],
            prompt_name=prompt_name,
            prompt=prompt,
            activation_fn=activation_fn,
        )
        order = np.argsort(-scores, kind="stable").tolist()
        return [
            {"corpus_id": place, "score": float(scores[place])}
            | ({"text": documents[place]} if as_boolean("return_documents", return_documents) else {})
            for place in order[:count]
        ]

    # -- as a pipeline -----------------------------------------------------------------------------------------

    def _options(self, **parameters: Any) -> Options:
        return self._parameters(**parameters)

    def _parameters(
        self,
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int | None = None,
        activation_fn: Callable[[Array], Array] | None = None,
        apply_softmax: bool = False,
    ) -> Options:
        if activation_fn is not None and not callable(activation_fn):
            raise TypeError(f"activation_fn must be a function of an array, not {activation_fn!r:.80}")
        return Options(
            prompt=choose_prompt(prompt, prompt_name, self.prompts, self.default_prompt_name),
            batch_size=None if batch_size is None else as_integer("batch_size", batch_size, smallest=1),
            activation_fn=self.activation_fn if activation_fn is None else activation_fn,
            apply_softmax=as_boolean("apply_softmax", apply_softmax),
        )

    def _is_one(self, inputs: Any) -> bool:
        return isinstance(inputs, list | tuple) and len(inputs) > 0 and isinstance(inputs[0], str)

    def _read(self, item: Any, index: int | None, options: Options) -> list[int]:
        if not isinstance(item, list | tuple) or len(item) != 2:
            raise TypeError(f"{place_of(index)} must be a pair of texts, not {item!r:.80}")
        first, second = item
        encoding = self._encode(options.prompt + first if isinstance(first, str) else first, index, second)
        longest = as_integer("max_seq_length", self.max_seq_length, smallest=_SHORTEST)
        try:
            return truncate(encoding, min(longest, self.model.config.max_sequence_length), "longest_first")
        except ValueError as error:
            raise PipelineException(str(error), index) from None

    def _answer(self, sequences: list[list[int]], options: Options) -> list[Any]:
        if not sequences:
            return []
        logits = classification_logits(self.model, sequences)  # [N, C]
        scores = np.asarray(options.activation_fn(logits), np.float32)
        if scores.shape != logits.shape:
            raise ValueError(f"activation_fn makes {scores.shape} of {logits.shape}; it must keep the shape")
        if self.model.config.num_labels == 1:
            return list(scores[:, 0])
        return list(softmax(scores) if options.apply_softmax else scores)

    def _answer_items(self, items: list[list[int]], options: Options) -> list[Any]:
        sequences, index = distinct(map(tuple, items))
        answers = super()._answer_items(list(map(list, sequences)), options)
        return [answers[position] for position in index]

    def _answer_list(self, inputs: Sequence[Any], options: Options) -> Array:
        scores = super()._answer_list(inputs, options)
        labels = self.model.config.num_labels
        return np.stack(scores) if scores else np.empty((0, labels) if labels > 1 else 0, np.float32)


def _read_activation(folder: Path, settings: SentenceSettings) -> Callable[[Array], Array] | None:
    """What makes scores of logits, by the newest of the three places where it may be said; None where it isn't.

    Raises:
        ConfigError: it isn't computed here.
    """
    values = read_json(folder / "config.json", ConfigError)
    own = values.get("sentence_transformers") if isinstance(values, dict) else None
    name = settings.activation_fn
    if name is None and isinstance(own, dict):
        name = own.get("activation_fn")
    if name is None and isinstance(values, dict):
        name = values.get("sbert_ce_default_activation_function")
    if name is None:
        return None
    try:
        return activation(name)
    except ConfigError as error:
        raise ConfigError(f"{folder}: {error}; give another one as activation_fn") from None
