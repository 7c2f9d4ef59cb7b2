"""`Pipeline`: what all tasks share. One input, a list or a stream goes in; results come out in the same order."""

from __future__ import annotations

import os
import re
import string
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from types import SimpleNamespace
from typing import Any, ClassVar, Generic, Literal, TypeVar

from tokenizers import Encoding

from ..errors import InputTypeError, PipelineException, TokenizerError
from ..runtime.batching import batches, distinct
from ..runtime.progress import Bar, progress_bar
from ..tokenizer import RobertaTokenizer
from .options import CallOptions, declared, document, resolve
from .results import Results

# An input that is checked and tokenized, and the result for it.
Ready = TypeVar("Ready", bound=Hashable)
Result = TypeVar("Result")

# How many inputs of a list `answers` computes together.
_LIST_BATCH = 1024
# How many inputs of an iterator are read ahead by default: 1, 2, 4 ... and at most this number.
_LARGEST_READ_AHEAD = 128
# How many tokens are computed between two steps of a progress bar.
_STEP_TOKENS = 2048
# The pipeline of each task, by the task's name. A subclass that names its `tasks` adds itself.
PIPELINES: dict[str, type[Pipeline[Any, Any]]] = {}


class Pipeline(ABC, Generic[Ready, Result]):
    """Base class of pipelines. A subclass declares its task, and implements `_read`, `_answer` and a `__call__`.

    A call answers one input, a list or tuple, or any other iterable, which is read as its results are consumed.

    Args:
        model: a model of `distilroberta_np.models`.
        tokenizer: its tokenizer.
        **options: defaults for the options of a call.

    Raises:
        PipelineException: model and tokenizer do not belong together.
        TypeError, ValueError: an unknown option, or a value that it does not take.

    Attributes:
        tasks: the names of the task; the first is the usual one.
        model_type: the class of model that the pipeline takes.
        options_type: the TypedDict that declares the options.
        call_name: the method that takes them.
        suggested_model: a model on the hub that is fine-tuned for the task; None if distilroberta-base can do it.
    """

    tasks: ClassVar[tuple[str, ...]] = ()
    model_type: ClassVar[Any]
    options_type: ClassVar[type] = CallOptions
    call_name: ClassVar[str] = "__call__"
    suggested_model: ClassVar[str | None] = None
    device: ClassVar[str] = "cpu"
    _unwraps_one: ClassVar[bool] = False  # whether a list of one input gives that input's own result
    _has_records: ClassVar[bool] = True  # whether lists are `Results`

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        PIPELINES.update(dict.fromkeys(vars(cls).get("tasks", ()), cls))
        if "options_type" in vars(cls):
            document(vars(cls)[cls.call_name], cls.options_type)

    def __init__(self, model: Any, tokenizer: RobertaTokenizer, **options: Any) -> None:
        if tokenizer.pad_token_id != model.config.pad_token_id:
            raise PipelineException(
                f"{tokenizer.pad_token} is token {tokenizer.pad_token_id} of the tokenizer, but the model's config has "
                f"pad_token_id {model.config.pad_token_id}; they do not belong together"
            )
        self.model = model
        self.tokenizer = tokenizer
        self._defaults = resolve(self.options_type, None, options)
        self._prepare(self._defaults, options)

    def __repr__(self) -> str:
        known = declared(self.options_type)
        values = [
            f", {name}={value!r}"
            for name, value in vars(self._defaults).items()
            if name in known and value != known[name].default
        ]
        return f"{type(self).__name__}({self.model!r}{''.join(values)})"

    @property
    def task(self) -> str:
        """The name of the task, such as "fill-mask"."""
        return self.tasks[0]

    @property
    def max_length(self) -> int:
        """The maximum number of tokens of a text, `<s>` and `</s>` included (512 in distilroberta-base)."""
        return self.tokenizer.longest_text(self.model.config.max_sequence_length)

    def predict(self, inputs: Any) -> Result | list[Result] | Iterator[Result]:
        """What a call returns, under a name of scikit-learn."""
        return self(inputs)  # type: ignore[operator, no-any-return]

    transform = predict

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write the model and the tokenizer into a folder, as this package and transformers load them."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    @abstractmethod
    def _read(self, item: Any, index: int | None, options: Any) -> Ready:
        """Check and tokenize an input. Raises PipelineException if it can't be answered, TypeError for a wrong type."""

    @abstractmethod
    def _answer(self, items: Sequence[Ready], options: Any) -> list[Result]:
        """The results for at least one input that `_read` made ready, in order."""

    def _prepare(self, options: SimpleNamespace, given: Mapping[str, Any]) -> None:
        """Check options together, of which some were given now, and add what follows from them."""

    def _check_call(self, options: SimpleNamespace) -> None:
        """Check what must hold in a call, but not yet when the pipeline is made."""

    def _cost(self, item: Ready, options: Any) -> int:
        """About how many tokens the model reads for an input."""
        return len(getattr(item, "ids", item))  # type: ignore[arg-type]

    def _is_one(self, inputs: Any) -> bool:
        """Whether this is a single input, rather than a list or a stream of them."""
        return isinstance(inputs, str)

    def _answer_one(self, inputs: Any, options: Any) -> Any:
        """What a call with a single input returns."""
        return self._results(next(self._answer_items([self._read(inputs, None, options)], options)), single=True)

    def _answer_list(self, inputs: Sequence[Any], options: Any) -> Any:
        """What a call with a list returns."""
        items = [self._read(item, index, options) for index, item in enumerate(inputs)]
        with progress_bar(options.progress, len(items)) as bar:
            return self._results(list(self._answer_items(items, options, bar)))

    def _results(self, results: Any, *, single: bool = False) -> Any:
        return Results(results, single=single) if self._has_records and isinstance(results, list) else results

    def _options(self, **given: Any) -> Any:
        """The options of a call: those given, checked, on top of the pipeline's defaults."""
        options = resolve(self.options_type, self._defaults, given)
        self._prepare(options, given)
        self._check_call(options)
        return options

    def _run(self, inputs: Any, options: Any) -> Any:
        """The result for one input, a list of results for a list, or an iterator over them for any iterable."""
        if self._is_one(inputs):
            return self._answer_one(inputs, options)
        if isinstance(inputs, list | tuple):
            answers = self._answer_list(inputs, options)
            return self._results(answers[0], single=True) if self._unwraps_one and len(answers) == 1 else answers
        column = as_column(inputs)
        if column is not None:
            return self._answer_list(column, options)
        if isinstance(inputs, Mapping | bytes | bytearray) or not hasattr(inputs, "__iter__"):
            raise InputTypeError(f"inputs must be a text or an iterable of texts, not {type(inputs).__name__}")
        return self._answer_stream(inputs, options)

    def answers(self, inputs: Iterable[Any], **options: Any) -> Iterator[Result | Exception]:
        """Answer an iterable of inputs as a call does, but yield the PipelineException or TypeError of an input that
        can't be answered instead of its result."""
        if self._is_one(inputs):
            raise TypeError("inputs must be an iterable of inputs, not a single one; put it into a list")
        resolved = self._options(**options)
        column = inputs if isinstance(inputs, list | tuple) else as_column(inputs)
        if column is None:
            return self._attempt_stream(inputs, resolved)
        resolved.batch_size = resolved.batch_size or _LIST_BATCH
        return self._attempt_stream(column, resolved, len(column))

    def _answer_stream(self, inputs: Iterable[Any], options: Any) -> Iterator[Result]:
        for answer in self._attempt_stream(inputs, options):
            if isinstance(answer, Exception):
                raise answer
            yield answer

    def _attempt_stream(
        self, inputs: Iterable[Any], options: Any, total: int | None = None
    ) -> Iterator[Result | Exception]:
        waiting: list[Ready | Exception] = []
        size = options.batch_size or 1
        with progress_bar(options.progress, total) as bar:
            try:
                for index, item in enumerate(inputs):
                    try:
                        waiting.append(self._read(item, index, options))
                    except (PipelineException, TypeError) as error:
                        waiting.append(error)
                    if len(waiting) >= size:
                        ready, waiting = waiting, []
                        yield from self._attempt(ready, options, bar)
                        size = options.batch_size or min(2 * size, _LARGEST_READ_AHEAD)
            except Exception:
                # The iterable itself failed, such as on a disk error: first answer what came before.
                yield from self._attempt(waiting, options, bar)
                raise
            yield from self._attempt(waiting, options, bar)

    def _attempt(self, items: list[Ready | Exception], options: Any, bar: Bar | None) -> Iterator[Result | Exception]:
        ready = [item for item in items if not isinstance(item, Exception)]
        answers = self._answer_items(ready, options, bar)
        if bar is not None:
            bar.update(len(items) - len(ready))
        for item in items:
            yield item if isinstance(item, Exception) else next(answers)

    def _answer_items(self, items: Sequence[Ready], options: Any, bar: Bar | None = None) -> Iterator[Result]:
        """The results for any number of inputs, in order. Equal inputs are computed once. A bar advances in steps."""
        unique, positions = distinct(items)
        costs = [0 if bar is None else self._cost(item, options) for item in unique]
        answers: list[Result] = []
        done = 0
        for step in batches(costs, _STEP_TOKENS):
            answers += self._answer(unique[step], options)
            start = done
            while done < len(items) and positions[done] < len(answers):
                done += 1
            if bar is not None:
                bar.update(done - start)
            # Copies, so that a caller who changes one result does not change another.
            some = (answers[position] for position in positions[start:done])
            yield from some if len(unique) == len(items) else map(deepcopy, some)

    def _is_far_too_long(self, text: str) -> bool:
        """Whether a text is certain to have more tokens than the model reads, without tokenizing it."""
        if len(text) <= self.max_length:
            return False
        # A mask swallows all spaces before it, so with one only the other characters are certain to need tokens.
        spaces = sum(map(text.count, string.whitespace)) if self.tokenizer.mask_token in text else 0
        return len(text) - spaces > self._max_characters

    @property
    def _max_characters(self) -> int:
        return self.model.config.max_sequence_length * self.tokenizer.longest_token  # type: ignore[no-any-return]

    def _encode(
        self, text: Any, index: int | None, pair: str | None = None, *, read: Literal["all", "some"] | None = None
    ) -> Encoding:
        """Tokenize a text, or a pair of texts, with special tokens. Raises PipelineException, TypeError.

        `read` says whether the model reads all of the text or, after truncation, some; a text that is far too long is
        then refused, or cut, before it is tokenized. If None, it never is.
        """
        for part in (text,) if pair is None else (text, pair):
            if not isinstance(part, str):
                raise InputTypeError(f"{name_of(index)} must be a text, not {type(part).__name__}: {part!r:.80}")
        if read is not None and self._is_far_too_long(text):
            text = self._bounded(text, index, read)
        try:
            encoding = self.tokenizer.encoding(text, pair)
        except TokenizerError as error:
            raise PipelineException(str(error), index) from None
        self._check_ids(encoding.ids, "a token of the text", index)
        return encoding

    def _bounded(self, text: str, index: int | None, read: str) -> str:
        """A text that is far too long: refused, or as much of it as can make a difference."""
        if read == "all":
            raise PipelineException(
                f"the text has {len(text):,} characters, far more than the model's {self.max_length} tokens; shorten "
                "it, or truncate it with truncation=True",
                index,
            )
        if self.tokenizer.mask_token in text or self.tokenizer.truncation_side == "left":
            return text
        space = re.compile(r"(?<=\S)\s").search(text, self._max_characters)
        return text if space is None else text[: space.start()]

    def _check_ids(self, ids: Sequence[int], what: str, index: int | None) -> None:
        # A tokenizer can leave ids out, so its largest id can exceed its number of tokens.
        if max(ids) >= self.model.config.vocab_size:
            raise PipelineException(
                f"the tokenizer gives {what} the id {max(ids)}, but the model has only {self.model.config.vocab_size} "
                "tokens; they do not belong together",
                index,
            )


def name_of(index: int | None) -> str:
    """How to name an input: by its index, if it came with others."""
    return "the input" if index is None else f"input {index}"


def as_column(inputs: Any) -> list[Any] | None:
    """The items of an object with a length and integer positions, such as a column of pandas, polars or datasets, an
    array of NumPy, or a map-style dataset; None if it is something else. Raises TypeError for a table."""
    if isinstance(inputs, str | bytes | bytearray | Mapping) or not (
        hasattr(inputs, "__len__") and hasattr(inputs, "__getitem__")
    ):
        return None
    if getattr(inputs, "ndim", 1) != 1:
        raise InputTypeError(f"inputs must have one dimension; give one column of the {type(inputs).__name__}")
    if hasattr(inputs, "tolist"):  # NumPy and pandas: Python's own strings, not NumPy's
        return list(inputs.tolist())
    return list(inputs) if hasattr(inputs, "__iter__") else [inputs[index] for index in range(len(inputs))]
