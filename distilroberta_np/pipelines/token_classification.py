"""`TokenClassificationPipeline`: texts in, their named entities, or the label of every token, out."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ..errors import CheckpointError, PipelineException
from ..layers.activation import softmax
from ..layers.params import Array
from ..messages import warn
from ..models import RobertaForTokenClassification
from ..tokenizer import SPECIAL_TOKENS, RobertaTokenizer
from .base import Pipeline, as_boolean, as_integer, place_of

# A token's first and last character (that one excluded), as the tokenizer gives them.
Offsets = Sequence[tuple[int, int]]

STRATEGIES = ("none", "simple", "first", "average", "max")
# Those that give the tokens of a word one label.
_BY_WORD = ("first", "average", "max")
# Tokens whose vectors are held at a time: 50 MB of distilroberta-base's.
_MOST_TOKENS = 16_384
# <s> and </s>, which every window has.
_AROUND = 2
# The reference's words, and what it does then.
_NO_WORDS = (
    "Tokenizer does not support real words, using fallback heuristic: a word is what stands between spaces, with its "
    "punctuation"
)


@dataclass(frozen=True)
class Options:
    """The arguments of a call, checked. `TokenClassificationPipeline.__call__` says what they mean."""

    aggregation_strategy: str = "none"
    ignore_labels: tuple[str, ...] = ("O",)
    stride: int | None = None
    is_split_into_words: bool = False
    delimiter: str = " "
    offset_mapping: tuple[Offsets, ...] | None = None  # one a text
    batch_size: int | None = None


@dataclass(frozen=True)
class TokenizedText:
    """A text made ready: its tokens without `<s>` and `</s>`, where they are in it, and which of them the model reads
    together."""

    text: str
    ids: list[int]
    offsets: Offsets
    windows: list[range]


class Span(NamedTuple):
    """Some tokens of a text that have a label."""

    label: str
    score: Any  # float32
    first: int  # token
    stop: int  # token behind the last


class TokenClassificationPipeline(Pipeline):
    """Finds the entities in texts, or labels every token, as transformers' token-classification pipeline does.

    Args:
        model: the token classifier; `config.id2label` has its labels.
        tokenizer: its tokenizer.
        **parameters: defaults for the keyword arguments of `__call__`.

    Raises:
        PipelineException: model and tokenizer don't belong together.
    """

    task = "token-classification"

    def __init__(self, model: RobertaForTokenClassification, tokenizer: RobertaTokenizer, **parameters: Any) -> None:
        super().__init__(model, tokenizer)
        if self.max_length <= _AROUND:
            raise PipelineException(f"the model reads at most {self.max_length} tokens, too few for any text")
        self._unk_token_id = tokenizer.token_to_id(SPECIAL_TOKENS["unk_token"])
        self._defaults = Options()
        self._defaults = self._parameters(**parameters)

    def __call__(
        self,
        inputs: str | Sequence[str] | Sequence[Sequence[str]] | Iterable[Any],
        *,
        aggregation_strategy: str | None = None,
        ignore_labels: Sequence[str] | None = None,
        stride: int | None = None,
        is_split_into_words: bool | None = None,
        delimiter: str | None = None,
        offset_mapping: Sequence[Any] | None = None,
        batch_size: int | None = None,
    ) -> Any:
        """Label the tokens of one text, or of many.

        Args:
            inputs: a text; a list or tuple of them; or any other iterable, which is read as its results are asked for.
            aggregation_strategy: what becomes of the tokens. "none" (if None): each is an answer. "simple": those
                beside each other with the same tag become one, where none is tagged as a beginning ("B-"). "first",
                "average" and "max" do the same with whole words, each labelled by its first token, by the mean of its
                tokens' probabilities, or by the token with the greatest one. A word is what stands between spaces (the
                reference's rule for this tokenizer), so it has the punctuation behind it; a warning says so.
            ignore_labels: labels that are left out of the answers, by the name that those show; `["O"]` if None.
            stride: read a text of too many tokens in windows of as many as the model takes, each with so many tokens
                of the one before it. Of entities that overlap, the longest stays, or if they are equally long the one
                of the greater score. Needs an aggregation strategy. Without it such a text is cut, with a warning.
            is_split_into_words: a text is a list of words, each made into tokens by itself. (A single list of words
                gives a list of one answer.)
            delimiter: what stands between such words in the text that `start` and `end` count in; a space if None.
            offset_mapping: start and end for every token, `<s>` and `</s>` included, in the place of the tokenizer's
                own; of several texts, a list of those. Not for an iterator, nor with `stride` or split words.
            batch_size: how many texts of an iterator are read ahead, to be computed together; 1 if None, so that each
                is answered before the next is read. Some hundred are several times as fast. Lists don't need it.

        Returns:
            For a text, a list of dicts in the order of the text. For "none", one a token: `entity` (its label),
            `score` (probability, by a softmax over the labels), `index` (of the token, `<s>` being 0), `word` (the
            token as the vocabulary writes it), `start` and `end` (in characters). Else one an entity: `entity_group`
            (the label without "B-" or "I-"), `score` (the mean of its tokens' or words'), `word` (its tokens decoded),
            `start` and `end`. Tokens that share a character all have the whole of it.
            For a list, a list of those; for another iterable, an iterator over them.

        Raises:
            PipelineException: a text can't be answered; its `index` says which. Of a list, nothing is computed then;
                of an iterator, the texts before it are answered first.
            CheckpointError: the model gives no numbers.
            TypeError: an input or argument of the wrong type.
            ValueError: an argument out of range.
        """
        options = self._options(
            aggregation_strategy=aggregation_strategy,
            ignore_labels=ignore_labels,
            stride=stride,
            is_split_into_words=is_split_into_words,
            delimiter=delimiter,
            offset_mapping=offset_mapping,
            batch_size=batch_size,
        )
        if (
            options.is_split_into_words
            and isinstance(inputs, list | tuple)
            and not all(isinstance(item, list | tuple) for item in inputs)
        ):
            inputs = [inputs]  # the words of one text
        if options.offset_mapping is not None:
            texts = len(inputs) if isinstance(inputs, list | tuple) else 1
            if texts != len(options.offset_mapping):
                raise ValueError(
                    f"offset_mapping is for {len(options.offset_mapping)} texts, and there are {texts}; give one a text"
                )
        return self._run(inputs, options)

    # -- arguments ---------------------------------------------------------------------------------------------

    def _options(self, **parameters: Any) -> Options:
        options = self._parameters(**parameters)
        if options.stride is not None and options.aggregation_strategy == "none":
            raise ValueError(
                "stride merges the entities of windows that overlap, so it needs an aggregation_strategy other than "
                "'none', such as 'simple'"
            )
        if options.offset_mapping is not None and (options.stride is not None or options.is_split_into_words):
            raise ValueError("offset_mapping can't be combined with stride or is_split_into_words")
        if options.aggregation_strategy in _BY_WORD:
            warn(_NO_WORDS)
        return options

    def _parameters(
        self,
        *,
        aggregation_strategy: str | None = None,
        ignore_labels: Sequence[str] | None = None,
        stride: int | None = None,
        is_split_into_words: bool | None = None,
        delimiter: str | None = None,
        offset_mapping: Sequence[Any] | None = None,
        batch_size: int | None = None,
    ) -> Options:
        """The arguments of a call on top of the pipeline's defaults. None means: as the default."""
        options = self._defaults
        if aggregation_strategy is not None:
            options = replace(options, aggregation_strategy=_as_strategy(aggregation_strategy))
        if ignore_labels is not None:
            options = replace(options, ignore_labels=_as_labels(ignore_labels))
        if stride is not None:
            stride = as_integer("stride", stride, smallest=0)
            room = self.max_length - _AROUND
            if stride >= room:
                raise ValueError(
                    f"stride must be less than {room}, the tokens of a window beside <s> and </s>, not {stride}"
                )
            options = replace(options, stride=stride)
        if is_split_into_words is not None:
            options = replace(options, is_split_into_words=as_boolean("is_split_into_words", is_split_into_words))
        if delimiter is not None:
            if not isinstance(delimiter, str):
                raise TypeError(f"delimiter must be a string, not {delimiter!r:.80}")
            options = replace(options, delimiter=delimiter)
        if offset_mapping is not None:
            options = replace(options, offset_mapping=_as_offsets(offset_mapping))
        if batch_size is not None:
            options = replace(options, batch_size=as_integer("batch_size", batch_size, smallest=1))
        return options

    # -- reading -----------------------------------------------------------------------------------------------

    def _read(self, item: Any, index: int | None, options: Options) -> TokenizedText:
        offsets: Offsets
        if options.is_split_into_words:
            text, ids, offsets = self._tokenize_words(item, index, options.delimiter)
        else:
            encoding = self._encode(item, index)
            text, ids, offsets = item, encoding.ids[1:-1], encoding.offsets[1:-1]
        if options.offset_mapping is not None:
            offsets = _given_offsets(options.offset_mapping, len(ids), index)
        room = self.max_length - _AROUND
        windows = _windows(len(ids), room, options.stride or 0)
        if options.stride is None and len(windows) > 1:
            windows = windows[:1]
            warn(
                f"{place_of(index)} has {len(ids) + _AROUND} tokens and the model reads at most {self.max_length}: "
                f"what is behind character {offsets[room - 1][1]} is left out; an aggregation_strategy with stride, "
                f"such as stride={self.max_length // 4}, reads all of it"
            )
        return TokenizedText(text, ids, offsets, windows)

    def _tokenize_words(self, words: Any, index: int | None, delimiter: str) -> tuple[str, list[int], Offsets]:
        """The text that words make, its tokens, each of one word, and where they are in it."""
        if not isinstance(words, list | tuple):
            raise TypeError(
                f"with is_split_into_words {place_of(index)} must be a list of words, not a {type(words).__name__}"
            )
        ids: list[int] = []
        offsets: list[tuple[int, int]] = []
        begin = 0
        for place, word in enumerate(words):
            if not isinstance(word, str):
                raise TypeError(
                    f"word {place} of {place_of(index)} must be a string, not a {type(word).__name__}: {word!r:.80}"
                )
            encoding = self._encode(word, index)
            ids += encoding.ids[1:-1]
            offsets += [(begin + start, begin + end) for start, end in encoding.offsets[1:-1]]
            begin += len(word) + len(delimiter)
        return delimiter.join(words), ids, offsets

    # -- answering ---------------------------------------------------------------------------------------------

    def _answer(self, items: list[TokenizedText], options: Options) -> list[list[dict[str, Any]]]:
        bos, eos = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        sequences = [[bos, *text.ids[window.start : window.stop], eos] for text in items for window in text.windows]
        scores = self._scores(sequences)
        return [self._entities(text, [next(scores) for _ in text.windows], options) for text in items]

    def _scores(self, sequences: list[list[int]]) -> Iterator[Array]:
        """The probabilities of the labels for every token of some windows but `<s>` and `</s>`: (S - 2, C) float32 a
        window."""
        for part in _runs([len(sequence) for sequence in sequences]):
            run = sequences[part]
            places = [range(1, len(sequence) - 1) for sequence in run]
            vectors = np.concatenate(self.model.encode(run, places))  # [N, H]
            logits = self.model.logits(vectors)  # [N, H] -> [N, C]
            if not np.isfinite(logits).all():
                raise CheckpointError(
                    "the model's scores are not finite: its weights are too large, so they are damaged"
                )
            ends = np.cumsum([len(place) for place in places])
            yield from np.split(softmax(logits), ends[:-1])

    def _entities(self, text: TokenizedText, scores: list[Array], options: Options) -> list[dict[str, Any]]:
        """The answer to a text. scores: of each window, (S - 2, C)."""
        strategy, ignored = options.aggregation_strategy, options.ignore_labels
        found = []
        for window, rows in zip(text.windows, scores, strict=True):
            spans = self._label(text, window, rows, strategy)
            if strategy == "none":
                found += [self._token(text, span) for span in spans if span.label not in ignored]
            else:
                found += [self._entity(text, group) for group in _group(spans) if group.label not in ignored]
        return _merge(found) if len(text.windows) > 1 else found

    def _label(self, text: TokenizedText, window: range, scores: Array, strategy: str) -> list[Span]:
        """Every token of a window, or by some strategies every word, with its likeliest label. scores: (S - 2, C)."""
        starts = list(window)
        if strategy in _BY_WORD:
            starts = [token for token in window if token == window.start or not self._goes_on(text, token)]
            words = np.split(scores, np.array(starts[1:], int) - window.start)
            scores = np.array([_word_scores(rows, strategy) for rows in words])  # [words, C]
        labels = scores.argmax(axis=-1)
        return [
            Span(self.model.config.id2label[int(label)], row[label], first, stop)
            for label, row, first, stop in zip(labels, scores, starts, [*starts[1:], window.stop], strict=True)
        ]

    def _goes_on(self, text: TokenizedText, token: int) -> bool:
        """Whether a token belongs to the word of the one before it, by the reference's rule: no space stands before or
        at its first character. (So of a character of several tokens at the beginning or behind a space, each is a word
        of its own.)"""
        start, _ = text.offsets[token]
        return start > 0 and " " not in text.text[start - 1 : start + 1] and text.ids[token] != self._unk_token_id

    def _token(self, text: TokenizedText, span: Span) -> dict[str, Any]:
        start, end = text.offsets[span.first]
        return {
            "entity": span.label,
            "score": float(span.score),
            "index": span.first + 1,  # behind <s>
            "word": self.tokenizer.id_to_token(text.ids[span.first]),
            "start": start,
            "end": end,
        }

    def _entity(self, text: TokenizedText, span: Span) -> dict[str, Any]:
        return {
            "entity_group": span.label,
            "score": float(span.score),
            "word": self.tokenizer.decode(text.ids[span.first : span.stop]),
            "start": text.offsets[span.first][0],
            "end": text.offsets[span.stop - 1][1],
        }


def _as_strategy(value: Any) -> str:
    if not isinstance(value, str) or value.lower() not in STRATEGIES:
        raise ValueError(f"aggregation_strategy must be one of {', '.join(STRATEGIES)}, not {value!r:.80}")
    return value.lower()


def _as_labels(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"ignore_labels must be a list of labels, not {value!r:.80}")
    labels = tuple(value)
    for label in labels:
        if not isinstance(label, str):
            raise TypeError(f"ignore_labels: a label must be a string, not {label!r:.80}")
    return labels


def _as_offsets(value: Any) -> tuple[Offsets, ...]:
    try:
        mappings = [value] if np.ndim(value[0]) == 1 else value
        return tuple([(operator.index(start), operator.index(end)) for start, end in mapping] for mapping in mappings)
    except (TypeError, ValueError, LookupError):
        raise TypeError(
            f"offset_mapping must be a list of (start, end), or of several texts a list of those, not {value!r:.80}"
        ) from None


def _given_offsets(mappings: Sequence[Offsets], tokens: int, index: int | None) -> Offsets:
    """The user's own offsets for the tokens of a text, without those of `<s>` and `</s>`."""
    if (index or 0) >= len(mappings):
        raise PipelineException("there is no offset_mapping for it; give one a text", index)
    offsets = mappings[index or 0]
    if len(offsets) != tokens + _AROUND:
        raise PipelineException(
            f"its offset_mapping has {len(offsets)} entries, and the text {tokens + _AROUND} tokens, <s> and </s> "
            "included",
            index,
        )
    return offsets[1:-1]


def _windows(tokens: int, room: int, stride: int) -> list[range]:
    """Windows over so many tokens, each of `room` tokens at most and beginning `stride` before the end of the last."""
    last = max(tokens - stride, 1)
    return [range(start, min(start + room, tokens)) for start in range(0, last, room - stride)] if tokens else []


def _runs(lengths: Sequence[int]) -> Iterator[slice]:
    """Cut a list of sequences into runs of at most `_MOST_TOKENS` tokens, or of one sequence."""
    start = total = 0
    for place, length in enumerate(lengths):
        if total and total + length > _MOST_TOKENS:
            yield slice(start, place)
            start, total = place, 0
        total += length
    if total:
        yield slice(start, len(lengths))


def _word_scores(rows: Array, strategy: str) -> Array:
    """The probabilities of a word by those of its tokens: (tokens, C) -> (C,)."""
    if strategy == "average":
        return np.asarray(rows.mean(axis=0))
    token = 0 if strategy == "first" else rows.max(axis=-1).argmax()
    return np.asarray(rows[token])


def _group(spans: Iterable[Span]) -> list[Span]:
    """Neighbours with the same tag made one, unless a beginning of its own is tagged (Ramshaw & Marcus 1995)."""
    groups: list[list[Span]] = []
    for span in spans:
        begins, tag = _tag(span.label)
        if groups and not begins and tag == _tag(groups[-1][-1].label)[1]:
            groups[-1].append(span)
        else:
            groups.append([span])
    return [
        # The name is what follows the first hyphen, whatever stands before it: the reference's rule.
        Span(group[0].label.split("-", 1)[-1], np.mean([span.score for span in group]), group[0].first, group[-1].stop)
        for group in groups
    ]


def _tag(label: str) -> tuple[bool, str]:
    """Whether a label is of a beginning, and what of: "B-PER" -> (True, "PER"); one without a prefix never is."""
    return label.startswith("B-"), label[2:] if label.startswith(("B-", "I-")) else label


def _merge(entities: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entities of windows that overlap, in the order of the text: of those that overlap, the longest, or if they
    are equally long the one of the greater score."""
    merged: list[dict[str, Any]] = []
    for entity in sorted(entities, key=lambda entity: entity["start"]):
        last = merged[-1] if merged else None
        # The same place: one that is empty (a space alone) overlaps nothing, and is in both windows nevertheless.
        same = last is not None and (entity["start"], entity["end"]) == (last["start"], last["end"])
        if last is None or not (entity["start"] < last["end"] or same):
            merged.append(entity)
        elif _weight(entity) > _weight(last):
            merged[-1] = entity
    return merged


def _weight(entity: dict[str, Any]) -> tuple[int, float]:
    return entity["end"] - entity["start"], entity["score"]
