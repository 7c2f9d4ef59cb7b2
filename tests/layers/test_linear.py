import numpy as np
import pytest

from distilroberta_np.layers.linear import LinearWeights, linear
from tests.support.seeded import draw


@pytest.mark.parametrize("leading", [(), (1,), (4,), (2, 3), (2, 1, 3)])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (5, 3), (16, 64)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-13)])
def test_equals_the_sum_over_inputs(leading, inputs, outputs, dtype, tolerance):
    x = draw(0, *leading, inputs, dtype=dtype)
    weights = LinearWeights(draw(1, outputs, inputs, dtype=dtype), draw(2, outputs, dtype=dtype))
    wanted = np.empty((*leading, outputs))
    for place in np.ndindex(*leading, outputs):
        row = weights.weight[place[-1]]
        products = [float(x[(*place[:-1], i)]) * float(row[i]) for i in range(inputs)]
        wanted[place] = sum(products) + float(weights.bias[place[-1]])
    result = linear(x, weights)
    assert result.dtype == dtype
    np.testing.assert_allclose(result, wanted, rtol=0, atol=tolerance)


@pytest.mark.parametrize("terms", [1, 7, 128, 512, 5000])
@pytest.mark.parametrize("inputs", [1, 127, 128, 129, 1100])
@pytest.mark.parametrize("rows", [1, 2, 30, 128, 129])  # the last with the other order of factors
def test_long_products_are_the_same_in_slices(rows, inputs, terms):
    x, weights = draw(0, rows, inputs), LinearWeights(draw(1, 6, inputs), draw(2, 6))
    wanted = x.astype(np.float64) @ weights.weight.astype(np.float64).T + weights.bias
    result = linear(x, weights, terms=terms)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, wanted, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(linear(x, weights), wanted, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("rows", [1, 3, 128, 129, 700])
def test_what_follows_is_done_to_every_output_once(rows):
    x, weights = draw(0, rows, 20), LinearWeights(draw(1, 200, 20), draw(2, 200))

    def double(outputs, out):
        return np.multiply(outputs, 2, out=out)

    np.testing.assert_array_equal(linear(x, weights, then=double), 2 * linear(x, weights))


def test_non_contiguous_inputs_and_weights():
    x, weight = draw(0, 6, 10)[::2, ::-2], draw(1, 5, 3).T
    weights = LinearWeights(weight, draw(2, 3))
    np.testing.assert_allclose(linear(x, weights), x.copy() @ weight.copy().T + weights.bias, rtol=1e-5, atol=1e-5)


def test_no_rows_give_no_rows():
    weights = LinearWeights(draw(1, 5, 3), draw(2, 5))
    assert linear(draw(0, 0, 3), weights).shape == (0, 5)
    assert linear(draw(0, 2, 0, 3), weights).shape == (2, 0, 5)
