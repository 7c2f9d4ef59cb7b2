"""`distilroberta-np fill-mask`: the most likely words for each mask of a text."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from .answering import add_task_arguments, run_task
from .command import Command
from .terminal import print_result

_EXAMPLES = """\
  distilroberta-np fill-mask "The man worked as a <mask>."
  distilroberta-np fill-mask "Paris is the <mask> of <mask>." --joint
  distilroberta-np fill-mask "I like <mask>." --targets pizza soup
  distilroberta-np fill-mask "He lives in <mask>." --whole-words --targets London "New York"
  distilroberta-np fill-mask --input texts.txt --json > answers.jsonl
  some-program | distilroberta-np fill-mask - --top-k 1

Write texts before --targets, or after --. A line without a mask is named on
stderr, the others are answered, and the exit status is 1.

On a terminal the results are tables. Piped, there is one line per prediction: the
text's number, the mask's number, score, token and sequence, separated by tabs.
With --json there is one line per text: {"text": ..., "predictions": ...}, or
"error" instead of "predictions"."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_task_arguments(parser, "fill-mask", "a text with <mask> in it")


def run(options: argparse.Namespace) -> int:
    if "targets" in options and "whole_words" not in options:
        options.targets = [_spaced(word, options.texts) for word in options.targets]
    return run_task(options, "fill-mask", _print_result, outcome="predictions")


def _spaced(word: str, texts: list[str]) -> str:
    """A target with the space that a word has within a text, if it stands for a word and a mask follows a space."""
    bare = word[:1].isalnum() and not word.startswith("Ġ")
    return f" {word}" if bare and (texts in ([], ["-"]) or any(" <mask>" in text for text in texts)) else word


def _print_result(number: int, text: str, answer: list[Any]) -> None:
    masks = answer if answer and isinstance(answer[0], list) else [answer]
    # With several masks, one of which is filled, the library decodes <s> and </s> too, as transformers does.
    frame = ("<s>", "</s>") if sys.stdout.isatty() and len(masks) > 1 else ("", "")
    for mask, predictions in enumerate(masks, start=1):
        rows = [
            (item["score"], _token(item["token_str"]), item["sequence"].removeprefix(frame[0]).removesuffix(frame[1]))
            for item in predictions
        ]
        headings = [text] * (mask == 1) + [f" mask {mask}"] * (len(masks) > 1)
        print_result(headings, (str(number), str(mask)), rows)


def _token(token_str: str | list[str]) -> str:
    return token_str if isinstance(token_str, str) else " |".join(token_str)


COMMAND = Command(
    "fill-mask", "texts", "the most likely words for each <mask> of a text", _EXAMPLES, add_arguments, run
)
