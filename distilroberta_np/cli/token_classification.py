"""`distilroberta-np token-classification`: the named entities in texts, or the label of every token."""

from __future__ import annotations

import argparse
import warnings
from functools import partial

from ..pipelines import TokenClassificationPipeline
from ..pipelines.token_classification import Entity
from .answering import add_task_arguments, answer_all, load_pipeline, open_texts
from .command import Command
from .terminal import offsets, print_result

_EXAMPLES = """\
  distilroberta-np token-classification "Ada lived in Rome." --model tuned
  distilroberta-np token-classification --input texts.txt --model tuned --json
  some-program | distilroberta-np token-classification - --model tuned
  distilroberta-np token-classification "In London." --model tuned --ignore-labels

A small model to try it with, offline:
  printf 'Ada B-PER\\nlived O\\nin O\\nRome B-LOC\\n. O\\n' > train.conll
  distilroberta-np finetune --task token-classification --train train.conll --eval train.conll --out tuned

Write texts before --ignore-labels, or after --. A text that is too long for the
model is read in windows that overlap by a quarter. The strategy "none" cannot merge
them: such a text is named on stderr and not answered, and the exit status is 1.

On a terminal the results are tables. Piped, there is one line per entity: the
text's number, entity, score, word, and its start and end in characters, separated
by tabs. With --json there is one line per text: {"text": ..., "entities": [...]},
or "error" instead of "entities"."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_task_arguments(parser, "token-classification", "a text", aggregation_strategy={"default": "simple"})


def run(options: argparse.Namespace) -> int:
    by_token = options.aggregation_strategy == "none"
    if by_token and hasattr(options, "stride"):
        options.parser.error("--stride merges entities, so it needs another --aggregation-strategy than none")
    with open_texts(options) as source, warnings.catch_warnings():
        classifier: TokenClassificationPipeline = load_pipeline(options, "token-classification")
        parse = partial(_check_length, classifier) if by_token else str
        stride = None if by_token or hasattr(options, "stride") else classifier.max_length // 4
        # --help says how words are found, once and not for every part of the input.
        warnings.filterwarnings("ignore", message="Tokenizer does not support real words")
        return answer_all(options, source, classifier, _print_result, outcome="entities", parse=parse, stride=stride)


def _check_length(classifier: TokenClassificationPipeline, text: str) -> str:
    """The text. Raises ValueError if the pipeline would cut it."""
    tokens = len(classifier.tokenizer.encode(text))
    if tokens > classifier.max_length:
        raise ValueError(
            f"the text has {tokens} tokens and the model reads at most {classifier.max_length}; shorten it, or choose "
            "another --aggregation-strategy than none"
        )
    return text


def _print_result(number: int, text: str, answer: list[Entity]) -> None:
    rows: list[list[str | float]] = []
    for item in answer:
        label = item["entity_group"] if "entity_group" in item else item["entity"]
        rows.append([label, item["score"], item["word"], *offsets(item["start"], item["end"])])
    print_result([text], [str(number)], rows)


COMMAND = Command(
    "token-classification",
    "texts",
    "the named entities in a text, by a fine-tuned model",
    _EXAMPLES,
    add_arguments,
    run,
)
