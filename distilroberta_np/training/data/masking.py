"""Dynamic masking (Devlin et al. 2018, section 3.1): a sequence is masked anew each time (Liu et al. 2019, 4.1)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from ...layers.params import Array

# The fractions of the selected positions that become the mask token and a random token; the others don't change.
MASKED, RANDOM = 0.8, 0.1
IGNORED = -100  # the label of all other positions, as in transformers


def mask_tokens(
    input_ids: Array,
    rng: Any,
    mask_token_id: int,
    vocab_size: int,
    special_ids: Collection[int],
    rate: float = 0.15,
    continues: Array | None = None,
) -> tuple[Array, Array]:
    """Select positions to predict, and mask most of them.

    Each position without a special token is selected with probability `rate`. Of those, 80% become the mask token, 10%
    a random token and 10% don't change, so that the model cannot rely on the tokens that it sees.

    Args:
        input_ids: (B, S) integer.
        vocab_size: the number of tokens that random ones are drawn from.
        special_ids: tokens that are never selected: <s>, </s>, <pad>.
        continues: (V,) bool, which tokens continue a word. With it, whole words are selected ("whole word masking"), as
            one token of a word gives the others away.

    Returns the masked ids, and the labels: the true token at selected positions, -100 elsewhere; (B, S) both.
    """
    draws = rng.random(input_ids.shape)
    if continues is not None:  # all tokens of a word share the draw of its first
        starts = np.where(continues[input_ids], 0, np.arange(input_ids.shape[1]))
        draws = np.take_along_axis(draws, np.maximum.accumulate(starts, axis=1), axis=1)
    selected = (draws < rate) & ~np.isin(input_ids, list(special_ids))
    labels = np.where(selected, input_ids, IGNORED)
    draws = rng.random(input_ids.shape)
    random_ids = rng.integers(0, vocab_size, input_ids.shape)
    masked = np.where(selected & (draws < MASKED), mask_token_id, input_ids)
    return np.where(selected & (draws >= MASKED) & (draws < MASKED + RANDOM), random_ids, masked), labels
