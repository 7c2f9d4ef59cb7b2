"""`distilroberta-np map`: apply a task to every row of large files."""

from __future__ import annotations

import argparse
import functools
import json
import sys
from pathlib import Path
from typing import Any

from ..corpus.columns import COLUMNS, Task
from ..corpus.job import Part, Runner, in_processes, in_turn, on_dask, run_job
from ..hub import default_model
from .command import Command
from .terminal import add_model_arguments

_EXAMPLES = """\
  distilroberta-np map fill-mask --input texts.txt --output filled
  distilroberta-np map text-classification --model tuned/best --input 'part-*.parquet' --column text --output labels
  distilroberta-np map encode --model sentence-transformers/all-distilroberta-v1 --input docs.jsonl --output vectors
  distilroberta-np map fill-mask --input 'part-*.csv' --column text --output filled --workers 2 --set top_k=3
  distilroberta-np map fill-mask --input 'part-*.csv' --column text --output filled --dask tcp://scheduler:8786

To try it, offline:
  printf 'One <mask>.\\nTwo <mask>.\\n' > texts.txt
  distilroberta-np map fill-mask --input texts.txt --output filled

Each input file is a part; its output has the same columns and those of the task, and
an error column: a row that cannot be answered never stops the job. Give the same
command again after a kill, and it goes on with the parts that are missing."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", choices=COLUMNS, metavar="TASK", help=", ".join(COLUMNS))
    parser.add_argument("--input", nargs="+", required=True, metavar="FILE", help=".parquet, .csv, .jsonl or .txt")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="a folder for the new parts")
    parser.add_argument(
        "--column",
        nargs="+",
        default=["text"],
        metavar="NAME",
        help="the text; two for pairs, or for question and context (default: text)",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="an option of the task, such as top_k=3"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--workers", type=int, default=1, metavar="N", help="processes on this machine (default: 1)")
    where.add_argument("--dask", metavar="ADDRESS", help="run on a Dask cluster that sees the same files")
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> int:
    if options.workers < 1:
        options.parser.error("--workers must be at least 1")
    if options.revision is not None:
        options.parser.error("--revision is not supported here; download the model to a folder and name that")
    sources = [path for pattern in options.input for path in _matches(pattern)]
    model = options.model
    if model is None and options.task != "encode":
        model = str(default_model())
    task = Task(
        options.task,
        model,
        tuple(options.column),
        dict(_setting(options.parser, text) for text in options.set),
        options.local_files_only,
    )
    done = 0

    def report(part: Part) -> None:
        nonlocal done
        done += 1
        errors = f", {part.errors} with errors" if part.errors else ""
        print(f"{done} of {len(sources)} parts: {part.name}, {part.rows} rows{errors}", file=sys.stderr)

    runner: Runner = in_turn
    if options.dask is not None:
        runner = functools.partial(on_dask, options.dask)
    elif options.workers > 1:
        runner = functools.partial(in_processes, options.workers)
    rows, errors = run_job(task, sources, options.output, run=runner, report=report)
    print(f"{options.output}: {rows} rows, {errors} with errors")
    return 1 if errors else 0


def _matches(pattern: str) -> list[Path]:
    """The files of a pattern that no shell has expanded; the path itself if it matches nothing."""
    path = Path(pattern)
    return sorted(path.parent.glob(path.name)) or [path]


def _setting(parser: argparse.ArgumentParser, text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        parser.error(f"--set {text}: write NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


COMMAND = Command("map", "texts", "apply a task to every row of large files", _EXAMPLES, add_arguments, run)
