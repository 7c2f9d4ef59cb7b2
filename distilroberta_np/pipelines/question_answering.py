"""`QuestionAnsweringPipeline`: a question and a text that answers it in, the part of the text that is the answer out.

A model fine-tuned for it scores every token as the first and as the last one of the answer (Devlin et al. 2018, "BERT",
section 4.2). A text that is too long is read in windows that overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ..errors import CheckpointError, PipelineException
from ..layers.activation import softmax
from ..layers.params import Array
from ..models import RobertaForQuestionAnswering
from ..tokenizer import RobertaTokenizer
from .base import Pipeline, as_boolean, as_integer, place_of
from .beam_search import top

# The reference's defaults.
_MAX_SEQ_LEN = 384
_DOC_STRIDE = 128
_PADDING = (True, False, "longest", "max_length", "do_not_pad")
# Tokens whose vectors are held at a time: 100 MB for vectors of 768 numbers.
_MOST_TOKENS = 32_768
# The reference's words.
_ONE_OF_TWO = "You need to provide a dictionary with keys {question:..., context:...}"


@dataclass(frozen=True)
class Options:
    """The arguments of a call, checked. `QuestionAnsweringPipeline.__call__` says what they mean."""

    top_k: int = 1
    doc_stride: int | None = None
    max_answer_len: int = 15
    max_seq_len: int | None = None
    max_question_len: int | None = None
    handle_impossible_answer: bool = False
    align_to_words: bool = True
    batch_size: int | None = None


class Window(NamedTuple):
    """The tokens of a context, from start to before end, that are read together."""

    start: int
    end: int


@dataclass(frozen=True)
class Passage:
    """A question and its context made ready. All but `before` and `behind` is of the context's tokens."""

    context: str
    ids: list[int]
    offsets: list[tuple[int, int]]  # in characters
    words: list[int | None]  # the number of the word that a token is a piece of
    before: list[int]  # <s>, the question and </s></s>
    behind: list[int]  # </s>
    windows: list[Window]

    def sequence(self, window: Window) -> list[int]:
        """The ids that the model reads."""
        return [*self.before, *self.ids[window.start : window.end], *self.behind]

    def characters(self, window: Window, first: int, last: int, align_to_words: bool) -> tuple[int, int]:
        """Where the tokens from `first` to `last` of a window begin and end in the context; with `align_to_words` the
        words that they are pieces of, as far as the window has them."""
        first, last = window.start + first, window.start + last
        if align_to_words:
            while first > window.start and self.words[first - 1] == self.words[first]:
                first -= 1
            while last + 1 < window.end and self.words[last + 1] == self.words[last]:
                last += 1
        return self.offsets[first][0], self.offsets[last][1]


class QuestionAnsweringPipeline(Pipeline):
    """Answers questions by parts of texts, as the question-answering pipeline of transformers 4 does.

    Args:
        model: fine-tuned for answering questions.
        tokenizer: its tokenizer.
        **parameters: defaults for the keyword arguments of `__call__`.

    Raises:
        PipelineException: model and tokenizer don't belong together.
    """

    task = "question-answering"

    def __init__(self, model: RobertaForQuestionAnswering, tokenizer: RobertaTokenizer, **parameters: Any) -> None:
        super().__init__(model, tokenizer)
        self._defaults = Options()
        self._defaults = self._parameters(**parameters)

    def __call__(
        self,
        question: str | Sequence[str] | Mapping[str, Any] | Iterable[Mapping[str, Any]] | None = None,
        context: str | Sequence[str] | None = None,
        *,
        top_k: int | None = None,
        doc_stride: int | None = None,
        max_answer_len: int | None = None,
        max_seq_len: int | None = None,
        max_question_len: int | None = None,
        handle_impossible_answer: bool | None = None,
        align_to_words: bool | None = None,
        padding: bool | str | None = None,
        batch_size: int | None = None,
    ) -> Any:
        """Answer one question, or many.

        Args:
            question: a question, or a list of them. Or, without `context`, both: a dict of `question` and `context`
                (anything else in it is left alone), a list of such dicts, or any other iterable of them, which is read
                as its results are asked for.
            context: the text that has the answer; for a list of questions one text for all, or a list with one each.
            top_k: how many answers a question, at most; 1 if None.
            doc_stride: by how many tokens the windows of a long context overlap; if None 128, or less where the windows
                are short.
            max_answer_len: most tokens of an answer; 15 if None.
            max_seq_len: most tokens of a window, the question and special tokens included; if None 384, or what the
                model reads if that is less.
            max_question_len: cut the question to so many tokens; if None it stays whole. (The reference takes this
                argument and never uses it, with tokenizers of this kind.)
            handle_impossible_answer: let the empty answer be one too: its score is that of `<s>` as the start and the
                end, in the window where that is least.
            align_to_words: let answers begin and end where words do.
            padding: as transformers takes it; there is none here, and it changes no answer.
            batch_size: how many inputs of an iterator are read ahead, to be computed together; 1 if None. Lists don't
                need it.

        Returns:
            For a question its answer, a dict of `score`, `start` and `end` (where it is in the context, in characters)
            and `answer` (that part of it). With a greater `top_k` a list of them, best first, unless there is only one.
            A score is the product of the start's and the end's probability, each by a softmax over the context's tokens
            in the window and `<s>`. Answers that are the same but for case are one, whose score is the sum: it can
            exceed 1 where windows overlap.
            For a list, a list of those (of one question: that question's own); for another iterable, an iterator over
            them.

        Raises:
            PipelineException: a question or context is empty or missing, or there is no room for the context beside the
                question; its `index` says which. Of a list, nothing is computed then; of an iterator, the inputs before
                it are answered first.
            TypeError: an input or argument of the wrong type.
            ValueError: an argument out of range, or lists of different lengths.
            CheckpointError: the model's scores are not finite.
        """
        options = self._options(
            top_k=top_k,
            doc_stride=doc_stride,
            max_answer_len=max_answer_len,
            max_seq_len=max_seq_len,
            max_question_len=max_question_len,
            handle_impossible_answer=handle_impossible_answer,
            align_to_words=align_to_words,
            padding=padding,
            batch_size=batch_size,
        )
        if isinstance(question, Mapping) and isinstance(question.get("question"), list) and context is None:
            # A dict of lists: the one list whose answer stays a list if it is of one, as in the reference.
            return super()._answer_list(_pairs(question["question"], question.get("context")), options)
        return self._run(question if context is None else _pairs(question, context), options)

    # -- arguments ---------------------------------------------------------------------------------------------

    def _options(self, **parameters: Any) -> Options:
        return self._parameters(**parameters)

    def _parameters(
        self,
        *,
        top_k: int | None = None,
        doc_stride: int | None = None,
        max_answer_len: int | None = None,
        max_seq_len: int | None = None,
        max_question_len: int | None = None,
        handle_impossible_answer: bool | None = None,
        align_to_words: bool | None = None,
        padding: bool | str | None = None,
        batch_size: int | None = None,
    ) -> Options:
        """The arguments of a call on top of the pipeline's defaults. None means: as the default."""
        numbers = {
            "top_k": (top_k, 1),
            "doc_stride": (doc_stride, 0),
            "max_answer_len": (max_answer_len, 1),
            "max_seq_len": (max_seq_len, 1),
            "max_question_len": (max_question_len, 1),
            "batch_size": (batch_size, 1),
        }
        switches = {"handle_impossible_answer": handle_impossible_answer, "align_to_words": align_to_words}
        given: dict[str, Any] = {
            name: as_integer(name, value, smallest=smallest)
            for name, (value, smallest) in numbers.items()
            if value is not None
        }
        given |= {name: as_boolean(name, value) for name, value in switches.items() if value is not None}
        if padding is not None and padding not in _PADDING:
            raise ValueError(f"padding must be one of {', '.join(map(repr, _PADDING))}, not {padding!r:.80}")
        options = replace(self._defaults, **given)
        max_seq_len = self._max_seq_len(options)
        if options.doc_stride is not None and options.doc_stride > max_seq_len:
            raise ValueError(f"`doc_stride` ({options.doc_stride}) is larger than `max_seq_len` ({max_seq_len})")
        return options

    def _max_seq_len(self, options: Options) -> int:
        return options.max_seq_len or min(self.max_length, _MAX_SEQ_LEN)

    # -- reading -----------------------------------------------------------------------------------------------

    def _is_one(self, inputs: Any) -> bool:
        return isinstance(inputs, Mapping)

    def _run(self, inputs: Any, options: Options) -> Any:
        if inputs is None or isinstance(inputs, str):
            raise TypeError("a question needs its context: give both, or a dict of question and context")
        return super()._run(inputs, options)

    def _answer_list(self, inputs: Sequence[Any], options: Options) -> Any:
        answers = super()._answer_list(inputs, options)
        return answers[0] if len(answers) == 1 else answers

    def _read(self, item: Any, index: int | None, options: Options) -> Passage:
        question, context = _question_and_context(item, index)
        encoding = self._encode(question, index, context)
        parts = encoding.sequence_ids  # 0 for the question's tokens, 1 for the context's, None for special ones
        count = parts.count(1)
        if count == 0:
            raise PipelineException("the tokenizer makes no tokens of the context", index)
        start = parts.index(1)
        end = start + count
        asked = [place for place, part in enumerate(parts) if part == 0]
        cut = set() if options.max_question_len is None else set(asked[options.max_question_len :])
        before = [token_id for place, token_id in enumerate(encoding.ids[:start]) if place not in cut]
        behind = encoding.ids[end:]
        return Passage(
            context,
            encoding.ids[start:end],
            encoding.offsets[start:end],
            encoding.word_ids[start:end],
            before,
            behind,
            self._windows(count, len(before) + len(behind), index, options),
        )

    def _windows(self, count: int, beside: int, index: int | None, options: Options) -> list[Window]:
        """The windows of a context of so many tokens, with so many others in each: as the tokenizers package cuts the
        second text of a pair ("only_second"), each window as long as can be."""
        max_seq_len, most = self._max_seq_len(options), self.model.config.max_sequence_length
        room = max_seq_len - beside
        if beside + min(count, room) > most:
            raise PipelineException(
                f"question and context have {beside + count} tokens, max_seq_len is {max_seq_len}, and the model reads "
                f"at most {most}; make max_seq_len smaller",
                index,
            )
        if count <= room:
            return [Window(0, count)]
        if room <= 0:
            raise PipelineException(
                f"the question has {beside} tokens with its special tokens, and max_seq_len is {max_seq_len}, so there "
                "is no room for the context; shorten the question, or cut it with max_question_len",
                index,
            )
        stride = options.doc_stride
        if stride is None:
            stride = min(max_seq_len // 2, _DOC_STRIDE)
            # The reference breaks here.
            stride = stride if stride < room else room // 2
        if stride >= room:
            raise PipelineException(
                f"doc_stride is {stride}, and beside the question there is room for only {room} tokens of the context, "
                "so a window would be no further than the one before; make doc_stride smaller, or max_seq_len greater",
                index,
            )
        return [Window(start, min(start + room, count)) for start in range(0, count - stride, room - stride)]

    # -- answering ---------------------------------------------------------------------------------------------

    def _answer(self, items: list[Passage], options: Options) -> list[Any]:
        sequences = [item.sequence(window) for item in items for window in item.windows]
        logits = iter(self._logits(sequences))
        return [self._answer_of(item, logits, options) for item in items]

    def _logits(self, sequences: list[list[int]]) -> list[Array]:
        """The scores of each token as the start and the end: (S, 2) float32 for each sequence."""
        logits: dict[int, Array] = {}
        for block in _blocks(sequences):
            some = [sequences[place] for place in block]
            # At all places: texts of one length make one group then, however long their questions are.
            places = [range(len(sequence)) for sequence in some]
            vectors = self.model.encode(some, places)
            for place, rows in zip(block, vectors, strict=True):
                logits[place] = self.model.logits(rows)  # [S, H] -> [S, 2]
                if not np.isfinite(logits[place]).all():
                    raise CheckpointError(
                        "the model's scores are not finite: its weights are too large, so they are damaged"
                    )
        return [logits[place] for place in range(len(sequences))]

    def _answer_of(self, item: Passage, logits: Iterator[Array], options: Options) -> Any:
        """The answer to a question, or its answers. Takes the scores of its windows off the iterator."""
        # More than are wanted, as several can be pieces of the same words: the reference's number.
        count = 2 * options.top_k + 10 if options.align_to_words else options.top_k
        answers: dict[str, dict[str, Any]] = {}  # by the text, without regard to case
        impossible = []
        for window, scores in zip(item.windows, logits, strict=False):
            first = len(item.before)
            candidates = [0, *range(first, first + window.end - window.start)]  # <s>, and the context
            starts, ends = softmax(np.ascontiguousarray(scores[candidates].T))  # [C, 2] -> [2, C]
            impossible.append(float(starts[0] * ends[0]))
            for start_token, end_token, score in likeliest_spans(starts[1:], ends[1:], count, options.max_answer_len):
                start, end = item.characters(window, start_token, end_token, options.align_to_words)
                text = item.context[start:end]
                answer = {"score": 0.0, "start": start, "end": end, "answer": text}
                answers.setdefault(text.lower(), answer)["score"] += score
        found = list(answers.values())
        if options.handle_impossible_answer:
            found.append({"score": min(impossible), "start": 0, "end": 0, "answer": ""})
        found = sorted(found, key=lambda answer: -answer["score"])[: options.top_k]
        return found[0] if len(found) == 1 else found


def _blocks(sequences: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """The places of the sequences in their list, by length, as many at a time as may be computed together."""
    block: list[int] = []
    tokens = 0
    for place in sorted(range(len(sequences)), key=lambda place: len(sequences[place])):
        tokens += len(sequences[place])
        if block and tokens > _MOST_TOKENS:
            yield block
            block, tokens = [], len(sequences[place])
        block.append(place)
    if block:
        yield block


def likeliest_spans(starts: Array, ends: Array, count: int, max_answer_len: int) -> list[tuple[int, int, float]]:
    """The spans of tokens with the greatest product of the start's and the end's probability.

    Args:
        starts, ends: the probability of each token to be the first and the last, (N,) float32 each.
        count: how many spans, at most.
        max_answer_len: most tokens of a span.

    Returns:
        The first token, the last token and the product, greatest first; equal ones by their tokens.
    """
    tokens = len(starts)
    width = min(max_answer_len, tokens)
    padded = np.concatenate([ends, np.full(width - 1, -1, ends.dtype)])  # what lies behind the end scores below 0
    scores = starts[:, None] * np.lib.stride_tricks.sliding_window_view(padded, width)  # [N, W], of span lengths - 1
    scores[np.add.outer(np.arange(tokens), np.arange(width)) >= tokens] = -1
    best = [divmod(int(place), width) for place in top(scores.ravel(), count)]
    return [(first, first + more, float(scores[first, more])) for first, more in best if scores[first, more] >= 0]


def _pairs(question: Any, context: Any) -> Any:
    """A dict of question and context, or a list of them."""
    if isinstance(question, str) and isinstance(context, str):
        return {"question": question, "context": context}
    if isinstance(question, list | tuple) and isinstance(context, str):
        return [{"question": one, "context": context} for one in question]
    if isinstance(question, list | tuple) and isinstance(context, list | tuple):
        if len(question) != len(context):
            raise ValueError(
                f"Questions and contexts don't have the same lengths: there are {len(question)} questions and "
                f"{len(context)} contexts"
            )
        return [{"question": one, "context": text} for one, text in zip(question, context, strict=True)]
    raise TypeError(
        "Arguments can't be understood: question and context must be two strings, a list and a string or two lists, "
        f"not a {type(question).__name__} and a {type(context).__name__}; several dicts belong into a list"
    )


def _question_and_context(item: Any, index: int | None) -> tuple[str, str]:
    if not isinstance(item, Mapping):
        raise TypeError(
            f"{place_of(index)} must be a dict of question and context, not a {type(item).__name__}: {item!r:.80}"
        )
    for key in ("question", "context"):
        if key not in item:
            raise PipelineException(f"{_ONE_OF_TWO}, and there is no {key}", index)
        if item[key] is None:
            raise PipelineException(f"`{key}` cannot be None", index)
        if not isinstance(item[key], str):
            raise TypeError(
                f"the {key} of {place_of(index)} must be a string, not a {type(item[key]).__name__}: {item[key]!r:.80}"
            )
        if not item[key]:
            raise PipelineException(f"`{key}` cannot be empty", index)
    return item["question"], item["context"]
