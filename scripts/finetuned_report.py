"""Compare the predictions of a fine-tuned model with those of transformers on the same texts. Prints Markdown rows.

    python -m scripts.finetuned_report text-classification tuned/best test.tsv [--texts 300]

Texts are read from the files that `finetune` reads; the labels are ignored. Needs the `parity` extra.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import torch
import transformers

from distilroberta_np import pipeline
from distilroberta_np.training.data.conll import read_conll
from distilroberta_np.training.data.tables import read_table


def read_inputs(task: str, path: Path, most: int) -> list[Any]:
    """Read the inputs of a pipeline from a file of labelled data."""
    if task == "token-classification":
        return [" ".join(sentence.words) for sentence in read_conll(path)][:most]
    rows = read_table(path)[:most]
    return [row.text if row.pair is None else {"text": row.text, "text_pair": row.pair} for row in rows]


def scores_of(answer: Any) -> list[tuple[Any, float]]:
    """The labels and positions of a prediction, with their scores."""
    return [(tuple(value for key, value in item.items() if key != "score"), float(item["score"])) for item in answer]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=("text-classification", "token-classification"))
    parser.add_argument("model", help="a fine-tuned model's folder")
    parser.add_argument("file", type=Path, help="labelled data, as `finetune` reads it")
    parser.add_argument("--texts", type=int, default=300, help="maximum number of texts (default: 300)")
    options = parser.parse_args()
    inputs = read_inputs(options.task, options.file, options.texts)
    arguments: dict[str, Any] = {"top_k": None} if options.task == "text-classification" else {}
    if options.task == "token-classification":
        arguments["aggregation_strategy"] = "simple"
    ours = pipeline(options.task, options.model, **arguments)
    theirs = transformers.pipeline(options.task, options.model, dtype=torch.float32, **arguments)

    began = time.perf_counter()
    our_answers = ours(inputs)
    seconds = time.perf_counter() - began
    began = time.perf_counter()
    their_answers = theirs(inputs)
    their_seconds = time.perf_counter() - began

    same, largest = 0, 0.0
    for one, other in zip(our_answers, their_answers, strict=True):
        found, expected = scores_of(one), scores_of(other)
        if [label for label, _ in found] == [label for label, _ in expected]:
            same += 1
            largest = max([largest, *(abs(a - b) for (_, a), (_, b) in zip(found, expected, strict=True))])
    print("| texts | same labels in the same order and positions | largest difference of a score | seconds | theirs |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    print(f"| {len(inputs)} | {same} | {largest:.1e} | {seconds:.2f} | {their_seconds:.2f} |")


if __name__ == "__main__":
    main()
