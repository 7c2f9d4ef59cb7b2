"""`distilroberta-np verify`: the published outputs of distilroberta-base, replayed on this machine's own weights."""

from __future__ import annotations

import argparse
import sys

from ..analysis.published import compare, read_goldens
from ..hub import PUBLISHED, find_published
from ..pipelines import pipeline
from .terminal import SubParsers, add_command, print_table

_EXAMPLES = """\
  distilroberta-np verify
  distilroberta-np verify --model path/to/distilroberta-base

exit status:
  0  every value agrees
  1  one differs
  2  the published weights are not on this machine"""


def add_parser(commands: SubParsers) -> None:
    parser = add_command(
        commands,
        "verify",
        summary=f"replay the published outputs of {PUBLISHED} on this machine's weights",
        description=f"Replay the published outputs of {PUBLISHED} on this machine's weights: the 15 predictions of its "
        "model card, predictions published elsewhere, and values of the encoder. Never connects.",
        examples=_EXAMPLES,
    )
    parser.add_argument("--model", metavar="FOLDER", help="where the published weights are, if they aren't found")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    folder = options.model or find_published()
    if folder is None:
        print(
            f"distilroberta-np: {PUBLISHED} is not on this machine, so there is nothing to verify. "
            "Fetch it (331 MB) with `distilroberta-np download`",
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
