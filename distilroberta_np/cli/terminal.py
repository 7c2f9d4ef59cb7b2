"""What the commands share: tables, and the arguments that name a model."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..hub import default_model, resolve_model
from ..messages import printable
from ..pretrained import CONFIG, TOKENIZER, WEIGHTS


def add_model_arguments(parser: argparse.ArgumentParser, *, suggested: str | None = None) -> None:
    """Add --model and where it comes from. For tasks that need a fine-tuned model, `suggested` is one on the hub."""
    default = " (default: distilroberta-base if it is on this machine, else the small embedded model)"
    if suggested is not None:
        default = f", fine-tuned for the task, such as {suggested}"
    parser.add_argument("--model", metavar="MODEL", help=f"a folder, or a model's name on the hub{default}")
    parser.add_argument("--revision", help="branch, tag or commit of a model on the hub")
    parser.add_argument("--local-files-only", action="store_true", help="never connect to the hub")


def where_from(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `from_pretrained` that say where a model comes from."""
    return {"revision": options.revision, "local_files_only": options.local_files_only}


def find_model(options: argparse.Namespace) -> Path:
    """The folder of the model that the command line names, or of the default one."""
    return resolve_model(options.model or default_model(), parts=(CONFIG, WEIGHTS, TOKENIZER), **where_from(options))


def print_table(rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()) -> None:
    """Print rows as aligned columns on a terminal, separated by tabs otherwise.

    Args:
        rows: the cells, as text.
        right: the columns that are aligned on the right.
    """
    cells = [[_one_line(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in cells:
            print("\t".join(row))
        return
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = set(right)
    for row in cells:
        padded = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  " + "  ".join(padded).rstrip())


def print_result(
    headings: Iterable[str], prefix: Sequence[str], rows: Iterable[Sequence[str | float]], *, right: Iterable[int] = ()
) -> None:
    """Print the rows of a result: on a terminal below headings, such as the text; otherwise each after a prefix, such
    as the number of the text. Columns of scores are aligned on the right, with those that `right` names."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    scores = [index for index, column in enumerate(columns) if isinstance(column[0], float)]
    for index in scores:
        columns[index] = _score_cells(columns[index])
    cells: list[Any] = list(zip(*columns, strict=True))
    if not sys.stdout.isatty():
        print_table([*prefix, *row] for row in cells)
        return
    for heading in headings:
        print(printable(heading))
    print_table(cells, right=[*right, *scores])


def _score_cells(scores: Sequence[Any]) -> list[Any]:
    """Scores as text with four significant digits; on a terminal of the largest, so that decimal points align."""
    if not sys.stdout.isatty():
        return [f"{score:.4g}" for score in scores]
    largest = max(map(abs, scores), default=0)
    decimals = 4 if largest == 0 else max(0, 3 - math.floor(math.log10(largest)))
    return [f"{score:.{decimals}f}" for score in scores]


def offsets(start: int, end: int) -> list[str]:
    """Where something stands in a text: a cell on a terminal, two elsewhere."""
    return [f"{start}-{end}"] if sys.stdout.isatty() else [str(start), str(end)]


def _one_line(cell: str) -> str:
    return printable(cell.replace("\t", " ").replace("\r", " ").replace("\n", " "))
