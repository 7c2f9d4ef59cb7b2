"""`FillMaskPipeline`: the most likely words for each `<mask>` of a text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Annotated, Any, TypedDict, Unpack, overload

import numpy as np

from ..errors import PipelineException
from ..layers.activation import softmax
from ..layers.params import Array
from ..messages import warn
from ..models import RobertaForMaskedLM
from .base import Pipeline
from .beam_search import Tokens, fill_together, score_words
from .options import (
    SWITCH,
    CallOptions,
    Option,
    as_given,
    as_truncation,
    merge_tokenizer_options,
    number,
    switch,
    tokenizer_options,
)  # fmt: skip
from .results import Results
from .top_k import top_k

# Tokens with their probabilities, the most likely first.
Ranking = list[tuple[int, float]]

DEFAULT_TOP_K = 5
# The smallest width of the beam search for a joint prediction.
_MIN_BEAMS = 16
# A text of <s>, the mask and </s>.
_SHORTEST = 3
# transformers' words.
_IGNORED = "We cannot replace it with anything meaningful, ignoring it"
_NO_TARGET = "At least one target must be provided when passed."


class MaskPrediction(TypedDict):
    """A word for a mask."""

    score: float  # probability
    token: int  # id; a list of ids with whole_words and joint
    token_str: str  # a list of strings with joint
    sequence: str


def _as_targets(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, Iterable):
        raise TypeError(f"{name} must be a string or a list of strings, not {value!r:.80}")
    targets = (value,) if isinstance(value, str) else tuple(value)
    for target in targets:
        if not isinstance(target, str):
            raise ValueError(f"a target must be a string, not {type(target).__name__}: {target!r:.80}")
    return targets


class FillMaskOptions(CallOptions, total=False):
    """Options of `FillMaskPipeline`."""

    top_k: Annotated[int | None, number(DEFAULT_TOP_K, 0, "number of predictions per mask", "K")]
    targets: Annotated[
        str | Sequence[str] | None,
        Option(
            None,
            _as_targets,
            "score only these words. A target that is not an entry of the vocabulary stands for its first subword, "
            "with a warning; ' pizza', with the space before a word, stands for the entry 'Ġpizza'",
            {"nargs": "+", "metavar": "WORD"},
        ),
    ]
    whole_words: Annotated[bool | None, switch("take targets as words of any number of subwords")]
    joint: Annotated[bool | None, switch("fill several masks together, by beam search")]
    keep_text: Annotated[bool | None, switch("put the words into the text as it was typed, rather than decode tokens")]
    truncation: Annotated[
        bool | str | None, Option(False, as_truncation, "cut texts that are too long, around their masks", SWITCH)
    ]
    tokenizer_kwargs: Annotated[Mapping[str, Any] | None, tokenizer_options(_SHORTEST, padding=as_given)]


@dataclass(frozen=True)
class MaskedText:
    """A text made ready."""

    text: str
    ids: tuple[int, ...]  # truncated, if it was too long
    masks: tuple[int, ...]  # positions
    spans: tuple[tuple[int, int], ...]  # start and end of each mask in the text


class FillMaskPipeline(Pipeline[MaskedText, list[MaskPrediction]]):
    """Fill the masks of texts, as transformers' fill-mask pipeline does."""

    tasks = ("fill-mask",)
    model_type = RobertaForMaskedLM
    options_type = FillMaskOptions
    _unwraps_one = True
    model: RobertaForMaskedLM

    @overload
    def __call__(self, inputs: str, **options: Unpack[FillMaskOptions]) -> Results[MaskPrediction]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, inputs: Sequence[str], **options: Unpack[FillMaskOptions]) -> Results[list[MaskPrediction]]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, inputs: Iterable[str], **options: Unpack[FillMaskOptions]) -> Iterator[list[MaskPrediction]]: ...
    def __call__(self, inputs: Any, **options: Any) -> Any:
        """Fill the masks of one text, or of many.

        Args:
            inputs: a text with at least one `<mask>`; a list or tuple of them; or any other iterable, which is read as
                its results are consumed.

        Returns:
            For a text with one mask, its predictions, best first: dicts of `score` (probability, by a softmax over the
            whole vocabulary), `token` (id), `token_str` and `sequence`; equal scores in the order of their ids. For
            several masks, a list of such lists, one per mask, where `sequence` fills that mask alone.
            With `whole_words` the mask becomes one mask per subword, and `token` is a list of ids. With `joint` there
            is one list of predictions, each of which fills all masks, and `token` and `token_str` are lists with an
            entry per mask. In both, a score is the product of the probabilities, each given those to its left.
            For a list, a list of those (for a list of one text, that text's own); for another iterable, an iterator
            over them.
        """
        return self._run(inputs, self._options(**options))

    def _prepare(self, options: SimpleNamespace, given: Mapping[str, Any]) -> None:
        merge_tokenizer_options(options, given, "tokenizer_kwargs")
        if options.joint and options.whole_words:
            raise ValueError("joint and whole_words can't be combined: a joint prediction has one token per mask")
        # With targets there are at most as many predictions as targets, and any larger top_k means all of them.
        if options.targets is None and options.top_k > self.model.config.vocab_size:
            raise ValueError(
                f"top_k is {options.top_k}, and the vocabulary has only {self.model.config.vocab_size} tokens"
            )
        # The targets as single tokens, or as whole words: tokenized once, with one warning, for all calls.
        key = (options.targets, options.whole_words)
        if key != getattr(options, "target_key", None):
            options.target_key, options.target_ids, options.words = key, None, None
            if options.targets is not None and options.whole_words:
                options.words = self._words(options.targets)
            elif options.targets is not None:
                options.target_ids = self._target_ids(options.targets)

    def _check_call(self, options: SimpleNamespace) -> None:
        if options.whole_words and options.targets is None:
            raise ValueError("whole_words says how to read targets, but there are none; give targets too")

    def _target_ids(self, targets: tuple[str, ...]) -> Array:
        """The ids of single-token targets, ascending: of their entries, or else of their first subwords, as in
        transformers."""
        ids = []
        for target in targets:
            token_id = self.tokenizer.token_to_id(target)
            subwords = [token_id] if token_id is not None else self.tokenizer.encode(target, add_special_tokens=False)
            message = f"The specified target token `{target}` does not exist in the model vocabulary. "
            if not subwords:
                warn(message + _IGNORED)
                continue
            ids.append(subwords[0])
            spaced = target[:1].isspace()
            if token_id is not None or (spaced and len(subwords) == 1):  # as in " pizza", for "Ġpizza"
                continue
            message += f"Replacing with `{self.tokenizer.id_to_token(subwords[0])}`."
            if not spaced:
                message += f" Within a text a word has a space before it: did you mean `{' ' + target}`?"
            if len(subwords) > 1:
                message += " whole_words=True scores the word with all its subwords."
            warn(message)
        if not ids:
            raise ValueError(_NO_TARGET)
        self._check_ids(ids, "a target", None)
        return np.unique(ids)

    def _words(self, targets: tuple[str, ...]) -> dict[bool, list[Tokens]]:
        """The subwords of targets of any length: as they are spelled after a space (True), and elsewhere (False)."""
        words = []
        for target in targets:
            if self.tokenizer.mask_token in target:
                raise ValueError(f"the target {target!r} contains {self.tokenizer.mask_token}, which is not a word")
            subwords = self.tokenizer.encode(target.strip(), add_special_tokens=False)
            if subwords:
                self._check_ids(subwords, f"the target {target!r}", None)
                words.append(target)
            else:
                warn(f"The specified target `{target}` is not a word. {_IGNORED}")
        if not words:
            raise ValueError(_NO_TARGET)
        # A word that brings its own space keeps it.
        after_space = [word if word[0].isspace() else f" {word}" for word in words]
        return {True: self._spell(after_space), False: self._spell(words)}

    def _spell(self, words: Iterable[str]) -> list[Tokens]:
        return list(dict.fromkeys(tuple(self.tokenizer.encode(word, add_special_tokens=False)) for word in words))

    def _read(self, item: str, index: int | None, options: SimpleNamespace) -> MaskedText:
        mask_id, mask_token = self.tokenizer.mask_token_id, self.tokenizer.mask_token
        if isinstance(item, str) and mask_token not in item and self._is_far_too_long(item):
            raise no_mask(item, mask_token, index)  # without reading all of it
        encoding = self._encode(item, index, read=None if options.truncation else "all")
        ids: list[int] = encoding.ids
        masks = [position for position, token_id in enumerate(ids) if token_id == mask_id]
        if not masks:
            raise no_mask(item, mask_token, index)
        # The mask's end is certain; its start may be that of the space that it swallows.
        offsets = encoding.offsets
        spans = [(offsets[position][1] - len(mask_token), offsets[position][1]) for position in masks]
        limit = longest = self.model.config.max_sequence_length
        if options.words is not None:
            # A word of n subwords makes the text longer by n - 1.
            subwords = max(len(word) for start, _ in spans for word in options.words[_is_after_space(item, start)])
            longest -= subwords - 1
            if longest < _SHORTEST:
                raise PipelineException(f"the longest target has {subwords} tokens, too many for this model", index)
        if options.truncation:
            length = min(longest, options.max_length or self.max_length)
            if len(ids) > length:
                ids, masks = _truncate(ids, masks, length, index, self.tokenizer.truncation_side)
        if len(ids) > longest:
            with_target = f" ({longest} with the longest target)" if longest < limit else ""
            raise PipelineException(
                f"the text has {len(ids)} tokens and the model reads at most {limit}{with_target}; shorten it, or "
                "truncate it around its masks with truncation=True",
                index,
            )
        return MaskedText(item, tuple(ids), tuple(masks), tuple(spans))

    def _cost(self, item: MaskedText, options: SimpleNamespace) -> int:
        searched = max(options.top_k, _MIN_BEAMS) if options.joint else len(options.words[True]) if options.words else 1
        return len(item.ids) * (len(item.masks) * searched if searched > 1 else 1)

    def _answer(self, texts: Sequence[MaskedText], options: SimpleNamespace) -> list[Any]:
        if options.words is not None:
            return [self._fill_words(text, options) for text in texts]
        if options.joint:
            return [self._fill_jointly(text, options) for text in texts]

        def rank(logits: Array) -> list[Ranking]:
            """The most likely tokens of each row. Shape: (N, V)."""
            return [_rank(row, options.top_k, options.target_ids) for row in softmax(logits, out=logits)]

        blocks = self.model.map_logits(rank, [text.ids for text in texts], [text.masks for text in texts])
        rankings = (ranking for block in blocks for ranking in block)
        return [self._fill(text, [next(rankings) for _ in text.masks], options) for text in texts]

    def log_probabilities(self, sequences: Sequence[Sequence[int]], positions: Sequence[int]) -> Iterator[Array]:
        """For each sequence of ids, the natural logarithm of every token's probability at a position: (V,) float32.
        Raises CheckpointError if the logits contain NaN or infinity."""

        def log_softmax(logits: Array) -> Array:
            logits -= logits.max(axis=-1, keepdims=True)
            logits -= np.log(np.exp(logits).sum(axis=-1, keepdims=True))
            return logits

        for block in self.model.map_logits(log_softmax, sequences, [[position] for position in positions]):
            yield from block

    def _fill(self, text: MaskedText, rankings: list[Ranking], options: SimpleNamespace) -> Any:
        """Predictions for each mask by itself, all from one forward pass."""
        filled = [
            [self._prediction(text, score, {mask: [token]}, token, options) for token, score in ranking]
            for mask, ranking in enumerate(rankings)
        ]
        return filled[0] if len(filled) == 1 else filled

    def _fill_words(self, text: MaskedText, options: SimpleNamespace) -> Any:
        """Whole words for each mask by itself."""
        filled = []
        for mask, position in enumerate(text.masks):
            words = options.words[_is_after_space(text.text, text.spans[mask][0])]
            scores = score_words(text.ids, position, words, self.tokenizer.mask_token_id, self.log_probabilities)
            ranked = sorted(zip(scores, words, strict=True), key=lambda scored: (-scored[0], scored[1]))
            best = [(math.exp(score), list(word)) for score, word in ranked[: options.top_k]]
            filled.append([self._prediction(text, score, {mask: word}, word, options) for score, word in best])
        return filled[0] if len(filled) == 1 else filled

    def _fill_jointly(self, text: MaskedText, options: SimpleNamespace) -> list[MaskPrediction]:
        """Predictions for all masks together."""
        width = max(options.top_k, _MIN_BEAMS)
        beams = fill_together(text.ids, text.masks, width, self.log_probabilities, options.target_ids)
        return [
            self._prediction(text, math.exp(score), {mask: [token] for mask, token in enumerate(tokens)}, None, options)
            for score, tokens in beams[: options.top_k]
        ]

    def _prediction(
        self, text: MaskedText, score: float, fills: dict[int, list[int]], token: Any, options: SimpleNamespace
    ) -> MaskPrediction:
        """The result for masks that are filled with subwords; if there is one mask, `token` is its result."""
        words: Any = [self.tokenizer.decode(subwords) for subwords in fills.values()]
        if token is None:
            token = [subword for (subword,) in fills.values()]
        else:
            words = words[0]
        return {"score": score, "token": token, "token_str": words, "sequence": self._sequence(text, fills, options)}

    def _sequence(self, text: MaskedText, fills: dict[int, list[int]], options: SimpleNamespace) -> str:
        """The text with some of its masks filled: decoded from tokens, or as it was typed."""
        if options.keep_text:
            return self._typed(text, fills)
        tokens = [token for token in _replace(text, fills) if token != self.tokenizer.pad_token_id]
        # While a mask is left it must show; transformers then shows <s> and </s> too.
        return self.tokenizer.decode(tokens, skip_special_tokens=len(fills) == len(text.masks))

    def _typed(self, text: MaskedText, fills: dict[int, list[int]]) -> str:
        parts, done = [], 0
        for mask, subwords in sorted(fills.items()):
            start, end = text.spans[mask]
            before, word = text.text[done:start], self.tokenizer.decode(subwords)
            spaced = before != before.rstrip() or start == 0
            # Its space is the one that the mask swallowed, however that was typed; without one, it continues a word.
            parts += [before, word[1:] if spaced else word] if word.startswith(" ") else [before.rstrip(), word]
            done = end
        return "".join([*parts, text.text[done:]])


def _rank(probabilities: Array, k: int, candidates: Array | None) -> Ranking:
    """The most likely tokens, of all or of some candidates (ascending), and their probabilities. Shapes: (V,)."""
    ids = top_k(probabilities, k) if candidates is None else candidates[top_k(probabilities[candidates], k)]
    return list(zip(ids.tolist(), probabilities[ids].tolist(), strict=True))


def _is_after_space(text: str, start: int) -> bool:
    return start > 0 and text[start - 1].isspace()


def _replace(text: MaskedText, fills: dict[int, list[int]]) -> list[int]:
    """The ids with some masks filled."""
    ids = list(text.ids)
    for mask, subwords in sorted(fills.items(), reverse=True):  # from the right, so that the positions before stay true
        ids[text.masks[mask] : text.masks[mask] + 1] = subwords
    return ids


def no_mask(text: str, mask_token: str, index: int | None) -> PipelineException:
    """The error of a text without a mask, with what was probably meant."""
    meant = re.search(r"[\[<({]mask[\]>)}]", text, re.IGNORECASE)
    hint = f"; write {mask_token} instead of {meant[0]}" if meant else ""
    return PipelineException(f"No mask_token ({mask_token}) found on the input{hint}", index)


def _truncate(
    ids: list[int], masks: list[int], length: int, index: int | None, side: str
) -> tuple[list[int], list[int]]:
    """The first tokens of a text (on the left side, the last), as in transformers; or, if that would lose a mask, the
    tokens around its masks."""
    room = length - 2  # <s> and </s> stay
    body = ids[1:-1]
    first, last = masks[0] - 1, masks[-1] - 1
    if last - first >= room:
        raise PipelineException(
            f"the masks span {last - first + 1} tokens, and only {room} fit; put them closer together", index
        )
    start = len(body) - room if side == "left" else 0
    if not start <= first <= last < start + room:
        start = max(0, min(len(body) - room, (first + last + 1 - room) // 2))
    return [ids[0], *body[start : start + room], ids[-1]], [mask - start for mask in masks]
