"""`QuestionAnsweringPipeline`: the part of a context that answers a question.

A model fine-tuned for the task gives every token two logits, as the first and as the last token of the answer (Devlin
et al. 2018, "BERT", section 4.2). A context that is too long is read in windows that overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Annotated, Any, TypeAlias, TypedDict, Unpack, overload

import numpy as np

from ..errors import InputTypeError, MissingKeyError, PipelineException
from ..layers.activation import softmax
from ..layers.params import Array
from ..models import RobertaForQuestionAnswering
from .base import Pipeline, name_of
from .options import PADDING, CallOptions, Option, as_boolean, number, switch
from .results import Results
from .top_k import top_k
from .truncation import cut_windows

# transformers' defaults.
MAX_SEQ_LEN = 384
DOC_STRIDE = 128
# transformers' words.
_ONE_OF_TWO = "You need to provide a dictionary with keys {question:..., context:...}"


class Answer(TypedDict):
    """A part of a context that answers a question."""

    score: float
    start: int  # in characters
    end: int
    answer: str


class QuestionAnsweringOptions(CallOptions, total=False):
    """Options of `QuestionAnsweringPipeline`."""

    top_k: Annotated[int | None, number(1, 1, "maximum number of answers per question", "K")]
    doc_stride: Annotated[
        int | None, number(None, 0, "tokens that the windows of a long context share (default: 128, or fewer)", "N")
    ]
    max_answer_len: Annotated[int | None, number(15, 1, "maximum number of tokens of an answer", "N")]
    max_seq_len: Annotated[
        int | None, number(None, 1, "maximum number of tokens of a window with its question (default: 384)", "N")
    ]
    max_question_len: Annotated[
        int | None, number(None, 1, "cut the question to this number of tokens (transformers ignores this option)")
    ]
    handle_impossible_answer: Annotated[
        bool | None, switch("allow the empty answer, with the score of <s> as start and end")
    ]
    align_to_words: Annotated[bool | None, Option(True, as_boolean, "let answers begin and end where words do")]
    padding: Annotated[bool | str | None, PADDING]


Options: TypeAlias = QuestionAnsweringOptions
Question: TypeAlias = Mapping[str, str]  # with its context
Many: TypeAlias = list[str] | tuple[str, ...]


@dataclass(frozen=True)
class Passage:
    """A question and its context made ready. The tokens are the context's, except `before` and `after`."""

    context: str
    ids: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]  # in characters
    words: tuple[int | None, ...]  # the number of each token's word
    before: tuple[int, ...]  # <s>, the question and </s></s>
    after: tuple[int, ...]  # </s>
    windows: tuple[range, ...]  # the context's tokens that are read together

    def sequence(self, window: range) -> list[int]:
        """The ids that the model reads."""
        return [*self.before, *self.ids[window.start : window.stop], *self.after]

    def characters(self, window: range, first: int, last: int, align_to_words: bool) -> tuple[int, int]:
        """Start and end in the context of the tokens from `first` to `last` of a window; with `align_to_words`, of the
        words that they belong to, as far as the window has them."""
        first, last = window.start + first, window.start + last
        if align_to_words:
            while first > window.start and self.words[first - 1] == self.words[first]:
                first -= 1
            while last + 1 < window.stop and self.words[last + 1] == self.words[last]:
                last += 1
        return self.offsets[first][0], self.offsets[last][1]


class QuestionAnsweringPipeline(Pipeline[Passage, Answer]):
    """Answer questions with parts of texts, as the question-answering pipeline of transformers 4 does."""

    tasks = ("question-answering",)
    model_type = RobertaForQuestionAnswering
    options_type = QuestionAnsweringOptions
    _unwraps_one = True
    suggested_model = "deepset/roberta-base-squad2"
    model: RobertaForQuestionAnswering

    @overload
    def __call__(self, question: str, context: str, **options: Unpack[Options]) -> Answer: ...
    @overload
    def __call__(self, question: Question, **options: Unpack[Options]) -> Answer: ...
    @overload
    def __call__(self, question: Many, context: str | Sequence[str], **options: Unpack[Options]) -> Results[Answer]: ...
    @overload
    def __call__(self, question: Sequence[Question], **options: Unpack[Options]) -> Results[Answer]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, question: Iterable[Question], **options: Unpack[Options]) -> Iterator[Answer]: ...
    def __call__(self, question: Any = None, context: Any = None, **options: Any) -> Any:
        """Answer one question, or many.

        Args:
            question: a question, or a list of them. Or, without `context`, both: a dict of `question` and `context`
                (other keys are ignored), a list of such dicts, or any other iterable of them, which is read as its
                results are consumed.
            context: the text with the answer; for a list of questions one text for all, or a list with one per
                question.

        Returns:
            For a question its answer, a dict of `score`, `start` and `end` (in characters of the context) and `answer`
            (that part of it). With a larger `top_k` a list of them, best first, unless there is only one.
            A score is the product of the start's and the end's probability, each by a softmax over the context's tokens
            in the window and `<s>`. Answers that differ only in case are one, and its score is the sum: it can exceed 1
            where windows overlap.
            For a list, a list of those (for a list of one question, that question's own); for another iterable, an
            iterator over them.
        """
        resolved = self._options(**options)
        if isinstance(question, Mapping) and isinstance(question.get("question"), list) and context is None:
            # A dict of lists: the only list of one question whose result stays a list, as in transformers.
            return self._answer_list(_pairs(question["question"], question.get("context")), resolved)
        return self._run(question if context is None else _pairs(question, context), resolved)

    def _prepare(self, options: SimpleNamespace, given: Mapping[str, Any]) -> None:
        longest = self._max_seq_len(options)
        if options.doc_stride is not None and options.doc_stride > longest:
            raise ValueError(f"`doc_stride` ({options.doc_stride}) is larger than `max_seq_len` ({longest})")

    def _max_seq_len(self, options: SimpleNamespace) -> int:
        return options.max_seq_len or min(self.max_length, MAX_SEQ_LEN)

    def _is_one(self, inputs: Any) -> bool:
        return isinstance(inputs, Mapping)

    def _run(self, inputs: Any, options: Any) -> Any:
        if inputs is None or isinstance(inputs, str):
            raise TypeError("a question needs its context: give both, or a dict of question and context")
        return super()._run(inputs, options)

    def _read(self, item: Any, index: int | None, options: SimpleNamespace) -> Passage:
        question, context = _question_and_context(item, index)
        encoding = self._encode(question, index, context)
        parts = encoding.sequence_ids  # 0 for the question's tokens, 1 for the context's, None for special tokens
        count = parts.count(1)
        if count == 0:
            raise PipelineException("the context has no tokens", index)
        own = slice(parts.index(1), parts.index(1) + count)
        cut = [position for position, part in enumerate(parts) if part == 0][options.max_question_len or len(parts) :]
        before = [token_id for position, token_id in enumerate(encoding.ids[: own.start]) if position not in cut]
        after = encoding.ids[own.stop :]
        ids, offsets, words = tuple(encoding.ids[own]), tuple(encoding.offsets[own]), tuple(encoding.word_ids[own])
        windows = self._windows(count, len(before) + len(after), index, options)
        return Passage(context, ids, offsets, words, tuple(before), tuple(after), tuple(windows))

    def _windows(self, count: int, others: int, index: int | None, options: SimpleNamespace) -> list[range]:
        """The windows over `count` tokens of a context, with `others` more tokens in each: as the tokenizers package
        cuts the second text of a pair ("only_second"), each window as long as possible."""
        max_seq_len, limit = self._max_seq_len(options), self.model.config.max_sequence_length
        room = max_seq_len - others
        if others + min(count, room) > limit:
            raise PipelineException(
                f"question and context have {others + count} tokens, max_seq_len is {max_seq_len}, and the model reads "
                f"at most {limit}; decrease max_seq_len",
                index,
            )
        if count <= room:
            return [range(count)]
        if room <= 0:
            raise PipelineException(
                f"the question has {others} tokens with its special tokens, and max_seq_len is {max_seq_len}, so there "
                "is no room for the context; shorten the question, or cut it with max_question_len",
                index,
            )
        stride = options.doc_stride
        if stride is None:
            stride = min(max_seq_len // 2, DOC_STRIDE)
            stride = stride if stride < room else room // 2  # where transformers fails
        if stride >= room:
            raise PipelineException(
                f"doc_stride is {stride}, and next to the question there is room for only {room} tokens of the "
                "context, so the windows would not advance; decrease doc_stride, or increase max_seq_len",
                index,
            )
        return cut_windows(count, room, stride, self.tokenizer.truncation_side)

    def _answer(self, items: Sequence[Passage], options: SimpleNamespace) -> list[Any]:
        sequences = [item.sequence(window) for item in items for window in item.windows]
        # At all positions: sequences of one length make one group then, however long their questions are.
        logits = iter(self.model.logits_at(sequences, [range(len(sequence)) for sequence in sequences]))  # (S, 2) each
        return [self._answer_of(item, logits, options) for item in items]

    def _answer_of(self, item: Passage, logits: Iterator[Array], options: SimpleNamespace) -> Any:
        """The answer to a question, or its answers. Takes the logits of its windows off the iterator."""
        # More than top_k, because several can belong to the same words: transformers' number.
        count = 2 * options.top_k + 10 if options.align_to_words else options.top_k
        answers: dict[str, Answer] = {}  # by the text in lower case
        impossible = []
        for window, rows in zip(item.windows, logits, strict=False):
            first = len(item.before)
            candidates = [0, *range(first, first + len(window))]  # <s>, and the context
            starts, ends = softmax(np.ascontiguousarray(rows[candidates].T))  # [C, 2] -> [2, C]
            impossible.append(float(starts[0] * ends[0]))
            for start_token, end_token, score in best_spans(starts[1:], ends[1:], count, options.max_answer_len):
                start, end = item.characters(window, start_token, end_token, options.align_to_words)
                text = item.context[start:end]
                answer: Answer = {"score": 0.0, "start": start, "end": end, "answer": text}
                answers.setdefault(text.lower(), answer)["score"] += score
        found = list(answers.values())
        if options.handle_impossible_answer:
            found.append({"score": min(impossible), "start": 0, "end": 0, "answer": ""})
        found = sorted(found, key=lambda answer: -answer["score"])[: options.top_k]
        return found[0] if len(found) == 1 else found


def best_spans(starts: Array, ends: Array, count: int, max_answer_len: int) -> list[tuple[int, int, float]]:
    """The spans of tokens with the largest product of the start's and the end's probability.

    Args:
        starts, ends: the probability of each token to be the first and the last, (N,) float32 each.
        count: maximum number of spans, of at most `max_answer_len` tokens each.

    Returns:
        The first token, the last token and the product, largest first; equal ones by their tokens.
    """
    tokens = len(starts)
    width = min(max_answer_len, tokens)
    padded = np.concatenate([ends, np.full(width - 1, -1, ends.dtype)])  # a token after the end scores below 0
    scores = starts[:, None] * np.lib.stride_tricks.sliding_window_view(padded, width)  # [N, W], of span lengths - 1
    scores[np.add.outer(np.arange(tokens), np.arange(width)) >= tokens] = -1
    best = [divmod(int(index), width) for index in top_k(scores.ravel(), count)]
    return [(first, first + more, float(scores[first, more])) for first, more in best if scores[first, more] >= 0]


def _pairs(question: Any, context: Any) -> Any:
    """A dict of question and context, or a list of them."""
    if isinstance(question, str) and isinstance(context, str):
        return {"question": question, "context": context}
    if isinstance(question, list | tuple) and isinstance(context, str):
        context = [context] * len(question)
    if isinstance(question, list | tuple) and isinstance(context, list | tuple):
        if len(question) != len(context):
            counts = f"there are {len(question)} questions and {len(context)} contexts"
            raise ValueError(f"Questions and contexts don't have the same lengths: {counts}")
        return [{"question": one, "context": text} for one, text in zip(question, context, strict=True)]
    raise TypeError(
        "Arguments can't be understood: question and context must be two strings, a list and a string or two lists, "
        f"not {type(question).__name__} and {type(context).__name__}; put several dicts into a list"
    )


def _question_and_context(item: Any, index: int | None) -> tuple[str, str]:
    if not isinstance(item, Mapping):
        what = f"a dict of question and context, not {type(item).__name__}: {item!r:.80}"
        raise InputTypeError(f"{name_of(index)} must be {what}")
    for key in ("question", "context"):
        if key not in item:
            raise MissingKeyError(f"{_ONE_OF_TWO}, and there is no {key}", index)
        if item[key] is None:
            raise PipelineException(f"`{key}` cannot be None", index)
        if not isinstance(item[key], str):
            what = f"a string, not {type(item[key]).__name__}: {item[key]!r:.80}"
            raise InputTypeError(f"the {key} of {name_of(index)} must be {what}")
        if not item[key]:
            raise PipelineException(f"`{key}` cannot be empty", index)
    return item["question"], item["context"]
