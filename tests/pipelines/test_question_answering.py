"""The question-answering pipeline: what transformers 4 answers, as scripts/record/question_answering.py recorded it;
where that one breaks or invents answers, what ours does."""

from __future__ import annotations

import hashlib
import itertools
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from distilroberta_np import (
    CheckpointError,
    PipelineException,
    RobertaForMaskedLM,
    RobertaForQuestionAnswering,
    pipeline,
)
from distilroberta_np.pipelines.question_answering import best_spans
from tests.support import answers
from tests.support.seeded import tokenizer_dict, write_json
from tests.support.seeded_question_answering import write_question_answering
from tests.support.tokenizer_folders import GENERIC

RECORDED = json.loads((Path(__file__).parents[1] / "data" / "question_answering.json").read_text(encoding="utf-8"))
CASES = RECORDED["cases"]

QUESTION, CONTEXT = "Where do I live?", "My name is Wolfgang and I live in Berlin. "
ONE = {"question": QUESTION, "context": CONTEXT}
OTHER = {"question": "What is my name?", "context": CONTEXT}
LONG = CONTEXT * 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_question_answering(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def oracle(folder):
    return pipeline("question-answering", folder)


@pytest.fixture(scope="module")
def cutting(folder):
    """The tokenizers package's own tokenizer, to be told where to cut."""
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def test_the_model_is_the_one_that_was_recorded(folder):
    weights = (folder / "model.safetensors").read_bytes()
    assert hashlib.sha256(weights).hexdigest() == RECORDED["sha256 of model.safetensors"], (
        "NumPy draws other numbers from the seed; run scripts/record/question_answering.py"
    )


assert_same = partial(answers.assert_same, rel=3e-5, abs=0)


def name_of(case):
    call = case.get("call", {"inputs": case.get("inputs")})
    return "-".join(f"{key}={value}" for key, value in call.items() if key not in ("question", "context"))[:60]


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_as_transformers_4_answers(oracle, case):
    if "call" not in case:
        assert_same(oracle(case["inputs"]), case["output"])
        return
    call = dict(case["call"])
    call.pop("max_question_len", None)  # which transformers takes and doesn't use
    assert_same(oracle(**call), case["output"])


def test_the_recorded_answers_are_worth_comparing():
    by_windows = [case for case in CASES if len(case.get("call", {}).get("context", "")) > 2000]
    assert len(by_windows) > 5
    answers = {
        (answer["start"], answer["end"]) for case in CASES for answer in np.ravel(case["output"]) if answer["answer"]
    }
    assert len(answers) > 50
    assert any(answer["answer"] == "" for case in CASES for answer in np.ravel(case["output"]))


@pytest.mark.parametrize(("max_seq_len", "doc_stride"), [(384, 128), (64, 0), (64, 50), (20, 3), (300, 280), (17, 1)])
@pytest.mark.parametrize("question", [QUESTION, " <mask> é🙂 "])
def test_windows_are_those_of_the_tokenizers_package(cutting, oracle, max_seq_len, doc_stride, question):
    """Ids, offsets and words: cut from the whole, as if the package had cut them."""
    cutting.enable_truncation(max_seq_len, stride=doc_stride, strategy="only_second")
    first = cutting.encode(question, LONG)
    item = oracle._read(
        {"question": question, "context": LONG},
        None,
        oracle._options(max_seq_len=max_seq_len, doc_stride=doc_stride),
    )
    assert len(item.windows) > 1
    for window, expected in zip(item.windows, [first, *first.overflowing], strict=True):
        assert item.sequence(window) == expected.ids
        positions = [position for position, part in enumerate(expected.sequence_ids) if part == 1]
        assert item.offsets[window.start : window.stop] == tuple(expected.offsets[position] for position in positions)
        assert item.words[window.start : window.stop] == tuple(expected.word_ids[position] for position in positions)


def test_a_word_is_as_much_of_it_as_the_window_has(oracle):
    """As transformers' word_to_chars, which sees one window."""
    context = "abcdefghijklmnopqrstuvwxyzqxjkvbzpwyfgm " * 3
    item = oracle._read({"question": "?", "context": context}, None, oracle._options(max_seq_len=12, doc_stride=2))
    for window in item.windows:
        positions = range(window.start, window.stop)
        for position in positions:
            of_word = [item.offsets[other] for other in positions if item.words[other] == item.words[position]]
            expected = (of_word[0][0], of_word[-1][1])
            assert item.characters(window, position - window.start, position - window.start, True) == expected
            assert (
                item.characters(window, position - window.start, position - window.start, False)
                == item.offsets[position]
            )


# -- spans -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tokens", [1, 2, 9])
@pytest.mark.parametrize("max_answer_len", [1, 4, 50])
@pytest.mark.parametrize("count", [1, 7, 1000])
def test_spans_are_the_best_of_all(tokens, max_answer_len, count):
    rng = np.random.default_rng([tokens, max_answer_len, count])
    starts, ends = rng.random((2, tokens), np.float32)
    every = [
        (first, last, float(starts[first] * ends[last]))
        for first in range(tokens)
        for last in range(first, min(first + max_answer_len, tokens))
    ]
    best = sorted(every, key=lambda span: -span[2])[:count]
    assert best_spans(starts, ends, count, max_answer_len) == best


def test_equal_spans_come_by_their_tokens_and_those_of_probability_0_are_spans_too():
    starts, ends = np.array([0.5, 0.5, 0], np.float32), np.array([0.5, 0, 0.5], np.float32)
    spans = best_spans(starts, ends, 10, 3)
    assert spans == [(0, 0, 0.25), (0, 2, 0.25), (1, 2, 0.25), (0, 1, 0), (1, 1, 0), (2, 2, 0)]


# -- inputs ------------------------------------------------------------------------------------------------------------


def test_every_way_to_ask(oracle):
    one, two = oracle(ONE), [oracle(ONE), oracle(OTHER)]
    assert one == oracle(question=QUESTION, context=CONTEXT) == oracle(QUESTION, CONTEXT)
    assert one["answer"] == CONTEXT[one["start"] : one["end"]] != ""
    assert_same(oracle([ONE, OTHER]), two)
    assert_same(oracle((ONE, OTHER)), two)
    assert_same(oracle(question=[QUESTION, OTHER["question"]], context=CONTEXT), two)
    assert_same(oracle(question=(QUESTION, OTHER["question"]), context=(CONTEXT, CONTEXT)), two)
    assert_same(oracle({"question": [QUESTION, OTHER["question"]], "context": CONTEXT}), two)
    assert_same(list(oracle(iter([ONE, OTHER]))), two)
    assert oracle(ONE | {"id": 5, "answers": []}) == one  # as records of data sets have it


def test_a_list_of_one_is_unwrapped_and_a_dict_of_lists_is_not(oracle):
    assert oracle([ONE]) == oracle(question=[QUESTION], context=CONTEXT) == oracle(ONE)
    assert oracle({"question": [QUESTION], "context": [CONTEXT]}) == [oracle(ONE)]
    assert list(oracle(iter([ONE]))) == [oracle(ONE)]


def test_an_iterator_is_read_as_its_results_are_consumed(oracle):
    read = []

    def inputs():
        for item in itertools.cycle([ONE, OTHER]):
            read.append(item)
            yield item

    answers = oracle(inputs())
    assert read == []
    assert next(answers) == oracle(ONE)
    assert read == [ONE]


def test_batches_change_nothing(oracle):
    questions = [ONE, {"question": QUESTION, "context": LONG}, OTHER, {"question": "Why?", "context": LONG}] * 2
    apart = [oracle(item) for item in questions]
    assert_same(oracle(questions), apart)
    assert_same(list(oracle(iter(questions), batch_size=3)), apart)


def test_defaults_are_given_when_the_pipeline_is_made(folder, oracle):
    made = pipeline("question-answering", folder, top_k=3, align_to_words=False, handle_impossible_answer=True)
    given = {"top_k": 3, "align_to_words": False, "handle_impossible_answer": True}
    assert made(ONE) == oracle(ONE, **given)
    assert made(ONE, top_k=1, align_to_words=True, handle_impossible_answer=False) == oracle(ONE)
    with pytest.raises(ValueError, match="top_k must be at least 1, not 0"):
        pipeline("question-answering", folder, top_k=0)


@pytest.mark.parametrize("given", [None, QUESTION])
def test_a_question_without_context(oracle, given):
    with pytest.raises(TypeError, match="a question needs its context"):
        oracle(given)


@pytest.mark.parametrize(
    ("question", "context"),
    [(QUESTION, [CONTEXT, CONTEXT]), (None, CONTEXT), (5, CONTEXT), (ONE, OTHER), ([QUESTION], 5), (iter("a"), "b")],
)
def test_arguments_that_can_not_be_understood(oracle, question, context):
    with pytest.raises(TypeError, match=r"Arguments can't be understood: .* not \w+ and"):
        oracle(question, context)


def test_lists_of_different_lengths_are_not_cut(oracle):
    for call in (
        {"question": [QUESTION], "context": [CONTEXT] * 2},
        {"question": [QUESTION] * 3, "context": [CONTEXT]},
    ):
        with pytest.raises(ValueError, match=r"don't have the same lengths: there are . questions and . contexts"):
            oracle(**call)
        with pytest.raises(ValueError, match="don't have the same lengths"):  # where transformers drops the rest
            oracle(call)


@pytest.mark.parametrize(
    ("item", "error", "words"),
    [
        ({"question": QUESTION}, PipelineException, "there is no context"),
        ({"context": CONTEXT}, PipelineException, "there is no question"),
        (ONE | {"question": None}, PipelineException, "`question` cannot be None"),
        (ONE | {"context": ""}, PipelineException, "`context` cannot be empty"),
        (ONE | {"question": ""}, PipelineException, "`question` cannot be empty"),
        (ONE | {"context": 5}, TypeError, "the context of input 1 must be a string, not int: 5"),
        (ONE | {"question": [QUESTION]}, TypeError, "the question of input 1 must be a string, not list"),
        (QUESTION, TypeError, "input 1 must be a dict of question and context, not str: 'Where"),
        (ONE | {"context": "a\ud800"}, PipelineException, r"U\+D800, half of a surrogate pair"),
    ],
)
def test_a_bad_input_is_named(oracle, item, error, words):
    with pytest.raises(error, match=words) as caught:
        oracle([ONE, item])
    assert "input 1" in str(caught.value)
    answers = oracle(iter([ONE, item]))
    assert next(answers) == oracle(ONE)
    with pytest.raises(error, match=words):
        next(answers)
    answered, failed, again = oracle.answers([ONE, item, OTHER])
    assert_same([answered, again], [oracle(ONE), oracle(OTHER)])
    assert isinstance(failed, error)


# -- arguments ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "smallest"),
    [
        ("top_k", 1),
        ("max_answer_len", 1),
        ("max_seq_len", 1),
        ("max_question_len", 1),
        ("doc_stride", 0),
        ("batch_size", 1),
    ],
)
def test_numbers_that_can_not_be(oracle, argument, smallest):
    with pytest.raises(ValueError, match=f"{argument} must be at least {smallest}, not {smallest - 1}"):
        oracle(ONE, **{argument: smallest - 1})
    for wrong in (2.5, "3", True):
        with pytest.raises(TypeError, match=f"{argument} must be an integer"):
            oracle(ONE, **{argument: wrong})


def test_other_arguments_that_can_not_be(oracle):
    for argument in ("handle_impossible_answer", "align_to_words"):
        with pytest.raises(TypeError, match=f"{argument} must be True or False, not 1"):
            oracle(ONE, **{argument: 1})
    with pytest.raises(ValueError, match=r"padding must be one of True, .*, not 'left'"):
        oracle(ONE, padding="left")
    with pytest.raises(ValueError, match=r"`doc_stride` \(13\) is larger than `max_seq_len` \(12\)"):
        oracle(ONE, max_seq_len=12, doc_stride=13)
    with pytest.raises(ValueError, match=r"`doc_stride` \(400\) is larger than `max_seq_len` \(384\)"):
        oracle(ONE, doc_stride=400)


def test_the_question_is_cut_to_max_question_len(oracle):
    """transformers has the argument and doesn't use it: its answer was recorded next to ours, of the whole question."""
    shorter = oracle.tokenizer.decode(oracle.tokenizer.encode(QUESTION, add_special_tokens=False)[:2])
    assert oracle(ONE, max_question_len=2) == oracle(shorter, CONTEXT) != oracle(ONE)
    assert oracle(ONE, max_question_len=100) == oracle(ONE)


def test_the_empty_answer_has_the_least_score_of_the_windows(oracle):
    answers = oracle(QUESTION, LONG, top_k=1000, handle_impossible_answer=True, align_to_words=False)
    (empty,) = (answer for answer in answers if answer["answer"] == "")
    assert (empty["start"], empty["end"]) == (0, 0)
    item = oracle._read({"question": QUESTION, "context": LONG}, None, oracle._options())
    assert len(item.windows) > 1
    scores = []
    sequences = [item.sequence(window) for window in item.windows]
    logits_at = oracle.model.logits_at(sequences, [range(len(sequence)) for sequence in sequences])
    for logits, window in zip(logits_at, item.windows, strict=True):
        before, count = len(item.before), window.stop - window.start
        seen = np.exp(logits[[0, *range(before, before + count)]].astype(np.float64))
        scores.append((seen[0] / seen.sum(axis=0)).prod())
    assert empty["score"] == pytest.approx(min(scores), rel=1e-4)
    assert max(scores) > 1.001 * min(scores)


def test_answers_that_are_none_are_not_made_up(oracle):
    """Where fewer spans are left than it looks for, transformers takes some of no probability that end before they
    begin, or begin at <s>: "" and "Ber" for "Berlin"."""
    answer = oracle("?", "Berlin", top_k=3)
    assert answer == oracle("?", "Berlin")  # the only one, so no list
    assert answer["answer"] == "Berlin"
    subwords = oracle("?", "Berlin", top_k=100, align_to_words=False)
    assert {subword["answer"] for subword in subwords} == {"Ber", "lin", "Berlin"}


# -- lengths -----------------------------------------------------------------------------------------------------------


def test_windows_too_long_for_the_model(oracle):
    assert oracle(ONE, max_seq_len=1000) == oracle(ONE)
    with pytest.raises(
        PipelineException, match=r"max_seq_len is 1000, and the model reads at most 512; .* \(input 1\)"
    ):
        oracle([ONE, {"question": QUESTION, "context": LONG * 2}], max_seq_len=1000)


def test_a_question_that_leaves_no_room(oracle):
    long = {"question": "where " * 400, "context": CONTEXT}
    with pytest.raises(PipelineException, match=r"has 40\d tokens .*, and max_seq_len is 384, so .*max_question_len"):
        oracle(long)
    assert oracle(long, max_question_len=50)["answer"]
    assert oracle(long, max_seq_len=512)["answer"]


def test_room_to_the_token(oracle):
    item = oracle._read(ONE, None, oracle._options())
    others = len(item.before) + len(item.after)
    with pytest.raises(PipelineException, match=f"has {others} tokens .*, and max_seq_len is {others}, so"):
        oracle(ONE, max_seq_len=others)
    assert oracle(ONE, max_seq_len=others + 1)["answer"]  # windows of a token each
    assert oracle(ONE, max_seq_len=2 * others)["answer"]  # half of it, as the default overlaps, is all the room


def test_an_overlap_as_long_as_the_window(oracle):
    """The default gives way where the question leaves little room; transformers breaks."""
    question = "where " * 300
    assert oracle(question, LONG)["answer"]
    with pytest.raises(PipelineException, match="doc_stride is 128, and next to the question there is room for only 7"):
        oracle(question, LONG, doc_stride=128)
    assert oracle(question, CONTEXT, doc_stride=128)["answer"]  # one window, so nothing overlaps


def test_a_model_that_reads_less_than_the_default(tmp_path, folder):
    model = RobertaForQuestionAnswering.from_pretrained(folder)
    write_json(tmp_path / "tokenizer_config.json", {"model_max_length": 100})
    (tmp_path / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    oracle = pipeline("question-answering", model, tmp_path)
    item = oracle._read({"question": QUESTION, "context": LONG}, None, oracle._options())
    assert max(len(item.sequence(window)) for window in item.windows) == 100
    assert item.windows[1].start == item.windows[0].stop - 50  # half of what is read


def test_a_context_of_no_tokens(tmp_path, folder):
    write_json(
        tmp_path / "tokenizer.json",
        tokenizer_dict() | {"normalizer": {"type": "Strip", "strip_left": True, "strip_right": True}},
    )
    write_json(tmp_path / "tokenizer_config.json", GENERIC)
    oracle = pipeline("question-answering", RobertaForQuestionAnswering.from_pretrained(folder), tmp_path)
    with pytest.raises(PipelineException, match="the context has no tokens"):
        oracle("?", "   ")
    assert oracle("   ", "cat")["answer"] == "cat"


def test_scores_that_are_no_numbers(tmp_path):
    folder = write_question_answering(tmp_path, scale=1e38)
    with (
        np.errstate(over="ignore", invalid="ignore"),
        pytest.raises(CheckpointError, match="the logits contain NaN or infinity"),
    ):
        pipeline("question-answering", folder)(ONE)


def test_another_model_can_not_answer(folder):
    with pytest.raises(TypeError, match="not RobertaForMaskedLM"):
        pipeline("question-answering", RobertaForMaskedLM.from_pretrained(folder), folder)
    with pytest.raises(ValueError, match="question-answering needs a fine-tuned model"):
        pipeline("question-answering")
