"""What the commands that answer texts share: where the texts come from, and how results go out as they come."""

from __future__ import annotations

import argparse
import codecs
import contextlib
import json
import os
import re
import stat
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from io import BufferedReader
from typing import Any, Protocol, cast

from ..errors import PipelineException
from ..messages import printable
from ..pipelines import PIPELINES, pipeline
from ..pipelines.options import declared, described
from ..runtime.progress import PlainBar
from .terminal import add_model_arguments, where_from

# Read from a file at a time: as much as a pipe holds.
_READ_BYTES = 65_536
# Prints a result, given the number of its text from 1 and the text.
Printer = Callable[[int, str, Any], None]


def add_task_arguments(parser: argparse.ArgumentParser, task: str, text: str, **changes: Mapping[str, Any]) -> None:
    """Add the inputs, the model and the options of a task.

    Args:
        parser: of the command.
        task: of `PIPELINES`.
        text: says what an input is.
        **changes: by the name of an option, arguments of argparse's `add_argument` that are other than declared.
    """
    add_input_arguments(parser, text)
    add_model_arguments(parser, suggested=PIPELINES[task].suggested_model)
    for name, option in declared(PIPELINES[task].options_type).items():
        if option.flag is not None:
            flag = {**option.flag, **changes.get(name, {})}
            default = flag.setdefault("default", argparse.SUPPRESS)
            flag.setdefault("help", described(option, None if default is argparse.SUPPRESS else default))
            parser.add_argument(flag.pop("flag", "--" + name.replace("_", "-")), dest=name, **flag)


def run_task(options: argparse.Namespace, task: str, print_result: Printer, **named: Any) -> int:
    """Answer the command's texts with the pipeline of a task. Arguments and result as `answer_all`."""
    with open_texts(options) as source:
        return answer_all(options, source, load_pipeline(options, task), print_result, **named)


def load_pipeline(options: argparse.Namespace, task: str) -> Any:
    """The pipeline of a task, with the model and the options of the command line. Warnings go to stderr."""
    given = {name: getattr(options, name) for name in declared(PIPELINES[task].options_type) if hasattr(options, name)}
    with warnings_on_stderr():
        return pipeline(task, options.model, **where_from(options), **given)


def add_input_arguments(parser: argparse.ArgumentParser, text: str) -> None:
    """Add texts as arguments, --input and --json. `text` says what a text is."""
    parser.add_argument("texts", metavar="TEXT", nargs="*", help=f"{text}; - reads standard input, one per line")
    parser.add_argument("--input", metavar="FILE", help="read texts from a UTF-8 file, one per line")
    parser.add_argument("--json", action="store_true", help="print a line of JSON per text")


@contextlib.contextmanager
def warnings_on_stderr() -> Iterator[None]:
    """Print warnings on stderr, in the command's own words."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = _print_warning
        yield


def _print_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"distilroberta-np: {with_flags(message)}", file=sys.stderr)


def with_flags(message: object) -> str:
    """A message of the library with flags instead of arguments: "truncation=True" -> "--truncation"."""
    return re.sub(r"\b([a-z_]+)=True\b", lambda match: "--" + match[1].replace("_", "-"), str(message))


class Answerer(Protocol):
    """A pipeline, or anything else that answers texts."""

    def answers(self, inputs: list[Any], **options: Any) -> Iterator[Any]:
        """A result or an exception for each input, in order."""


@contextlib.contextmanager
def open_texts(options: argparse.Namespace) -> Iterator[TextSource]:
    """The texts of the command line, of a file or of standard input, as `add_input_arguments` declares them.

    Raises:
        ValueError, OSError: the input cannot be read.
    """
    if options.input == "-":
        options.input, options.texts = None, [*options.texts, "-"]
    if options.input is not None and options.texts:
        options.parser.error("give texts or --input, not both")
    if options.input is None and not options.texts:
        options.parser.error("give a text, or - to read standard input, or --input FILE")
    if "-" in options.texts and len(options.texts) > 1:
        options.parser.error("- reads standard input, and cannot be given together with other texts")
    if options.input is not None:
        with open(options.input, "rb") as file:
            yield TextSource([], file, options.input)
    elif options.texts == ["-"]:
        if sys.stdin is None:
            raise ValueError("standard input is closed, so - cannot be read")
        yield TextSource([], cast(BufferedReader, sys.stdin.buffer), "standard input")
    else:
        yield TextSource(options.texts, None, "")


def answer_all(
    options: argparse.Namespace,
    source: TextSource,
    pipeline: Answerer,
    print_result: Printer | None,
    *,
    outcome: str | None,
    parse: Callable[[str], Any] = str,
    **parameters: Any,
) -> int:
    """Answer texts, and print each result as soon as it is there.

    Args:
        options: of the command, with --json.
        source: the texts.
        pipeline: answers them.
        print_result: for results without --json; None if they are not printed.
        outcome: the key of a result in --json; None for a result that is a dict with keys of its own.
        parse: turns a text into an input of the pipeline; a ValueError says why it cannot.
        **parameters: for the pipeline's `answers`.

    Returns:
        The exit status: 1 if some text could not be answered.
    """
    number = failures = 0
    # Results on a terminal, or in a pipe that may end at one, leave no room for a bar.
    active = sys.stderr.isatty() and (print_result is None or _is_file(sys.stdout))
    with PlainBar(source.count() if active else None, active=active, stays=False) as bar:
        parameters["progress"] = bar
        for texts in source.batches():
            for text, answer in zip(texts, _answers(texts, pipeline, parse, parameters), strict=True):
                number += 1
                error = _reason(text, answer)
                if error is not None:
                    failures += 1
                    bar.clear()
                    kind = "line" if source.name else "text"
                    print(f"distilroberta-np: {kind} {number}: {printable(error)}", file=sys.stderr)
                if options.json:
                    result = {"error": error} if error is not None else {outcome: answer} if outcome else answer
                    # Arrays of NumPy become lists.
                    print(json.dumps({"text": _valid(text), **result}, default=lambda array: array.tolist()))
                elif error is None and print_result is not None:
                    print_result(number, text, answer)
                sys.stdout.flush()
    if number == 0:
        print(f"distilroberta-np: {source.name} is empty", file=sys.stderr)
    return 1 if failures else 0


def _answers(
    texts: list[str], pipeline: Answerer, parse: Callable[[str], Any], parameters: dict[str, Any]
) -> Iterator[Any]:
    """A result or an exception for each text, in order."""
    parsed: list[Any] = []
    for text in texts:
        try:
            parsed.append(parse(text))
        except ValueError as error:
            parsed.append(PipelineException(str(error)))
    inputs = [item for item in parsed if not isinstance(item, Exception)]
    answers = pipeline.answers(inputs, **parameters)
    parameters["progress"].update(len(parsed) - len(inputs))
    for item in parsed:
        yield item if isinstance(item, Exception) else next(answers)


def _reason(text: str, answer: Any) -> str | None:
    """Why a text has no result; None if it has one."""
    if not isinstance(answer, Exception):
        return None
    if any("\udc80" <= character <= "\udcff" for character in text):
        return "not UTF-8"
    return with_flags(answer.reason if isinstance(answer, PipelineException) else answer)


def _valid(text: str) -> str:
    """A text for JSON, with U+FFFD for bytes that are not UTF-8."""
    return text.encode("utf-8", errors="surrogateescape").decode("utf-8", errors="replace")


class TextSource:
    """Texts of the command line, or of a file that is read as the texts are consumed.

    A file gives many lines at a time, which are answered together; a program that writes a line and waits for its
    answer gives that line alone. A file of any size takes the memory of one batch.

    Attributes:
        name: of the file; "" for texts of the command line.
    """

    def __init__(self, texts: list[str], file: BufferedReader | None, name: str) -> None:
        self._texts, self._file = texts, file
        self.name = name

    def count(self) -> int | None:
        """The number of texts; None for a pipe."""
        if self._file is None:
            return len(self._texts)
        if not _is_file(self._file):
            return None
        start, lines, last = self._file.tell(), 0, b"\n"
        while chunk := self._file.read(_READ_BYTES):
            lines, last = lines + chunk.count(b"\n"), chunk[-1:]
        self._file.seek(start)
        return lines + (last != b"\n")

    def batches(self) -> Iterator[list[str]]:
        """The texts of one read, without waiting for more."""
        if self._file is None:
            yield self._texts
            return
        begun: list[bytes] = []  # the parts of a line whose end has not come yet
        mark = codecs.BOM_UTF8  # with which some editors begin a file
        while chunk := self._file.read1(_READ_BYTES):
            chunk, mark = chunk.removeprefix(mark), b""
            *lines, rest = chunk.split(b"\n")
            if lines:
                lines[0] = b"".join([*begun, lines[0]])
                begun = []
                yield [_decode(line) for line in lines]
            begun.append(rest)
        if last := b"".join(begun):
            yield [_decode(last)]


def _decode(line: bytes) -> str:
    # Bytes that are not UTF-8 become lone surrogates, which the tokenizer refuses.
    return line.decode("utf-8", errors="surrogateescape").removesuffix("\r")


def _is_file(stream: Any) -> bool:
    """Whether a stream is a file, rather than a terminal or a pipe."""
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except OSError:
        return False
