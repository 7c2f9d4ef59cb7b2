"""Texts of unequal length through the encoder: sorted, cut into pieces without padding, and given back in order."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np

from ..config import RobertaConfig
from ..layers.params import Array
from ..layers.roberta import RobertaWeights, roberta_at
from .threads import map_in_threads, worker_threads

# Tokens whose final hidden states are held at a time: 50 MB at a hidden size of 768.
MAX_TOKENS = 16_384

Key = TypeVar("Key", bound=Hashable)

# Tokens computed together by a thread. Twice as many make the products 1% faster and twice the memory; half as many
# cost them 4%.
_MOST_TOKENS = 1024
# With fewer tokens a thread, BLAS makes more of the cores than threads of ours.
_LEAST_TOKENS = 128


def encode_at(
    sequences: Sequence[Sequence[int]],
    places: Sequence[Sequence[int]],
    weights: RobertaWeights[Array],
    config: RobertaConfig,
) -> list[Array]:
    """The encoder's last vectors at some places of each text: (Q, H) float32 a text, in the order of the texts.

    Args:
        sequences: the ids of each text, none too long for the model.
        places: of each text, at least one.
    """
    # Equal lengths make groups, and equally many places.
    order = sorted(range(len(sequences)), key=lambda text: (len(sequences[text]), len(places[text])))
    pieces = cut([len(sequences[text]) for text in order])

    def encode(piece: slice) -> Array:
        texts = order[piece]
        return roberta_at([sequences[text] for text in texts], [places[text] for text in texts], weights, config)

    vectors = np.concatenate(map_in_threads(encode, pieces))  # text after text, as they are sorted
    ends = np.cumsum([len(places[text]) for text in order])
    results: list[Array] = [vectors] * len(order)
    for text, end in zip(order, ends.tolist(), strict=True):
        results[text] = vectors[end - len(places[text]) : end]
    return results


def threads_for(tokens: int) -> int:
    """How many threads to cut so much work for; 1 where BLAS should spread each product instead.

    Never the one right after the other: BLAS's threads wait for more work in a loop that takes a core for some 20 ms.
    """
    threads = worker_threads()
    return threads if tokens >= threads * _LEAST_TOKENS else 1


def cut(lengths: Sequence[int]) -> list[slice]:
    """Cut a list of texts into runs of about equally many tokens, so many runs that all threads have the same work."""
    ends = np.cumsum(lengths)
    total = int(ends[-1])
    threads = threads_for(total)
    runs = threads * -(-total // (threads * _MOST_TOKENS))
    # A text belongs to the run in which its middle lies.
    middles = ends - np.asarray(lengths) / 2
    borders = [0, *np.searchsorted(middles, total * np.arange(1, runs) / runs).tolist(), len(lengths)]
    return [slice(start, end) for start, end in pairwise(borders) if start < end]


def batches(lengths: Sequence[int], max_tokens: int = MAX_TOKENS) -> Iterator[slice]:
    """Consecutive slices of a list of sequences, each with at most `max_tokens` tokens, or with a single sequence.

    This bounds memory: process one batch after the other. `cut` splits a batch for threads.

    Args:
        lengths: the number of tokens of each sequence, at least 1.
        max_tokens: the largest number of tokens of a batch.
    """
    start = tokens = 0
    for index, length in enumerate(lengths):
        if index > start and tokens + length > max_tokens:
            yield slice(start, index)
            start, tokens = index, 0
        tokens += length
    if start < len(lengths):
        yield slice(start, len(lengths))


def distinct(keys: Iterable[Key]) -> tuple[list[Key], list[int]]:
    """The distinct keys in the order in which they first appear, and for every key its index among them.

    BLAS may round a row differently at another position of a product. Inputs that occur twice in a call are computed
    once, so that they get equal scores on every processor.
    """
    indices: dict[Key, int] = {}
    index = [indices.setdefault(key, len(indices)) for key in keys]
    return list(indices), index
