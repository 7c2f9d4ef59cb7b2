"""`distilroberta-np pretrain`: a masked language model from text files, in a run that can be stopped and resumed."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..training.settings import PretrainSettings
from .command import Command
from .training_options import RESUMING, add_text_files, add_training_arguments, train_on_texts

_EXAMPLES = f"""\
  distilroberta-np pretrain corpus/*.txt.gz --out run
  distilroberta-np pretrain corpus/*.txt.gz --out run --hidden-size 192 --updates 2000
  distilroberta-np fill-mask "The man worked as a <mask>." --model run

To try it, offline:
  python -c 'import this' > zen.txt
  distilroberta-np pretrain zen.txt --out run --vocab-size 300 --updates 20
  distilroberta-np fill-mask "Beautiful is better than <mask>." --model run

Files hold a paragraph per line and an empty line between documents.
{RESUMING}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_text_files(parser)
    parser.add_argument(
        "--last-files", metavar="FILE", nargs="+", type=Path, default=[], help="other text for the last updates"
    )
    parser.add_argument(
        "--initial", metavar="FOLDER", type=Path, help="begin with the weights and the tokenizer of this model"
    )
    add_training_arguments(parser, PretrainSettings)


def run(options: argparse.Namespace) -> int:
    from ..training.pretrain import pretrain  # here: the other commands don't need it

    named = {"last_files": options.last_files, "initial": options.initial}
    return train_on_texts(pretrain, options, PretrainSettings, **named)


COMMAND = Command("pretrain", "training", "train a masked language model from text", _EXAMPLES, add_arguments, run)
