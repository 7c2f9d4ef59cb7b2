"""`distilroberta-np download`: fetch a model from the hub."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..hub import PUBLISHED, download_model, download_target
from .command import Command

_EXAMPLES = """\
  distilroberta-np download
  distilroberta-np download roberta-base
  distilroberta-np download roberta-base --to models/roberta-base

Offline, a folder that has the model's files does as well: name it with --model. This
describes the model that commands use without --model, offline:
  distilroberta-np info"""
_DESCRIPTION = f"""Fetch a model from the hub: {PUBLISHED} at its pinned revision, or any other by its name. It goes
into the hub's cache, and the published one into weights/distilroberta-base/ of a checkout. Prints the folder."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", default=PUBLISHED, help=f"default: {PUBLISHED}")
    parser.add_argument("--revision", help="branch, tag or commit")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="put the files into this folder instead")


def run(options: argparse.Namespace) -> int:
    local_dir = options.to or download_target(options.name, options.revision)
    print(download_model(options.name, revision=options.revision, local_dir=local_dir))
    return 0


COMMAND = Command("download", "models", "fetch a model from the hub", _EXAMPLES, add_arguments, run, _DESCRIPTION)
