"""`distilroberta-np finetune`: a model for a task of one's own, in a run that can be stopped and resumed."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from ..config import PROBLEM_TYPES
from ..training.finetune_settings import TASKS, FinetuneSettings
from ..training.settings import OPTIMIZERS
from .command import Command
from .terminal import add_model_arguments, print_table
from .training_options import add_device, add_save_every, run_training

_EXAMPLES = """\
  distilroberta-np finetune --task text-classification --train train.tsv --eval dev.tsv --out run
  distilroberta-np finetune --task token-classification --train train.conll --eval dev.conll --out run
  distilroberta-np finetune --task question-answering --train train.json --eval dev.json --out run
  distilroberta-np text-classification "What a film!" --model run/best

Stop it with Ctrl-C, or a SIGTERM, and give the same command to go on: it resumes
from the last checkpoint, to the bit (on a GPU to rounding). After every epoch the
model is measured on the --eval file (run/evaluations.csv); the best one so far is
in run/best.

files, UTF-8:
  texts      .csv, .tsv or .jsonl. Columns called text, sentence, sentence1 or
             premise, then text_pair, sentence2 or hypothesis for pairs, and label,
             labels or score are found by their names; others are named with
             --text-column, --pair-column and --label-column. In a file without a
             header (--no-header) columns are numbered from 1.
  tokens     CoNLL: a word and its tag a line, an empty line between sentences
  questions  the JSON of SQuAD 1.1 or 2.0"""
_HELP = {
    "max_length": "most tokens of a text (default: 384 for questions, else as many as the model reads)",
    "doc_stride": "tokens that neighbouring windows of a question's context share",
    "learning_rate": "at its peak",
    "epochs": "times that every text is seen",
    "batch_size": "texts of an update",
    "warmup": "share of the updates in which the learning rate rises; then it falls to 0",
    "weight_decay": "of matrices",
    "clip": "largest norm of the gradients",
    "dropout": "share of the numbers left out, in the encoder and in the head",
    "seed": "of the head's weights, the order of the texts and dropout",
}
_TYPES = {"int": int, "float": float, "int | None": int}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", choices=TASKS, required=True)
    parser.add_argument("--train", metavar="FILE", required=True, help="what to learn from")
    parser.add_argument("--eval", metavar="FILE", required=True, help="what to measure on after every epoch")
    parser.add_argument("--test", metavar="FILE", help="what to measure the best checkpoint on at the end")
    parser.add_argument("--out", metavar="FOLDER", type=Path, required=True, help="the run's folder")
    add_model_arguments(parser)

    texts = parser.add_argument_group("texts")
    for column in ("text", "pair", "label"):
        texts.add_argument(f"--{column}-column", metavar="NAME", help="where its name isn't known")
    texts.add_argument("--no-header", dest="header", action="store_false", help="columns are numbered from 1")
    texts.add_argument(
        "--problem-type",
        choices=PROBLEM_TYPES[1:],
        help="default: a regression where all labels are numbers and some aren't whole, several labels where they are "
        "lists (JSON), else one label",
    )
    texts.add_argument(
        "--multi-label",
        dest="problem_type",
        action="store_const",
        const="multi_label_classification",
        help="several labels a text, with commas between them",
    )

    training = parser.add_argument_group("training")
    for field in fields(FinetuneSettings):
        if field.name in _HELP:
            default = "" if field.default is None else f" (default: {field.default})"
            training.add_argument(
                "--" + field.name.replace("_", "-"),
                type=_TYPES[str(field.type)],
                default=field.default,
                metavar="N",
                help=_HELP[field.name] + default,
            )
    training.add_argument("--optimizer", choices=OPTIMIZERS, default="adamw", help="default: adamw")
    training.add_argument(
        "--metric",
        metavar="NAME",
        help="that the best checkpoint is chosen by: accuracy (the default for one label a text), f1, f1_macro or "
        "matthews; f1_micro, f1_macro or accuracy for several; pearson or spearman; f1, precision, recall or accuracy "
        "for tags; f1 or exact for questions",
    )
    training.add_argument(
        "--skip-bad-rows", action="store_true", help="name rows that can't be used on stderr, and leave them out"
    )
    add_device(training)
    add_save_every(training)


def run(options: argparse.Namespace) -> int:
    from ..hub import default_model
    from ..training.finetune import evaluate, finetune  # here, as the other commands do without

    if options.model is None:
        options.model = str(default_model())
    noted = ("train_sha256", "eval_sha256")
    settings = FinetuneSettings(
        **{field.name: getattr(options, field.name) for field in fields(FinetuneSettings) if field.name not in noted}
    )
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
    if options.test is not None:
        scores = evaluate(options.out / "best", Path(options.test), settings)
        print_table([name, f"{value:.4f}"] for name, value in scores.items())
    return 0


COMMAND = Command(
    "finetune",
    topic="training",
    summary="train a model to classify texts, to tag words or to answer questions",
    examples=_EXAMPLES,
    add_arguments=add_arguments,
    run=run,
)
