"""`distilroberta-np zero-shot-classification`: how well labels of any kind suit texts."""

from __future__ import annotations

import argparse

from ..pipelines.zero_shot_classification import LabelRanking
from .answering import add_task_arguments, run_task
from .command import Command
from .terminal import print_result

_EXAMPLES = """\
  distilroberta-np zero-shot-classification "Rain is coming." --labels weather sport --model tuned
  distilroberta-np zero-shot-classification --input texts.txt --labels "weather, sport" --model tuned --json
  distilroberta-np zero-shot-classification --input texts.txt --labels urgent phone --multi-label \\
      --template "This is about {}." --model tuned

A small model to try it with, offline:
  printf 'premise,hypothesis,label\\nRain,It is wet.,entailment\\nRain,It is dry.,contradiction\\n' > train.csv
  distilroberta-np finetune --task text-classification --train train.csv --eval train.csv --out tuned

Write texts before --labels, or after --. The model must be fine-tuned on natural
language inference. A text that is too long is cut.

On a terminal the results are tables. Piped, there is one line per label: the text's
number, score and label, separated by tabs. With --json there is one line per text:
{"text": ..., "prediction": {"sequence": ..., "labels": [...], "scores": [...]}},
or "error" instead of "prediction"."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_task_arguments(parser, "zero-shot-classification", "a text")


def run(options: argparse.Namespace) -> int:
    if len(options.candidate_labels) == 1:
        options.candidate_labels = options.candidate_labels[0]  # split at its commas
    return run_task(options, "zero-shot-classification", _print_result, outcome="prediction")


def _print_result(number: int, text: str, answer: LabelRanking) -> None:
    print_result([text], [str(number)], zip(answer["scores"], answer["labels"], strict=True))


COMMAND = Command(
    "zero-shot-classification",
    "texts",
    "how well labels of any kind suit a text, by a fine-tuned model",
    _EXAMPLES,
    add_arguments,
    run,
)
