import math

import numpy as np
import pytest

from distilroberta_np.layers.layer_norm import LayerNormWeights, layer_norm, layer_norm_backward
from tests.support.gradients import check, numbers
from tests.support.seeded import draw


def plain_layer_norm(vector, weight, bias, eps):
    """One row, in Python floats."""
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
    rows = inputs.reshape(-1, shape[-1])
    expected = [plain_layer_norm(row.tolist(), *(w.tolist() for w in weights), eps) for row in rows]
    assert result.dtype == dtype
    np.testing.assert_allclose(result, np.reshape(expected, shape), rtol=0, atol=tolerance * 4)


def test_rows_have_mean_0_and_variance_1():
    weights = LayerNormWeights(np.ones(64, np.float32), np.zeros(64, np.float32))
    result = layer_norm(draw(0, 10, 64, scale=5) + np.float32(100), weights, 1e-5)
    np.testing.assert_allclose(result.mean(-1), 0, atol=1e-5)
    np.testing.assert_allclose(result.var(-1), 1, atol=1e-4)


def test_a_constant_row_becomes_the_bias():
    weights = LayerNormWeights(draw(1, 8), draw(2, 8))
    np.testing.assert_array_equal(
        layer_norm(np.full((2, 8), 4, np.float32), weights, 1e-5), np.stack([weights.bias] * 2)
    )


def test_the_result_is_in_c_order():
    weights = LayerNormWeights(draw(1, 70), draw(2, 70))
    assert layer_norm(np.asfortranarray(draw(0, 30, 70)), weights, 1e-5).flags.c_contiguous


@pytest.mark.parametrize(("rows", "size"), [(1, 2), (1, 6), (5, 2), (4, 5)])
def test_backward_equals_finite_differences(rows, size):
    x, weights = numbers(0, rows, size), LayerNormWeights(numbers(1, size), numbers(2, size))
    by = numbers(3, rows, size)
    eps = 0.1  # two numbers that are almost equal would otherwise have a slope of 1e5
    gradients = layer_norm_backward(by, x, weights, eps)
    check(lambda: float((layer_norm(x, weights, eps) * by).sum()), (x, weights), gradients)


def test_backward_in_blocks_equals_row_by_row():
    x, weights, by = draw(0, 300, 400), LayerNormWeights(draw(1, 400), draw(2, 400)), draw(3, 300, 400)
    d_x, d_weights = layer_norm_backward(by, x, weights, 1e-5)
    parts = [layer_norm_backward(by[i : i + 1], x[i : i + 1], weights, 1e-5) for i in range(300)]
    np.testing.assert_allclose(d_x, np.concatenate([part for part, _ in parts]), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(d_weights.weight, sum(part.weight for _, part in parts), rtol=1e-4, atol=1e-3)
