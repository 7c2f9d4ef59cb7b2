"""`TokenClassificationPipeline`: the named entities of a text, or the label of every token."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import index as as_index
from types import SimpleNamespace
from typing import Annotated, Any, NamedTuple, NotRequired, TypeAlias, TypedDict, Unpack, overload

import numpy as np

from ..errors import InputTypeError, PipelineException
from ..layers.activation import softmax
from ..layers.params import Array
from ..messages import warn
from ..models import RobertaForTokenClassification
from ..tokenizer import RobertaTokenizer
from ..tokenizer_files import SPECIAL_TOKENS
from .base import Pipeline, name_of
from .options import CallOptions, Option, as_text, as_texts, number, switch
from .results import Results
from .truncation import cut_windows

# The start and the end of every token, in characters, as the tokenizer gives them.
Offsets = tuple[tuple[int, int], ...]

STRATEGIES = ("none", "simple", "first", "average", "max")
# The strategies that give all tokens of a word one label.
_BY_WORD = ("first", "average", "max")
# <s> and </s>, which every window has.
_SPECIAL = 2
# transformers' words, and what it then does.
_NO_WORDS = (
    "Tokenizer does not support real words, using fallback heuristic: a word is the text between spaces, with its "
    "punctuation"
)


class Entity(TypedDict):
    """A token and its label, or with an aggregation strategy a named entity."""

    entity: NotRequired[str]  # the label of a token
    entity_group: NotRequired[str]  # the label of an entity, without "B-" or "I-"
    index: NotRequired[int]  # of the token; <s> is 0
    score: float  # probability
    word: str
    start: int  # in characters
    end: int


def _as_strategy(name: str, value: Any) -> str:
    if not isinstance(value, str) or value.lower() not in STRATEGIES:
        raise ValueError(f"{name} must be one of {', '.join(STRATEGIES)}, not {value!r:.80}")
    return value.lower()


def _as_offsets(name: str, value: Any) -> tuple[Offsets, ...]:
    try:
        mappings = [value] if np.ndim(value[0]) == 1 else value
        return tuple(tuple((as_index(start), as_index(end)) for start, end in mapping) for mapping in mappings)
    except (TypeError, ValueError, LookupError):
        what = f"a list of (start, end), or for several texts a list of those, not {value!r:.80}"
        raise TypeError(f"{name} must be {what}") from None


class TokenClassificationOptions(CallOptions, total=False):
    """Options of `TokenClassificationPipeline`."""

    aggregation_strategy: Annotated[
        str | None,
        Option(
            "none",
            _as_strategy,
            "how tokens become entities. none: every token is a result. simple: neighbours with the same tag become "
            "one entity, unless a token is tagged as a beginning (B-). first, average and max: likewise with whole "
            "words, each labelled by its first token, by the mean of its tokens' probabilities, or by the token with "
            "the highest one. A word is the text between spaces, with its punctuation",
            {"choices": STRATEGIES},
        ),
    ]
    ignore_labels: Annotated[
        Sequence[str] | None,
        Option(("O",), as_texts, "labels to leave out of the results (O)", {"nargs": "*", "metavar": "LABEL"}),
    ]
    stride: Annotated[int | None, number(None, 0, "read long texts in windows that share this number of tokens", "N")]
    is_split_into_words: Annotated[
        bool | None,
        switch("a text is a list of words, each tokenized by itself; results for one text are a list", flag=False),
    ]
    delimiter: Annotated[
        str | None, Option(" ", as_text, "the string between such words in the text that start and end refer to")
    ]
    offset_mapping: Annotated[
        Sequence[Any] | None,
        Option(
            None,
            _as_offsets,
            "start and end of every token, <s> and </s> included, in place of the tokenizer's own; for several texts a "
            "list of those. Not for an iterator, nor with stride or is_split_into_words",
        ),
    ]


Options: TypeAlias = TokenClassificationOptions


@dataclass(frozen=True)
class TokenizedText:
    """A text made ready: its tokens without `<s>` and `</s>`, their offsets, and the windows that the model reads."""

    text: str
    ids: tuple[int, ...]
    offsets: Offsets
    windows: tuple[range, ...]


class Span(NamedTuple):
    """Neighbouring tokens of a text with one label."""

    label: str
    score: Any  # float32
    first: int  # the first token
    stop: int  # after the last token


class TokenClassificationPipeline(Pipeline[TokenizedText, list[Entity]]):
    """Find the entities in texts, or label every token, as transformers' token-classification pipeline does."""

    tasks = ("token-classification", "ner")
    model_type = RobertaForTokenClassification
    options_type = TokenClassificationOptions
    suggested_model = "Jean-Baptiste/roberta-large-ner-english"
    model: RobertaForTokenClassification

    def __init__(self, model: Any, tokenizer: RobertaTokenizer, **options: Any) -> None:
        super().__init__(model, tokenizer, **options)
        if self.max_length <= _SPECIAL:
            raise PipelineException(f"the model reads at most {self.max_length} tokens, too few for any text")
        self._unk_token_id = tokenizer.token_to_id(SPECIAL_TOKENS["unk_token"])

    @overload
    def __call__(self, inputs: str, **options: Unpack[Options]) -> Results[Entity]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, inputs: Sequence[str | Sequence[str]], **options: Unpack[Options]) -> Results[list[Entity]]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, inputs: Iterable[str], **options: Unpack[Options]) -> Iterator[list[Entity]]: ...
    def __call__(self, inputs: Any, **options: Any) -> Any:
        """Label the tokens of one text, or of many.

        A text that is too long is cut with a warning. With `stride`, which needs an aggregation strategy, it is read in
        windows; of entities that overlap, the longest stays, or if they are equally long the one with the higher score.

        Args:
            inputs: a text; a list or tuple of them; or any other iterable, which is read as its results are consumed.

        Returns:
            For a text, a list of dicts in the order of the text. With the strategy "none", one per token: `entity` (its
            label), `score` (probability, by a softmax over the labels), `index` (of the token, `<s>` being 0), `word`
            (the token as the vocabulary writes it), `start` and `end` (in characters). Else one per entity:
            `entity_group` (the label without "B-" or "I-"), `score` (the mean of its tokens or words), `word` (its
            tokens decoded), `start` and `end`. Tokens that share a character all have the whole of it.
            For a list, a list of those; for another iterable, an iterator over them.
        """
        resolved = self._options(**options)
        many = isinstance(inputs, list | tuple)
        if resolved.is_split_into_words and many and not all(isinstance(item, list | tuple) for item in inputs):
            inputs = [inputs]  # the words of one text
        given, texts = resolved.offset_mapping, len(inputs) if many else 1
        if given is not None and len(given) != texts:
            raise ValueError(f"offset_mapping is for {len(given)} texts, and there are {texts}; give one per text")
        return self._run(inputs, resolved)

    def _prepare(self, options: SimpleNamespace, given: Mapping[str, Any]) -> None:
        stride, room = options.stride, self.max_length - _SPECIAL
        if stride is not None and stride >= room:
            raise ValueError(
                f"stride must be less than {room}, the tokens of a window without <s> and </s>, not {stride}"
            )

    def _check_call(self, options: SimpleNamespace) -> None:
        if options.stride is not None and options.aggregation_strategy == "none":
            raise ValueError("stride merges entities, so it needs an aggregation_strategy other than 'none'")
        if options.offset_mapping is not None and (options.stride is not None or options.is_split_into_words):
            raise ValueError("offset_mapping can't be combined with stride or is_split_into_words")
        if options.aggregation_strategy in _BY_WORD:
            warn(_NO_WORDS)

    def _read(self, item: Any, index: int | None, options: SimpleNamespace) -> TokenizedText:
        if options.is_split_into_words:
            text, ids, offsets = self._tokenize_words(item, index, options.delimiter)
        else:
            encoding = self._encode(item, index)
            text, ids, offsets = item, tuple(encoding.ids[1:-1]), tuple(encoding.offsets[1:-1])
        if options.offset_mapping is not None:
            offsets = _given_offsets(options.offset_mapping, len(ids), index)
        room = self.max_length - _SPECIAL
        side = self.tokenizer.truncation_side
        windows = cut_windows(len(ids), room, options.stride or 0, side)
        if options.stride is None and len(windows) > 1:
            windows = windows[:1]
            before, after = f"before character {offsets[-room][0]}", f"after character {offsets[room - 1][1]}"
            left_out = before if side == "left" else after
            warn(
                f"{name_of(index)} has {len(ids) + _SPECIAL} tokens and the model reads at most {self.max_length}: the "
                f"text {left_out} is left out. An aggregation_strategy with stride, such as "
                f"stride={self.max_length // 4}, reads all of it"
            )
        return TokenizedText(text, ids, offsets, tuple(windows))

    def _tokenize_words(self, words: Any, index: int | None, delimiter: str) -> tuple[str, tuple[int, ...], Offsets]:
        """The text that the words make, its tokens, each of one word, and their offsets."""
        if not isinstance(words, list | tuple):
            where = f"with is_split_into_words {name_of(index)}"
            raise InputTypeError(f"{where} must be a list of words, not {type(words).__name__}")
        ids: list[int] = []
        offsets: list[tuple[int, int]] = []
        begin = 0
        for position, word in enumerate(words):
            if not isinstance(word, str):
                where = f"word {position} of {name_of(index)}"
                raise InputTypeError(f"{where} must be a string, not {type(word).__name__}: {word!r:.80}")
            encoding = self._encode(word, index)
            ids += encoding.ids[1:-1]
            offsets += [(begin + start, begin + end) for start, end in encoding.offsets[1:-1]]
            begin += len(word) + len(delimiter)
        return delimiter.join(words), tuple(ids), tuple(offsets)

    def _answer(self, items: Sequence[TokenizedText], options: SimpleNamespace) -> list[list[Entity]]:
        bos, eos = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        sequences = [[bos, *text.ids[window.start : window.stop], eos] for text in items for window in text.windows]
        positions = [range(1, len(sequence) - 1) for sequence in sequences]
        scores = iter(self.model.logits_at(sequences, positions))  # (S - 2, C) each
        return [self._entities(text, [softmax(next(scores)) for _ in text.windows], options) for text in items]

    def _entities(self, text: TokenizedText, scores: list[Array], options: SimpleNamespace) -> list[Entity]:
        """The result for a text. scores: of each window, (S - 2, C)."""
        strategy, ignored = options.aggregation_strategy, options.ignore_labels
        found = []
        for window, rows in zip(text.windows, scores, strict=True):
            spans = self._label(text, window, rows, strategy)
            if strategy == "none":
                found += [self._token(text, span) for span in spans if span.label not in ignored]
            else:
                found += [self._entity(text, group) for group in _group(spans) if group.label not in ignored]
        return merge_entities(found) if len(text.windows) > 1 else found

    def _label(self, text: TokenizedText, window: range, scores: Array, strategy: str) -> list[Span]:
        """Every token of a window, or with some strategies every word, and its best label. scores: (S - 2, C)."""
        starts = list(window)
        if strategy in _BY_WORD:
            starts = [token for token in window if token == window.start or not self._continues(text, token)]
            words = np.split(scores, np.array(starts[1:], int) - window.start)
            scores = np.array([_word_scores(rows, strategy) for rows in words])  # [words, C]
        labels = scores.argmax(axis=-1)
        return [
            Span(self.model.config.id2label[int(label)], row[label], first, stop)
            for label, row, first, stop in zip(labels, scores, starts, [*starts[1:], window.stop], strict=True)
        ]

    def _continues(self, text: TokenizedText, token: int) -> bool:
        """Whether a token belongs to the word of the one before it, by transformers' rule: there is no space before or
        at its first character. (So of a character with several tokens after a space, each token is a word.)"""
        start, _ = text.offsets[token]
        return start > 0 and " " not in text.text[start - 1 : start + 1] and text.ids[token] != self._unk_token_id

    def _token(self, text: TokenizedText, span: Span) -> Entity:
        start, end = text.offsets[span.first]
        word, index = self.tokenizer.id_to_token(text.ids[span.first]), span.first + 1  # after <s>
        return Entity(entity=span.label, score=float(span.score), index=index, word=word, start=start, end=end)

    def _entity(self, text: TokenizedText, span: Span) -> Entity:
        word = self.tokenizer.decode(text.ids[span.first : span.stop])
        start, end = text.offsets[span.first][0], text.offsets[span.stop - 1][1]
        return Entity(entity_group=span.label, score=float(span.score), word=word, start=start, end=end)


def _given_offsets(mappings: Sequence[Offsets], tokens: int, index: int | None) -> Offsets:
    """The user's own offsets for the tokens of a text, without those of `<s>` and `</s>`."""
    if (index or 0) >= len(mappings):
        raise PipelineException("there is no offset_mapping for it; give one per text", index)
    offsets, count = mappings[index or 0], tokens + _SPECIAL
    if len(offsets) != count:
        what = f"its offset_mapping has {len(offsets)} entries, and the text {count} tokens, <s> and </s> included"
        raise PipelineException(what, index)
    return offsets[1:-1]


def _word_scores(rows: Array, strategy: str) -> Array:
    """The probabilities of a word by those of its tokens: (tokens, C) -> (C,)."""
    if strategy == "average":
        return np.asarray(rows.mean(axis=0))
    token = 0 if strategy == "first" else rows.max(axis=-1).argmax()
    return np.asarray(rows[token])


def _group(spans: Iterable[Span]) -> list[Span]:
    """Neighbours with the same tag as one, unless a token is tagged as a beginning (Ramshaw & Marcus 1995)."""
    groups: list[list[Span]] = []
    for span in spans:
        begins, tag = _tag(span.label)
        if groups and not begins and tag == _tag(groups[-1][-1].label)[1]:
            groups[-1].append(span)
        else:
            groups.append([span])
    return [
        Span(_name(group[0].label), np.mean([span.score for span in group]), group[0].first, group[-1].stop)
        for group in groups
    ]


def _name(label: str) -> str:
    """The part of a label after the first hyphen, whatever comes before it: transformers' rule."""
    return str(label).split("-", 1)[-1]  # some models number their labels


def _tag(label: str) -> tuple[bool, str]:
    """Whether a label marks a beginning, and its name: "B-PER" -> (True, "PER"). Without a prefix it never does."""
    label = str(label)  # some models number their labels
    return label.startswith("B-"), label[2:] if label.startswith(("B-", "I-")) else label


def merge_entities(entities: list[Entity]) -> list[Entity]:
    """The entities of windows in the order of the text: of those that overlap, the longest, or of equal lengths the one
    with the higher score."""
    merged: list[Entity] = []
    for entity in sorted(entities, key=lambda entity: entity["start"]):
        last = merged[-1] if merged else None
        # An empty entity (a space alone) overlaps nothing, and is in both windows nevertheless.
        same = last is not None and (entity["start"], entity["end"]) == (last["start"], last["end"])
        if last is None or not (entity["start"] < last["end"] or same):
            merged.append(entity)
        elif _weight(entity) > _weight(last):
            merged[-1] = entity
    return merged


def _weight(entity: Entity) -> tuple[int, float]:
    return entity["end"] - entity["start"], entity["score"]
