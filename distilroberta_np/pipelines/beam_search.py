"""Words of several pieces, and several masks together: the chain rule over masked positions, from left to right.

A masked language model gives the probability of a token at a mask, given everything else. The probability of several
tokens is the product of each one's, given those filled in before it and masks in the place of the rest. Logarithms are
added instead, because a product of many probabilities is zero in any float.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from ..layers.params import Array

Tokens = tuple[int, ...]
_PARTS = 256
# Sequences of ids, and a place in each, to the log-probability of every token there: an array (V,) a sequence, in turn.
LogProbabilities = Callable[[Sequence[Sequence[int]], Sequence[int]], Iterable[Array]]


def score_words(
    ids: Sequence[int], place: int, words: Sequence[Tokens], mask_token_id: int, log_probabilities: LogProbabilities
) -> list[float]:
    """The log-probability of each word at a mask, which becomes as many masks as the word has pieces.

    Args:
        ids: the text's ids.
        place: of the mask.
        words: the pieces of each word.
        mask_token_id: what stands for a piece that is not filled in yet.
        log_probabilities: the model.
    """
    # What must be computed, and for which words: words of one length share it where they begin alike.
    needed: dict[tuple[int, Tokens], list[int]] = {}
    for number, pieces in enumerate(words):
        for filled in range(len(pieces)):
            needed.setdefault((len(pieces), pieces[:filled]), []).append(number)
    sequences = [
        [*ids[:place], *beginning, *[mask_token_id] * (length - len(beginning)), *ids[place + 1 :]]
        for length, beginning in needed
    ]
    places = [place + len(beginning) for _, beginning in needed]
    scores = [0.0] * len(words)
    rows = log_probabilities(sequences, places)
    for ((_, beginning), numbers), row in zip(needed.items(), rows, strict=True):
        for number in numbers:
            scores[number] += float(row[words[number][len(beginning)]])
    return scores


def fill_together(
    ids: Sequence[int],
    masks: Sequence[int],
    width: int,
    log_probabilities: LogProbabilities,
    candidates: Array | None = None,
) -> list[tuple[float, Tokens]]:
    """The likeliest ways to fill all masks of a text, by a beam search of some width.

    Args:
        ids: the text's ids.
        masks: their places.
        width: how many beginnings are kept after each mask.
        log_probabilities: the model.
        candidates: the only ids to fill in, ascending; all if None.

    Returns:
        At most `width` pairs of log-probability and tokens, best first, equal ones in the order of their tokens.
    """
    beams: list[tuple[float, Tokens]] = [(0.0, ())]
    for mask in masks:
        sequences = []
        for _, tokens in beams:
            sequence = list(ids)
            for place, token in zip(masks, tokens, strict=False):  # those on the left
                sequence[place] = token
            sequences.append(sequence)
        longer = []
        for (score, tokens), row in zip(beams, log_probabilities(sequences, [mask] * len(beams)), strict=True):
            best = top(row, width) if candidates is None else candidates[top(row[candidates], width)]
            longer += [(score + float(row[token]), (*tokens, int(token))) for token in best]
        beams = sorted(longer, key=lambda beam: (-beam[0], beam[1]))[:width]
    return beams


def top(values: Array, k: int) -> Array:
    """The indices of the k largest values, largest first, equal ones in their order; all of them if there are fewer.

    Shapes: (N,) -> (min(k, N),) integer.
    """
    k = min(k, len(values))
    if k == 0:
        return np.empty(0, np.int64)
    # A bound that few values reach, and that the k largest do: the k-th largest of the largest values of parts. It is
    # found in one quick pass, where a partition of the whole vocabulary takes ten times as long.
    some = values
    if k <= _PARTS <= len(values):
        some = values[: len(values) // _PARTS * _PARTS].reshape(_PARTS, -1).max(axis=1)
    candidates = np.flatnonzero(values >= np.partition(some, -k)[-k])
    # Everything that ties with the k-th largest is sorted too, so that the order decides which of them stay.
    order: Array = candidates[np.argsort(-values[candidates], kind="stable")[:k]]
    return order
