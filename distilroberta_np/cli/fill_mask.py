"""`distilroberta-np fill-mask`: texts from the command line, a file or standard input, answered as they come."""

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
  distilroberta-np fill-mask "The man worked as a <mask>."
  distilroberta-np fill-mask "Paris is the <mask> of <mask>." --joint
  distilroberta-np fill-mask "He lives in <mask>." --whole-words --targets London "New York"
  distilroberta-np fill-mask --input texts.txt --json > answers.jsonl
  some-program | distilroberta-np fill-mask - --top-k 1

Texts stand before --targets, or behind --. A line without a mask, an empty one
too, is named on stderr, the others are answered, and the exit status is 1.

On a terminal the answers come as tables. Piped, they come a line each: the text's
number, the mask's number, score, token and sequence, separated by tabs; with
--json, a line a text: {"text": ..., "predictions": ...}, or "error" in the place
of "predictions"."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_input_arguments(parser, "a text with <mask> in it")
    add_model_arguments(parser)
    parser.add_argument("--top-k", type=int, metavar="K", help="how many predictions a mask (default: 5)")
    parser.add_argument(
        "--targets", nargs="+", metavar="WORD", help="score only these; mind the space before a word, as in ' pizza'"
    )
    parser.add_argument("--whole-words", action="store_true", help="targets are whole words of any number of pieces")
    parser.add_argument("--joint", action="store_true", help="fill several masks together, and score them together")
    parser.add_argument("--keep-text", action="store_true", help="put the words into the text as it was typed")
    parser.add_argument("--truncation", action="store_true", help="cut texts that are too long, round their masks")


def run(options: argparse.Namespace) -> int:
    with said_on_stderr():
        unmasker = pipeline(
            "fill-mask",
            options.model,
            revision=options.revision,
            local_files_only=options.local_files_only,
            top_k=options.top_k,
            targets=options.targets,
            whole_words=options.whole_words or None,
            joint=options.joint,
            keep_text=options.keep_text,
            truncation=options.truncation,
        )
    return answer_all(options, unmasker, _print_answer, outcome="predictions")


def _print_answer(number: int, text: str, answer: list[Any]) -> None:
    rows = answer if answer and isinstance(answer[0], list) else [answer]
    if sys.stdout.isatty():
        print(printable(text))
    for mask, predictions in enumerate(rows, start=1):
        cells = [(f"{item['score']:.4g}", _token(item["token_str"]), item["sequence"]) for item in predictions]
        if sys.stdout.isatty():
            if len(rows) > 1:
                print(f" mask {mask}")
            print_table(cells, right=(0,))
        else:
            print_table((str(number), str(mask), *row) for row in cells)


def _token(token_str: str | list[str]) -> str:
    return token_str if isinstance(token_str, str) else " |".join(token_str)


COMMAND = Command(
    "fill-mask",
    topic="texts",
    summary="the likeliest words for each <mask> of a text",
    examples=_EXAMPLES,
    add_arguments=add_arguments,
    run=run,
)
