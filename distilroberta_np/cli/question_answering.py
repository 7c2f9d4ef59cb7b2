"""`distilroberta-np question-answering`: questions about a text, or about one each, answered by parts of it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ..messages import printable
from ..pipelines import pipeline
from .answering import add_input_arguments, answer_all, said_on_stderr
from .command import Command
from .terminal import add_model_arguments, print_table

_EXAMPLES = """\
  distilroberta-np question-answering "Where do I live?" --context "I live in Berlin." --model a/folder
  distilroberta-np question-answering "Who built it?" "When?" --context book.txt --top-k 3 --model a/folder
  distilroberta-np question-answering --input questions.jsonl --model a/folder --json > answers.jsonl
  some-program | distilroberta-np question-answering - --context book.txt --model a/folder

Without --context a line brings its own: {"question": ..., "context": ...}. A text
of any length is read, in windows that overlap.

On a terminal the answers come as tables: score, place in the context (in
characters), answer. Piped, they come a line each: the question's number, score,
start, end and answer, separated by tabs; with --json, a line a question:
{"text": ..., "prediction": {"score", "start", "end", "answer"}} (with --top-k a
list of those), or "error" in the place of "prediction"."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_input_arguments(parser, "a question, or without --context a JSON object of question and context")
    add_model_arguments(parser, required=True)
    parser.add_argument("--context", metavar="FILE|TEXT", help="the text that has the answers, or a UTF-8 file of it")
    parser.add_argument("--top-k", type=int, metavar="K", help="how many answers a question (default: 1)")
    parser.add_argument(
        "--handle-impossible-answer", action="store_true", help="there may be no answer: let the empty one be one too"
    )
    parser.add_argument("--max-answer-len", type=int, metavar="N", help="most tokens of an answer (default: 15)")
    parser.add_argument(
        "--max-seq-len", type=int, metavar="N", help="most tokens read together, the question's included (default: 384)"
    )
    parser.add_argument(
        "--doc-stride", type=int, metavar="N", help="by how many tokens the windows of a text overlap (default: 128)"
    )


def run(options: argparse.Namespace) -> int:
    context = None if options.context is None else _context(options.context)
    with said_on_stderr():
        oracle = pipeline(
            "question-answering",
            options.model,
            revision=options.revision,
            local_files_only=options.local_files_only,
            top_k=options.top_k,
            handle_impossible_answer=options.handle_impossible_answer,
            max_answer_len=options.max_answer_len,
            max_seq_len=options.max_seq_len,
            doc_stride=options.doc_stride,
        )

    def parse(line: str) -> dict[str, Any]:
        return _question_and_context(line) if context is None else {"question": line, "context": context}

    def print_answer(number: int, line: str, answer: Any) -> None:
        _print_answers(number, parse(line)["question"], [answer] if isinstance(answer, dict) else answer)

    return answer_all(options, oracle, print_answer, outcome="prediction", parse=parse)


def _context(given: str) -> str:
    """The context that --context gives: what is in the file of that name, or else itself."""
    path = Path(given)
    try:
        is_file = path.is_file()
    except OSError:  # too long for a file's name
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
        raise ValueError(f'must be {{"question": ..., "context": ...}}, not a {type(value).__name__}')
    return value


def _print_answers(number: int, question: str, answers: list[dict[str, Any]]) -> None:
    if sys.stdout.isatty():
        print(printable(question))
        rows = [
            (f"{item['score']:.4g}", f"{item['start']}-{item['end']}", item["answer"] or "(no answer)")
            for item in answers
        ]
        print_table(rows, right=(0, 1))
    else:
        print_table(
            (str(number), f"{item['score']:.4g}", str(item["start"]), str(item["end"]), item["answer"])
            for item in answers
        )


COMMAND = Command(
    "question-answering",
    topic="texts",
    summary="the part of a text that answers a question",
    examples=_EXAMPLES,
    add_arguments=add_arguments,
    run=run,
)
