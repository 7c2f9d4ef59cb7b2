import math

import numpy as np
import pytest

from distilroberta_np.layers.layer_norm import LayerNormWeights, layer_norm
from tests.support.seeded import draw


def twin(vector, weight, bias, eps):
    """One vector, in Python floats."""
    mean = sum(vector) / len(vector)
    variance = sum((x - mean) ** 2 for x in vector) / len(vector)
    return [(x - mean) / math.sqrt(variance + eps) * w + b for x, w, b in zip(vector, weight, bias, strict=True)]


@pytest.mark.parametrize("shape", [(1,), (7,), (3, 5), (2, 3, 16), (2, 1, 3, 64)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 3e-6), (np.float64, 1e-13)])
@pytest.mark.parametrize("eps", [1e-5, 0.5])
def test_equals_the_formula(shape, dtype, tolerance, eps):
    inputs = draw(0, *shape, dtype=dtype, scale=3)
    weights = LayerNormWeights(draw(1, shape[-1], dtype=dtype), draw(2, shape[-1], dtype=dtype))
    result = layer_norm(inputs, weights, eps)
    wanted = [twin(row.tolist(), *(w.tolist() for w in weights), eps) for row in inputs.reshape(-1, shape[-1])]
    assert result.dtype == dtype
    np.testing.assert_allclose(result, np.reshape(wanted, shape), rtol=0, atol=tolerance * 4)


@pytest.mark.parametrize("shape", [(5,), (3, 5), (200, 700)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_residual_is_added_first(shape, order):
    inputs, residual = np.asarray(draw(0, *shape), order=order), draw(3, *shape)
    before = inputs.copy()
    weights = LayerNormWeights(draw(1, shape[-1]), draw(2, shape[-1]))
    result = layer_norm(inputs, weights, 1e-5, residual=residual)
    np.testing.assert_allclose(result, layer_norm(inputs + residual, weights, 1e-5), rtol=0, atol=2e-6)
    np.testing.assert_array_equal(inputs, before)
    assert result.flags.c_contiguous


def test_vectors_come_out_with_mean_0_and_variance_1():
    weights = LayerNormWeights(np.ones(64, np.float32), np.zeros(64, np.float32))
    result = layer_norm(draw(0, 10, 64, scale=5) + np.float32(100), weights, 1e-5)
    np.testing.assert_allclose(result.mean(-1), 0, atol=1e-5)
    np.testing.assert_allclose(result.var(-1), 1, atol=1e-4)


def test_a_constant_vector_becomes_the_bias():
    weights = LayerNormWeights(draw(1, 8), draw(2, 8))
    np.testing.assert_array_equal(
        layer_norm(np.full((2, 8), 4, np.float32), weights, 1e-5), np.stack([weights.bias] * 2)
    )


def test_rows_in_fortran_order_are_not_less_accurate():
    rows, weights = draw(0, 100, 256) + 3, LayerNormWeights(np.ones(256, np.float32), np.zeros(256, np.float32))
    wanted = layer_norm(rows.copy(), weights, 1e-5)
    np.testing.assert_array_equal(layer_norm(np.asfortranarray(rows), weights, 1e-5), wanted)
