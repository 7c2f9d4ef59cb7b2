"""The weights before the first update."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..checkpoint.keys import Key, masked_lm_keys
from ..config import RobertaConfig
from ..layers.params import Array, tree_map
from ..layers.roberta import MaskedLMWeights

_RANGE = 0.02  # Devlin et al. 2018's initializer_range


def initial_weights(config: RobertaConfig, rng: Any) -> MaskedLMWeights[Array]:
    """As the reference starts: matrices normal with a standard deviation of 0.02, biases 0, layer norms' gains 1, and
    the rows of padding 0."""

    def draw(key: Key) -> Array:
        if len(key.shape) == 1:
            is_gain = "norm" in key.name.lower() and key.name.endswith("weight")
            return np.full(key.shape, 1.0 if is_gain else 0.0, np.float32)
        return rng.normal(0, _RANGE, key.shape).astype(np.float32)  # type: ignore[no-any-return]

    weights: MaskedLMWeights[Array] = tree_map(draw, masked_lm_keys(config))
    weights.roberta.embeddings.word[config.pad_token_id] = 0
    weights.roberta.embeddings.position[config.pad_token_id] = 0
    return weights
