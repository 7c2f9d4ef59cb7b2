"""`distilroberta-np text-classification`: the most likely labels of texts, and of pairs of texts."""

from __future__ import annotations

import argparse

from ..pipelines.text_classification import LabelScore
from .answering import add_task_arguments, run_task
from .command import Command
from .terminal import print_result

_EXAMPLES = """\
  distilroberta-np text-classification "A fine film." --model tuned
  distilroberta-np text-classification --input texts.txt --model tuned --json
  some-program | distilroberta-np text-classification - --model tuned --top-k all
  distilroberta-np text-classification --input pairs.tsv --pairs --model tuned

A small model to try it with, offline:
  printf 'text,label\\na fine film,good\\na dull film,bad\\n' > train.csv
  distilroberta-np finetune --task text-classification --train train.csv --eval train.csv --out tuned

With --pairs a line is two texts with a tab between them.

On a terminal the results are tables. Piped, there is one line per label: the
text's number, score and label, separated by tabs. With --json there is one line
per text: {"text": ..., "predictions": [{"label": ..., "score": ...}]}, or "error"
instead of "predictions"."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    top_k = {"type": _top_k, "metavar": "K", "default": 1, "help": 'number of labels per text, or "all" (default: 1)'}
    add_task_arguments(parser, "text-classification", "a text", top_k=top_k)
    parser.add_argument("--pairs", action="store_true", help="each line is a pair of texts, with a tab between them")


def run(options: argparse.Namespace) -> int:
    parse = _pair if options.pairs else str
    return run_task(options, "text-classification", _print_result, outcome="predictions", parse=parse)


def _top_k(text: str) -> int | None:
    if text != "all" and not text.isdecimal():
        raise argparse.ArgumentTypeError(f'must be a number or "all", not {text!r}')
    return None if text == "all" else int(text)


def _pair(line: str) -> dict[str, str]:
    texts = line.split("\t")
    if len(texts) != 2:
        raise ValueError(f"a pair is two texts with a tab between them; this line has {len(texts) - 1} tabs")
    return {"text": texts[0], "text_pair": texts[1]}


def _print_result(number: int, text: str, answer: list[LabelScore]) -> None:
    print_result([text], [str(number)], [(item["score"], item["label"]) for item in answer])


COMMAND = Command(
    "text-classification",
    "texts",
    "the most likely labels of a text, by a fine-tuned model",
    _EXAMPLES,
    add_arguments,
    run,
)
