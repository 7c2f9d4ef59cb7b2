"""Compare a pipeline with the published outputs of distilroberta-base in tests/goldens.json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..hub import package_data
from ..pipelines.fill_mask import FillMaskPipeline

# The published scores come from several versions of transformers, which agree to about this.
SCORE_ATOL = 2e-4


class Comparison(NamedTuple):
    """A published value: its name, the value, ours, and whether they agree."""

    what: str
    expected: str
    ours: str
    ok: bool


def read_goldens() -> dict[str, Any]:
    """Read goldens.json. Raises HubError if this installation lacks the file."""
    goldens: dict[str, Any] = json.loads(package_data("tests/goldens.json").read_bytes())
    return goldens


def compare(unmasker: FillMaskPipeline, goldens: Mapping[str, Any]) -> Iterator[Comparison]:
    """Replay the published values: predictions of the model card and of other pages, and outputs of the encoder.

    Predictions must agree in everything, rank included; scores within a tolerance.

    Raises DistilRobertaError: the pipeline cannot answer one of the texts.
    """
    for example in goldens["model_card"]:
        yield from _compare_predictions(unmasker, example, SCORE_ATOL)
    for example in goldens["elsewhere"]:
        yield from _compare_predictions(unmasker, example, example["score_atol"])
    yield from _compare_encoder(unmasker, goldens["encoder"])


def _compare_predictions(unmasker: FillMaskPipeline, example: Mapping[str, Any], atol: float) -> Iterator[Comparison]:
    published = example["output"]
    answers = unmasker(example["input"], top_k=len(published))
    for rank, (expected, ours) in enumerate(zip(published, answers, strict=True), start=1):
        ok = all(
            abs(ours[key] - value) <= atol if key == "score" else ours[key] == value for key, value in expected.items()
        )
        yield Comparison(f"{example['input']} #{rank}", _prediction(expected), _prediction(ours), ok)


def _compare_encoder(unmasker: FillMaskPipeline, example: Mapping[str, Any]) -> Iterator[Comparison]:
    text, ids = example["input"], example["ids"]
    our_ids = unmasker.tokenizer.encode(text)
    yield Comparison(f"{text}: ids", str(ids), str(our_ids), our_ids == ids)
    if our_ids != ids:
        return  # another vocabulary, so another model, whose hidden states are not comparable

    hidden_states = unmasker.model.roberta([ids]).last_hidden_state  # [1, S, H]
    shape = list(hidden_states.shape)
    yield Comparison(f"{text}: shape", str(example["shape"]), str(shape), shape == example["shape"])
    name = "last_hidden_state"
    for key, expected in example.items():
        if key.startswith(f"{name}["):
            ours = hidden_states[_index(key[len(name) + 1 : -1])]
            ok = ours.shape == np.shape(expected) and bool(np.abs(ours - expected).max() <= example["atol"])
            theirs, mine = (" ".join(f"{value:.6f}" for value in values) for values in (expected, ours))
            yield Comparison(f"{text}: {key}", theirs, mine, ok)


def _index(text: str) -> tuple[int | slice, ...]:
    """Parse an index such as 0,6,-4:."""
    return tuple(
        slice(*(int(bound) if bound else None for bound in part.split(":"))) if ":" in part else int(part)
        for part in text.split(",")
    )


def _prediction(prediction: Mapping[str, Any]) -> str:
    return f"{prediction['score']:.6f} {prediction['token']} {prediction['token_str']!r}"
