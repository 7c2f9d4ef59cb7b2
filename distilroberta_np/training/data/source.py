"""Reading training data: regular files of bounded size, in UTF-8, or in UTF-16 or UTF-32 with a byte order mark."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from ...errors import TrainingError
from ...files import load_json

# Told of a row that cannot be used, as a sentence with its file and line. It may raise, or note it to skip the row.
Bad = Callable[[str], None]

# A file of labelled data is read as a whole; a text to pretrain on line by line.
_MAX_FILE_BYTES = 2**32
_MAX_LINE_CHARACTERS = 2**26
_BYTE_ORDER_MARKS = {  # the longer ones first, as that of UTF-32 begins like that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def refuse(sentence: str) -> None:
    """Raise a TrainingError about a row that cannot be used."""
    raise TrainingError(f"{sentence}. Correct it, or skip such rows with --skip-bad-rows")


def check_file(path: Path) -> None:
    """Raise a TrainingError unless `path` is a regular file, which can be read twice and ends."""
    if not path.exists():
        raise TrainingError(f"{path}: no such file")
    if not path.is_file():
        raise TrainingError(f"{path}: not a regular file; save the data in a file first")


def read_text(path: Path) -> str:
    """Read a whole file. Its lines end with a line feed, however they end in the file.

    Raises TrainingError: it is not a regular file, too large, or in another encoding.
    """
    check_file(path)
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise TrainingError(f"{path}: larger than {_MAX_FILE_BYTES // 2**30} GiB; split it")
        data = path.read_bytes()
    except OSError as error:
        raise TrainingError(f"{path}: cannot be read: {error.strerror or error}") from None
    encoding = _encoding(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _wrong(f"{path}, line {line}", encoding) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise _wrong(f"{path}, line {line}")
    text = text.replace("\r\n", "\n")
    return text if "\n" in text else text.replace("\r", "\n")  # as old Macs ended lines


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a text file, which may be compressed (.gz), without their ends.

    Raises TrainingError: as `read_text`; or a damaged .gz, or a line too long for memory.
    """
    check_file(path)
    number, encoding = 0, ""
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            encoding = _encoding(file.peek(4)[:4])
            text = io.TextIOWrapper(file, encoding=encoding)
            while line := text.readline(_MAX_LINE_CHARACTERS):
                number += 1
                if len(line) == _MAX_LINE_CHARACTERS:
                    raise TrainingError(
                        f"{path}, line {number}: longer than {_MAX_LINE_CHARACTERS:,} characters; split it"
                    )
                if "\0" in line:
                    raise _wrong(f"{path}, line {number}")
                yield line.rstrip("\n")
    except UnicodeDecodeError:
        raise _wrong(f"{path}, after line {number}", encoding) from None
    except (OSError, EOFError, zlib.error) as error:
        raise TrainingError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def parse_json(text: str) -> object:
    """Parse JSON. Raises ValueError also for what only Python takes: NaN, Infinity, a key twice, nesting too deep."""

    def refuse_constant(name: str) -> None:
        raise ValueError(f"{name} is not a JSON value")

    values: object = load_json(text, parse_constant=refuse_constant)
    return values


def is_text(value: object) -> bool:
    """Whether a value is a string that is not blank."""
    return isinstance(value, str) and bool(value.strip())


def _wrong(where: str, encoding: str = "") -> TrainingError:
    what = (
        f"not {encoding.removesuffix('-sig').upper()}" if encoding else "a NUL character, as in UTF-16 or binary data"
    )
    return TrainingError(f"{where}: {what}; save the file as UTF-8")


def _encoding(data: bytes) -> str:
    return next((name for mark, name in _BYTE_ORDER_MARKS.items() if data.startswith(mark)), "utf-8-sig")
