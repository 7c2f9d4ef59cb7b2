"""Parts of a corpus, read and written batch by batch: Parquet, CSV, JSON lines, and plain text."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import CorpusError
from .columns import ERROR

_LARGEST_CELL = 2**31 - 1
Compute = Callable[[list[list[Any]]], dict[str, list[Any]]]

# The format of an output, by that of the input.
OUTPUT_SUFFIXES = {".parquet": ".parquet", ".csv": ".csv", ".jsonl": ".jsonl", ".txt": ".jsonl"}


def map_part(
    source: Path, target: BinaryIO, inputs: Sequence[str], outputs: dict[str, str], compute: Compute, batch_rows: int
) -> tuple[int, int]:
    """Copy a part with the columns of a task added, in constant memory.

    Args:
        source: a .parquet, .csv, .jsonl or .txt file. A line of a .txt file is a row with the column "text".
        target: where the new part is written.
        inputs: the columns that `compute` gets.
        outputs: the columns that it returns, with their types.
        compute: maps the values of the input columns, row by row, to the output columns.
        batch_rows: how many rows are in memory at a time.

    Returns:
        The number of rows, and of those with an error.

    Raises:
        CorpusError: the file cannot be read, lacks an input column, or already has an output column.
    """
    mapper = {".parquet": _map_parquet, ".csv": _map_csv, ".jsonl": _map_json_lines, ".txt": _map_text}[source.suffix]
    return mapper(source, target, inputs, outputs, compute, batch_rows)


def _check_columns(source: Path, present: Sequence[str], inputs: Sequence[str], outputs: dict[str, str]) -> None:
    missing = [name for name in inputs if name not in present]
    if missing:
        raise CorpusError(f"{source}: no column {', '.join(missing)}; there is {', '.join(present)}")
    taken = [name for name in outputs if name in present]
    if taken:
        raise CorpusError(f"{source}: has a column {', '.join(taken)} already; rename it in the input")


def _batches(rows: Iterator[Any], size: int) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _errors(columns: dict[str, list[Any]]) -> int:
    return sum(error is not None for error in columns[ERROR])


@contextmanager
def _as_text(target: BinaryIO) -> Iterator[io.TextIOWrapper]:
    text = io.TextIOWrapper(target, encoding="utf-8", newline="", write_through=True)
    try:
        yield text
    finally:
        text.detach()  # leave the file open, whose writer closes it


def _map_parquet(
    source: Path, target: BinaryIO, inputs: Sequence[str], outputs: dict[str, str], compute: Compute, batch_rows: int
) -> tuple[int, int]:
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ModuleNotFoundError:
        raise CorpusError("Parquet needs pyarrow; install it with: pip install 'distilroberta-np[corpus]'") from None
    types = {
        "string": arrow.string(),
        "float": arrow.float64(),
        "int": arrow.int64(),
        "embedding": arrow.list_(arrow.float32()),
        "json": arrow.string(),
    }
    rows = errors = 0
    try:
        with parquet.ParquetFile(source) as file:
            schema = file.schema_arrow
            _check_columns(source, schema.names, inputs, outputs)
            for name, kind in outputs.items():
                schema = schema.append(arrow.field(name, types[kind]))
            with parquet.ParquetWriter(target, schema) as writer:
                for batch in file.iter_batches(batch_size=batch_rows):
                    values = zip(*(batch.column(name).to_pylist() for name in inputs), strict=True)
                    columns = compute([list(row) for row in values])
                    added = [
                        arrow.array(json_texts(columns[name]) if kind == "json" else columns[name], types[kind])
                        for name, kind in outputs.items()
                    ]
                    writer.write_batch(arrow.RecordBatch.from_arrays([*batch.columns, *added], schema=schema))
                    rows, errors = rows + len(batch), errors + _errors(columns)
    except arrow.ArrowException as error:
        raise CorpusError(f"{source}: {error}") from None
    return rows, errors


def json_texts(values: list[Any]) -> list[str | None]:
    """Nested values as JSON; None stays."""
    return [None if value is None else json.dumps(value, ensure_ascii=False) for value in values]


def _map_csv(
    source: Path, target: BinaryIO, inputs: Sequence[str], outputs: dict[str, str], compute: Compute, batch_rows: int
) -> tuple[int, int]:
    csv.field_size_limit(_LARGEST_CELL)
    rows = errors = 0
    with open(source, encoding="utf-8-sig", newline="") as file, _as_text(target) as text:
        reader = csv.reader(file, strict=True)
        try:
            header = next(reader, [])
            _check_columns(source, header, inputs, outputs)
            indices = [header.index(name) for name in inputs]
            writer = csv.writer(text)
            writer.writerow([*header, *outputs])
            for batch in _batches(reader, batch_rows):
                bad = {
                    index: f"the row has {len(row)} cells, the header {len(header)}"
                    for index, row in enumerate(batch)
                    if len(row) != len(header)
                }
                good = [row for index, row in enumerate(batch) if index not in bad]
                columns = compute([[row[index] for index in indices] for row in good])
                results = zip(*columns.values(), strict=True)
                for index, row in enumerate(batch):
                    if index in bad:
                        padded = [*row[: len(header)], *[""] * (len(header) - len(row))]
                        writer.writerow([*padded, *("" for _ in range(len(outputs) - 1)), bad[index]])
                    else:
                        cells = zip(outputs.values(), next(results), strict=True)
                        writer.writerow([*row, *(_cell(value, kind) for kind, value in cells)])
                rows, errors = rows + len(batch), errors + len(bad) + _errors(columns)
        except (csv.Error, UnicodeDecodeError) as error:
            raise CorpusError(f"{source}: line {reader.line_num + 1}: {error}") from None
    return rows, errors


def _cell(value: Any, kind: str) -> Any:
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False, default=_numbers) if kind in ("json", "embedding") else value


def _numbers(embedding: Any) -> list[float]:
    """An embedding, for json.dumps."""
    numbers: list[float] = embedding.tolist()
    return numbers


def _map_json_lines(
    source: Path, target: BinaryIO, inputs: Sequence[str], outputs: dict[str, str], compute: Compute, batch_rows: int
) -> tuple[int, int]:
    with open(source, "rb") as file:
        return _write_json_lines(source, map(_json_row, file), target, inputs, outputs, compute, batch_rows)


def _json_row(line: bytes) -> dict[str, Any] | str:
    """The object of a line, or what is wrong with it."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"not valid JSON: {error}"
    return row if isinstance(row, dict) else "not a JSON object"


def _map_text(
    source: Path, target: BinaryIO, inputs: Sequence[str], outputs: dict[str, str], compute: Compute, batch_rows: int
) -> tuple[int, int]:
    def rows() -> Iterator[dict[str, Any] | str]:
        with open(source, "rb") as file:
            for line in file:
                try:
                    yield {"text": line.decode().rstrip("\r\n")}
                except UnicodeDecodeError as error:
                    yield f"not UTF-8: {error}"

    return _write_json_lines(source, rows(), target, inputs, outputs, compute, batch_rows)


def _write_json_lines(
    source: Path,
    rows: Iterator[dict[str, Any] | str],
    target: BinaryIO,
    inputs: Sequence[str],
    outputs: dict[str, str],
    compute: Compute,
    batch_rows: int,
) -> tuple[int, int]:
    count = errors = 0
    with _as_text(target) as text:
        for batch in _batches(rows, batch_rows):
            good = [row for row in batch if isinstance(row, dict)]
            for row in good:
                if any(name in row for name in outputs):
                    _check_columns(source, list(row), (), outputs)
            columns = compute([[row.get(name) for name in inputs] for row in good])
            results = zip(*columns.values(), strict=True)
            for row in batch:
                added = dict(zip(outputs, next(results), strict=True)) if isinstance(row, dict) else {ERROR: row}
                values = (row if isinstance(row, dict) else {}) | added
                text.write(json.dumps(values, ensure_ascii=False, default=_numbers) + "\n")
            count, errors = count + len(batch), errors + len(batch) - len(good) + _errors(columns)
    return count, errors
