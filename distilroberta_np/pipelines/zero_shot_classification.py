"""`ZeroShotClassificationPipeline`: texts and any labels in, the labels by their likelihood out.

A model of natural language inference, which says of two texts whether the first entails the second, is asked for each
label whether the text entails "This example is {label}." (Yin et al. 2019, "Benchmarking Zero-shot Text
Classification", section 5).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from ..errors import PipelineException, TokenizerError
from ..layers.activation import softmax
from ..layers.params import Array
from ..messages import warn
from ..models import RobertaForSequenceClassification
from ..tokenizer import RobertaTokenizer
from .base import Pipeline, as_boolean, as_integer
from .text_classification import classification_logits

DEFAULT_TEMPLATE = "This example is {}."
# Pairs of a text and a label that are held as tokens at a time.
_MOST_PAIRS = 1024
# The reference's words.
_NOTHING = "You must include at least one label and at least one sequence."
_NO_ENTAILMENT = (
    "Failed to determine 'entailment' label id from the label2id mapping in the model config. Setting to -1. Define a "
    "descriptive label2id mapping in the model config to ensure correct outputs."
)


@dataclass(frozen=True)
class Options:
    """The arguments of a call, checked. `ZeroShotClassificationPipeline.__call__` says what they mean."""

    labels: tuple[str, ...] = ()
    template: str = DEFAULT_TEMPLATE
    hypotheses: tuple[tuple[int, ...], ...] = ()  # the template with each label in it, as tokens without special ones
    multi_label: bool = False
    batch_size: int | None = None


class Premise(NamedTuple):
    """A text made ready: as it was given, and its tokens without special ones."""

    text: str
    ids: list[int]


class ZeroShotClassificationPipeline(Pipeline):
    """Classifies texts by labels that the model was not trained on, as transformers' pipeline of that name does.

    Args:
        model: fine-tuned on natural language inference; one of its labels begins with "entail".
        tokenizer: its tokenizer.
        **parameters: defaults for the keyword arguments of `__call__`.

    Raises:
        PipelineException: model and tokenizer don't belong together.
    """

    task = "zero-shot-classification"

    def __init__(self, model: RobertaForSequenceClassification, tokenizer: RobertaTokenizer, **parameters: Any) -> None:
        super().__init__(model, tokenizer)
        # What the tokenizer puts before, between and behind the texts of a pair: <s>, </s></s> and </s>.
        sample = tokenizer.encode("a", "a")
        texts = [place for place, part in enumerate(sample.sequence_ids) if part is not None]
        middle = sample.sequence_ids.index(1)
        self._before = sample.ids[: texts[0]]
        self._between = [sample.ids[place] for place in range(texts[0], middle) if place not in texts]
        self._behind = sample.ids[texts[-1] + 1 :]
        self._defaults = Options()
        self._defaults = self._parameters(**parameters)
        if self.entailment_id == -1:
            warn(_NO_ENTAILMENT)

    @property
    def entailment_id(self) -> int:
        """The id of the label that says that the first text entails the second; -1, the last one, if none is named
        so."""
        entails = (place for label, place in self.model.config.label2id.items() if label.lower().startswith("entail"))
        return next(entails, -1)

    def __call__(
        self,
        sequences: str | Iterable[str],
        *arguments: Any,
        candidate_labels: str | Iterable[str] | None = None,
        hypothesis_template: str | None = None,
        multi_label: bool | None = None,
        batch_size: int | None = None,
    ) -> Any:
        """Classify one text, or many.

        Args:
            sequences: a text; a list or tuple of texts; or any other iterable, which is read as its results are asked
                for. A text that is too long is cut, beside each label as far as it must.
            *arguments: `candidate_labels`, where it isn't given by its name.
            candidate_labels: a string with commas between the labels, or an iterable of labels. Needed, here or when
                the pipeline is made.
            hypothesis_template: a format string that makes a statement of a label; "This example is {}." if None.
            multi_label: whether several labels can be true of a text. If not, the scores of a text's labels are a
                softmax of their entailment logits, and sum to 1. If so, or for a single label, each score is for
                itself: a softmax of entailment and contradiction.
            batch_size: how many texts of an iterator are read ahead, to be computed together; 1 if None. Lists don't
                need it.

        Returns:
            For a text, a dict of `sequence` (the text), `labels` (the likeliest first) and `scores`, in that order. For
            a list, a list of those; for another iterable, an iterator over them.

        Raises:
            PipelineException: a text is empty, or has no room beside a label; its `index` says which. Of a list,
                nothing is computed then; of an iterator, the texts before it are answered first.
            TypeError: an input or argument of the wrong type.
            ValueError: no labels, a template without a place for them, or an argument out of range.
            CheckpointError: the model's scores are not finite.
        """
        if len(arguments) > 1 or (arguments and candidate_labels is not None):
            raise ValueError(f"Unable to understand extra arguments {arguments!r:.80}; there is only candidate_labels")
        options = self._options(
            candidate_labels=arguments[0] if arguments else candidate_labels,
            hypothesis_template=hypothesis_template,
            multi_label=multi_label,
            batch_size=batch_size,
        )
        return self._run(sequences, options)

    # -- arguments ---------------------------------------------------------------------------------------------

    def _options(self, **parameters: Any) -> Options:
        options = self._parameters(**parameters)
        if not options.labels:
            raise ValueError("there are no labels to choose from: give candidate_labels")
        return options

    def _parameters(
        self,
        *,
        candidate_labels: str | Iterable[str] | None = None,
        hypothesis_template: str | None = None,
        multi_label: bool | None = None,
        batch_size: int | None = None,
    ) -> Options:
        """The arguments of a call on top of the pipeline's defaults. None means: as the default."""
        options = self._defaults
        if batch_size is not None:
            options = replace(options, batch_size=as_integer("batch_size", batch_size, smallest=1))
        if multi_label is not None:
            options = replace(options, multi_label=as_boolean("multi_label", multi_label))
        if candidate_labels is not None:
            options = replace(options, labels=_labels(candidate_labels))
        if hypothesis_template is not None:
            options = replace(options, template=hypothesis_template)
        if candidate_labels is not None or hypothesis_template is not None:
            hypotheses = tuple(self._hypothesis(options.template, label) for label in options.labels)
            options = replace(options, hypotheses=hypotheses)
        return options

    def _hypothesis(self, template: str, label: str) -> tuple[int, ...]:
        """The template with a label in it, as tokens without special ones."""
        hypothesis = _filled(template, label)
        try:
            ids = self.tokenizer.encode(hypothesis, add_special_tokens=False).ids
        except TokenizerError as error:
            raise TokenizerError(f"the label {label!r:.80}, within its template: {error}") from None
        if ids:
            self._check_ids(ids, f"a token of the label {label!r:.80}", None)
        return tuple(ids)

    # -- reading -----------------------------------------------------------------------------------------------

    def _read(self, item: Any, index: int | None, options: Options) -> Premise:
        encoding = self._encode(item, index)
        if not item:
            raise PipelineException(_NOTHING, index)
        premise = Premise(item, encoding.ids[1:-1])
        longest = max(options.hypotheses, key=len)
        count, most = len(self._pair(premise, longest)), self.model.config.max_sequence_length
        if count > most:
            label = options.labels[options.hypotheses.index(longest)]
            raise PipelineException(
                f"the label {label!r:.80} has {len(longest)} tokens with its template, and the model reads at most "
                f"{most}, so there is no room for the text; shorten the label",
                index,
            )
        return premise

    def _pair(self, premise: Premise, hypothesis: tuple[int, ...]) -> list[int]:
        """The ids of a text and a hypothesis; the text is cut to the room there is.

        The reference has the tokenizer truncate "only_first", and not at all where nothing would be left of the text.
        """
        special = len(self._before) + len(self._between) + len(self._behind)
        room = self.max_length - special - len(hypothesis)
        text = premise.ids[:room] if room > 0 else premise.ids
        return [*self._before, *text, *self._between, *hypothesis, *self._behind]

    # -- answering ---------------------------------------------------------------------------------------------

    def _answer(self, premises: list[Premise], options: Options) -> list[Any]:
        if not premises:
            return []
        # All labels of all texts together, so that there are many of equal length.
        pairs = (self._pair(premise, hypothesis) for premise in premises for hypothesis in options.hypotheses)
        logits = np.concatenate([classification_logits(self.model, window) for window in _windows(pairs)])
        logits = logits.reshape(len(premises), len(options.hypotheses), -1)  # [texts, labels, C]
        return [self._ranked(premise.text, row, options) for premise, row in zip(premises, logits, strict=True)]

    def _ranked(self, text: str, logits: Array, options: Options) -> dict[str, Any]:
        """The labels of one text, best first. Shape: (labels, C)."""
        entailment = self.entailment_id
        if options.multi_label or len(logits) == 1:
            contradiction = -1 if entailment == 0 else 0
            scores = softmax(logits[:, [contradiction, entailment]])[:, 1]  # [labels, 2] -> [labels]
        else:
            scores = softmax(logits[:, entailment])  # [labels]
        order = scores.argsort()[::-1]
        return {
            "sequence": text,
            "labels": [options.labels[place] for place in order],
            "scores": scores[order].tolist(),
        }


def _labels(candidate_labels: str | Iterable[str]) -> tuple[str, ...]:
    if isinstance(candidate_labels, str):
        labels = tuple(label.strip() for label in candidate_labels.split(",") if label.strip())
    elif isinstance(candidate_labels, Iterable) and not isinstance(candidate_labels, Mapping | bytes | bytearray):
        labels = tuple(candidate_labels)
    else:
        raise TypeError(f"candidate_labels must be a string or a list of strings, not {candidate_labels!r:.80}")
    for label in labels:
        if not isinstance(label, str):
            raise TypeError(f"a label must be a string, not {label!r:.80}")
    if not labels:
        raise ValueError(_NOTHING)
    return labels


def _filled(template: str, label: str) -> str:
    if not isinstance(template, str):
        raise TypeError(f"hypothesis_template must be a string, not {template!r:.80}")
    try:
        hypothesis = template.format(label)
    except (LookupError, ValueError, AttributeError) as error:
        raise ValueError(
            f"hypothesis_template {template!r:.80} can't be filled with a label ({error}); write {{}} where it goes"
        ) from None
    if hypothesis == template:
        # The reference's words.
        raise ValueError(
            f'The provided hypothesis_template "{template}" was not able to be formatted with the target labels. '
            "Make sure the passed template includes formatting syntax such as {} where the label should go."
        )
    return hypothesis


def _windows(pairs: Iterator[list[int]]) -> Iterator[list[list[int]]]:
    while window := list(islice(pairs, _MOST_PAIRS)):
        yield window
