"""Dynamic masking (Devlin et al. 2018, section 3.1), drawn anew each time a text comes (Liu et al. 2019, 4.1)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from ...layers.params import Array

# Of the places asked for, the shares that become the mask, and a random token; the rest stay as they are.
MASKED, RANDOM = 0.8, 0.1
NOT_ASKED = -100  # the reference's label


def mask_tokens(
    input_ids: Array,
    rng: Any,
    mask_token_id: int,
    vocab_size: int,
    special_ids: Collection[int],
    rate: float = 0.15,
    continues: Array | None = None,
) -> tuple[Array, Array]:
    """Choose the places to ask for, and hide most of them.

    Each token but the special ones is chosen with the probability `rate`; of those chosen, 80% become the mask, 10%
    a random token, and 10% stay, so that the model can't know which of the words it sees are true.

    Args:
        input_ids: (B, S) integer.
        rng: a NumPy Generator.
        mask_token_id: the mask.
        vocab_size: random tokens are drawn from so many.
        special_ids: tokens never chosen: <s>, </s>, <pad>.
        rate: the share of tokens asked for.
        continues: (V,) bool, which tokens go on with the word before them. Given, whole words are chosen (Devlin's
            later "whole word masking"), as a rest of a word gives the rest away.

    Returns:
        The ids with some replaced, and the labels: the true token where it is asked for, -100 elsewhere.
    """
    lot = rng.random(input_ids.shape)
    if continues is not None:  # all of a word share its first token's lot
        places = np.where(continues[input_ids], 0, np.arange(input_ids.shape[1]))
        lot = np.take_along_axis(lot, np.maximum.accumulate(places, axis=1), axis=1)
    chosen = (lot < rate) & ~np.isin(input_ids, list(special_ids))
    labels = np.where(chosen, input_ids, NOT_ASKED)
    lot = rng.random(input_ids.shape)
    drawn = rng.integers(0, vocab_size, input_ids.shape)
    masked = np.where(chosen & (lot < MASKED), mask_token_id, input_ids)
    return np.where(chosen & (lot >= MASKED) & (lot < MASKED + RANDOM), drawn, masked), labels
