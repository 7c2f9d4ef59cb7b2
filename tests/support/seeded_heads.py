"""Small fine-tuned RoBERTas with seeded random weights: the encoder of `seeded.py` with the head of a task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from distilroberta_np import RobertaConfig
from distilroberta_np.layers.params import tree_leaves
from distilroberta_np.models.sequence_classification import sequence_classification_keys
from tests.support.seeded import config_dict, seeded_tensors, write_model


def tensors_with_head(keys: Callable[[RobertaConfig], Any], seed: int = 0, **shape: Any) -> dict[str, Any]:
    """Every tensor of a checkpoint by its name, float32; `keys` gives its tensor names."""
    tensors = seeded_tensors(seed, **shape)
    tensors = {name: values for name, values in tensors.items() if name.startswith("roberta.")}
    rng = np.random.default_rng([seed, 1])
    for key in tree_leaves(keys(RobertaConfig.from_dict(config_dict(**shape)))):
        if key.name not in tensors:
            tensors[key.name] = rng.normal(0, 2 * key.shape[-1] ** -0.5, key.shape).astype(np.float32)
    return tensors


def write_classifier(folder: Path, labels: list[str], seed: int = 0, **shape: Any) -> Path:
    """The folder of a model that classifies texts by these labels."""
    # As a config.json has them, whose keys are strings.
    shape = shape | {"id2label": {str(place): label for place, label in enumerate(labels)}}
    return write_model(folder, tensors_with_head(sequence_classification_keys, seed, **shape), **shape)
