"""Fine-tuning a model to answer questions with a part of a text, or not at all: SQuAD (Rajpurkar et al. 2016, 2018)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tokenizers import Encoding

from ...checkpoint.keys import question_answering_keys as head_keys
from ...config import RobertaConfig
from ...errors import TokenizerError
from ...layers.params import Array
from ...models import RobertaForQuestionAnswering as Model
from ...tokenizer import RobertaTokenizer
from ..data.labelled import Bad, Question, read_squad
from ..examples import Example, predict
from ..finetune_settings import FinetuneSettings
from ..head_gradients import question_answering_gradients as gradients
from ..metrics.squad import squad_scores

__all__ = ["Model", "count", "encode", "gradients", "head_keys", "learn", "measure", "metric_names", "read"]

MOST_ANSWER_TOKENS = 30  # as the reference's script for SQuAD


def read(path: Path, settings: FinetuneSettings, bad: Bad) -> list[Question]:
    return read_squad(path, bad)


def learn(
    rows: Sequence[Question], config: RobertaConfig, settings: FinetuneSettings, say: Callable[[str], None]
) -> RobertaConfig:
    return replace(config, labels=None, problem_type=None)


def encode(
    rows: Sequence[Question],
    tokenizer: RobertaTokenizer,
    config: RobertaConfig,
    settings: FinetuneSettings,
    longest: int,
    bad: Bad,
    say: Callable[[str], None],
) -> list[Example]:
    """`<s> question </s></s> context </s>`, with as many windows over the context as it takes, neighbours sharing
    `doc_stride` tokens. A window without the whole answer, or a question without one, has `<s>` as both ends."""

    @functools.lru_cache(maxsize=1)  # of the many questions on one
    def context_of(text: str) -> tuple[Encoding, Array]:
        encoding = tokenizer.encode(text, add_special_tokens=False)
        return encoding, np.array(encoding.offsets).reshape(-1, 2)

    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    examples: list[Example] = []
    several = 0
    for number, row in enumerate(rows):
        try:
            question = tokenizer.encode(row.question.strip(), add_special_tokens=False).ids
            encoding, offsets = context_of(row.context)
        except TokenizerError as error:
            bad(f"{row.place}: {error}")
            continue
        room = longest - len(question) - 4
        if room <= settings.doc_stride and room < len(encoding.ids):
            bad(
                f"{row.place}: its {len(question)} tokens leave {max(room, 0)} of {longest} for the context, and "
                f"neighbouring windows are to share {settings.doc_stride}; choose a larger max_length, or a smaller "
                "doc_stride"
            )
            continue
        answer = None
        if row.answers:
            text, start = row.answers[0]
            # The last token that begins no later, and the first that ends no sooner.
            first = int(np.searchsorted(offsets[:, 0], start, side="right")) - 1
            last = int(np.searchsorted(offsets[:, 1], start + len(text)))
            answer = (max(first, 0), min(last, len(offsets) - 1))
        before = len(question) + 3  # tokens
        step, begin = room - settings.doc_stride, 0
        while True:
            end = min(begin + room, len(encoding.ids))
            ids = [bos, *question, eos, eos, *encoding.ids[begin:end], eos]
            places = np.full((len(ids), 2), -1)
            places[before : before + end - begin] = offsets[begin:end]
            inside = answer is not None and begin <= answer[0] and answer[1] < end
            ends = np.array(answer) - begin + before if inside else np.zeros(2, np.int64)
            examples.append(Example(np.array(ids, np.int64), ends, number, places))
            if end == len(encoding.ids):
                break
            begin += step
        several += begin > 0
    if several:
        say(f"{several:,} of {len(rows):,} questions are longer than {longest} tokens, and go in windows")
    return examples


def count(labels: Sequence[Array]) -> tuple[int, int]:
    return len(labels), len(labels)  # all are inside their windows


def metric_names(config: RobertaConfig) -> tuple[str, ...]:
    """What `measure` gives; the first is what the best checkpoint is chosen by, unless told otherwise."""
    return ("f1", "exact")


def measure(model: Model, rows: Sequence[Question], examples: Sequence[Example]) -> dict[str, float]:
    """How good a model's answers are, in percent, as SQuAD's own script counts."""
    answers = {str(number): text for number, text in answer(model, rows, examples).items()}
    wanted = {number: [text for text, _ in rows[int(number)].answers] for number in answers}
    scores = squad_scores(answers, wanted)
    return {name: scores[name] for name in metric_names(model.config)}


def answer(model: Model, rows: Sequence[Question], examples: Sequence[Example]) -> dict[int, str]:
    """The best answer to each question of the examples, by its row; empty where that there is none scores higher.

    A part of the context scores as much as its first token as a start and its last as an end together, and "no answer"
    as `<s>` does as both, in the window where that is least (Devlin et al. 2018, section 4.3). "No answer" is an answer
    only where some question of the rows has none.
    """
    all_places = [range(len(example.ids)) for example in examples]
    logits = predict(model, model.logits, examples, all_places)
    best: dict[int, tuple[float, str]] = {}
    none: dict[int, float] = {}
    for example, scores in zip(examples, logits, strict=True):
        assert example.offsets is not None
        start, end = scores.T.astype(np.float64)  # [S] each
        none[example.row] = min(none.get(example.row, np.inf), float(start[0] + end[0]))
        places = np.flatnonzero(example.offsets[:, 0] >= 0)  # of the context, which are neighbours
        start, end, offsets = start[places], end[places], example.offsets[places]
        spans = start[:, None] + end[None, :]
        lengths = np.arange(len(places))[None, :] - np.arange(len(places))[:, None] + 1
        spans[(lengths < 1) | (lengths > MOST_ANSWER_TOKENS)] = -np.inf
        first, last = np.unravel_index(int(spans.argmax()), spans.shape)
        score = float(spans[first, last])
        if example.row not in best or score > best[example.row][0]:
            best[example.row] = (score, rows[example.row].context[offsets[first, 0] : offsets[last, 1]])
    may_be_none = not all(row.answers for row in rows)
    return {number: "" if may_be_none and none[number] > score else text for number, (score, text) in best.items()}
