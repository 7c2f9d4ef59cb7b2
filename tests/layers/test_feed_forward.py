import math

import numpy as np
import pytest

from distilroberta_np.layers import activation
from distilroberta_np.layers.feed_forward import FeedForwardWeights, feed_forward, feed_forward_backward
from distilroberta_np.layers.linear import LinearWeights
from tests.support.gradients import check, exact_normal_cdf, numbers
from tests.support.seeded import draw


@pytest.mark.parametrize(("rows", "hidden", "inner"), [(1, 1, 1), (6, 4, 16), (5, 16, 8), (150, 2, 3)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-5), (np.float64, 2e-6)])
def test_equals_the_formula_for_each_token(rows, hidden, inner, dtype, tolerance):
    first = LinearWeights(draw(0, inner, hidden, dtype=dtype), draw(1, inner, dtype=dtype))
    second = LinearWeights(draw(2, hidden, inner, dtype=dtype), draw(3, hidden, dtype=dtype))
    inputs = draw(4, rows, hidden, dtype=dtype)
    result, _ = feed_forward(inputs, FeedForwardWeights(first, second))
    assert result.dtype == dtype
    for position in range(rows):
        wide = first.weight.astype(np.float64) @ inputs[position] + first.bias
        active = np.array([x * (1 + math.erf(x / math.sqrt(2))) / 2 for x in wide])
        expected = second.weight.astype(np.float64) @ active + second.bias
        np.testing.assert_allclose(result[position], expected, rtol=0, atol=tolerance)


def test_backward_equals_finite_differences(monkeypatch):
    monkeypatch.setattr(activation, "normal_cdf", exact_normal_cdf)
    x, by = numbers(0, 3, 4), numbers(1, 3, 4)
    weights = FeedForwardWeights(
        LinearWeights(numbers(2, 6, 4), numbers(3, 6)), LinearWeights(numbers(4, 4, 6), numbers(5, 4))
    )
    gradients = feed_forward_backward(by, feed_forward(x, weights)[1], weights)
    check(lambda: float((feed_forward(x, weights)[0] * by).sum()), (x, weights), gradients)
