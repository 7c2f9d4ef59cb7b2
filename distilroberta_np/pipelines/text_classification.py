"""`TextClassificationPipeline`: texts, or pairs of texts, in, their likeliest labels out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ..config import RobertaConfig
from ..errors import CheckpointError, PipelineException
from ..layers.activation import sigmoid, softmax
from ..layers.params import Array
from ..models import RobertaForSequenceClassification
from ..runtime.batching import distinct
from ..tokenizer import RobertaTokenizer
from .base import Pipeline, as_integer
from .truncation import STRATEGIES, truncate

_FUNCTIONS = ("sigmoid", "softmax", "none")
_PADDING = (True, False, "longest", "max_length", "do_not_pad")
# What a text and its pair stand under.
_TEXT, _PAIR = "text", "text_pair"
_HOW_TO_PAIR = 'a pair of texts is given as {"text": ..., "text_pair": ...}'


@dataclass(frozen=True)
class Options:
    """The arguments of a call, checked. `TextClassificationPipeline.__call__` says what they mean."""

    top_k: int | None = 1
    ranked: bool = False  # whether top_k was given at all, so that each answer is a list
    function: str | None = None
    batch_size: int | None = None
    truncation: str | None = None  # a strategy, "" for none; None: as max_length says
    max_length: int | None = None
    padding: bool = False  # whether it was asked for, in whatever way


class TextClassificationPipeline(Pipeline):
    """Classifies texts, and pairs of texts, as transformers' text-classification pipeline does.

    Args:
        model: fine-tuned to classify texts.
        tokenizer: its tokenizer.
        **parameters: defaults for the keyword arguments of `__call__`.

    Raises:
        PipelineException: model and tokenizer don't belong together.
    """

    task = "text-classification"

    def __init__(self, model: RobertaForSequenceClassification, tokenizer: RobertaTokenizer, **parameters: Any) -> None:
        super().__init__(model, tokenizer)
        self._defaults = Options()
        self._defaults = self._parameters(**parameters)

    def __call__(
        self,
        inputs: str | Mapping[str, str] | Iterable[str | Mapping[str, str]],
        *,
        top_k: int | Literal[""] | None = "",
        function_to_apply: str | None = None,
        batch_size: int | None = None,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        padding: bool | str | None = None,
    ) -> Any:
        """Classify one text, or many.

        Args:
            inputs: a text; a pair of texts as `{"text": ..., "text_pair": ...}`; a list or tuple of those; or any other
                iterable, which is read as its results are asked for.
            top_k: how many labels a text; all if None. Not given, the likeliest alone, and answers are nested less.
            function_to_apply: what makes scores of logits: "softmax" (over the labels), "sigmoid" (of each) or "none".
                If None or "default", by the config: "none" where its `problem_type` is "regression", "sigmoid" where
                that is "multi_label_classification" or there is one label, else "softmax".
            batch_size: how many inputs of an iterator are read ahead, to be computed together; 1 if None. Lists don't
                need it.
            truncation: cut a text of too many tokens instead of refusing it: True or "longest_first" (of a pair, the
                longer text first), "only_first" or "only_second" (that text alone).
            max_length: cut to so many tokens, special ones included; by itself, without `truncation` and `padding`,
                enough to cut.
            padding: as transformers takes it; there is none here, and it changes no answer.

        Returns:
            Without `top_k`, a dict of `label` and `score`, which for a single string (not for a single pair) stands in
            a list; with it, a list of such dicts, best first, equal scores in the order of their ids. For a list, a
            list of those; for another iterable, an iterator over them. (Where the pipeline was made with a `top_k`, the
            answer to a single string is that list in a list, as in the reference.)

        Raises:
            PipelineException: an input is too long, or no text and no pair; its `index` says which. Of a list, nothing
                is computed then; of an iterator, the inputs before it are answered first.
            TypeError: an input or argument of the wrong type.
            ValueError: an argument out of range.
            CheckpointError: the model's scores are not finite.
        """
        options = self._options(
            top_k=top_k,
            function_to_apply=function_to_apply,
            batch_size=batch_size,
            truncation=truncation,
            max_length=max_length,
            padding=padding,
        )
        answer = self._run(inputs, options)
        return [answer] if isinstance(inputs, str) and isinstance(top_k, str) else answer

    def _is_one(self, inputs: Any) -> bool:
        return isinstance(inputs, str | Mapping)

    # -- arguments ---------------------------------------------------------------------------------------------

    def _options(self, **parameters: Any) -> Options:
        return self._parameters(**parameters)

    def _parameters(
        self,
        *,
        top_k: int | Literal[""] | None = "",
        function_to_apply: str | None = None,
        batch_size: int | None = None,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        padding: bool | str | None = None,
    ) -> Options:
        """The arguments of a call on top of the pipeline's defaults. None, but for top_k, means: as the default."""
        options = self._defaults
        if top_k is None:
            options = replace(options, top_k=None, ranked=True)
        elif top_k != "":
            options = replace(options, top_k=as_integer("top_k", top_k, smallest=0), ranked=True)
        if function_to_apply is not None:
            options = replace(options, function=_function(function_to_apply))
        if batch_size is not None:
            options = replace(options, batch_size=as_integer("batch_size", batch_size, smallest=1))
        if truncation is not None:
            options = replace(options, truncation=_strategy(truncation))
        if max_length is not None:
            options = replace(options, max_length=as_integer("max_length", max_length, smallest=1))
        if padding is not None:
            if padding not in _PADDING:
                raise ValueError(f"padding must be one of {', '.join(map(repr, _PADDING))}, not {padding!r:.80}")
            options = replace(options, padding=padding is not False)
        return options

    # -- reading -----------------------------------------------------------------------------------------------

    def _read(self, item: Any, index: int | None, options: Options) -> list[int]:
        text, pair = _text_and_pair(item, index)
        encoding = self._encode(text, index, pair)
        ids: list[int] = encoding.ids
        longest = self.model.config.max_sequence_length
        strategy = options.truncation
        if strategy is None and options.max_length is not None and not options.padding:
            strategy = STRATEGIES[0]  # the reference's rule, by which max_length beside padding alone does nothing
        if strategy:
            length = self.max_length if options.max_length is None else min(options.max_length, longest)
            try:
                ids = truncate(encoding, length, strategy)
            except ValueError as error:
                raise PipelineException(str(error), index) from None
        if len(ids) > longest:
            what = "text" if pair is None else "pair"
            raise PipelineException(
                f"the {what} has {len(ids)} tokens and the model reads at most {longest}; shorten it, or have it cut "
                "with truncation=True",
                index,
            )
        return ids

    # -- answering ---------------------------------------------------------------------------------------------

    def _answer(self, sequences: list[list[int]], options: Options) -> list[Any]:
        if not sequences:
            return []
        function = options.function or _default_function(self.model.config)
        logits = classification_logits(self.model, sequences)  # [B, C]
        if function == "softmax":
            logits = softmax(logits)
        elif function == "sigmoid":
            logits = sigmoid(logits)
        return [self._labelled(scores, options) for scores in logits]

    def _labelled(self, scores: Array, options: Options) -> Any:
        """The labels of one text with their scores, best first. Shape: (C,)."""
        id2label = self.model.config.id2label
        order = np.argsort(-scores, kind="stable").tolist()
        labelled = [{"label": id2label[place], "score": float(scores[place])} for place in order[: options.top_k]]
        return labelled if options.ranked else labelled[0]


def classification_logits(model: RobertaForSequenceClassification, sequences: Sequence[Sequence[int]]) -> Array:
    """The logits of token sequences of any lengths: (B, C) float32.

    The head reads the first token's vector alone, so of the last layer nothing else is computed, and nothing is padded.

    Raises:
        CheckpointError: they are not finite.
    """
    sequences, index = distinct(map(tuple, sequences))
    vectors = model.encode(sequences, [[0]] * len(sequences))
    logits = model.logits(np.concatenate(vectors))  # [B, H] -> [B, C]
    if not np.isfinite(logits).all():
        raise CheckpointError("the model's scores are not finite: its weights are too large, so they are damaged")
    return logits[index]


def _text_and_pair(item: Any, index: int | None) -> tuple[Any, Any]:
    """The text of an input, and the other one if it is a pair."""
    # The reference still takes its old way to write a pair.
    if isinstance(item, list) and len(item) == 1 and isinstance(item[0], list) and len(item[0]) == 2:
        item = dict(zip((_TEXT, _PAIR), item[0], strict=True))
    if isinstance(item, list | tuple):
        raise PipelineException(f"this is a {type(item).__name__} and no text; {_HOW_TO_PAIR}", index)
    if not isinstance(item, Mapping):
        return item, None
    unknown = [key for key in item if key not in (_TEXT, _PAIR)]
    if unknown or _TEXT not in item:
        what = f"holds {unknown[0]!r:.80}" if unknown else "has no 'text'"
        raise PipelineException(f"the dict {what}; {_HOW_TO_PAIR}", index)
    # An empty second text is none to the reference, which then leaves out the tokens that part two texts.
    return item[_TEXT], None if item.get(_PAIR) == "" else item.get(_PAIR)


def _function(name: str) -> str | None:
    lower = name.lower() if isinstance(name, str) else None
    if lower != "default" and lower not in _FUNCTIONS:
        raise ValueError(f"function_to_apply must be one of {', '.join(_FUNCTIONS)}, default, not {name!r:.80}")
    return None if lower == "default" else lower


def _default_function(config: RobertaConfig) -> str:
    if config.problem_type == "regression":
        return "none"
    if config.problem_type == "multi_label_classification" or config.num_labels == 1:
        return "sigmoid"
    return "softmax"


def _strategy(truncation: bool | str) -> str:
    """How to cut; "" for not at all."""
    if truncation in (False, "do_not_truncate"):
        return ""
    if truncation is True:
        return STRATEGIES[0]
    if truncation not in STRATEGIES:
        raise ValueError(f"truncation must be True, False or one of {', '.join(STRATEGIES)}, not {truncation!r:.80}")
    return str(truncation)
