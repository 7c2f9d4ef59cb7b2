"""What distillation gains: two students of a teacher, one with it and one without. Prints Markdown.

    python -m scripts.distillation_report CORPUS --teacher weights/tiny --run run [--updates 2000] [--json FILE]

Both start as the teacher without every second layer and see the same masked text in the same order, for the same number
of updates: one with the three losses of DistilBERT, the other with masked language modelling alone. One document in a
hundred is held out; the loss there is printed in nats per masked token. (The embedded model was trained without the
same documents, so with it as the teacher and its corpus none of the three models has seen them.)

A stopped run resumes from the last checkpoint when the command is given again.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import statistics
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from distilroberta_np import RobertaForMaskedLM
from distilroberta_np.cli.training_options import run_training
from distilroberta_np.layers.params import tree_leaves
from distilroberta_np.training.distill import distill
from distilroberta_np.training.settings import DistillSettings
from distilroberta_np.training.student import first_student
from scripts.held_out import loss_and_accuracy, masked_sequences, split_documents
from scripts.machine import describe_machine

# The learning rate's course, as shares of the updates: DistilBERT's.
WARMUP = 0.05


def parameters(model: RobertaForMaskedLM) -> int:
    return sum(leaf.size for leaf in tree_leaves(model.weights))


def seconds_of(run: Path) -> float:
    """The median time of an update."""
    with open(run / "losses.csv", newline="", encoding="utf-8") as file:
        return statistics.median(float(row["seconds"]) for row in csv.DictReader(file))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="a folder of .txt or .txt.gz files, as `pretrain` reads them")
    parser.add_argument("--teacher", required=True, help="a masked language model's folder, or its name on the hub")
    parser.add_argument("--run", type=Path, required=True, help="folder of the two runs")
    parser.add_argument("--updates", type=int, default=2000, help="updates of each student (default: 2000)")
    parser.add_argument(
        "--batch-tokens", type=int, default=4096, help="approximate batch size in tokens (default: 4096)"
    )
    parser.add_argument("--length", type=int, default=128, help="maximum sequence length in tokens (default: 128)")
    parser.add_argument("--learning-rate", type=float, default=5e-4, help="peak learning rate (default: 0.0005)")
    parser.add_argument("--one-in", type=int, default=100, help="hold out one document in N (default: 100)")
    parser.add_argument(
        "--held-out-tokens",
        type=int,
        default=200_000,
        help="maximum number of tokens to evaluate on (default: 200,000)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    options = parser.parse_args()

    files = sorted(path for path in options.corpus.iterdir() if path.name.endswith((".txt", ".txt.gz")))
    if not files:
        parser.error(f"{options.corpus}: no .txt or .txt.gz files in it")
    training, held_out = split_documents(files, options.run / "text", options.one_in)
    if not held_out.stat().st_size:
        parser.error(f"{options.corpus}: too few documents to hold one out; lower --one-in")
    warmup = math.ceil(WARMUP * options.updates)
    distilled = DistillSettings(
        teacher=options.teacher,
        length=options.length,
        batch_tokens=options.batch_tokens,
        updates=options.updates,
        warmup=warmup,
        decay=options.updates - warmup,
        learning_rate=options.learning_rate,
        dropout=0.0,  # for so few updates
    )
    alone = replace(distilled, alpha_ce=0.0, alpha_mlm=1.0, alpha_cos=0.0)
    runs = {"distilled": distilled, "alone": alone}
    for name, settings in runs.items():
        if not run_training(distill, options.run / name, training, settings, save_every=10.0):
            return 130

    teacher = RobertaForMaskedLM.from_pretrained(options.teacher)
    students = {name: RobertaForMaskedLM.from_pretrained(options.run / name / "checkpoint") for name in runs}
    config = students["alone"].config
    models = {
        "the teacher": teacher,
        "a student before training": RobertaForMaskedLM(
            config, first_student(teacher.weights, config.num_hidden_layers)
        ),
        "a student without distillation": students["alone"],
        "a student with distillation": students["distilled"],
    }
    tokenizer = Tokenizer.from_file(str(options.run / "distilled" / "tokenizer.json"))
    sequences, labels = masked_sequences(held_out, tokenizer, options.length, options.held_out_tokens)
    figures: dict[str, Any] = {
        "machine": describe_machine(),
        "updates": options.updates,
        "batch_tokens": options.batch_tokens,
        "held_out_tokens": sum(map(len, sequences)),
        "masked_tokens": sum(int((row >= 0).sum()) for row in labels),
        "seconds_an_update": {name: seconds_of(options.run / name) for name in runs},
        "models": {
            name: {
                "layers": model.config.num_hidden_layers,
                "parameters": parameters(model),
                "nats": loss_and_accuracy(model, sequences, labels)[0],
            }
            for name, model in models.items()
        },
    }
    print(
        f"{figures['masked_tokens']:,} masked tokens of {figures['held_out_tokens']:,} held out; {options.updates:,} "
        f"updates of {options.batch_tokens:,} tokens each, width {config.hidden_size}.\n"
    )
    print("| | layers | parameters | nats a masked token | seconds an update |")
    print("| --- | ---: | ---: | ---: | ---: |")
    taken = figures["seconds_an_update"]
    for (name, row), seconds in zip(
        figures["models"].items(), ("", "", f"{taken['alone']:.2f}", f"{taken['distilled']:.2f}"), strict=True
    ):
        print(f"| {name} | {row['layers']} | {row['parameters']:,} | {row['nats']:.3f} | {seconds} |")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
