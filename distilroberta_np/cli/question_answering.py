"""`distilroberta-np question-answering`: questions about texts, answered with parts of them."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from .answering import add_task_arguments, run_task
from .command import Command
from .terminal import offsets, print_result

_EXAMPLES = """\
  distilroberta-np question-answering "Where do I live?" --context "I live in Berlin." --model tuned
  distilroberta-np question-answering "Who built it?" "When?" --context book.txt --top-k 3 --model tuned
  distilroberta-np question-answering --input questions.jsonl --model tuned --json > answers.jsonl
  some-program | distilroberta-np question-answering - --context book.txt --model tuned

A small model to try it with, offline:
  echo '{"data": [{"paragraphs": [{"context": "I live in Berlin.", "qas": [{"id": "1",' \\
      '"question": "Where?", "answers": [{"text": "Berlin", "answer_start": 10}]}]}]}]}' > train.json
  distilroberta-np finetune --task question-answering --train train.json --eval train.json --out tuned

Without --context each line has its own: {"question": ..., "context": ...}. A
context of any length is read, in windows that overlap.

On a terminal the results are tables: score, start and end in the context (in
characters), answer. Piped, there is one line per answer: the question's number,
score, start, end and answer, separated by tabs. With --json there is one line per
question: {"text": ..., "prediction": {"score", "start", "end", "answer"}} (with
--top-k a list of those), or "error" instead of "prediction"."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_task_arguments(
        parser, "question-answering", "a question, or without --context a JSON object of question and context"
    )
    parser.add_argument("--context", metavar="FILE|TEXT", help="the text with the answers, or a UTF-8 file of it")


def run(options: argparse.Namespace) -> int:
    context = None if options.context is None else _context(options.context)

    def parse(line: str) -> dict[str, Any]:
        return _question_and_context(line) if context is None else {"question": line, "context": context}

    def print_answers(number: int, line: str, answer: Any) -> None:
        nothing = "(no answer)" if sys.stdout.isatty() else ""
        rows = [
            [item["score"], *offsets(item["start"], item["end"]), item["answer"] or nothing]
            for item in ([answer] if isinstance(answer, dict) else answer)
        ]
        print_result([parse(line)["question"]], [str(number)], rows, right=(1,))

    return run_task(options, "question-answering", print_answers, outcome="prediction", parse=parse)


def _context(given: str) -> str:
    """The context of --context: the content of the file with that name, or else itself."""
    path = Path(given)
    try:
        is_file = path.is_file()
    except OSError:  # too long for the name of a file
        is_file = False
    if is_file:
        try:
            return path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(f"{given}: not UTF-8: {error}") from None
    if len(given.split()) == 1:
        raise ValueError(f"--context {given!r:.80} is neither a file nor a text of several words")
    return given


def _question_and_context(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f'not JSON ({error}); without --context a line must be {{"question": ..., "context": ...}}'
        ) from None
    if not isinstance(value, dict):
        raise ValueError(f'must be {{"question": ..., "context": ...}}, not {type(value).__name__}')
    return value


COMMAND = Command(
    "question-answering",
    "texts",
    "the part of a text that answers a question, by a fine-tuned model",
    _EXAMPLES,
    add_arguments,
    run,
)
