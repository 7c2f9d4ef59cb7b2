import math

import numpy as np
import pytest

from distilroberta_np.model.activation import erf, gelu, softmax
from tests.seeded import draw

GRID = np.concatenate([np.linspace(-6, 6, 240_001), [-1e30, -1e4, -20, -1e-30, 0, 1e-30, 20, 1e4, 1e30]])
ERF = np.array([math.erf(x) for x in GRID.astype(np.float32).tolist()])


def test_erf_is_within_4e_7_of_the_true_one_everywhere():
    result = erf(GRID.astype(np.float32))
    assert result.dtype == np.float32
    assert np.abs(result - ERF).max() <= 4e-7


def test_erf_in_float64_is_within_5e_8():
    result = erf(GRID)
    assert result.dtype == np.float64
    assert np.abs(result - np.array([math.erf(x) for x in GRID.tolist()])).max() <= 5e-8


def test_erf_is_odd_to_the_last_bit():
    np.testing.assert_array_equal(erf(GRID), -erf(-GRID))


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 4e-7), (np.float64, 5e-8)])
def test_gelu_is_the_exact_one(dtype, tolerance):
    x = GRID[np.abs(GRID) <= 1e4].astype(dtype)
    # erfc keeps the small values of the far left, where 1 + erf has none left.
    wanted = np.array([value * math.erfc(-value / math.sqrt(2)) / 2 for value in x.tolist()])
    result = gelu(x)
    assert result.dtype == dtype
    assert (np.abs(result - wanted) <= tolerance * np.maximum(1, np.abs(x))).all()


def test_gelu_is_not_the_tanh_approximation():
    x = np.linspace(-4, 4, 1001)
    approximation = x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    assert 4e-4 < np.abs(gelu(x) - approximation).max() < 6e-4


@pytest.mark.parametrize("shape", [(1,), (5,), (3, 7), (2, 3, 4, 50)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-15)])
def test_softmax_equals_the_formula(shape, dtype, tolerance):
    scores = draw(0, *shape, dtype=dtype, scale=3)
    result = softmax(scores)
    wanted = np.empty(shape)
    for place in np.ndindex(*shape[:-1]):
        exponentials = [math.exp(score) for score in scores[place].tolist()]
        wanted[place] = [value / sum(exponentials) for value in exponentials]
    assert result.dtype == dtype
    np.testing.assert_allclose(result, wanted, rtol=0, atol=tolerance)
    np.testing.assert_allclose(result.sum(-1), 1, rtol=0, atol=10 * tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_scores_do_not_overflow(dtype):
    largest = np.finfo(dtype).max
    result = softmax(np.array([[1e4, 1e4, -1e4], [largest / 4, 0, -largest / 4], [-largest] * 3], dtype))
    np.testing.assert_allclose(result, [[0.5, 0.5, 0], [1, 0, 0], [1 / 3] * 3], rtol=1e-6)


@pytest.mark.parametrize("function", [erf, gelu, softmax])
def test_inputs_stay_as_they_are(function):
    x = np.array(draw(0, 3, 4))
    before = x.copy()
    function(x)
    np.testing.assert_array_equal(x, before)
