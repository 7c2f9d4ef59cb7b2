"""What the commands share that answer texts: where those come from, and how answers go out as they come."""

from __future__ import annotations

import argparse
import codecs
import contextlib
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from io import BufferedReader
from typing import Any, cast

from ..errors import PipelineException
from ..pipelines.base import Pipeline
from .terminal import Progress

# Read from a file at a time: as much as a pipe holds.
_READ_BYTES = 65_536


def add_input_arguments(parser: argparse.ArgumentParser, text: str) -> None:
    """Texts as arguments, --input and --json. `text` says what a text is."""
    parser.add_argument("texts", metavar="TEXT", nargs="*", help=f"{text}; - reads standard input, a text a line")
    parser.add_argument("--input", metavar="FILE", help="read texts from a file, one a line, UTF-8")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each text")


@contextlib.contextmanager
def said_on_stderr() -> Iterator[None]:
    """Warnings go to stderr in the command's own words."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = _say_warning
        yield


def answer_all(
    options: argparse.Namespace,
    pipeline: Pipeline,
    print_answer: Callable[[int, str, Any], None],
    *,
    outcome: str,
    parse: Callable[[str], Any] = lambda text: text,
    **parameters: Any,
) -> int:
    """Answer the texts of the command line, of a file or of standard input, each as soon as it can be.

    Args:
        options: of the command, with what `add_input_arguments` adds.
        pipeline: that answers.
        print_answer: called with a text's number from 1, the text and its answer, where --json isn't given.
        outcome: what --json calls an answer.
        parse: makes a text into what the pipeline takes; a ValueError says why it can't.
        **parameters: for the pipeline's `answers`.

    Returns:
        The exit status: 1 if some text could not be answered.
    """
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
        source = _Source(options.texts, file)
        with Progress(source.size) as progress:
            number = failures = 0
            for texts in source.batches():
                for text, answer in zip(texts, _answers(texts, pipeline, parse, parameters), strict=True):
                    number += 1
                    error = _reason(text, answer)
                    if error is not None:
                        failures += 1
                        progress.clear()
                        print(f"distilroberta-np: {'line' if file else 'text'} {number}: {error}", file=sys.stderr)
                    if options.json:
                        result = {outcome: answer} if error is None else {"error": error}
                        print(json.dumps({"text": _valid(text), **result}))
                    elif error is None:
                        print_answer(number, text, answer)
                    sys.stdout.flush()
                    progress.update(number, source.read)
    return 1 if failures else 0


def _answers(
    texts: list[str], pipeline: Pipeline, parse: Callable[[str], Any], parameters: dict[str, Any]
) -> Iterator[Any]:
    """An answer or an exception for each text, in order."""
    parsed: list[Any] = []
    for text in texts:
        try:
            parsed.append(parse(text))
        except ValueError as error:
            parsed.append(PipelineException(str(error)))
    answers = pipeline.answers([item for item in parsed if not isinstance(item, Exception)], **parameters)
    for item in parsed:
        yield item if isinstance(item, Exception) else next(answers)


def _reason(text: str, answer: Any) -> str | None:
    """Why a text has no answer; None if it has one."""
    if not isinstance(answer, Exception):
        return None
    if any("\udc80" <= character <= "\udcff" for character in text):
        return "not UTF-8"
    # In the command's own words.
    reason = answer.reason if isinstance(answer, PipelineException) else str(answer)
    return reason.replace("truncation=True", "--truncation")


def _valid(text: str) -> str:
    """A text as it can stand in JSON: what came in as bytes that are no UTF-8 shows as U+FFFD."""
    return text.encode("utf-8", errors="surrogateescape").decode("utf-8", errors="replace")


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
