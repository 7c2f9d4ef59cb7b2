"""`distilroberta-np feature-extraction`: the vectors of a text's tokens."""

from __future__ import annotations

import argparse
import json
from typing import Any

from ..pipelines import pipeline
from .answering import add_input_arguments, answer_all, said_on_stderr
from .command import Command
from .terminal import add_model_arguments

_EXAMPLES = """\
  distilroberta-np feature-extraction "A man is eating."
  distilroberta-np feature-extraction --input texts.txt --json > vectors.jsonl

The vectors of a text come on a line, as a JSON list with a list for each token,
those of <s> and </s> first and last; with --json, as {"text": ..., "features":
...}, or "error" in the place of "features". For one vector a text, see encode."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_input_arguments(parser, "a text")
    add_model_arguments(parser)
    parser.add_argument("--truncation", action="store_true", help="cut texts that are too long")


def run(options: argparse.Namespace) -> int:
    with said_on_stderr():
        extractor = pipeline(
            "feature-extraction",
            options.model,
            revision=options.revision,
            local_files_only=options.local_files_only,
            truncation=options.truncation,
        )
    return answer_all(options, extractor, _print_answer, outcome="features")


def _print_answer(number: int, text: str, answer: list[Any]) -> None:
    print(json.dumps(answer[0]))


COMMAND = Command(
    "feature-extraction",
    topic="texts",
    summary="the vectors of a text's tokens",
    examples=_EXAMPLES,
    add_arguments=add_arguments,
    run=run,
)
