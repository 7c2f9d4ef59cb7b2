"""`TextClassificationPipeline`: the most likely labels of a text, or of a pair of texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Annotated, Any, Literal, TypeAlias, TypedDict, Unpack, overload

import numpy as np

from ..config import RobertaConfig
from ..errors import PipelineException
from ..layers.activation import sigmoid, softmax
from ..layers.params import Array
from ..models import RobertaForSequenceClassification
from .base import Pipeline
from .options import PADDING, SWITCH, CallOptions, Option, as_integer, number
from .results import Results
from .truncation import STRATEGIES, check_length, truncate

_FUNCTIONS = ("sigmoid", "softmax", "none")
# The keys of a pair of texts.
_TEXT, _PAIR = "text", "text_pair"
_HOW_TO_PAIR = 'write a pair of texts as {"text": ..., "text_pair": ...}'

_FUNCTION = (
    "how to turn logits into scores: softmax (over the labels), sigmoid (of each logit) or none. By default as the "
    "model's config says: none for a regression, sigmoid for multi-label classification or one label, else softmax"
)
_TRUNCATION = "cut texts that are too long: True or longest_first, only_first or only_second"


class LabelScore(TypedDict):
    """A label, and its probability (or, with the function "none", its logit)."""

    label: str
    score: float


def _as_count(name: str, value: Any) -> int | None:
    return None if value is None else as_integer(name, value, smallest=0)


def _as_function(name: str, value: Any) -> str | None:
    lower = value.lower() if isinstance(value, str) else None
    if lower != "default" and lower not in _FUNCTIONS:
        raise ValueError(f"{name} must be one of {', '.join(_FUNCTIONS)}, default, not {value!r:.80}")
    return None if lower == "default" else lower


def _as_strategy(name: str, value: Any) -> str:
    """Which text to cut; "" for none."""
    if value in (False, "do_not_truncate"):
        return ""
    if value is True:
        return STRATEGIES[0]
    if value not in STRATEGIES:
        raise ValueError(f"{name} must be True, False or one of {', '.join(STRATEGIES)}, not {value!r:.80}")
    return str(value)


class _Options(CallOptions, total=False):
    function_to_apply: Annotated[
        Literal["sigmoid", "softmax", "none", "default"] | None,
        Option(None, _as_function, _FUNCTION, {"choices": _FUNCTIONS}),
    ]
    truncation: Annotated[bool | str | None, Option(None, _as_strategy, _TRUNCATION, SWITCH)]
    max_length: Annotated[
        int | None, number(None, 1, "maximum number of tokens; without truncation and padding it turns truncation on")
    ]
    padding: Annotated[bool | str | None, PADDING]


class TextClassificationOptions(_Options, total=False):
    """Options of `TextClassificationPipeline`."""

    top_k: Annotated[
        int | None,
        Option(1, _as_count, "number of labels per text; all if None. Results are lists if it is given", {}, none=True),
    ]


Pair: TypeAlias = Mapping[str, str]
Many: TypeAlias = Sequence[str | Pair]
Stream: TypeAlias = Iterable[str | Pair]
Ranking: TypeAlias = list[LabelScore]


class TextClassificationPipeline(Pipeline[tuple[int, ...], LabelScore | Ranking]):
    """Classify texts, and pairs of texts, as transformers' text-classification pipeline does."""

    tasks = ("text-classification", "sentiment-analysis")
    model_type = RobertaForSequenceClassification
    options_type = TextClassificationOptions
    suggested_model = "SamLowe/roberta-base-go_emotions"
    model: RobertaForSequenceClassification

    @overload
    def __call__(self, inputs: str, **options: Unpack[TextClassificationOptions]) -> Results[LabelScore]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, inputs: Pair, *, top_k: int | None, **options: Unpack[_Options]) -> Results[LabelScore]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, inputs: Pair, **options: Unpack[_Options]) -> LabelScore: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, inputs: Many, *, top_k: int | None, **options: Unpack[_Options]) -> Results[Ranking]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, inputs: Many, **options: Unpack[_Options]) -> Results[LabelScore]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, inputs: Stream, *, top_k: int | None, **options: Unpack[_Options]) -> Iterator[Ranking]: ...
    @overload
    def __call__(self, inputs: Stream, **options: Unpack[_Options]) -> Iterator[LabelScore]: ...
    def __call__(self, inputs: Any, **options: Any) -> Any:
        """Classify one text, or many.

        Args:
            inputs: a text; a pair of texts as `{"text": ..., "text_pair": ...}`; a list or tuple of those; or any other
                iterable, which is read as its results are consumed.

        Returns:
            For an input, the most likely label as a dict of `label` and `score`; for a single string, that dict in a
            list. With `top_k`, a list of such dicts, best first, equal scores in the order of their ids. For a list, a
            list of those; for another iterable, an iterator over them. (If the pipeline was made with a `top_k`, the
            result for a single string is that list in a list, as in transformers.)
        """
        answer = self._run(inputs, self._options(**options))
        return Results([answer]) if isinstance(inputs, str) and "top_k" not in options else answer

    def _is_one(self, inputs: Any) -> bool:
        return isinstance(inputs, str | Mapping)

    def _prepare(self, options: SimpleNamespace, given: Mapping[str, Any]) -> None:
        options.ranked = "top_k" in given or getattr(options, "ranked", False)

    def _read(self, item: Any, index: int | None, options: SimpleNamespace) -> tuple[int, ...]:
        text, pair = _text_and_pair(item, index)
        limit = self.model.config.max_sequence_length
        strategy = options.truncation
        if strategy is None and options.max_length is not None and options.padding is False:
            strategy = STRATEGIES[0]  # as in transformers, where max_length with padding cuts nothing
        encoding = self._encode(text, index, pair, read=None if pair is not None else "some" if strategy else "all")
        ids: list[int] = encoding.ids
        if strategy:
            length = self.max_length if options.max_length is None else min(options.max_length, limit)
            ids = truncate(encoding, length, strategy, index, side=self.tokenizer.truncation_side)
        check_length(ids, limit, "text" if pair is None else "pair", index)
        return tuple(ids)

    def _answer(self, sequences: Sequence[tuple[int, ...]], options: SimpleNamespace) -> list[LabelScore | Ranking]:
        function = options.function_to_apply or _default_function(self.model.config)
        # The head reads the first token's hidden state alone.
        logits = np.concatenate(self.model.logits_at(sequences, [[0]] * len(sequences)))  # [B, C]
        if function == "softmax":
            logits = softmax(logits)
        elif function == "sigmoid":
            logits = sigmoid(logits)
        return [self._labelled(scores, options) for scores in logits]

    def _labelled(self, scores: Array, options: SimpleNamespace) -> LabelScore | Ranking:
        """The labels of one text with their scores, best first. Shape: (C,)."""
        id2label = self.model.config.id2label
        order = np.argsort(-scores, kind="stable").tolist()
        labelled = [LabelScore(label=id2label[label], score=float(scores[label])) for label in order[: options.top_k]]
        return labelled if options.ranked else labelled[0]


def _text_and_pair(item: Any, index: int | None) -> tuple[Any, Any]:
    """The text of an input, and the other one if it is a pair."""
    # transformers still takes its old way to write a pair.
    if isinstance(item, list) and len(item) == 1 and isinstance(item[0], list) and len(item[0]) == 2:
        item = dict(zip((_TEXT, _PAIR), item[0], strict=True))
    if isinstance(item, list | tuple):
        raise PipelineException(f"a {type(item).__name__} is not a text; {_HOW_TO_PAIR}", index)
    if not isinstance(item, Mapping):
        return item, None
    unknown = [key for key in item if key not in (_TEXT, _PAIR)]
    if unknown or _TEXT not in item:
        what = f"has the unknown key {unknown[0]!r:.80}" if unknown else "has no 'text'"
        raise PipelineException(f"the dict {what}; {_HOW_TO_PAIR}", index)
    # In transformers an empty second text is none: the tokens between the two texts are left out.
    return item[_TEXT], None if item.get(_PAIR) == "" else item.get(_PAIR)


def _default_function(config: RobertaConfig) -> str:
    if config.problem_type == "regression":
        return "none"
    return "sigmoid" if config.problem_type == "multi_label_classification" or config.num_labels == 1 else "softmax"
