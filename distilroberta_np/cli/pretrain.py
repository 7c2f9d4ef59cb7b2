"""`distilroberta-np pretrain`: a masked language model from text files, in a run that can be stopped and resumed."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from ..training.settings import Settings
from .command import Command
from .training_options import add_device, add_save_every, add_settings, run_training

_EXAMPLES = """\
  distilroberta-np pretrain corpus/*.txt.gz --out run
  distilroberta-np pretrain corpus/*.txt.gz --out run --hidden-size 192 --updates 2000
  distilroberta-np fill-mask "The man worked as a <mask>." --model run/checkpoint

Stop it with Ctrl-C, or a SIGTERM, and give the same command to go on: it resumes
from the last checkpoint, to the bit (on a GPU to rounding). Files hold a
paragraph a line and an empty line between documents."""
_HELP = {
    "length": "most tokens of a sequence",
    "last_length": "the same in the last updates, for the positions after",
    "last_updates": "updates at the end with the longer sequences",
    "optimizer": "adamw or muon",
    "batch_tokens": "tokens of an update, about",
    "updates": "how many updates in all",
    "warmup": "updates in which the learning rate rises",
    "decay": "updates at the end in which it falls",
    "learning_rate": "at its peak",
    "clip": "largest norm of the gradients",
    "masking": "share of the tokens that are asked for",
    "whole_words": "1 asks for whole words",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="text, .txt or .txt.gz, UTF-8")
    parser.add_argument("--out", metavar="FOLDER", type=Path, required=True, help="the run's folder")
    parser.add_argument(
        "--last-files",
        metavar="FILE",
        nargs="+",
        type=Path,
        default=[],
        help="the text of the last updates, if another",
    )
    add_device(parser)
    add_save_every(parser)
    add_settings(parser, Settings, _HELP)


def run(options: argparse.Namespace) -> int:
    from ..training.pretrain import pretrain  # here, as the other commands do without

    settings = Settings(**{field.name: getattr(options, field.name) for field in fields(Settings)})
    finished = run_training(
        pretrain,
        options.out,
        options.files,
        settings,
        last_files=options.last_files,
        device=options.device,
        save_every=options.save_every,
    )
    return 0 if finished else 130


COMMAND = Command(
    "pretrain",
    topic="training",
    summary="train a masked language model from text",
    examples=_EXAMPLES,
    add_arguments=add_arguments,
    run=run,
)
