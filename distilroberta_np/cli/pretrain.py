"""`distilroberta-np pretrain`: a masked language model from text files, in a run that can be stopped and resumed."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from ..training.device import DEVICES
from ..training.settings import Settings
from .terminal import SubParsers, add_command
from .training_progress import TrainingProgress

_EXAMPLES = """\
  distilroberta-np pretrain corpus/*.txt.gz --out run
  distilroberta-np pretrain corpus/*.txt.gz --out run --hidden-size 192 --updates 2000
  distilroberta-np fill-mask "The man worked as a <mask>." --model run/checkpoint

Stop it with Ctrl-C, or a SIGTERM, and give the same command to go on: it resumes
from the last checkpoint, to the bit. Files hold a paragraph a line and an empty
line between documents."""
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


def add_parser(commands: SubParsers) -> None:
    parser = add_command(commands, "pretrain", summary="train a masked language model from text", examples=_EXAMPLES)
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
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="cuda: an NVIDIA GPU (default: cpu)")
    parser.add_argument(
        "--save-every", metavar="MINUTES", type=float, default=10.0, help="between checkpoints (default: 10)"
    )
    for field in fields(Settings):
        parser.add_argument(
            "--" + field.name.replace("_", "-"),
            type={"int": int, "float": float, "str": str}[str(field.type)],
            default=field.default,
            metavar="N",
            help=f"{_HELP.get(field.name, '')} (default: {field.default})".strip(),
        )
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> int:
    from ..training.pretrain import pretrain  # here, as the other commands do without

    settings = Settings(**{field.name: getattr(options, field.name) for field in fields(Settings)})
    progress = TrainingProgress()
    finished = pretrain(
        options.out,
        options.files,
        settings,
        last_files=options.last_files,
        device=options.device,
        save_every=options.save_every * 60,
        report=progress.update,
        say=progress.say,
    )
    progress.end()
    if not finished:
        print("distilroberta-np: stopped, with a checkpoint; give the same command to go on", file=sys.stderr)
    return 0 if finished else 130
