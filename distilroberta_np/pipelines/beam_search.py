"""Words of several subwords, and several masks together: the chain rule over masked positions, from left to right.

A masked language model gives the probability of a token at a mask, given everything else. The probability of several
tokens is the product of each one's, given the tokens already filled in to its left and masks for the rest. Logarithms
are added instead, because a product of many probabilities underflows in any float.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..layers.params import Array
from .top_k import top_k

Tokens = tuple[int, ...]
# Sequences of ids and a position in each -> the log-probability of every token there, (V,) per sequence, in turn.
LogProbabilities = Callable[[Sequence[Sequence[int]], Sequence[int]], Iterable[Array]]


def score_words(
    ids: Sequence[int], position: int, words: Sequence[Tokens], mask_token_id: int, log_probabilities: LogProbabilities
) -> list[float]:
    """The log-probability of each word, given as its subwords, at the mask at a position of a text's `ids`. The mask
    becomes one per subword."""
    # Each forward pass that is needed, and the words that need it: words of one length share it while they begin alike.
    needed: dict[tuple[int, Tokens], list[int]] = {}
    for index, subwords in enumerate(words):
        for filled in range(len(subwords)):
            needed.setdefault((len(subwords), subwords[:filled]), []).append(index)
    sequences = [
        [*ids[:position], *prefix, *[mask_token_id] * (length - len(prefix)), *ids[position + 1 :]]
        for length, prefix in needed
    ]
    positions = [position + len(prefix) for _, prefix in needed]
    scores = [0.0] * len(words)
    rows = log_probabilities(sequences, positions)
    for ((_, prefix), indices), row in zip(needed.items(), rows, strict=True):
        for index in indices:
            scores[index] += float(row[words[index][len(prefix)]])
    return scores


def fill_together(
    ids: Sequence[int],
    masks: Sequence[int],
    width: int,
    log_probabilities: LogProbabilities,
    candidates: Array | None = None,
) -> list[tuple[float, Tokens]]:
    """The most likely ways to fill all masks of a text's `ids`, by beam search that keeps `width` prefixes after each.

    Args:
        masks: their positions.
        candidates: the only ids to fill in, ascending; all if None.

    Returns:
        At most `width` pairs of log-probability and tokens, best first, equal ones in the order of their tokens.
    """
    beams: list[tuple[float, Tokens]] = [(0.0, ())]
    for mask in masks:
        sequences = []
        for _, tokens in beams:
            sequence = list(ids)
            for position, token in zip(masks, tokens, strict=False):  # the masks to the left
                sequence[position] = token
            sequences.append(sequence)
        longer = []
        for (score, tokens), row in zip(beams, log_probabilities(sequences, [mask] * len(beams)), strict=True):
            best = top_k(row, width) if candidates is None else candidates[top_k(row[candidates], width)]
            longer += [(score + float(row[token]), (*tokens, int(token))) for token in best]
        beams = sorted(longer, key=lambda beam: (-beam[0], beam[1]))[:width]
    return beams
