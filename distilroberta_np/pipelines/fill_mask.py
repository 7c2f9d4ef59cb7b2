"""`FillMaskPipeline`: texts with a `<mask>` in, the likeliest words for it out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from ..errors import CheckpointError, PipelineException
from ..layers.activation import softmax
from ..layers.params import Array
from ..messages import warn
from ..models import RobertaForMaskedLM
from ..runtime.batching import threads_for
from ..runtime.threads import map_in_threads
from ..tokenizer import RobertaTokenizer
from .base import Pipeline, as_boolean, as_integer, as_truncation
from .beam_search import Tokens, fill_together, score_words, top

Result = TypeVar("Result")
# Tokens with their probabilities, the likeliest first.
Ranking = list[tuple[int, float]]

DEFAULT_TOP_K = 5
# Masks a thread whose scores of the whole vocabulary are held at a time: 13 MB for 50,265 tokens.
_MOST_ROWS = 64
# A joint answer is searched for among at least so many beginnings.
_LEAST_BEAMS = 16
# A text with nothing but <s>, the mask and </s>.
_SHORTEST = 3
# The reference's words.
_IGNORED = "We cannot replace it with anything meaningful, ignoring it"
_NO_TARGET = "At least one target must be provided when passed."


@dataclass(frozen=True)
class Options:
    """The arguments of a call, checked. `FillMaskPipeline.__call__` says what they mean."""

    top_k: int = DEFAULT_TOP_K
    targets: tuple[str, ...] | None = None
    whole_words: bool = False
    target_ids: tuple[int, ...] | None = None  # the targets, read as single tokens
    words: dict[bool, list[Tokens]] | None = None  # or as whole words, as they are spelled (not) behind a space
    batch_size: int | None = None
    truncation: bool = False
    max_length: int | None = None
    joint: bool = False
    keep_text: bool = False


@dataclass(frozen=True)
class MaskedText:
    """A text made ready: its ids (cut, if it was too long), where its masks are in them, and in the text, and for
    whole words each mask's candidates, as tokens."""

    text: str
    ids: list[int]
    masks: list[int]
    spans: list[tuple[int, int]]
    words: list[list[Tokens]]


class FillMaskPipeline(Pipeline):
    """Fills the masks of texts, as transformers' fill-mask pipeline does.

    Args:
        model: the masked language model.
        tokenizer: its tokenizer.
        **parameters: defaults for the keyword arguments of `__call__`.

    Raises:
        PipelineException: model and tokenizer don't belong together.
    """

    task = "fill-mask"

    def __init__(self, model: RobertaForMaskedLM, tokenizer: RobertaTokenizer, **parameters: Any) -> None:
        super().__init__(model, tokenizer)
        self._defaults = Options()
        self._defaults = self._parameters(**parameters)

    def __call__(
        self,
        inputs: str | Iterable[str],
        *,
        top_k: int | None = None,
        targets: str | Sequence[str] | None = None,
        batch_size: int | None = None,
        truncation: bool | str | None = None,
        tokenizer_kwargs: Mapping[str, Any] | None = None,
        whole_words: bool | None = None,
        joint: bool | None = None,
        keep_text: bool | None = None,
    ) -> Any:
        """Fill the masks of one text, or of many.

        Args:
            inputs: a text with at least one `<mask>`; a list or tuple of them; or any other iterable, which is read
                as its results are asked for.
            top_k: how many predictions a mask; 5 if None.
            targets: score only these. One that isn't an entry of the vocabulary as it is written stands for the first
                piece it is made of, with a warning: mind the space before a word. `" pizza"` stands for the entry
                `Ġpizza`, and `"Ġpizza"` is that entry itself, without a warning.
            batch_size: how many texts of an iterator are read ahead, to be computed together; 1 if None, so that each
                is answered before the next is read. Some hundred are several times as fast. Lists don't need it.
            truncation: cut a text of too many tokens instead of refusing it. The cut is moved so that the masks stay.
            tokenizer_kwargs: `truncation` and `max_length` (in tokens, and by itself enough to cut) as transformers
                takes them; `padding` is let through, and changes no answer.
            whole_words: take `targets` as whole words, whatever number of pieces they have, spelled as they would
                stand in the text. The mask becomes as many masks as the word has pieces, filled from left to right;
                the score is the product of the pieces' probabilities, each given those before it.
            joint: fill several masks together: each prediction fills them all, and its score is the product of their
                probabilities, each given those to its left (found by beam search).
            keep_text: make `sequence` by putting the words into the text as it was typed, instead of decoding tokens.

        Returns:
            For a text with one mask, its predictions, best first: dicts of `score` (probability, by a softmax over the
            whole vocabulary), `token` (id), `token_str` and `sequence`; equal scores in the order of their ids. For
            several masks, a list of such lists, one a mask, where `sequence` fills that mask alone. With `whole_words`
            `token` is a list of ids; with `joint` there is one list of predictions, and `token` and `token_str` are
            lists with an entry a mask.
            For a list, a list of those (of one text: that text's own); for another iterable, an iterator over them.

        Raises:
            PipelineException: a text has no mask, or is too long; its `index` says which. Of a list, nothing is
                computed then; of an iterator, the texts before it are answered first.
            TypeError: an input or argument of the wrong type.
            ValueError: an argument out of range.
        """
        options = self._options(
            top_k=top_k,
            targets=targets,
            batch_size=batch_size,
            truncation=truncation,
            tokenizer_kwargs=tokenizer_kwargs,
            whole_words=whole_words,
            joint=joint,
            keep_text=keep_text,
        )
        return self._run(inputs, options)

    def _answer_list(self, inputs: Sequence[str], options: Options) -> Any:
        answers = super()._answer_list(inputs, options)
        return answers[0] if len(answers) == 1 else answers

    # -- arguments ---------------------------------------------------------------------------------------------

    def _options(self, **parameters: Any) -> Options:
        options = self._parameters(**parameters)
        if options.whole_words and options.targets is None:
            raise ValueError("whole_words says how to take targets, and there are none: give targets too")
        return options

    def _parameters(
        self,
        *,
        top_k: int | None = None,
        targets: str | Sequence[str] | None = None,
        batch_size: int | None = None,
        truncation: bool | str | None = None,
        tokenizer_kwargs: Mapping[str, Any] | None = None,
        whole_words: bool | None = None,
        joint: bool | None = None,
        keep_text: bool | None = None,
    ) -> Options:
        """The arguments of a call on top of the pipeline's defaults. None means: as the default."""
        options = self._defaults
        if batch_size is not None:
            options = replace(options, batch_size=as_integer("batch_size", batch_size, smallest=1))
        if truncation is not None or tokenizer_kwargs is not None:
            options = _with_truncation(options, truncation, tokenizer_kwargs)
        if joint is not None:
            options = replace(options, joint=as_boolean("joint", joint))
        if keep_text is not None:
            options = replace(options, keep_text=as_boolean("keep_text", keep_text))
        if targets is not None:
            options = replace(options, targets=_strings(targets))
        if whole_words is not None:
            options = replace(options, whole_words=as_boolean("whole_words", whole_words))
        strings = options.targets
        if strings is not None and (targets is not None or options.whole_words != self._defaults.whole_words):
            if options.whole_words:
                options = replace(options, target_ids=None, words=self._words(strings))
            else:
                options = replace(options, target_ids=self._target_ids(strings), words=None)
        if options.joint and options.whole_words:
            raise ValueError("joint and whole_words can't be combined: a joint answer has one token a mask")
        if top_k is not None:
            options = replace(options, top_k=as_integer("top_k", top_k, smallest=0))
        # With targets there are as many answers as targets at most, and any greater top_k means all of them.
        if options.targets is None and options.top_k > self.model.config.vocab_size:
            raise ValueError(
                f"top_k is {options.top_k}, and the vocabulary has only {self.model.config.vocab_size} tokens"
            )
        return options

    def _target_ids(self, targets: tuple[str, ...]) -> tuple[int, ...]:
        """The ids of single-token targets, as the reference takes them: by their entry, else by their first piece."""
        ids = []
        for target in targets:
            token_id = self.tokenizer.token_to_id(target)
            if token_id is None:
                pieces = self.tokenizer.encode(target, add_special_tokens=False).ids
                message = f"The specified target token `{target}` does not exist in the model vocabulary. "
                if not pieces:
                    warn(message + _IGNORED)
                    continue
                token_id = pieces[0]
                message += f"Replacing with `{self.tokenizer.id_to_token(token_id)}`."
                if not target[0].isspace():
                    message += f" Within a text a word has its space with it: did you mean `{' ' + target}`?"
                if len(pieces) > 1:
                    message += " whole_words=True scores the word with all its pieces."
                warn(message)
            ids.append(token_id)
        if not ids:
            raise ValueError(_NO_TARGET)
        self._check_ids(ids, "a target", None)
        return tuple(sorted(set(ids)))

    def _words(self, targets: tuple[str, ...]) -> dict[bool, list[Tokens]]:
        """The targets as words of any number of pieces: as they are spelled behind a space (True), and elsewhere."""
        words = []
        for target in targets:
            if self.tokenizer.mask_token in target:
                raise ValueError(f"the target {target!r} holds a {self.tokenizer.mask_token}, which is no word")
            pieces = self.tokenizer.encode(target.strip(), add_special_tokens=False).ids
            if not pieces:
                warn(f"The specified target `{target}` is no word. {_IGNORED}")
                continue
            self._check_ids(pieces, f"the target {target!r}", None)
            words.append(target)
        if not words:
            raise ValueError(_NO_TARGET)
        return {after_space: self._spell(words, after_space) for after_space in (True, False)}

    def _spell(self, words: list[str], after_space: bool) -> list[Tokens]:
        """The pieces of each word as it would stand in a text; a word that brings its own space keeps it."""
        typed = [word if word[0].isspace() or not after_space else " " + word for word in words]
        spelled = [tuple(self.tokenizer.encode(word, add_special_tokens=False).ids) for word in typed]
        return list(dict.fromkeys(spelled))

    # -- reading -----------------------------------------------------------------------------------------------

    def _read(self, text: str, index: int | None, options: Options) -> MaskedText:
        encoding = self._encode(text, index)
        ids: list[int] = encoding.ids
        mask_id, mask_token = self.tokenizer.mask_token_id, self.tokenizer.mask_token
        masks = [place for place, token_id in enumerate(ids) if token_id == mask_id]
        if not masks:
            raise PipelineException(f"No mask_token ({mask_token}) found on the input", index)
        # A mask's span ends behind it; what it begins with may be the space that it swallows.
        spans = [(end - len(mask_token), end) for _, end in (encoding.offsets[place] for place in masks)]
        limit = self.model.config.max_sequence_length
        words, longest = [], limit
        if options.words is not None:
            words = [options.words[start > 0 and text[start - 1].isspace()] for start, _ in spans]
            # A word of n pieces makes the text longer by n - 1.
            pieces = max(len(word) for candidates in words for word in candidates)
            longest -= pieces - 1
            if longest < _SHORTEST:
                raise PipelineException(f"the longest target has {pieces} tokens, too many for this model", index)
        if options.truncation:
            length = min(longest, options.max_length or self.max_length)
            if len(ids) > length:
                ids, masks = _cut(ids, masks, length, index)
        if len(ids) > longest:
            with_target = f" ({longest} beside the longest target)" if longest < limit else ""
            raise PipelineException(
                f"the text has {len(ids)} tokens and the model reads at most {limit}{with_target}; shorten "
                "it, or have it cut round its masks with truncation=True",
                index,
            )
        return MaskedText(text, ids, masks, spans, words)

    # -- answering ---------------------------------------------------------------------------------------------

    def _answer(self, texts: list[MaskedText], options: Options) -> list[Any]:
        if not texts:
            return []
        if options.words is not None:
            return [self._fill_words(text, options) for text in texts]
        if options.joint:
            return [self._fill_jointly(text, options) for text in texts]
        candidates = None if options.target_ids is None else np.array(options.target_ids)

        def rank(logits: Array) -> list[Ranking]:
            """The likeliest tokens of each row, each row by itself."""
            rows = softmax(logits, out=logits)  # [N, V]
            return [_rank(row, options.top_k, candidates) for row in rows]

        rankings = (
            ranking
            for block in self._over_logits(rank, [text.ids for text in texts], [text.masks for text in texts])
            for ranking in block
        )
        return [self._fill(text, [next(rankings) for _ in text.masks], options) for text in texts]

    def _over_logits(
        self, function: Callable[[Array], Result], sequences: Sequence[Sequence[int]], places: Sequence[Sequence[int]]
    ) -> Iterator[Result]:
        """The function's results for the scores of all tokens at some places of each sequence, one place under the
        other: for some rows (N, V) float32 at a time, in order, in as many threads as there are."""
        vectors = np.concatenate(self.model.encode(sequences, places))  # [M, H]

        vocab_size = self.model.config.vocab_size
        threads = threads_for(sum(map(len, sequences)))
        parts = [slice(vocab_size * n // threads, vocab_size * (n + 1) // threads) for n in range(threads)]
        for start in range(0, len(vectors), threads * _MOST_ROWS):
            rows = vectors[start : start + threads * _MOST_ROWS]
            logits = np.empty((len(rows), vocab_size), np.float32)  # [N, V]

            # The head at the masks alone: over all positions it would cost more than the encoder. Each thread takes a
            # part of the vocabulary, so that the word embeddings are read once.
            def fill(part: slice, rows: Array = rows, logits: Array = logits) -> None:
                logits[:, part] = self.model.logits(rows, part)

            def compute(block: Array) -> Result:
                if not np.isfinite(block).all():
                    raise CheckpointError(
                        "the model's scores are not finite: its weights are too large, so they are damaged"
                    )
                return function(block)

            map_in_threads(fill, parts)
            yield from map_in_threads(compute, np.array_split(logits, min(threads, len(rows))))

    def log_probabilities(self, sequences: Sequence[Sequence[int]], places: Sequence[int]) -> Iterator[Array]:
        """For each sequence, the natural logarithm of every token's probability at its place: (V,) float32.

        Args:
            sequences: the ids of each text, with special tokens; none longer than the model reads.
            places: of each sequence, the place that is asked for: where its mask is.

        Raises:
            CheckpointError: the model's scores are not finite.
        """

        def log_softmax(logits: Array) -> Array:
            logits -= logits.max(axis=-1, keepdims=True)
            logits -= np.log(np.exp(logits).sum(axis=-1, keepdims=True))
            return logits

        for block in self._over_logits(log_softmax, sequences, [[place] for place in places]):
            yield from block

    def _fill(self, text: MaskedText, rankings: list[Ranking], options: Options) -> Any:
        """Each mask by itself: a forward pass for all, and independent answers."""
        filled = [
            [
                _prediction(
                    score,
                    token_id,
                    self.tokenizer.decode([token_id]),
                    self._sequence(text, {mask: [token_id]}, options),
                )
                for token_id, score in ranking
            ]
            for mask, ranking in enumerate(rankings)
        ]
        return filled[0] if len(filled) == 1 else filled

    def _fill_words(self, text: MaskedText, options: Options) -> Any:
        """Each mask by itself, by whole words."""
        filled = []
        for mask, (place, words) in enumerate(zip(text.masks, text.words, strict=True)):
            scores = score_words(text.ids, place, words, self.tokenizer.mask_token_id, self.log_probabilities)
            ranked = sorted(zip(scores, words, strict=True), key=lambda scored: (-scored[0], scored[1]))
            filled.append(
                [
                    _prediction(
                        math.exp(score),
                        list(pieces),
                        self.tokenizer.decode(pieces),
                        self._sequence(text, {mask: list(pieces)}, options),
                    )
                    for score, pieces in ranked[: options.top_k]
                ]
            )
        return filled[0] if len(filled) == 1 else filled

    def _fill_jointly(self, text: MaskedText, options: Options) -> list[dict[str, Any]]:
        """All masks together."""
        candidates = None if options.target_ids is None else np.array(options.target_ids)
        width = max(options.top_k, _LEAST_BEAMS)
        beams = fill_together(text.ids, text.masks, width, self.log_probabilities, candidates)
        return [
            _prediction(
                math.exp(score),
                list(tokens),
                [self.tokenizer.decode([token]) for token in tokens],
                self._sequence(text, {mask: [token] for mask, token in enumerate(tokens)}, options),
            )
            for score, tokens in beams[: options.top_k]
        ]

    def _sequence(self, text: MaskedText, fills: dict[int, list[int]], options: Options) -> str:
        """The text with some of its masks filled: decoded from tokens, or as it was typed."""
        if options.keep_text:
            return self._typed(text, fills)
        tokens = [token for token in _put(text, fills) if token != self.tokenizer.pad_token_id]
        # While a mask is left it must show, and the reference then shows <s> and </s> too.
        return self.tokenizer.decode(tokens, skip_special_tokens=len(fills) == len(text.masks))

    def _typed(self, text: MaskedText, fills: dict[int, list[int]]) -> str:
        parts, done = [], 0
        for mask, pieces in sorted(fills.items()):
            start, end = text.spans[mask]
            before, word = text.text[done:start], self.tokenizer.decode(pieces)
            spaced = before != before.rstrip() or start == 0
            if word.startswith(" "):
                # Its space is the one that the mask swallowed, however that was typed.
                parts += [before, word[1:] if spaced else word]
            else:
                # A piece that goes on with the word before it.
                parts += [before.rstrip(), word]
            done = end
        return "".join([*parts, text.text[done:]])


def _rank(probabilities: Array, top_k: int, candidates: Array | None) -> Ranking:
    """The likeliest tokens, of all or of some candidates (ascending), and their probabilities. Shapes: (V,)."""
    ids = top(probabilities, top_k) if candidates is None else candidates[top(probabilities[candidates], top_k)]
    return list(zip(ids.tolist(), probabilities[ids].tolist(), strict=True))


def _prediction(score: float, token: Any, token_str: Any, sequence: str) -> dict[str, Any]:
    return {"score": score, "token": token, "token_str": token_str, "sequence": sequence}


def _put(text: MaskedText, fills: dict[int, list[int]]) -> list[int]:
    """The ids with some masks filled."""
    ids = list(text.ids)
    for mask, pieces in sorted(fills.items(), reverse=True):  # from the right, so that the places before stay true
        ids[text.masks[mask] : text.masks[mask] + 1] = pieces
    return ids


def _cut(ids: list[int], masks: list[int], length: int, index: int | None) -> tuple[list[int], list[int]]:
    """The first tokens of a text, as the reference cuts it, or, where that would lose a mask, those round its masks."""
    room = length - 2  # <s> and </s> stay
    body = ids[1:-1]
    first, last = masks[0] - 1, masks[-1] - 1
    if last - first >= room:
        raise PipelineException(
            f"the masks are {last - first + 1} tokens apart, and only {room} can be kept; put them closer together",
            index,
        )
    start = 0 if last < room else min(len(body) - room, (first + last + 1 - room) // 2)
    return [ids[0], *body[start : start + room], ids[-1]], [mask - start for mask in masks]


def _strings(targets: str | Iterable[str]) -> tuple[str, ...]:
    if not isinstance(targets, Iterable):
        raise TypeError(f"targets must be a string or a list of strings, not {targets!r:.80}")
    targets = (targets,) if isinstance(targets, str) else tuple(targets)
    for target in targets:
        if not isinstance(target, str):
            raise ValueError(f"a target must be a string, not a {type(target).__name__}: {target!r:.80}")
    return targets


def _with_truncation(
    options: Options, truncation: bool | str | None, tokenizer_kwargs: Mapping[str, Any] | None
) -> Options:
    """`truncation` goes before that in `tokenizer_kwargs`; there, `max_length` without `truncation` cuts too."""
    if not isinstance(tokenizer_kwargs, Mapping | None):
        raise TypeError(f"tokenizer_kwargs must be a dict, not {tokenizer_kwargs!r:.80}")
    rest = dict(tokenizer_kwargs or {})
    nested, max_length = rest.pop("truncation", None), rest.pop("max_length", None)
    rest.pop("padding", None)  # what padding there is changes no answer, so there is nothing to ask for
    if rest:
        raise TypeError(
            f"tokenizer_kwargs: only truncation, max_length and padding are known, not {', '.join(map(str, rest))}"
        )
    if max_length is not None:
        options = replace(options, max_length=as_integer("max_length", max_length, smallest=_SHORTEST), truncation=True)
    for value in (nested, truncation):
        if value is None:
            continue
        options = replace(options, truncation=as_truncation(value))
    return options
