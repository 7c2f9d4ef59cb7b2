import numpy as np
import pytest

from distilroberta_np.layers import kernels as module
from distilroberta_np.layers.kernels import (
    affine,
    affines,
    blocks,
    matmul_into,
    normal_cdf,
    product,
    row_of,
    spans,
    squared_norms,
)
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


@pytest.fixture(params=[False, True], ids=["copied", "small"])
def small(request, monkeypatch):
    """Whether few rows are multiplied in small products, as on processors with AVX-512."""
    monkeypatch.setattr(module, "has_small_products", lambda: request.param)
    return request.param


@pytest.mark.parametrize("rows", [1, 5, 128, 129])
@pytest.mark.parametrize(("inputs", "outputs"), [(1100, 7), (512, 1000), (521, 33), (1, 1)])
def test_affine_equals_one_product_and_is_in_c_order(small, rows, inputs, outputs):
    x, weight, bias = draw(0, rows, inputs), draw(1, outputs, inputs), draw(2, outputs)
    result = affine(x, weight, bias)
    assert result.flags.c_contiguous
    np.testing.assert_allclose(result, x @ weight.T + bias, rtol=1e-4, atol=1e-4)


def test_small_products_stay_below_the_limit_of_openblas(monkeypatch):
    monkeypatch.setattr(module, "has_small_products", lambda: True)
    sizes = []
    matmul = module.Array.__matmul__

    class Watched(np.ndarray):
        def __matmul__(self, other):
            sizes.append(self.shape[-2] * self.shape[-1] * other.shape[-1])
            return matmul(np.asarray(self), np.asarray(other))

    for rows in (2, 8, 64, 128):
        affine(draw(0, rows, 768), draw(1, 3000, 768).view(Watched), draw(2, 3000))
    assert len(sizes) >= 4
    assert max(sizes) <= module.SMALL_PRODUCT


def test_a_product_is_written_into_a_view():
    out, a, b = np.zeros((5, 2, 4), np.float32), draw(0, 2, 5, 3), draw(1, 2, 3, 4)
    matmul_into(out.swapaxes(0, 1), a, b)
    np.testing.assert_allclose(out, (a @ b).swapaxes(0, 1), rtol=1e-6, atol=1e-6)


def test_the_normal_cdf_is_within_1e_7():
    x = np.linspace(-8, 8, 10_001)
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(normal_cdf(x, x * x), exact_normal_cdf(x, x * x), rtol=0, atol=1e-7)


@pytest.mark.parametrize("rows", [1, 2, 8, 128, 129, 300])
def test_a_product_in_shares_equals_the_whole(monkeypatch, small, rows):
    x, weight, bias = draw(0, rows, 768), draw(1, 8001, 768), draw(2, 8001)
    shares = []

    def map_one_by_one(compute, groups):
        shares.extend(part for group in groups for _, part in group)
        for group in groups:
            compute(group)

    whole = affine(x, weight, bias)
    monkeypatch.setattr(module, "_SHARE", 10**6)
    monkeypatch.setattr(module, "available_threads", lambda: 3)
    monkeypatch.setattr(module, "map_in_threads", map_one_by_one)
    np.testing.assert_allclose(affine(x, weight, bias), whole, rtol=0, atol=1e-4)
    assert len(shares) == 6
    assert [index for part in shares for index in range(8001)[part]] == list(range(8001))


def test_a_product_of_matrices_in_shares_equals_the_whole(monkeypatch):
    monkeypatch.setattr(module, "available_threads", lambda: 3)
    a, b = draw(0, 512, 300).T, draw(1, 512, 200)  # as for the gradient of a weight
    np.testing.assert_allclose(product(a, b), a @ b, rtol=0, atol=1e-4)
    assert product(a, b).flags.c_contiguous


@pytest.mark.parametrize("rows", [1, 8, 64])
def test_small_products_are_not_shared_out(monkeypatch, rows):
    monkeypatch.setattr(module, "available_threads", lambda: 2)
    monkeypatch.setattr(module, "map_in_threads", lambda fill, parts: parts == parts[:1] or pytest.fail("shared out"))
    x, narrow, wide = (np.ones((count, 256), np.float32) for count in (rows, 256, 1024))
    affine(x, wide, wide[:, 0])
    affines([(x, narrow, narrow[:, 0])] * 3)


def test_one_thread_makes_one_share(monkeypatch):
    parts = []
    monkeypatch.setattr(module, "available_threads", lambda: 1)
    monkeypatch.setattr(module, "map_in_threads", lambda fill, shares: parts.append(len(shares)))
    affine(draw(0, 200, 768), draw(1, 3072, 768), draw(2, 3072))
    product(draw(0, 512, 768), draw(1, 768, 512))
    assert parts == [1, 1]
    assert module.shares_of_heads(draw(0, 2, 12, 128, 128)) == [slice(0, 12)]


def test_products_and_heads_of_a_gpu_are_not_shared_out(monkeypatch):
    monkeypatch.setattr(module, "available_threads", lambda: 3)
    monkeypatch.setattr(module, "is_host", lambda array: False)
    assert module._shares(3072, 200, draw(0, 3072, 768)) == [slice(0, 3072)]
    assert module.shares_of_heads(draw(0, 2, 12, 128, 128)) == [slice(0, 12)]
