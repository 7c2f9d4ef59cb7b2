"""`distilroberta-np exercises`: the model with ten functions to write, and tests that check them."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..exercises import write_exercises
from .command import Command

_EXAMPLES = """\
  distilroberta-np exercises my-exercises
  cd my-exercises && pytest"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where to write the files")


def run(options: argparse.Namespace) -> int:
    write_exercises(options.folder)
    print(f"{options.folder}: write the ten functions of roberta.py, and run pytest there")
    return 0


COMMAND = Command(
    "exercises", "models", "write the model yourself: ten functions and their tests", _EXAMPLES, add_arguments, run
)
