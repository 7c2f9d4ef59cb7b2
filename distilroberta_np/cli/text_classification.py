"""`distilroberta-np text-classification`: the likeliest labels of texts, and of pairs of texts."""

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
  distilroberta-np text-classification "What a film!" --model a/folder
  distilroberta-np text-classification --input texts.txt --model a/folder --json
  some-program | distilroberta-np text-classification - --model a/folder --top-k all
  distilroberta-np text-classification --input pairs.tsv --pairs --model a/folder

With --pairs a line is two texts with a tab between them.

On a terminal the answers come as tables. Piped, they come a line a label: the
text's number, score and label, separated by tabs; with --json, a line a text:
{"text": ..., "predictions": [{"label": ..., "score": ...}]}, or "error" in the
place of "predictions"."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_input_arguments(parser, "a text")
    add_model_arguments(parser, required=True)
    parser.add_argument("--pairs", action="store_true", help="each line is a pair of texts, with a tab between them")
    parser.add_argument("--top-k", type=_top_k, metavar="K", default=1, help='how many labels, or "all" (default: 1)')
    parser.add_argument(
        "--function-to-apply",
        choices=("sigmoid", "softmax", "none"),
        help="what makes scores of logits (default: as the model's config says)",
    )
    parser.add_argument("--truncation", action="store_true", help="cut texts that are too long")


def run(options: argparse.Namespace) -> int:
    with said_on_stderr():
        classifier = pipeline(
            "text-classification",
            options.model,
            revision=options.revision,
            local_files_only=options.local_files_only,
            top_k=options.top_k,
            function_to_apply=options.function_to_apply,
            truncation=options.truncation,
        )
    parse = _pair if options.pairs else str
    return answer_all(options, classifier, _print_answer, outcome="predictions", parse=parse)


def _top_k(text: str) -> int | None:
    if text != "all" and not text.isdecimal():
        raise argparse.ArgumentTypeError(f'must be a number or "all", not {text!r}')
    return None if text == "all" else int(text)


def _pair(line: str) -> dict[str, str]:
    texts = line.split("\t")
    if len(texts) != 2:
        raise ValueError(f"a pair is two texts with a tab between them, and here are {len(texts) - 1} tabs")
    return {"text": texts[0], "text_pair": texts[1]}


def _print_answer(number: int, text: str, answer: list[dict[str, Any]]) -> None:
    rows = [(f"{item['score']:.4g}", item["label"]) for item in answer]
    if not sys.stdout.isatty():
        print_table((str(number), *row) for row in rows)
        return
    print(printable(text))
    if rows:
        print_table(rows, right=(0,))


COMMAND = Command(
    "text-classification",
    topic="texts",
    summary="the likeliest labels of a text, by a model fine-tuned for them",
    examples=_EXAMPLES,
    add_arguments=add_arguments,
    run=run,
)
