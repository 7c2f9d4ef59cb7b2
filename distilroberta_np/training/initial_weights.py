"""Weights before the first update."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..checkpoint.keys import Key
from ..layers.params import Array, tree_map

_STANDARD_DEVIATION = 0.02  # initializer_range of Devlin et al. 2018


def initial_weights(keys: Any, rng: np.random.Generator) -> Any:
    """Draw float32 weights for a tree of keys, as transformers does: matrices from a normal distribution with standard
    deviation 0.02, biases 0, layer-norm gains 1."""

    def draw(key: Key) -> Array:
        if len(key.shape) == 1:
            is_gain = "norm" in key.name.lower() and key.name.endswith("weight")
            return np.full(key.shape, 1.0 if is_gain else 0.0, np.float32)
        return rng.normal(0, _STANDARD_DEVIATION, key.shape).astype(np.float32)

    return tree_map(draw, keys)
