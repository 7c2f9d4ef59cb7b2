import numpy as np
import pytest

from distilroberta_np.layers import kernels as module
from distilroberta_np.layers.kernels import blocks, spans


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 10)


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (7, 1), (7, 3), (3, 40), (5, 2, 3)])
def test_spans_cover_every_row_once_and_are_small(tiny, shape):
    array = np.zeros(shape)
    parts = list(spans(array))
    assert [row for span in parts for row in range(len(array))[span]] == list(range(len(array)))
    assert all(array[span].size <= 10 or len(array[span]) == 1 for span in parts)


@pytest.mark.parametrize("shape", [(3,), (7, 3), (3, 40), (5, 2, 3), (1, 4, 2, 6)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_blocks_are_views_of_the_same_rows_of_each_array(tiny, shape, order):
    numbers = np.asarray(np.arange(np.prod(shape)).reshape(shape), order=order)
    copies = np.zeros_like(numbers, order="C")
    count = 0
    for block, copy in blocks(numbers, copies):
        assert block.shape == copy.shape
        assert block.shape[-1] == shape[-1]
        copy += block
        count += 1
    np.testing.assert_array_equal(copies, numbers)
    assert (count == 1) == (numbers.size <= 10 or (order == "F" and shape[0] == 1) or len(shape) == 1)
