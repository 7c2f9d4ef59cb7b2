"""`distilroberta-np distill`: a smaller masked language model from a larger one, in a run that can be stopped and
resumed."""

from __future__ import annotations

import argparse

from ..training.settings import DistillSettings
from .command import Command
from .training_options import RESUMING, add_text_files, add_training_arguments, train_on_texts

_EXAMPLES = f"""\
  distilroberta-np distill corpus/*.txt.gz --teacher roberta-base --out run
  distilroberta-np distill corpus/*.txt.gz --teacher a/folder --out run --layers 3 --updates 2000
  distilroberta-np fill-mask "The man worked as a <mask>." --model run

To try it, offline:
  python -c 'import this' > zen.txt
  distilroberta-np pretrain zen.txt --out teacher --vocab-size 300 --updates 20
  distilroberta-np distill zen.txt --teacher teacher --out run --updates 20

Files hold a paragraph per line and an empty line between documents.
{RESUMING}"""
_SUMMARY = "train a smaller masked language model from a larger one"
_DESCRIPTION = """Train a student of fewer layers from a teacher and text, as DistilBERT and DistilRoBERTa were trained.
The student starts as the teacher without some of its layers. It learns from the teacher's probabilities, the masked
tokens, and the direction of the teacher's final hidden states."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_text_files(parser)
    add_training_arguments(parser, DistillSettings)


def run(options: argparse.Namespace) -> int:
    from ..training.distill import distill  # here: the other commands don't need it

    return train_on_texts(distill, options, DistillSettings)


COMMAND = Command("distill", "training", _SUMMARY, _EXAMPLES, add_arguments, run, _DESCRIPTION)
