"""`distilroberta-np verify`: compare the weights on this machine with the published outputs of distilroberta-base."""

from __future__ import annotations

import argparse
import sys

from ..analysis.published import compare, read_goldens
from ..hub import PUBLISHED, find_published
from ..pipelines import pipeline
from .command import Command
from .terminal import print_table

_EXAMPLES = """\
  distilroberta-np verify
  distilroberta-np verify --model path/to/distilroberta-base

exit status:
  0  all values agree
  1  some value differs
  2  the published weights are not on this machine"""
_SUMMARY = f"compare the weights on this machine with the published outputs of {PUBLISHED}"
_DESCRIPTION = f"""C{_SUMMARY[1:]}: the 15 predictions of its model card, predictions of other pages, and values
of the encoder. Never connects."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="FOLDER", help="the folder of the published weights, if they are not found")


def run(options: argparse.Namespace) -> int:
    folder = options.model or find_published()
    if folder is None:
        print(
            f"distilroberta-np: {PUBLISHED} is not on this machine; fetch it (331 MB) with `distilroberta-np download`",
            file=sys.stderr,
        )
        return 2
    rows = list(compare(pipeline("fill-mask", folder, local_files_only=True), read_goldens()))
    for row in rows:
        verdict = "ok" if row.ok else "DIFFERS"
        if sys.stdout.isatty():
            print(f"{row.what}\n  published  {row.expected}\n  ours       {row.ours}  {verdict}")
        else:
            print_table([(row.what, row.expected, row.ours, verdict)])
    different = sum(not row.ok for row in rows)
    print(f"{len(rows) - different} of {len(rows)} agree", file=sys.stderr)
    return 1 if different else 0


COMMAND = Command("verify", "models", _SUMMARY, _EXAMPLES, add_arguments, run, _DESCRIPTION)
