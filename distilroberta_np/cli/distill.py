"""`distilroberta-np distill`: a smaller masked language model from a larger one, in a run that can be stopped and
resumed."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from ..training.settings import DistillationSettings
from .command import Command
from .training_options import add_device, add_save_every, add_settings, run_training

_EXAMPLES = """\
  distilroberta-np distill corpus/*.txt.gz --teacher roberta-base --out run
  distilroberta-np distill corpus/*.txt.gz --teacher a/folder --out run --layers 3 --updates 2000
  distilroberta-np fill-mask "The man worked as a <mask>." --model run/checkpoint

Stop it with Ctrl-C, or a SIGTERM, and give the same command to go on: it resumes
from the last checkpoint, to the bit (on a GPU to rounding). Files hold a
paragraph a line and an empty line between documents."""
_DESCRIPTION = (
    "Train a student of fewer layers from a teacher and text, as DistilBERT and DistilRoBERTa were: it begins as the "
    "teacher with layers left out, and learns from the teacher's probabilities, the true tokens, and the directions of "
    "the teacher's last vectors."
)
_HELP = {
    "layers": "layers of the student; 0: half the teacher's",
    "temperature": "of the soft targets; the larger, the more unlikely tokens count",
    "alpha_ce": "weight of the loss of soft targets",
    "alpha_mlm": "weight of masked language modelling's",
    "alpha_cos": "weight of the last vectors' cosine loss",
    "restrict_ce_to_mask": "1 takes soft targets only where tokens are asked for",
    "length": "most tokens of a sequence",
    "batch_tokens": "tokens of an update, about",
    "updates": "how many updates in all",
    "warmup": "updates in which the learning rate rises",
    "decay": "updates at the end in which it falls",
    "optimizer": "adamw or muon",
    "learning_rate": "at its peak",
    "weight_decay": "of matrices",
    "clip": "largest norm of the gradients",
    "masking": "share of the tokens that are asked for",
    "whole_words": "1 asks for whole words",
    "dropout": "share of the student's numbers that are left out",
    "seed": "of the order of the text, masks and dropout",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="text, .txt or .txt.gz, UTF-8")
    parser.add_argument("--teacher", metavar="MODEL", required=True, help="a folder, or a model's name on the hub")
    parser.add_argument("--out", metavar="FOLDER", type=Path, required=True, help="the run's folder")
    add_device(parser)
    add_save_every(parser)
    add_settings(parser, DistillationSettings, _HELP, left_out=("teacher",))


def run(options: argparse.Namespace) -> int:
    from ..training.distill import distill  # here, as the other commands do without

    settings = DistillationSettings(
        **{field.name: getattr(options, field.name) for field in fields(DistillationSettings)}
    )
    finished = run_training(
        distill, options.out, options.files, settings, device=options.device, save_every=options.save_every
    )
    return 0 if finished else 130


COMMAND = Command(
    "distill",
    topic="training",
    summary="train a smaller masked language model from a larger one",
    examples=_EXAMPLES,
    description=_DESCRIPTION,
    add_arguments=add_arguments,
    run=run,
)
