"""Cases of the fuzzer: calls of the public interface with odd texts and arguments."""

from __future__ import annotations

import io
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from distilroberta_np import (
    CrossEncoder,
    RobertaModel,
    RobertaTokenizer,
    SentenceEncoder,
    cli,
    compare_groups,
    pipeline,
)
from distilroberta_np.analysis import PseudoLikelihoodScorer, logit_lens, trace
from tests.fuzz.files import TARGETS, Case
from tests.fuzz.mutations import ODD_NUMBERS, ODD_TEXTS, odd_value
from tests.support.seeded import write_model

WORDS = (
    "the", " cat", " sat", "on", "<mask>", " <mask>", " ", "\n", "\t", "a", "é", "🙂", "日", "\u202e", "\x1b[2J", "'s",
)  # fmt: skip
# The arguments of each pipeline, with values that are right and values at their edges.
COUNTS = (None, 0, 1, 2, 3, 5, -1, 10**9, True, 1.5, "2")
FLAGS = (None, True, False, 0, 1, "yes")
ARGUMENTS: dict[str, dict[str, tuple[Any, ...]]] = {
    "fill-mask": {
        "top_k": COUNTS, "targets": (None, [" cat"], "the", [], [""], ["Ġcat"], [1], " cat"), "batch_size": COUNTS,
        "truncation": (*FLAGS, "longest_first"), "whole_words": FLAGS, "joint": FLAGS, "keep_text": FLAGS,
        "tokenizer_kwargs": (None, {}, {"truncation": True}, {"max_length": 5}, {"padding": True}, {"x": 1}, 3),
    },
    "text-classification": {
        "top_k": COUNTS, "function_to_apply": (None, "softmax", "sigmoid", "none", "x", 1), "batch_size": COUNTS,
        "truncation": FLAGS, "max_length": COUNTS,
    },
    "zero-shot-classification": {
        "candidate_labels": (["a"], ["a", "the"], "a, the", [], "", None, [1], ["a", "a"]), "multi_label": FLAGS,
        "hypothesis_template": ("This is {}.", "{}", "none", "{0}{1}", "{", None, 1, "{x}"), "batch_size": COUNTS,
    },
    "ner": {
        "aggregation_strategy": (None, "none", "simple", "first", "average", "max", "x", 1), "stride": COUNTS,
        "ignore_labels": (None, [], ["O"], "O", [1], 1), "batch_size": COUNTS,
    },
    "question-answering": {
        "top_k": COUNTS, "max_answer_len": COUNTS, "max_seq_len": COUNTS, "doc_stride": COUNTS,
        "max_question_len": COUNTS, "handle_impossible_answer": FLAGS, "align_to_words": FLAGS,
    },
    "feature-extraction": {"return_tensors": FLAGS, "truncation": FLAGS, "batch_size": COUNTS},
}  # fmt: skip
FOLDERS = {
    "fill-mask": "masked lm",
    "feature-extraction": "masked lm",
    "text-classification": "classifier",
    "zero-shot-classification": "zero-shot",
    "ner": "tagger",
    "question-answering": "questions",
}
COMMANDS = (
    "fill-mask", "text-classification", "token-classification", "feature-extraction", "info", "bias", "encode", "score",
)  # fmt: skip


def odd_text(rng: random.Random) -> Any:
    kind = rng.random()
    if kind < 0.05:
        return odd_value(rng)
    if kind < 0.2:
        return rng.choice(ODD_TEXTS)
    text = "".join(rng.choices(WORDS, k=rng.choice((1, 3, 8, 30))))
    return text + "<mask>" if kind < 0.6 else text


def odd_inputs(rng: random.Random) -> Any:
    kind = rng.randrange(8)
    if kind < 4:
        return odd_text(rng)
    texts = [odd_text(rng) for _ in range(rng.choice((0, 1, 2, 5)))]
    return texts if kind < 6 else tuple(texts) if kind == 6 else iter(texts)


def odd_arguments(rng: random.Random, choices: dict[str, tuple[Any, ...]]) -> dict[str, Any]:
    names = rng.sample(sorted(choices), k=min(len(choices), rng.choice((0, 1, 1, 2, 3))))
    return {name: rng.choice(choices[name]) for name in names}


def consume(answer: Any) -> Any:
    """An answer, with iterators read to their end."""
    return list(answer) if hasattr(answer, "__next__") else answer


def check_numbers(answer: Any) -> None:
    """No answer holds NaN or infinity. (Scores may be logits, or sums of probabilities.)"""
    if isinstance(answer, dict):
        answer = list(answer.values())
    if isinstance(answer, list | tuple):
        for part in answer:
            check_numbers(part)
    elif isinstance(answer, float | np.ndarray):
        assert np.isfinite(answer).all(), answer


class Calls:
    """Makes cases of calls on small models, which are loaded once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in (*FOLDERS.values(), "sentence encoder", "cross encoder"):
            if not (folder / name).exists():
                (folder / name).mkdir()
                TARGETS[name].write(folder / name)
        self.pipelines = {task: pipeline(task, folder / name) for task, name in FOLDERS.items()}
        self.encoder = SentenceEncoder.from_pretrained(folder / "sentence encoder")
        unmasker = self.pipelines["fill-mask"]
        self.scorer = PseudoLikelihoodScorer(unmasker.model, unmasker.tokenizer)
        self.ranker = CrossEncoder.from_pretrained(folder / "cross encoder")
        self.model = RobertaModel.from_pretrained(write_model(folder / "model", num_hidden_layers=1))
        self.tokenizer = RobertaTokenizer.from_pretrained(folder / "model")
        self.kinds: list[Callable[[random.Random], Case]] = [
            *[self.answer] * 6, self.embed, self.score, self.look, self.rank, self.tokenize, self.compute, self.compare,
            self.command,
        ]  # fmt: skip

    @contextmanager
    def case(self, number: int) -> Iterator[Case]:
        rng = random.Random(f"call {number}")
        case = rng.choice(self.kinds)(rng)
        yield Case(case.name, lambda: check_numbers(consume(case.run())))

    def answer(self, rng: random.Random) -> Case:
        task = rng.choice(sorted(ARGUMENTS))
        arguments = odd_arguments(rng, ARGUMENTS[task])
        inputs = odd_inputs(rng)
        if task == "question-answering" and rng.random() < 0.9:
            arguments |= {"question": inputs, "context": odd_text(rng)}
            return Case(f"{task}(**{arguments!r})", lambda: self.pipelines[task](**arguments))
        if task == "zero-shot-classification" and rng.random() < 0.9:
            arguments.setdefault("candidate_labels", ["a", " the"])
        if task == "text-classification" and rng.random() < 0.3:
            inputs = {"text": odd_text(rng), "text_pair": odd_text(rng)}
        call = self.pipelines[task].answers if rng.random() < 0.2 else self.pipelines[task]
        return Case(f"{task}({inputs!r}, **{arguments!r})", lambda: call(inputs, **arguments))

    def embed(self, rng: random.Random) -> Case:
        choices = {
            "prompt_name": (None, "query", "x", 1), "prompt": (None, "", "p: ", 1), "batch_size": COUNTS,
            "normalize_embeddings": FLAGS, "truncate_dim": COUNTS,
        }  # fmt: skip
        inputs, arguments = odd_inputs(rng), odd_arguments(rng, choices)
        return Case(f"encode({inputs!r}, **{arguments!r})", lambda: self.encoder.encode(inputs, **arguments))

    def score(self, rng: random.Random) -> Case:
        inputs, arguments = odd_inputs(rng), odd_arguments(rng, {"within_word": FLAGS, "batch_size": COUNTS})
        return Case(f"score({inputs!r}, **{arguments!r})", lambda: self.scorer(inputs, **arguments))

    def look(self, rng: random.Random) -> Case:
        text, tool = odd_text(rng), rng.choice((trace, logit_lens))
        return Case(f"{tool.__name__}({text!r})", lambda: tool(self.pipelines["fill-mask"], text) and None)

    def rank(self, rng: random.Random) -> Case:
        documents = [odd_text(rng) for _ in range(rng.choice((0, 1, 3)))]
        query, top_k = odd_text(rng), rng.choice(COUNTS)
        if rng.random() < 0.5:
            pairs = [(query, document) for document in documents]
            return Case(f"predict({pairs!r})", lambda: self.ranker.predict(pairs))

        def rank() -> Any:
            return [match["score"] for match in self.ranker.rank(query, documents, top_k=top_k)]

        return Case(f"rank({query!r}, {documents!r}, top_k={top_k!r})", rank)

    def tokenize(self, rng: random.Random) -> Case:
        text = odd_text(rng)
        odd = [rng.choice(ODD_NUMBERS)] if rng.random() < 0.3 else []

        def run() -> Any:
            return self.tokenizer.decode([*self.tokenizer(text)["input_ids"], *odd])

        return Case(f"tokenizer({text!r}), decode with {odd}", run)

    def compute(self, rng: random.Random) -> Case:
        shape = rng.choice(((1, 3), (2, 5), (0, 3), (2, 0), (3,), (1, 2, 3), (1, 600)))
        dtype = rng.choice((np.int64, np.int32, np.uint8, np.float32, np.bool_, object))
        ids = np.random.default_rng(rng.randrange(9)).integers(-1, rng.choice((5, 200, 400)), shape).astype(dtype)
        mask = rng.choice((None, np.ones_like(ids), np.zeros(shape, np.int64), np.ones((1, 1), int), "x"))
        return Case(f"model({ids!r}, {mask!r})", lambda: list(self.model(ids, mask)))

    def compare(self, rng: random.Random) -> Case:
        pieces = ("The ", "{man|woman}", "{the|a|on}", "{}", "{{", "}", "<mask>", " sat", "|", "{a|}", "\u202e", "{a|b")
        template = "".join(rng.choices(pieces, k=4)) + rng.choice(("<mask>", ""))
        groups = rng.choice((None, None, ["a", "the"], ["a"], [], ["<mask>", "a"], "ab", [1, 2]))
        top_k, targets = rng.choice(COUNTS), rng.choice((None, None, ["cat"], [""], [], "cat", [1]))
        arguments = {"groups": groups, "top_k": top_k, "targets": targets}
        unmasker = self.pipelines["fill-mask"]

        def run() -> None:
            compare_groups(unmasker, template, **arguments)

        return Case(f"compare_groups({template!r}, **{arguments!r})", run)

    def command(self, rng: random.Random) -> Case:
        """A command, with its texts in a file, as arguments or on standard input."""
        name = rng.choice(COMMANDS)
        folder = {"token-classification": "tagger", "text-classification": "classifier"}.get(name, "masked lm")
        arguments = [name, "--model", str(self.folder / folder)] + ["--json"] * rng.randrange(2)
        texts = [text for text in (odd_text(rng) for _ in range(2)) if isinstance(text, str)]
        data = "\n".join(texts).encode("utf-8", "surrogatepass")
        if name == "bias":
            arguments += ["--", "The {man|woman} <mask>" + "".join(texts)]
        elif name != "info" and rng.random() < 0.5:
            (self.folder / "texts.txt").write_bytes(data)
            arguments += ["--input", str(self.folder / "texts.txt")]
        elif name != "info":
            arguments.append("-")

        def run() -> None:
            stdin, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")
            try:
                status = cli.main(arguments)
            finally:
                sys.stdin = stdin
            assert status in (0, 1, 2), status

        return Case(f"{arguments!r} of {data!r}", run)
