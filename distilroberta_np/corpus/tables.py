"""Parts of a corpus, read and written batch by batch: Parquet, CSV, JSON lines, and plain text."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import CorpusError

_BATCH_ROWS = 1024
_LARGEST_CELL = 2**31 - 1

# The format of an output, by that of the input.
OUTPUT_SUFFIXES = {".parquet": ".parquet", ".csv": ".csv", ".jsonl": ".jsonl", ".txt": ".jsonl"}


@dataclass(frozen=True)
class NewColumns:
    """The columns that are added to a table.

    Attributes:
        inputs: the columns with the texts.
        types: the new columns and their types (see `COLUMNS`); the last one has the error of a row, or None.
        compute: maps the values of the input columns, row by row, to a list for each new column.
    """

    inputs: Sequence[str]
    types: dict[str, str]
    compute: Callable[[list[list[Any]]], dict[str, list[Any]]]

    def add(self, rows: Iterator[tuple[Any, list[Any] | str]]) -> Iterator[tuple[Any, list[Any]]]:
        """Compute the values of the new columns, batch by batch.

        Args:
            rows: pairs of a row, in any form, and its texts, or the message of a row without texts.

        Yields:
            The rows and their values.
        """
        nothing = [None] * (len(self.types) - 1)
        while batch := list(islice(rows, _BATCH_ROWS)):
            columns = self.compute([texts for _, texts in batch if not isinstance(texts, str)])
            results = zip(*columns.values(), strict=True)
            for row, texts in batch:
                yield row, [*nothing, texts] if isinstance(texts, str) else list(next(results))


def check_columns(table: object, present: Collection[str], inputs: Iterable[str], new: Iterable[str]) -> None:
    """Raise CorpusError if a table lacks one of the inputs, or has one of the new columns already."""
    if missing := [name for name in inputs if name not in present]:
        there = ", ".join(map(str, present)) or "none"
        raise CorpusError(f"{table} has no column {', '.join(missing)}; the columns are {there}")
    if taken := [name for name in new if name in present]:
        raise CorpusError(f"{table} has a column {', '.join(taken)} already; rename it in the input")


def map_part(source: Path, target: BinaryIO, new: NewColumns) -> tuple[int, int]:
    """Copy a part with new columns, in constant memory.

    Args:
        source: a .parquet, .csv, .jsonl or .txt file. A line of a .txt file is a row with the column "text".
        target: where the new part is written.
        new: the new columns.

    Returns:
        The number of rows, and of those with an error.

    Raises:
        CorpusError: the file cannot be read, lacks an input column, or already has one of the new columns.
    """
    rows = errors = 0
    for error in _MAPPERS[source.suffix](source, target, new):
        rows, errors = rows + 1, errors + (error is not None)
    return rows, errors


def json_texts(values: list[Any]) -> list[str | None]:
    """Nested values as JSON; None stays."""
    return [None if value is None else json.dumps(value, ensure_ascii=False) for value in values]


# -- formats: each function copies a part, and yields the error of each row, or None -----------------------


def _map_parquet(source: Path, target: BinaryIO, new: NewColumns) -> Iterator[str | None]:
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ModuleNotFoundError:
        raise CorpusError("Parquet needs pyarrow; install it with: pip install 'distilroberta-np[corpus]'") from None
    text = arrow.string()
    types = {"string": text, "float": arrow.float64(), "int": arrow.int64(), "json": text}
    types["embedding"] = arrow.list_(arrow.float32())
    try:
        with parquet.ParquetFile(source) as file:
            schema = file.schema_arrow
            check_columns(source, schema.names, new.inputs, new.types)
            for name, kind in new.types.items():
                schema = schema.append(arrow.field(name, types[kind]))
            with parquet.ParquetWriter(target, schema) as writer:
                for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                    values = zip(*(batch.column(name).to_pylist() for name in new.inputs), strict=True)
                    columns = new.compute(list(map(list, values)))
                    added = [
                        arrow.array(json_texts(columns[name]) if kind == "json" else columns[name], types[kind])
                        for name, kind in new.types.items()
                    ]
                    writer.write_batch(arrow.RecordBatch.from_arrays([*batch.columns, *added], schema=schema))
                    yield from list(columns.values())[-1]
    except (arrow.ArrowException, UnicodeError) as error:
        raise CorpusError(f"{source}: {error}") from None


def _map_csv(source: Path, target: BinaryIO, new: NewColumns) -> Iterator[str | None]:
    csv.field_size_limit(_LARGEST_CELL)
    with open(source, encoding="utf-8-sig", newline="") as file, _as_text(target) as text:
        reader = csv.reader(file, strict=True)
        try:
            header = next(reader, [])
            check_columns(source, header, new.inputs, new.types)
            indices = [header.index(name) for name in new.inputs]

            def rows() -> Iterator[tuple[list[str], list[Any] | str]]:
                for row in reader:
                    if len(row) == len(header):
                        yield row, [row[index] for index in indices]
                    else:
                        padded = [*row[: len(header)], *[""] * (len(header) - len(row))]
                        yield padded, f"the row has {len(row)} cells, the header {len(header)}"

            writer = csv.writer(text)
            writer.writerow([*header, *new.types])
            for row, values in new.add(rows()):
                writer.writerow([*row, *map(_cell, values, new.types.values())])
                yield values[-1]
        except csv.Error as error:
            raise CorpusError(f"{source}: line {reader.line_num}: {error}") from None
        except UnicodeDecodeError:
            raise CorpusError(f"{source}: not UTF-8 after line {reader.line_num}; save it as UTF-8") from None


def _map_lines(source: Path, target: BinaryIO, new: NewColumns) -> Iterator[str | None]:
    """JSON lines, and plain text."""
    read = _json_row if source.suffix == ".jsonl" else _text_row

    def rows() -> Iterator[tuple[dict[str, Any] | None, list[Any] | str]]:
        with open(source, "rb") as file:
            if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
                file.seek(0)
            for line in file:
                row = read(line)
                if isinstance(row, str):
                    yield None, row
                else:
                    check_columns(source, row, (), new.types)
                    yield row, [row.get(name) for name in new.inputs]

    with _as_text(target) as text:
        for row, values in new.add(rows()):
            # A line that is no row has its error alone.
            added = {list(new.types)[-1]: values[-1]} if row is None else dict(zip(new.types, values, strict=True))
            text.write(json.dumps((row or {}) | added, ensure_ascii=False, default=_numbers) + "\n")
            yield values[-1]


_MAPPERS = {".parquet": _map_parquet, ".csv": _map_csv, ".jsonl": _map_lines, ".txt": _map_lines}


def _json_row(line: bytes) -> dict[str, Any] | str:
    """The object of a line, or what is wrong with it."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"not valid JSON: {error}"
    return row if isinstance(row, dict) else "not a JSON object"


def _text_row(line: bytes) -> dict[str, Any] | str:
    try:
        return {"text": line.decode().rstrip("\r\n")}
    except UnicodeDecodeError as error:
        return f"not UTF-8: {error}"


def _cell(value: Any, kind: str) -> Any:
    """A value in a CSV file."""
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False, default=_numbers) if kind in ("json", "embedding") else value


def _numbers(embedding: Any) -> list[float]:
    """An embedding, for json.dumps."""
    numbers: list[float] = embedding.tolist()
    return numbers


@contextmanager
def _as_text(target: BinaryIO) -> Iterator[io.TextIOWrapper]:
    # A lone surrogate, which JSON can escape but UTF-8 does not have, is written as that escape.
    text = io.TextIOWrapper(target, encoding="utf-8", errors="backslashreplace", newline="", write_through=True)
    try:
        yield text
    finally:
        text.detach()  # leave the file open, whose writer closes it
