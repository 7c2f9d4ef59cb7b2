"""`ZeroShotClassificationPipeline`: how well labels of any kind suit a text.

A model of natural language inference says of two texts whether the first entails the second. For each label it is asked
whether the text entails "This example is {label}." (Yin et al. 2019, "Benchmarking Zero-shot Text Classification",
section 5).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Annotated, Any, NamedTuple, TypeAlias, TypedDict, Unpack, overload

import numpy as np

from ..errors import PipelineException, TokenizerError
from ..layers.activation import softmax
from ..layers.params import Array
from ..messages import warn
from ..models import RobertaForSequenceClassification
from ..runtime.batching import distinct
from ..tokenizer import RobertaTokenizer
from .base import Pipeline
from .options import CallOptions, Option, as_text, as_texts, switch
from .results import Results
from .truncation import truncate_plain

# transformers' words.
_NOTHING = "You must include at least one label and at least one sequence."
_NO_ENTAILMENT = (
    "Failed to determine 'entailment' label id from the label2id mapping in the model config. Setting to -1. Define a "
    "descriptive label2id mapping in the model config to ensure correct outputs."
)


class LabelRanking(TypedDict):
    """A text, and the labels with their scores, best first."""

    sequence: str
    labels: list[str]
    scores: list[float]


DEFAULT_TEMPLATE = "This example is {}."


def as_labels(name: str, value: Any) -> tuple[str, ...]:
    """Check labels: at least one, in a list or between commas. Raises TypeError, ValueError."""
    if isinstance(value, str):
        value = [label.strip() for label in value.split(",") if label.strip()]
    labels = as_texts(name, value)
    if not labels:
        raise ValueError(_NOTHING)
    return labels


class ZeroShotClassificationOptions(CallOptions, total=False):
    """Options of `ZeroShotClassificationPipeline`."""

    candidate_labels: Annotated[
        str | Iterable[str] | None,
        Option(
            (),
            as_labels,
            "the labels to choose from: several, or one string with commas between them",
            {"flag": "--labels", "nargs": "+", "metavar": "LABEL", "required": True},
        ),
    ]
    hypothesis_template: Annotated[
        str | None,
        Option(DEFAULT_TEMPLATE, as_text, "a sentence with {} for a label", {"flag": "--template", "metavar": "TEXT"}),
    ]
    multi_label: Annotated[
        bool | None, switch("several labels can be true, each scored by itself; else the scores sum to 1")
    ]


Options: TypeAlias = ZeroShotClassificationOptions


class Premise(NamedTuple):
    """A text made ready: as it was given, and its tokens without special tokens."""

    text: str
    ids: tuple[int, ...]


class ZeroShotClassificationPipeline(Pipeline[Premise, LabelRanking]):
    """Classify texts with labels that the model was not trained on, as transformers' pipeline of that name does."""

    tasks = ("zero-shot-classification",)
    model_type = RobertaForSequenceClassification
    options_type = ZeroShotClassificationOptions
    suggested_model = "cross-encoder/nli-distilroberta-base"
    model: RobertaForSequenceClassification

    def __init__(self, model: Any, tokenizer: RobertaTokenizer, **options: Any) -> None:
        super().__init__(model, tokenizer, **options)
        # The special tokens before, between and after the texts of a pair: <s>, </s></s> and </s>.
        sample = tokenizer.encoding("a", "a")
        texts = [position for position, part in enumerate(sample.sequence_ids) if part is not None]
        middle = sample.sequence_ids.index(1)
        self._before = sample.ids[: texts[0]]
        self._between = [sample.ids[position] for position in range(texts[0], middle) if position not in texts]
        self._after = sample.ids[texts[-1] + 1 :]
        if self.entailment_id == -1:
            warn(_NO_ENTAILMENT)

    @property
    def entailment_id(self) -> int:
        """The id of the label whose name begins with "entail"; -1, the last one, if there is none."""
        ids = self.model.config.label2id
        return next((index for label, index in ids.items() if str(label).lower().startswith("entail")), -1)

    @overload
    def __call__(self, sequences: str, *arguments: Any, **options: Unpack[Options]) -> LabelRanking: ...
    @overload
    def __call__(
        self, sequences: Sequence[str], *arguments: Any, **options: Unpack[Options]
    ) -> Results[LabelRanking]: ...
    @overload
    def __call__(
        self, sequences: Iterable[str], *arguments: Any, **options: Unpack[Options]
    ) -> Iterator[LabelRanking]: ...
    def __call__(self, sequences: Any, *arguments: Any, **options: Any) -> Any:
        """Classify one text, or many. The labels are needed, here or when the pipeline is made.

        Args:
            sequences: a text; a list or tuple of texts; or any other iterable, which is read as its results are
                consumed. A text that is too long next to a label is cut.
            *arguments: `candidate_labels`, if not given by name.

        Returns:
            For a text, a dict of `sequence` (the text), `labels` (the most likely first) and `scores`, in that order.
            The scores are a softmax of the labels' entailment logits; with `multi_label`, or for a single label, each
            is a softmax of entailment and contradiction.
            For a list, a list of those; for another iterable, an iterator over them.
        """
        if len(arguments) > 1 or (arguments and options.get("candidate_labels") is not None):
            raise ValueError(f"Unable to understand extra arguments {arguments!r:.80}; there is only candidate_labels")
        if arguments:
            options["candidate_labels"] = arguments[0]
        return self._run(sequences, self._options(**options))

    def _prepare(self, options: SimpleNamespace, given: Mapping[str, Any]) -> None:
        if not hasattr(options, "hypotheses") or given.keys() & {"candidate_labels", "hypothesis_template"}:
            # The template with each label in it, as tokens without special tokens.
            options.hypotheses = tuple(
                self._hypothesis(options.hypothesis_template, label) for label in options.candidate_labels
            )

    def _check_call(self, options: SimpleNamespace) -> None:
        if not options.candidate_labels:
            raise ValueError("there are no labels to choose from; give candidate_labels")

    def _hypothesis(self, template: str, label: str) -> tuple[int, ...]:
        hypothesis = _filled(template, label)
        try:
            ids = self.tokenizer.encode(hypothesis, add_special_tokens=False)
        except TokenizerError as error:
            raise TokenizerError(f"the label {label!r:.80}, in its template: {error}") from None
        if ids:
            self._check_ids(ids, f"a token of the label {label!r:.80}", None)
        return tuple(ids)

    def _read(self, item: Any, index: int | None, options: SimpleNamespace) -> Premise:
        encoding = self._encode(item, index, read="some")
        if not item:
            raise PipelineException(_NOTHING, index)
        premise = Premise(item, tuple(encoding.ids[1:-1]))
        longest = max(options.hypotheses, key=len)
        limit = self.model.config.max_sequence_length
        if len(self._pair(premise, longest)) > limit:
            label = options.candidate_labels[options.hypotheses.index(longest)]
            raise PipelineException(
                f"the label {label!r:.80} has {len(longest)} tokens with its template, and the model reads at most "
                f"{limit}, so there is no room for the text; shorten the label",
                index,
            )
        return premise

    def _pair(self, premise: Premise, hypothesis: tuple[int, ...]) -> list[int]:
        """The ids of a text and a hypothesis; the text is cut to the room there is.

        In transformers the tokenizer truncates "only_first", and not at all if nothing would be left of the text.
        """
        room = self.max_length - len(self._before) - len(self._between) - len(self._after) - len(hypothesis)
        text = truncate_plain(premise.ids, room, self.tokenizer.truncation_side) if room > 0 else premise.ids
        return [*self._before, *text, *self._between, *hypothesis, *self._after]

    def _cost(self, item: Premise, options: SimpleNamespace) -> int:
        return sum(len(self._pair(item, hypothesis)) for hypothesis in options.hypotheses)

    def _answer(self, items: Sequence[Premise], options: SimpleNamespace) -> list[LabelRanking]:
        pairs, positions = distinct(
            tuple(self._pair(premise, hypothesis)) for premise in items for hypothesis in options.hypotheses
        )
        logits = np.concatenate(self.model.logits_at(pairs, [[0]] * len(pairs)))[positions]
        logits = logits.reshape(len(items), len(options.hypotheses), -1)  # [texts, labels, C]
        return [self._ranked(premise.text, row, options) for premise, row in zip(items, logits, strict=True)]

    def _ranked(self, text: str, logits: Array, options: SimpleNamespace) -> LabelRanking:
        """The labels of one text, best first. Shape: (labels, C)."""
        entailment = self.entailment_id
        if options.multi_label or len(logits) == 1:
            contradiction = -1 if entailment == 0 else 0
            scores = softmax(logits[:, [contradiction, entailment]])[:, 1]  # [labels, 2] -> [labels]
        else:
            scores = softmax(logits[:, entailment])  # [labels]
        order = scores.argsort()[::-1]
        labels = [options.candidate_labels[label] for label in order]
        return {"sequence": text, "labels": labels, "scores": scores[order].tolist()}


def _filled(template: str, label: str) -> str:
    try:
        hypothesis = template.format(label)
    except (LookupError, ValueError, AttributeError) as error:
        what = f"hypothesis_template {template!r:.80} can't be filled with a label ({error}); write {{}} for the label"
        raise ValueError(what) from None
    if hypothesis == template:
        # transformers' words.
        raise ValueError(
            f'The provided hypothesis_template "{template}" was not able to be formatted with the target labels. '
            "Make sure the passed template includes formatting syntax such as {} where the label should go."
        )
    return hypothesis
