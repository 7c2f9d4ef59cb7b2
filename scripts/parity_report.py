"""How far this package and transformers on torch, both in float32, are from the same model in float64. Prints Markdown.

    python scripts/parity_report.py

For seeded models of distilroberta-base's and roberta-base's shapes, and for the embedded model: the root mean square
and the largest error of every hidden state and of the logits, over all tokens of several seeds and texts. Needs the
`parity` extra and about 4 GB of memory.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import transformers
from machine import describe_machine
from seeded import DISTILROBERTA, ROBERTA_BASE, as_numpy, random_batch, seeded_masked_lm

from distilroberta_np.layers.params import Array

EMBEDDED = Path(__file__).parents[1] / "weights" / "tiny"
# Tokens of each text, and texts of each batch: a sentence, a paragraph, and several that need padding.
LENGTHS = ([9], [128], [64, 40, 23, 50])


@dataclass
class Errors:
    """The errors of one side at one place of the model, pooled over batches."""

    squares: float = 0.0
    count: int = 0
    largest: float = 0.0

    def add(self, values: Array, exact: Array) -> None:
        difference = np.abs(values - exact)
        self.squares += float(np.square(difference).sum())
        self.count += difference.size
        self.largest = max(self.largest, float(difference.max()))

    @property
    def rms(self) -> float:
        return float(np.sqrt(self.squares / self.count))


Measured = dict[str, tuple[Errors, Errors]]  # by place: ours, torch's


@torch.no_grad()
def measure(models: Iterable[tuple[transformers.RobertaForMaskedLM, list[dict[str, Array]]]]) -> Measured:
    """Errors against float64 at every hidden state and the logits, pooled over models of one shape."""
    measured: Measured = {}
    for model, batches in models:
        ours, exact = as_numpy(model), copy.deepcopy(model).double()
        for batch in batches:
            inputs = {name: torch.from_numpy(values) for name, values in batch.items()}
            outputs = [run(**inputs, output_hidden_states=True) for run in (exact, model)]
            wanted, theirs = ([state.numpy() for state in (*out.hidden_states, out.logits)] for out in outputs)
            answer = ours(**batch, output_hidden_states=True)
            assert answer.hidden_states is not None
            tokens = batch["attention_mask"] == 1  # what padding turns into is nobody's concern
            places = ["embeddings", *(f"layer {layer}" for layer in range(1, len(wanted) - 1)), "logits"]
            for place, right, torchs, mine in zip(
                places, wanted, theirs, (*answer.hidden_states, answer.logits), strict=True
            ):
                our_errors, their_errors = measured.setdefault(place, (Errors(), Errors()))
                our_errors.add(mine[tokens], right[tokens])
                their_errors.add(torchs[tokens], right[tokens])
    return measured


def seeded_models(
    shape: dict[str, int], seeds: Iterable[int], lengths: Iterable[list[int]] = LENGTHS
) -> Iterator[tuple[transformers.RobertaForMaskedLM, list[dict[str, Array]]]]:
    """A model a seed, with a batch of each of the lengths."""
    for seed in seeds:
        yield seeded_masked_lm(seed, **shape), [random_batch(seed, shape, texts) for texts in lengths]


def embedded_model(
    seeds: Iterable[int], lengths: Iterable[list[int]] = LENGTHS
) -> Iterator[tuple[transformers.RobertaForMaskedLM, list[dict[str, Array]]]]:
    """The embedded model, with batches of each of the lengths a seed."""
    model = transformers.RobertaForMaskedLM.from_pretrained(EMBEDDED, dtype=torch.float32, attn_implementation="eager")
    shape = model.config.to_dict()
    yield model.eval(), [random_batch(seed, shape, texts) for seed in seeds for texts in lengths]


def print_table(title: str, measured: Measured) -> None:
    print(f"\n{title}\n")
    print("| | our RMS error | torch's | ours / torch's | our largest | torch's |")
    print("|---|---|---|---|---|---|")
    for place, (ours, torchs) in measured.items():
        print(
            f"| {place} | {ours.rms:.2e} | {torchs.rms:.2e} | {ours.rms / torchs.rms:.2f} "
            f"| {ours.largest:.1e} | {torchs.largest:.1e} |"
        )


def main() -> None:
    print(f"Errors in float32 against float64, on {describe_machine('torch', 'transformers')}.")
    print_table("distilroberta-base's shape (6 x 768), 3 seeds", measure(seeded_models(DISTILROBERTA, range(3))))
    print_table("roberta-base's shape (12 x 768), 2 seeds", measure(seeded_models(ROBERTA_BASE, range(2))))
    print_table("the embedded model (6 x 256), 4 seeds of texts", measure(embedded_model(range(4))))


if __name__ == "__main__":
    main()
