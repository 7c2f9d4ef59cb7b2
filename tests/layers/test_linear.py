import numpy as np
import pytest

from distilroberta_np.layers.linear import LinearWeights, linear, linear_backward
from tests.support.gradients import check, numbers
from tests.support.seeded import draw


@pytest.mark.parametrize("leading", [(), (1,), (4,), (2, 3), (2, 1, 3)])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (5, 3), (16, 64)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-13)])
def test_equals_the_sum_over_inputs(leading, inputs, outputs, dtype, tolerance):
    x = draw(0, *leading, inputs, dtype=dtype)
    weights = LinearWeights(draw(1, outputs, inputs, dtype=dtype), draw(2, outputs, dtype=dtype))
    expected = np.empty((*leading, outputs))
    for position in np.ndindex(*leading, outputs):
        row = weights.weight[position[-1]]
        products = [float(x[(*position[:-1], i)]) * float(row[i]) for i in range(inputs)]
        expected[position] = sum(products) + float(weights.bias[position[-1]])
    result = linear(x, weights)
    assert result.dtype == dtype
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("chunk", [1, 7, 128, 512, 5000])
@pytest.mark.parametrize("inputs", [1, 127, 128, 129, 1100])
@pytest.mark.parametrize("rows", [1, 2, 30, 128, 129])  # the last with the other order of factors
def test_long_products_are_the_same_in_chunks(rows, inputs, chunk):
    x, weights = draw(0, rows, inputs), LinearWeights(draw(1, 6, inputs), draw(2, 6))
    expected = x.astype(np.float64) @ weights.weight.astype(np.float64).T + weights.bias
    result = linear(x, weights, chunk)
    assert result.dtype == np.float32
    assert result.flags.c_contiguous
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(linear(x, weights), expected, rtol=1e-5, atol=1e-4)


def test_non_contiguous_inputs_and_weights():
    x, weight = draw(0, 6, 10)[::2, ::-2], draw(1, 5, 3).T
    weights = LinearWeights(weight, draw(2, 3))
    np.testing.assert_allclose(linear(x, weights), x.copy() @ weight.copy().T + weights.bias, rtol=1e-5, atol=1e-5)


def test_no_rows_give_no_rows():
    weights = LinearWeights(draw(1, 5, 3), draw(2, 5))
    assert linear(draw(0, 0, 3), weights).shape == (0, 5)
    assert linear(draw(0, 2, 0, 3), weights).shape == (2, 0, 5)


@pytest.mark.parametrize(("rows", "inputs", "outputs"), [(1, 1, 1), (1, 5, 3), (4, 1, 2), (5, 4, 1), (3, 4, 5)])
def test_backward_equals_finite_differences(rows, inputs, outputs):
    x, by = numbers(0, rows, inputs), numbers(3, rows, outputs)
    weights = LinearWeights(numbers(1, outputs, inputs), numbers(2, outputs))
    d_x, d_weights = linear_backward(by, x, weights)
    check(lambda: float((linear(x, weights) * by).sum()), (x, weights), (d_x, d_weights))
