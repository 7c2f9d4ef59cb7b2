"""Batches: bounded by a number of tokens for memory, or split evenly for threads; and inputs that occur twice."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np

from .threads import worker_threads

# Tokens whose final hidden states are held at a time: 50 MB at a hidden size of 768.
MAX_TOKENS = 16_384
# Tokens of a micro-batch. Twice as many make the products 1% faster and double the memory; half as many cost them 4%.
_MICRO_BATCH_TOKENS = 1024
# With fewer tokens per thread, threads that share out each product are as fast, and hold one batch.
_MIN_THREAD_TOKENS = 64

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")
Result = TypeVar("Result")


def batches(lengths: Sequence[int], max_tokens: int = MAX_TOKENS) -> Iterator[slice]:
    """Consecutive slices of a list of sequences, each with at most `max_tokens` tokens, or with a single sequence.

    This bounds memory: process one batch after the other. `micro_batches` splits a batch for threads.

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


def micro_batches(lengths: Sequence[int], max_tokens: int | None = None) -> list[slice]:
    """Split a list of sequences into consecutive slices with about the same number of tokens, for threads.

    The number of slices is a multiple of the number of threads, so that all threads have the same work.

    Args:
        lengths: the number of tokens of each sequence; at least one sequence.
        max_tokens: of a slice, approximately; 1,024 by default.
    """
    ends = np.cumsum(lengths)
    total = int(ends[-1])
    threads = threads_for(total)
    count = threads * -(-total // (threads * (max_tokens or _MICRO_BATCH_TOKENS)))
    # A sequence belongs to the slice that contains its middle.
    middles = ends - np.asarray(lengths) / 2
    borders = [0, *np.searchsorted(middles, total * np.arange(1, count) / count).tolist(), len(lengths)]
    return [slice(start, end) for start, end in pairwise(borders) if start < end]


def threads_for(tokens: int) -> int:
    """The number of threads to split this much work for; 1 if they should share out each product instead."""
    threads = worker_threads()
    return threads if tokens >= threads * _MIN_THREAD_TOKENS else 1


def distinct(keys: Iterable[Key]) -> tuple[list[Key], list[int]]:
    """The distinct keys in the order in which they first appear, and for every key its index among them.

    BLAS may round a row differently at another position of a product. Inputs that occur twice in a call are computed
    once, so that they get equal scores on every processor.
    """
    indices: dict[Key, int] = {}
    index = [indices.setdefault(key, len(indices)) for key in keys]
    return list(indices), index
