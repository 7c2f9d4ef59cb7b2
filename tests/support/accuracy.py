"""Errors of this package and of transformers on torch, both in float32, against the same model in float64.

Needs the `parity` extra.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import transformers

from distilroberta_np.hub import find_embedded
from distilroberta_np.layers.params import Array
from tests.support.transformers_models import as_numpy, random_batch, seeded_masked_lm

# Tokens per text, one list per batch: a sentence, a paragraph, and a batch that needs padding.
LENGTHS = ([9], [128], [64, 40, 23, 50])
Models = Iterator[tuple[transformers.RobertaForMaskedLM, list[dict[str, Array]]]]


@dataclass
class Errors:
    """The errors of one side at one step of the model, pooled over batches."""

    squares: float = 0.0
    count: int = 0
    largest: float = 0.0
    logarithms: float = 0.0
    tokens: int = 0

    def add(self, values: Array, exact: Array) -> None:
        difference = np.abs(values - exact)
        self.squares += float(np.square(difference).sum())
        self.count += difference.size
        self.largest = max(self.largest, float(difference.max()))
        self.logarithms += float(np.log(np.square(difference).mean(axis=-1)).sum()) / 2
        self.tokens += len(difference)

    @property
    def rms(self) -> float:
        return float(np.sqrt(self.squares / self.count))

    @property
    def typical(self) -> float:
        """The geometric mean over tokens of each one's root mean square, which a few unstable tokens don't decide."""
        return float(np.exp(self.logarithms / self.tokens))


Measured = dict[str, tuple[Errors, Errors]]  # by step: ours, torch's


@torch.no_grad()
def measure(models: Models) -> Measured:
    """Errors against float64 at every hidden state and the logits, pooled over models of one shape."""
    measured: Measured = {}
    for model, batches in models:
        ours, double = as_numpy(model), copy.deepcopy(model).double()
        for batch in batches:
            inputs = {name: torch.from_numpy(values) for name, values in batch.items()}
            outputs = [run(**inputs, output_hidden_states=True) for run in (double, model)]
            exact, theirs = ([state.numpy() for state in (*out.hidden_states, out.logits)] for out in outputs)
            answer = ours(**batch, output_hidden_states=True)
            assert answer.hidden_states is not None
            tokens = batch["attention_mask"] == 1  # outputs at padding mean nothing
            steps = ["embeddings", *(f"layer {layer}" for layer in range(1, len(exact) - 1)), "logits"]
            for step, right, torchs, mine in zip(
                steps, exact, theirs, (*answer.hidden_states, answer.logits), strict=True
            ):
                our_errors, their_errors = measured.setdefault(step, (Errors(), Errors()))
                our_errors.add(mine[tokens], right[tokens])
                their_errors.add(torchs[tokens], right[tokens])
    return measured


def seeded_models(shape: dict[str, int], seeds: Iterable[int], lengths: Iterable[list[int]] = LENGTHS) -> Models:
    """One model per seed, each with one batch per list of lengths."""
    for seed in seeds:
        yield seeded_masked_lm(seed, **shape), [random_batch(seed, shape, texts) for texts in lengths]


def embedded_model(seeds: Iterable[int], lengths: Iterable[list[int]] = LENGTHS) -> Models:
    """The embedded model, with one batch per seed and list of lengths."""
    model = transformers.RobertaForMaskedLM.from_pretrained(
        find_embedded(), dtype=torch.float32, attn_implementation="eager"
    )
    shape = model.config.to_dict()
    yield model.eval(), [random_batch(seed, shape, texts) for seed in seeds for texts in lengths]
