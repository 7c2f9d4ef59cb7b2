import math

import numpy as np
import pytest

from distilroberta_np.layers.layer_norm import LayerNormWeights
from distilroberta_np.layers.linear import LinearWeights
from distilroberta_np.models.masked_lm import LMHeadWeights, lm_head
from tests.support.seeded import draw


@pytest.mark.parametrize("leading", [(), (3,), (2, 4)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 3e-5), (np.float64, 3e-6)])
def test_dense_gelu_norm_and_the_tied_embeddings(leading, dtype, tolerance):
    hidden, vocabulary, eps = 8, 11, 1e-5
    weights = LMHeadWeights(
        dense=LinearWeights(draw(0, hidden, hidden, dtype=dtype), draw(1, hidden, dtype=dtype)),
        layer_norm=LayerNormWeights(draw(2, hidden, dtype=dtype), draw(3, hidden, dtype=dtype)),
        bias=draw(4, vocabulary, dtype=dtype),
    )
    words, inputs = draw(5, vocabulary, hidden, dtype=dtype), draw(6, *leading, hidden, dtype=dtype)
    result = lm_head(inputs, weights, words, eps)
    assert result.dtype == dtype
    assert result.shape == (*leading, vocabulary)
    for place in np.ndindex(*leading):
        dense = weights.dense.weight.astype(np.float64) @ inputs[place] + weights.dense.bias
        active = np.array([x * (1 + math.erf(x / math.sqrt(2))) / 2 for x in dense])
        normal = (active - active.mean()) / np.sqrt(active.var() + eps) * weights.layer_norm.weight
        wanted = words.astype(np.float64) @ (normal + weights.layer_norm.bias) + weights.bias
        np.testing.assert_allclose(result[place], wanted, rtol=0, atol=tolerance)
