"""What all pipelines share: one input, a list or a stream in; answers in the same order out."""

from __future__ import annotations

import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import PipelineException, TokenizerError
from ..tokenizer import RobertaTokenizer

# Most inputs of a list computed together: enough to find some of equal length, and to keep all cores busy to the end.
_WINDOW = 256


class Pipeline(ABC):
    """Inputs are read (checked and made into ids) one by one, and answered some at a time.

    A pipeline says how in `_options`, `_read` and `_answer`, and has a `__call__` that names its arguments, which
    returns `self._run(inputs, self._options(...))`.

    Args:
        model: a model of `distilroberta_np.models`.
        tokenizer: its tokenizer.

    Raises:
        PipelineException: model and tokenizer don't belong together.
    """

    task: str

    def __init__(self, model: Any, tokenizer: RobertaTokenizer) -> None:
        if tokenizer.vocab_size > model.config.vocab_size:
            raise PipelineException(
                f"the tokenizer has {tokenizer.vocab_size} tokens and the model only {model.config.vocab_size}; "
                "they don't belong together"
            )
        if tokenizer.pad_token_id != model.config.pad_token_id:
            raise PipelineException(
                f"{tokenizer.pad_token} is token {tokenizer.pad_token_id} of the tokenizer, and the model's config has "
                f"pad_token_id {model.config.pad_token_id}; they don't belong together"
            )
        self.model = model
        self.tokenizer = tokenizer

    @property
    def max_length(self) -> int:
        """Most tokens of a text, `<s>` and `</s>` included (512 in distilroberta-base)."""
        return self.tokenizer.longest_text(self.model.config.max_sequence_length)

    @abstractmethod
    def _options(self, **parameters: Any) -> Any:
        """The arguments of a call on top of the pipeline's defaults, checked: an object with `batch_size` (an integer,
        or None). An argument that is None means: as the default."""

    @abstractmethod
    def _read(self, item: Any, index: int | None, options: Any) -> Any:
        """An input made ready. Raises PipelineException with its index where it can't be answered, and TypeError where
        it is of the wrong type."""

    @abstractmethod
    def _answer(self, items: list[Any], options: Any) -> list[Any]:
        """The answers to some inputs that `_read` made ready, in their order."""

    def _is_one(self, inputs: Any) -> bool:
        """Whether this is a single input, and not a list or a stream of them."""
        return isinstance(inputs, str)

    def _answer_one(self, inputs: Any, options: Any) -> Any:
        """What a call with a single input returns."""
        return self._answer([self._read(inputs, None, options)], options)[0]

    def _answer_list(self, inputs: Sequence[Any], options: Any) -> Any:
        """What a call with a list returns."""
        return self._answer_items([self._read(item, index, options) for index, item in enumerate(inputs)], options)

    def _answer_items(self, items: list[Any], options: Any) -> list[Any]:
        """The answers to any number of inputs that `_read` made ready, in their order."""
        size = options.batch_size or _window(len(items))
        return [
            answer
            for start in range(0, len(items), size)
            for answer in self._answer(items[start : start + size], options)
        ]

    def _run(self, inputs: Any, options: Any) -> Any:
        """A call: the answer to one input, a list of answers to a list, or an iterator over those to any iterable."""
        if self._is_one(inputs):
            return self._answer_one(inputs, options)
        if isinstance(inputs, list | tuple):
            return self._answer_list(inputs, options)
        if isinstance(inputs, Mapping | bytes | bytearray) or not hasattr(inputs, "__iter__"):
            raise TypeError(f"inputs must be a text or an iterable of texts, not a {type(inputs).__name__}")
        return self._answer_stream(inputs, options)

    def answers(self, texts: Iterable[Any], **parameters: Any) -> Iterator[Any]:
        """Answer inputs as `__call__` does a list or an iterable, but give the exception in the place of the answer
        where one can't be answered, and go on. Arguments as `__call__`; yields one item an input, in order."""
        if self._is_one(texts):
            raise TypeError("texts must be an iterable of inputs, not one of them; put it into a list")
        options = self._options(**parameters)
        size = options.batch_size or (_window(len(texts)) if isinstance(texts, list | tuple) else 1)
        return self._attempt_stream(texts, size, options)

    def _answer_stream(self, inputs: Iterable[Any], options: Any) -> Iterator[Any]:
        for answer in self._attempt_stream(inputs, options.batch_size or 1, options):
            if isinstance(answer, Exception):
                raise answer
            yield answer

    def _attempt_stream(self, inputs: Iterable[Any], size: int, options: Any) -> Iterator[Any]:
        waiting: list[Any] = []
        try:
            for index, item in enumerate(inputs):
                try:
                    waiting.append(self._read(item, index, options))
                except (PipelineException, TypeError) as error:
                    waiting.append(error)
                if len(waiting) >= size:
                    ready, waiting = waiting, []
                    yield from self._attempt(ready, options)
        except Exception:
            # The inputs' own, such as of a disk that can't be read on: what came before it is answered first.
            yield from self._attempt(waiting, options)
            raise
        yield from self._attempt(waiting, options)

    def _attempt(self, items: list[Any], options: Any) -> Iterator[Any]:
        answers = iter(self._answer_items([item for item in items if not isinstance(item, Exception)], options))
        for item in items:
            yield item if isinstance(item, Exception) else next(answers)

    # -- reading texts -----------------------------------------------------------------------------------------

    def _encode(self, text: Any, index: int | None, pair: str | None = None) -> Any:
        """The `tokenizers.Encoding` of a text, or of two, with special tokens; of any length.

        Raises:
            PipelineException: a text that no tokenizer can read, or ids that the model doesn't have.
            TypeError: not a text.
        """
        for part in (text,) if pair is None else (text, pair):
            if not isinstance(part, str):
                raise TypeError(f"{place_of(index)} must be a text, not a {type(part).__name__}: {part!r:.80}")
        try:
            encoding = self.tokenizer.encode(text, pair)
        except TokenizerError as error:
            raise PipelineException(str(error), index) from None
        self._check_ids(encoding.ids, "a token of the text", index)
        return encoding

    def _check_ids(self, ids: Sequence[int], what: str, index: int | None) -> None:
        # A tokenizer can leave ids out, and so have greater ones than it has tokens.
        if max(ids) >= self.model.config.vocab_size:
            raise PipelineException(
                f"the tokenizer gives {what} the id {max(ids)}, and the model has only {self.model.config.vocab_size} "
                "tokens; they don't belong together",
                index,
            )


def place_of(index: int | None) -> str:
    """How to name an input: by its number, if it came with others."""
    return "the input" if index is None else f"input {index}"


def as_integer(name: str, value: Any, *, smallest: int) -> int:
    """An argument that must be an integer. Raises TypeError, and ValueError where it is too small."""
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be an integer, not a boolean")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, not {value!r}") from None
    if number < smallest:
        raise ValueError(f"{name} must be at least {smallest}, not {number}")
    return number


def as_boolean(name: str, value: Any) -> bool:
    """An argument that must be a boolean. Raises TypeError."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {value!r}")
    return value


def as_truncation(value: Any) -> bool:
    """An argument `truncation`: True, False, or one of the reference's names for either. Raises ValueError."""
    if value not in (True, False, "longest_first", "only_first", "do_not_truncate"):
        raise ValueError(f"truncation must be True or False, not {value!r}")
    return value not in (False, "do_not_truncate")


def _window(items: int) -> int:
    """How many inputs of a list to compute together, so that no small rest is left over; at least 1."""
    windows = max(1, math.ceil(items / _WINDOW))
    return max(1, math.ceil(items / windows))
