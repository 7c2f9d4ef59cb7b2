"""Tables of texts, or of pairs of texts, with their labels: CSV, TSV and JSON lines."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from ...errors import TrainingError
from ...messages import shown
from .source import Bad, is_text, parse_json, read_text, refuse

# The column names that are found without being given.
TEXT_COLUMNS = ("text", "sentence", "sentence1", "premise")
PAIR_COLUMNS = ("text_pair", "sentence2", "hypothesis")
LABEL_COLUMNS = ("label", "labels", "score")
_DELIMITERS = (",", ";", "\t", "|")


class Columns(NamedTuple):
    """The columns of a table by their names, or by numbers from 1 in a file without a header.

    None stands for one of the known names; but if the text column is given and no pair column, there is none.
    """

    text: str | None = None
    pair: str | None = None
    label: str | None = None
    header: bool = True


class LabelledText(NamedTuple):
    text: str
    pair: str | None  # the second text, in files of pairs
    label: str | tuple[str, ...]  # as in the file; JSON can give several as a list
    location: str  # "FILE, line 7"


Row = tuple[str, dict[str, object]]  # a location, and the cells by the names of their columns


def read_table(path: Path, columns: Columns = Columns(), bad: Bad = refuse) -> list[LabelledText]:  # noqa: B008
    """Read the rows of a table.

    Args:
        path: .csv (cells may be quoted; separated by commas, semicolons, tabs or bars), .tsv or .txt (tabs, no quoting,
            as in GLUE's files), .jsonl or .json (an object per line, or one array of objects).
        columns: which columns to read.
        bad: told of each row that cannot be used: too few or too many columns, an empty text, no label, not JSON.

    Raises TrainingError: the file cannot be read, or its columns are unknown.
    """
    readers = {".csv": _csv_rows, ".tsv": _tsv_rows, ".txt": _tsv_rows, ".jsonl": _json_rows, ".json": _json_rows}
    if path.suffix.lower() not in readers:
        raise TrainingError(f"{path}: unknown kind of file; the name must end in {', '.join(readers)}")
    rows: list[LabelledText] = []
    found: tuple[str, str | None, str] | None = None
    for location, row in readers[path.suffix.lower()](path, read_text(path), columns, bad):
        found = found or _find_columns(path, columns, list(row))
        text, pair, label = (None if name is None else row.get(name) for name in found)
        if not is_text(text):
            bad(f"{location}: no text in the column {found[0]}")
        elif found[1] is not None and not is_text(pair):
            bad(f"{location}: no text in the column {found[1]}")
        elif (parsed := _label(label)) is None:
            bad(f"{location}: {shown(label)} in the column {found[2]} is not a label")
        else:
            rows.append(LabelledText(str(text), None if pair is None else str(pair), parsed, location))
    return rows


def _label(value: object) -> str | tuple[str, ...] | None:
    """A label as text; None if it cannot be one. JSON has numbers and lists too."""
    if isinstance(value, list):
        parts = [_label(part) for part in value]
        return tuple(part for part in parts if isinstance(part, str)) if all(map(is_text, parts)) else None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value).strip()


def _csv_rows(path: Path, text: str, columns: Columns, bad: Bad) -> Iterator[Row]:
    number = start = 1
    given = None
    if text.startswith("sep=") and text[5:6] == "\n":  # how Excel names the delimiter
        given, text, start = text[4], text[6:], 2
    lines: list[tuple[int, list[str]]] = []
    limit = csv.field_size_limit(len(text) + 1)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=given or _delimiter(text))
        number = start
        for cells in reader:
            lines.append((number, cells))
            number = start + reader.line_num
    except csv.Error as error:  # nothing after a broken quotation can be told apart
        raise TrainingError(f"{path}, line {number}: not CSV: {error}") from None
    finally:
        csv.field_size_limit(limit)
    yield from _table(path, lines, columns, bad)


def _delimiter(text: str) -> str:
    """The first delimiter that cuts the first two rows into equally many columns, more than one; else a comma."""
    for delimiter in _DELIMITERS:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        first, *rest = [len(cells) for cells in islice((row for row in reader if row), 2)] or [0]
        if first > 1 and rest in ([], [first]):
            return delimiter
    return ","


def _tsv_rows(path: Path, text: str, columns: Columns, bad: Bad) -> Iterator[Row]:
    lines = enumerate(text.split("\n"), start=1)  # not splitlines, which splits at other characters too
    yield from _table(path, ((number, line.split("\t") if line else []) for number, line in lines), columns, bad)


def _table(path: Path, lines: Iterable[tuple[int, list[str]]], columns: Columns, bad: Bad) -> Iterator[Row]:
    names: list[str] | None = None
    for number, cells in lines:
        if not cells:
            continue
        if names is None:
            names = [cell.strip() for cell in cells] if columns.header else list(map(str, range(1, len(cells) + 1)))
            if len(set(names)) < len(names):
                raise TrainingError(f"{path}, line {number}: the header names a column twice")
            if columns.header:
                continue
        location = f"{path}, line {number}"
        if len(cells) == len(names):
            yield location, dict(zip(names, cells, strict=True))
        else:
            bad(f"{location}: {len(cells)} columns, but the file has {len(names)}")


def _json_rows(path: Path, text: str, columns: Columns, bad: Bad) -> Iterator[Row]:
    values: list[tuple[str, object]] = []
    if text.lstrip().startswith("["):
        try:
            array = parse_json(text)
        except ValueError as error:
            raise TrainingError(f"{path}: not JSON: {error}") from None
        values = [(f"{path}, item {number}", value) for number, value in enumerate(array, start=1)]  # type: ignore[arg-type, var-annotated]
    else:
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                try:
                    values.append((f"{path}, line {number}", parse_json(line)))
                except ValueError as error:
                    if not values and _is_json(text):
                        raise TrainingError(
                            f"{path}: a JSON value over several lines; write an object per line, or an array of objects"
                        ) from None
                    bad(f"{path}, line {number}: not JSON: {error}")
    for location, value in values:
        if isinstance(value, dict):
            yield location, value
        else:
            bad(f"{location}: must be an object, not {type(value).__name__}")


def _is_json(text: str) -> bool:
    try:
        parse_json(text)
    except ValueError:
        return False
    return True


def _find_columns(path: Path, columns: Columns, names: list[str]) -> tuple[str, str | None, str]:
    """The names of the columns of text, pair and label."""

    def find(what: str, given: str | None, known: tuple[str, ...]) -> str | None:
        if given is not None:
            if given not in names:
                raise TrainingError(f"{path}: no column {given!r}; the file has {', '.join(names)}")
            return given
        found = [name for name in known if name in names]
        if len(found) > 1:
            raise TrainingError(f"{path}: {' and '.join(found)} could both be the {what}; choose with --{what}-column")
        return found[0] if found else None

    text = find("text", columns.text, TEXT_COLUMNS)
    pair = None if columns.pair is None and columns.text is not None else find("pair", columns.pair, PAIR_COLUMNS)
    label = find("label", columns.label, LABEL_COLUMNS)
    if text is None or label is None:
        what, known = ("text", TEXT_COLUMNS) if text is None else ("label", LABEL_COLUMNS)
        raise TrainingError(
            f"{path}: no {what} column among {', '.join(names)}; name it {', '.join(known[:-1])} or {known[-1]}, or "
            f"choose with --{what}-column"
        )
    return text, pair, label
