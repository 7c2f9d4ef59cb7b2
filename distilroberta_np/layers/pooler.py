"""The pooler: one vector for a whole text (Devlin et al. 2018, section 4). Filling masks does without."""

from __future__ import annotations

import numpy as np

from .linear import LinearWeights, ignore_stray_flags, linear
from .params import Array


@ignore_stray_flags
def pooler(hidden_states: Array, weights: LinearWeights[Array]) -> Array:
    """tanh of an affine map of the first token's vector, that of `<s>`.

    Shapes: hidden_states (B, S, H) -> (B, H).
    """
    return np.tanh(linear(hidden_states[:, 0], weights))
