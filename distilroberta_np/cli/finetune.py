"""`distilroberta-np finetune`: a model for a task of your own, in a run that can be stopped and resumed."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..training.settings import FinetuneSettings
from .command import Command
from .terminal import add_model_arguments, print_table
from .training_options import RESUMING, add_training_arguments, run_training, say, settings_from

_EXAMPLES = f"""\
  distilroberta-np finetune --task text-classification --train train.tsv --eval dev.tsv --out tuned
  distilroberta-np finetune --task token-classification --train train.conll --eval dev.conll --out tagger
  distilroberta-np finetune --task question-answering --train train.json --eval dev.json --out answerer
  distilroberta-np text-classification "What a film!" --model tuned

To try it, offline:
  printf 'text,label\\na fine film,good\\na dull film,bad\\n' > train.csv
  distilroberta-np finetune --task text-classification --train train.csv --eval train.csv --out tuned
  distilroberta-np text-classification "A fine film." --model tuned

After every epoch the model is evaluated (tuned/evaluations.csv); the best one so far
is in tuned/best, which --model tuned finds.
{RESUMING}
With more --epochs a finished run goes on.

files, UTF-8 or UTF-16 with a byte order mark:
  texts      .csv, .tsv, .json or .jsonl. The columns text, sentence, sentence1 or
             premise, for pairs also text_pair, sentence2 or hypothesis, and label,
             labels or score are found by name. Choose others with --text-column,
             --pair-column and --label-column; in a file without a header (--no-header)
             the columns are numbered from 1.
  tokens     CoNLL: a word and its tag per line, an empty line between sentences
  questions  the JSON of SQuAD 1.1 or 2.0"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_training_arguments(parser, FinetuneSettings)
    add_model_arguments(parser)
    parser.add_argument("--test", metavar="FILE", type=Path, help="evaluate the best model on this file at the end")
    parser.add_argument(
        "--multi-label",
        dest="problem_type",
        action="store_const",
        const="multi_label_classification",
        help="several labels per text, separated by commas",
    )


def run(options: argparse.Namespace) -> int:
    from ..training.data.source import check_file
    from ..training.finetune import evaluate, finetune  # here: the other commands don't need it

    settings = settings_from(options, FinetuneSettings)
    if options.test is not None:
        check_file(options.test)  # before the training, which may take hours
    finished = run_training(
        finetune,
        options.out,
        settings,
        local_files_only=options.local_files_only,
        device=options.device,
        save_every=options.save_every,
    )
    if not finished:
        return 130
    say(f"the best model is in {options.out / 'best'}: distilroberta-np {settings.task} ... --model {options.out}")
    if options.test is not None:
        scores = evaluate(options.out / "best", options.test, settings)
        print_table([name, f"{value:.4f}"] for name, value in scores.items())
    return 0


COMMAND = Command(
    "finetune",
    "training",
    "train a model to classify texts, to tag words or to answer questions",
    _EXAMPLES,
    add_arguments,
    run,
)
