"""Against a stable sort."""

import numpy as np
import pytest

from distilroberta_np.pipelines.top_k import top_k


@pytest.mark.parametrize(
    ("values", "k", "expected"),
    [
        ([1, 3, 2], 2, [1, 2]),
        ([1, 1, 1, 1], 2, [0, 1]),
        ([1, 2, 1, 2, 1], 3, [1, 3, 0]),
        ([5], 1, [0]),
        ([5, 6], 9, [1, 0]),
        ([5, 6], 0, []),
        ([], 3, []),
    ],
)
def test_top_k(values, k, expected):
    assert top_k(np.array(values, np.float32), k).tolist() == expected


@pytest.mark.parametrize("size", [500, 255, 256, 257, 5000])
@pytest.mark.parametrize("distinct", [2, 20, 10**6])
def test_top_equals_a_stable_sort(size, distinct):
    values = np.random.default_rng(0).integers(0, distinct, size).astype(np.float32)
    for k in (1, 2, 10, 256, 257, size - 1, size):
        assert top_k(values, k).tolist() == sorted(range(size), key=lambda i: (-values[i], i))[:k]


def test_top_where_the_largest_are_neighbours():
    """All in one part, so that the other parts' largest are no help."""
    values = np.arange(10_000, dtype=np.float32)
    for order in (values, values[::-1]):
        assert values[top_k(order, 300)].tolist() == np.argsort(-order, kind="stable")[:300].tolist()
