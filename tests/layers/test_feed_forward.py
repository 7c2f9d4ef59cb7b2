import math

import numpy as np
import pytest

from distilroberta_np.layers.feed_forward import FeedForwardWeights, feed_forward
from distilroberta_np.layers.linear import LinearWeights
from tests.support.seeded import draw


@pytest.mark.parametrize(("rows", "hidden", "inner"), [(1, 1, 1), (6, 4, 16), (5, 16, 8), (150, 2, 3)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-5), (np.float64, 2e-6)])
def test_equals_the_formula_for_each_token(rows, hidden, inner, dtype, tolerance):
    first = LinearWeights(draw(0, inner, hidden, dtype=dtype), draw(1, inner, dtype=dtype))
    second = LinearWeights(draw(2, hidden, inner, dtype=dtype), draw(3, hidden, dtype=dtype))
    inputs = draw(4, rows, hidden, dtype=dtype)
    result = feed_forward(inputs, FeedForwardWeights(first, second))
    assert result.dtype == dtype
    for place in range(rows):
        wide = first.weight.astype(np.float64) @ inputs[place] + first.bias
        active = np.array([x * (1 + math.erf(x / math.sqrt(2))) / 2 for x in wide])
        wanted = second.weight.astype(np.float64) @ active + second.bias
        np.testing.assert_allclose(result[place], wanted, rtol=0, atol=tolerance)
