"""`distilroberta-np feature-extraction`: the final hidden states of a text's tokens."""

from __future__ import annotations

import argparse
import json

from ..pipelines.feature_extraction import NestedLists
from .answering import add_task_arguments, run_task
from .command import Command

_EXAMPLES = """\
  distilroberta-np feature-extraction "A man is eating."
  distilroberta-np feature-extraction --input texts.txt --json > features.jsonl

There is one line per text, a JSON list with a list per token; <s> is the first
token and </s> the last. With --json a line is {"text": ..., "features": ...}, or
"error" instead of "features". For one vector per text, see encode."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_task_arguments(parser, "feature-extraction", "a text")


def run(options: argparse.Namespace) -> int:
    return run_task(options, "feature-extraction", _print_result, outcome="features")


def _print_result(number: int, text: str, answer: NestedLists) -> None:
    print(json.dumps(answer[0]))


COMMAND = Command(
    "feature-extraction", "texts", "the final hidden states of a text's tokens", _EXAMPLES, add_arguments, run
)
