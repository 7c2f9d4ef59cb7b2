"""`distilroberta-np zero-shot-classification`: which of some labels, whatever they are, suit texts."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ..messages import printable
from ..pipelines import pipeline
from .answering import add_input_arguments, answer_all, said_on_stderr
from .command import Command
from .terminal import add_model_arguments, print_table

_EXAMPLES = """\
  distilroberta-np zero-shot-classification "Rain is coming." --labels weather sport --model a/folder
  distilroberta-np zero-shot-classification --input texts.txt --labels "weather, sport" --model a/folder --json
  distilroberta-np zero-shot-classification --input texts.txt --labels urgent phone --multi-label \\
      --template "This is about {}." --model a/folder

Texts stand before --labels, or behind --. The model must be fine-tuned on natural
language inference. A text that is too long is cut.

On a terminal the answers come as tables. Piped, they come a line a label: the
text's number, score and label, separated by tabs; with --json, a line a text:
{"text": ..., "prediction": {"sequence": ..., "labels": [...], "scores": [...]}},
or "error" in the place of "prediction"."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_input_arguments(parser, "a text")
    add_model_arguments(parser, required=True)
    parser.add_argument(
        "--labels",
        metavar="LABEL",
        nargs="+",
        required=True,
        help="the labels to choose from; a single one is split at its commas",
    )
    parser.add_argument("--template", help='a sentence with {} where a label goes (default: "This example is {}.")')
    parser.add_argument("--multi-label", action="store_true", help="several labels can be true: score each for itself")


def run(options: argparse.Namespace) -> int:
    with said_on_stderr():
        classifier = pipeline(
            "zero-shot-classification",
            options.model,
            revision=options.revision,
            local_files_only=options.local_files_only,
            candidate_labels=options.labels[0] if len(options.labels) == 1 else options.labels,
            hypothesis_template=options.template,
            multi_label=options.multi_label,
        )
    return answer_all(options, classifier, _print_answer, outcome="prediction")


def _print_answer(number: int, text: str, answer: dict[str, Any]) -> None:
    rows = [(f"{score:.4g}", label) for score, label in zip(answer["scores"], answer["labels"], strict=True)]
    if sys.stdout.isatty():
        print(printable(text))
        print_table(rows, right=(0,))
    else:
        print_table((str(number), *row) for row in rows)


COMMAND = Command(
    "zero-shot-classification",
    topic="texts",
    summary="how well labels of any kind suit a text",
    examples=_EXAMPLES,
    add_arguments=add_arguments,
    run=run,
)
