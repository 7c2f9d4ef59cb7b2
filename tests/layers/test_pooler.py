import math

import numpy as np
import pytest

from distilroberta_np.layers.linear import LinearWeights
from distilroberta_np.models.roberta import pooler
from tests.support.seeded import draw


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-12)])
def test_tanh_of_an_affine_map_of_the_first_token(dtype, tolerance):
    inputs = draw(0, 3, 4, 8, dtype=dtype)
    weights = LinearWeights(draw(1, 8, 8, dtype=dtype), draw(2, 8, dtype=dtype))
    result = pooler(inputs, weights)
    assert result.dtype == dtype
    for text in range(3):
        wide = weights.weight.astype(np.float64) @ inputs[text, 0] + weights.bias
        np.testing.assert_allclose(result[text], [math.tanh(x) for x in wide], rtol=0, atol=tolerance)
