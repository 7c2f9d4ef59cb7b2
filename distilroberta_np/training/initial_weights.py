"""Weights before the first update."""

from __future__ import annotations

import numpy as np

from ..checkpoint.keys import Key
from ..layers.params import Array

_STANDARD_DEVIATION = 0.02  # initializer_range of Devlin et al. 2018


def initial_weights(key: Key, rng: np.random.Generator) -> Array:
    """Draw the float32 weights of a tensor, as transformers does: matrices from a normal distribution with standard
    deviation 0.02, biases 0, layer-norm gains 1."""
    if len(key.shape) == 1:
        is_gain = "norm" in key.name.lower() and key.name.endswith("weight")
        return np.full(key.shape, 1.0 if is_gain else 0.0, np.float32)
    return rng.normal(0, _STANDARD_DEVIATION, key.shape).astype(np.float32)
