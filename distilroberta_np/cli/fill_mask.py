"""`distilroberta-np fill-mask`: texts from the command line, a file or standard input, answered as they come."""

from __future__ import annotations

import argparse
import codecs
import contextlib
import json
import os
import sys
import warnings
from collections.abc import Iterator
from io import BufferedReader
from typing import Any, cast

from ..errors import PipelineException
from ..pipelines import pipeline
from .terminal import Progress, SubParsers, add_command, add_model_arguments, print_table, printable

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

# Read from a file at a time: as much as a pipe holds.
_READ_BYTES = 65_536


def add_parser(commands: SubParsers) -> None:
    summary = "the likeliest words for each <mask> of a text"
    parser = add_command(commands, "fill-mask", summary=summary, examples=_EXAMPLES)
    parser.add_argument(
        "texts", metavar="TEXT", nargs="*", help="a text with <mask> in it; - reads standard input, a text a line"
    )
    parser.add_argument("--input", metavar="FILE", help="read texts from a file, one a line, UTF-8")
    add_model_arguments(parser)
    parser.add_argument("--top-k", type=int, metavar="K", help="how many predictions a mask (default: 5)")
    parser.add_argument(
        "--targets", nargs="+", metavar="WORD", help="score only these; mind the space before a word, as in ' pizza'"
    )
    parser.add_argument("--whole-words", action="store_true", help="targets are whole words of any number of pieces")
    parser.add_argument("--joint", action="store_true", help="fill several masks together, and score them together")
    parser.add_argument("--keep-text", action="store_true", help="put the words into the text as it was typed")
    parser.add_argument("--truncation", action="store_true", help="cut texts that are too long, round their masks")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each text")
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> int:
    if options.input == "-":
        options.input, options.texts = None, [*options.texts, "-"]
    if options.input is not None and options.texts:
        options.parser.error("give texts or --input, not both")
    if options.input is None and not options.texts:
        options.parser.error("give a text, or - to read standard input, or --input FILE")
    if "-" in options.texts and len(options.texts) > 1:
        options.parser.error("- reads standard input, and can't stand beside other texts")
    with contextlib.ExitStack() as stack:
        file: BufferedReader | None = None
        if options.input is not None:
            file = stack.enter_context(open(options.input, "rb"))
        elif options.texts == ["-"]:
            if sys.stdin is None:
                raise ValueError("standard input is closed, so there is nothing to read from -")
            file = cast(BufferedReader, sys.stdin.buffer)
        return _answer(options, file)


def _answer(options: argparse.Namespace, file: BufferedReader | None) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = _say_warning
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
    source = _Source(options.texts, file)
    with Progress(source.size) as progress:
        number = failures = 0
        for texts in source.batches():
            for text, answer in zip(texts, unmasker.answers(texts), strict=True):
                number += 1
                error = _reason(text, answer)
                if error is not None:
                    failures += 1
                    progress.clear()
                    print(f"distilroberta-np: {'line' if file else 'text'} {number}: {error}", file=sys.stderr)
                if options.json:
                    outcome = {"predictions": answer} if error is None else {"error": error}
                    print(json.dumps({"text": _valid(text), **outcome}))
                elif error is None:
                    _print_answer(number, text, answer)
                sys.stdout.flush()
                progress.update(number, source.read)
    return 1 if failures else 0


def _reason(text: str, answer: Any) -> str | None:
    """Why a text has no answer; None if it has one."""
    if not isinstance(answer, PipelineException):
        return None
    if any("\udc80" <= character <= "\udcff" for character in text):
        return "not UTF-8"
    # In the command's own words.
    return answer.reason.replace("truncation=True", "--truncation")


def _valid(text: str) -> str:
    """A text as it can stand in JSON: what came in as bytes that are no UTF-8 shows as U+FFFD."""
    return text.encode("utf-8", errors="surrogateescape").decode("utf-8", errors="replace")


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


class _Source:
    """The texts as they come, which remembers how far it has come.

    A file gives many lines at a time, which are answered together; a program that writes a line and waits for its
    answer gives that one line. A file of any size takes the memory of a batch.
    """

    def __init__(self, texts: list[str], file: BufferedReader | None) -> None:
        self._texts, self._file = texts, file
        self.read = 0
        self.size = _size(file)

    def batches(self) -> Iterator[list[str]]:
        """The texts that are there without waiting for more, as many as one read gives."""
        if self._file is None:
            yield self._texts
            return
        begun: list[bytes] = []  # the parts of a line whose end has not come yet
        while chunk := self._file.read1(_READ_BYTES):
            if self.read == 0:
                chunk = chunk.removeprefix(codecs.BOM_UTF8)  # some editors' way of saying that a file is UTF-8
            self.read += len(chunk)
            *lines, rest = chunk.split(b"\n")
            if lines:
                lines[0] = b"".join([*begun, lines[0]])
                begun = []
                yield [_decode(line) for line in lines]
            begun.append(rest)
        if last := b"".join(begun):
            yield [_decode(last)]


def _decode(line: bytes) -> str:
    # Bytes that are no UTF-8 become lone surrogates, which are refused, each with its place, further on.
    return line.decode("utf-8", errors="surrogateescape").removesuffix("\r")


def _size(file: BufferedReader | None) -> int | None:
    """A file's size; None for a pipe, which has none."""
    if file is None:
        return None
    try:
        return os.fstat(file.fileno()).st_size or None
    except OSError:
        return None


def _say_warning(message: Warning | str, *_: object, **__: object) -> None:
    # In the command's own words.
    print(f"distilroberta-np: {message}".replace("whole_words=True", "--whole-words"), file=sys.stderr)
