"""Fine-tuning a model to answer questions with a span of a text, or with no answer: SQuAD (Rajpurkar et al. 2016,
2018)."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Encoding

from ...config import RobertaConfig
from ...errors import TokenizerError
from ...layers.params import Array
from ...models.question_answering import RobertaForQuestionAnswering
from ..data.questions import Question, read_squad
from ..metrics.squad import squad_scores
from . import Context, Example, Task, predict

MAX_ANSWER_TOKENS = 30  # as in transformers' script for SQuAD


class QuestionAnswering(Task[Question]):
    model_class = RobertaForQuestionAnswering
    default_max_length = 384

    def read(self, path: Path, context: Context) -> list[Question]:
        return read_squad(path, context.bad)

    def configure(self, rows: Sequence[Question], config: RobertaConfig, context: Context) -> RobertaConfig:
        return config.with_labels(None, None)

    def encode(self, rows: Sequence[Question], config: RobertaConfig, context: Context) -> list[Example]:
        """`<s> question </s></s> context </s>`, with as many windows over the context as needed; neighbouring windows
        share `doc_stride` tokens. A window without the whole answer has `<s>` as both ends of the answer."""

        @functools.lru_cache(maxsize=1)  # as many questions follow each other on one context
        def context_of(text: str) -> tuple[Encoding, Array]:
            encoding = tokenizer.encoding(text, add_special_tokens=False)
            return encoding, np.array(encoding.offsets).reshape(-1, 2)

        tokenizer, longest, stride = context.tokenizer, context.max_length, context.settings.doc_stride
        bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
        examples: list[Example] = []
        long = 0
        for index, row in enumerate(rows):
            try:
                question = tokenizer.encode(row.question.strip(), add_special_tokens=False)
                encoding, offsets = context_of(row.context)
            except TokenizerError as error:
                context.bad(f"{row.location}: {error}")
                continue
            room = longest - len(question) - 4
            if room <= stride and room < len(encoding.ids):
                context.bad(
                    f"{row.location}: its {len(question)} tokens leave {max(room, 0)} of {longest} for the context, "
                    f"but neighbouring windows share {stride}; use a larger --max-length or a smaller --doc-stride"
                )
                continue
            answer = None
            if row.answers:
                text, start = row.answers[0]
                # The last token that begins no later than the answer, and the first that ends no sooner.
                first = int(np.searchsorted(offsets[:, 0], start, side="right")) - 1
                last = int(np.searchsorted(offsets[:, 1], start + len(text)))
                answer = (max(first, 0), min(last, len(offsets) - 1))
            before = len(question) + 3  # tokens before the context
            begin = 0
            while True:
                end = min(begin + room, len(encoding.ids))
                ids = [bos, *question, eos, eos, *encoding.ids[begin:end], eos]
                characters = np.full((len(ids), 2), -1)
                characters[before : before + end - begin] = offsets[begin:end]
                inside = answer is not None and begin <= answer[0] and answer[1] < end
                ends = np.array(answer) - begin + before if inside else np.zeros(2, np.int64)
                examples.append(Example(np.array(ids, np.int64), ends, index, characters))
                if end == len(encoding.ids):
                    break
                begin += room - stride
            long += begin > 0
        if long:
            context.say(f"{long:,} of {len(rows):,} questions are longer than {longest} tokens: split into windows")
        return examples

    def count(self, labels: Sequence[Array]) -> tuple[int, int]:
        return len(labels), len(labels)  # all lie inside their windows

    def metric_names(self, config: RobertaConfig) -> tuple[str, ...]:
        return ("f1", "exact")

    def evaluate(
        self, model: RobertaForQuestionAnswering, rows: Sequence[Question], examples: Sequence[Example]
    ) -> dict[str, float]:
        """Compute the metrics in percent, as SQuAD's own script does."""
        answers = {str(row): text for row, text in answer(model, rows, examples).items()}
        references = {row: [text for text, _ in rows[int(row)].answers] for row in answers}
        scores = squad_scores(answers, references)
        return {name: scores[name] for name in self.metric_names(model.config)}


TASK = QuestionAnswering()


def answer(model: RobertaForQuestionAnswering, rows: Sequence[Question], examples: Sequence[Example]) -> dict[int, str]:
    """The best answer to each question, by row; empty if "no answer" scores higher.

    The score of a span is the start logit of its first token plus the end logit of its last. The score of "no answer"
    is that of `<s>` as both, in the window where it is lowest (Devlin et al. 2018, section 4.3). "No answer" is only
    possible if some question of the data has none.
    """
    logits = predict(model, examples, [range(len(example.ids)) for example in examples])
    best: dict[int, tuple[float, str]] = {}
    none: dict[int, float] = {}
    for example, scores in zip(examples, logits, strict=True):
        assert example.offsets is not None
        start, end = scores.T.astype(np.float64)  # [S] each
        none[example.row] = min(none.get(example.row, np.inf), float(start[0] + end[0]))
        in_context = np.flatnonzero(example.offsets[:, 0] >= 0)  # consecutive positions
        start, end, offsets = start[in_context], end[in_context], example.offsets[in_context]
        spans = start[:, None] + end[None, :]
        lengths = np.arange(len(in_context))[None, :] - np.arange(len(in_context))[:, None] + 1
        spans[(lengths < 1) | (lengths > MAX_ANSWER_TOKENS)] = -np.inf
        first, last = np.unravel_index(int(spans.argmax()), spans.shape)
        score = float(spans[first, last])
        if example.row not in best or score > best[example.row][0]:
            best[example.row] = (score, rows[example.row].context[offsets[first, 0] : offsets[last, 1]])
    may_be_none = not all(row.answers for row in rows)
    return {row: "" if may_be_none and none[row] > score else text for row, (score, text) in best.items()}
