import numpy as np
import pytest

from distilroberta_np.layers import kernels as module
from distilroberta_np.layers.kernels import affine, blocks, matmul_into, normal_cdf, row_of, spans, squared_norms
from tests.support.gradients import exact_normal_cdf
from tests.support.seeded import draw


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


def test_row_sums_means_and_squared_norms_equal_numpys():
    rows = draw(0, 4, 3, 50)
    np.testing.assert_allclose(rows @ row_of(1, rows), rows.sum(axis=-1), rtol=0, atol=1e-5)
    np.testing.assert_allclose(rows @ row_of(1 / 50, rows), rows.mean(axis=-1), rtol=0, atol=1e-6)
    np.testing.assert_allclose(squared_norms(rows), np.square(rows).sum(axis=-1), rtol=1e-6)


@pytest.mark.parametrize("rows", [1, 5, 128, 129])
def test_affine_equals_one_product_and_is_in_c_order(rows):
    x, weight, bias = draw(0, rows, 1100), draw(1, 7, 1100), draw(2, 7)
    result = affine(x, weight, bias)
    assert result.flags.c_contiguous
    np.testing.assert_allclose(result, x @ weight.T + bias, rtol=1e-4, atol=1e-4)


def test_a_product_is_written_into_a_view():
    out, a, b = np.zeros((5, 2, 4), np.float32), draw(0, 2, 5, 3), draw(1, 2, 3, 4)
    matmul_into(out.swapaxes(0, 1), a, b)
    np.testing.assert_allclose(out, (a @ b).swapaxes(0, 1), rtol=1e-6, atol=1e-6)


def test_the_normal_cdf_is_within_1e_7():
    x = np.linspace(-8, 8, 10_001)
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(normal_cdf(x, x * x), exact_normal_cdf(x, x * x), rtol=0, atol=1e-7)
