import math

import numpy as np
import pytest

from distilroberta_np.layers import activation
from distilroberta_np.layers.activation import gelu, gelu_backward, sigmoid, softmax, softmax_backward
from distilroberta_np.layers.kernels import BLOCK
from tests.support.gradients import check, exact_normal_cdf, numbers
from tests.support.seeded import draw

# More than a block.
GRID = np.concatenate([np.linspace(-8, 8, 160_001), [-1e30, -1e4, -20, -1e-30, 0, 1e-30, 20, 1e4, 1e30]])


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 6e-7), (np.float64, 1e-7)])
def test_gelu_is_exact(dtype, tolerance):
    x = GRID.astype(dtype)
    # erfc keeps the small values of the far left, where 1 + erf has none left.
    expected = np.array([value * math.erfc(-value / math.sqrt(2)) / 2 for value in x.tolist()])
    result = gelu(x)
    assert result.dtype == dtype
    assert (np.abs(result - expected) <= tolerance * np.maximum(1, np.abs(x) / 8)).all()


def test_gelu_is_within_5e_8_on_average_for_normal_inputs():
    x = draw(0, 100_000)
    expected = np.array([value * math.erfc(-value / math.sqrt(2)) / 2 for value in x.tolist()])
    assert np.sqrt(np.square(gelu(x) - expected).mean()) < 5e-8


def test_gelu_is_not_the_tanh_approximation():
    x = np.linspace(-4, 4, 1001)
    approximation = x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    assert 4e-4 < np.abs(gelu(x) - approximation).max() < 6e-4


def plain_softmax(scores):
    result = np.empty(scores.shape)
    for position in np.ndindex(*scores.shape[:-1]):
        row = scores[position].tolist()
        exponentials = [math.exp(score - max(row)) for score in row]
        result[position] = [value / sum(exponentials) for value in exponentials]
    return result


@pytest.mark.parametrize("shape", [(1,), (5,), (3, 7), (2, 3, 4, 50), (BLOCK // 100, 300)])
@pytest.mark.parametrize("scale", [3, 60])  # small scores, and some that exp can't take as they are
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-14)])
def test_softmax_equals_the_formula(shape, scale, dtype, tolerance):
    scores = draw(0, *shape, dtype=dtype, scale=scale)
    result = softmax(scores)
    assert result.dtype == dtype
    np.testing.assert_allclose(result, plain_softmax(scores), rtol=0, atol=tolerance)
    np.testing.assert_allclose(result.sum(-1), 1, rtol=0, atol=10 * tolerance)


@pytest.mark.parametrize("level", [-1000, -61, -60, -30, 0, 30, 60, 61, 1000])
def test_a_constant_added_to_all_scores_changes_nothing(level):
    scores = draw(0, 4, 9)
    np.testing.assert_allclose(softmax(scores + np.float32(level)), softmax(scores), rtol=2e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_scores_do_not_overflow(dtype):
    largest = np.finfo(dtype).max
    result = softmax(np.array([[1e4, 1e4, -1e4], [largest / 4, 0, -largest / 4], [-largest] * 3], dtype))
    np.testing.assert_allclose(result, [[0.5, 0.5, 0], [1, 0, 0], [1 / 3] * 3], rtol=1e-6)


@pytest.mark.parametrize("function", [gelu, softmax])
@pytest.mark.parametrize("shape", [(3, 4), (300, 400)])
def test_inputs_are_not_changed(function, shape):
    x = np.array(draw(0, *shape))
    before = x.copy()
    function(x)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("shape", [(3, 4), (300, 400)])
def test_softmax_can_overwrite_its_input(shape):
    x = np.array(draw(0, *shape))
    expected = softmax(x)
    assert softmax(x, out=x) is x
    np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize("function", [gelu, softmax])
def test_any_memory_order(function):
    x = draw(0, 400, 600)
    for strided in (np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2], np.repeat(x, 2, axis=1)[:, ::2]):
        np.testing.assert_allclose(function(strided), function(x), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid(dtype):
    x = np.array([-1e30, -800, -3, 0, 0.5, 40, 1e30], dtype)
    expected = [0, 0, *(1 / (1 + math.exp(-value)) for value in (-3, 0, 0.5, 40)), 1]
    result = sigmoid(x)
    assert result.dtype == dtype
    np.testing.assert_allclose(result, expected, rtol=1e-6)


def test_the_slope_of_gelu_is_within_2e_7():
    x = np.linspace(-6, 6, 10_001)
    expected = [
        (1 + math.erf(v / math.sqrt(2))) / 2 + v * math.exp(-v * v / 2) / math.sqrt(2 * math.pi) for v in x.tolist()
    ]
    for dtype, tolerance in ((np.float32, 4e-7), (np.float64, 2e-7)):
        result = gelu_backward(np.ones_like(x, dtype), x.astype(dtype))
        assert result.dtype == dtype
        np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("shape", [(1,), (7,), (3, 5), (2, 3, 4)])
def test_gelu_backward_equals_finite_differences(shape, monkeypatch):
    monkeypatch.setattr(activation, "normal_cdf", exact_normal_cdf)
    x, by = 2 * numbers(0, *shape), numbers(1, *shape)
    check(lambda: float((gelu(x) * by).sum()), x, gelu_backward(by, x))
    d_x = by.copy()
    assert gelu_backward(d_x, x, out=d_x) is d_x
    np.testing.assert_array_equal(d_x, gelu_backward(by, x))


def test_the_slope_of_gelu_at_large_values():
    x = np.array([-1e30, -1e4, -30, 30, 1e4, 1e30], np.float32)
    assert gelu_backward(np.ones_like(x), x).tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("shape", [(1,), (7,), (3, 5), (2, 3, 4)])
def test_softmax_backward_equals_finite_differences(shape):
    x, by = numbers(0, *shape), numbers(1, *shape)
    check(lambda: float((softmax(x) * by).sum()), x, softmax_backward(by, softmax(x)))
    d_x = by.copy()
    assert softmax_backward(d_x, softmax(x), out=d_x) is d_x
    np.testing.assert_array_equal(d_x, softmax_backward(by, softmax(x)))


def test_backward_in_blocks_equals_row_by_row():
    x, by = draw(0, 300, 400), draw(3, 300, 400)
    for backward, other in ((gelu_backward, x), (softmax_backward, softmax(x))):
        rows = [backward(by[i], other[i]) for i in range(300)]
        np.testing.assert_allclose(backward(by, other), rows, rtol=1e-4, atol=1e-6)
