import math

import numpy as np
import pytest

from distilroberta_np.training.optim.adamw import adamw, clip, linear_schedule, start


def test_adamw_equals_the_algorithm_number_by_number():
    rng = np.random.default_rng(0)
    weights = (rng.normal(size=(3, 2)), rng.normal(size=4))
    expected = [leaf.copy() for leaf in weights]
    state = start(weights)
    means, squares = ([np.zeros_like(leaf) for leaf in weights] for _ in range(2))
    for step in range(1, 6):
        gradients = tuple(rng.normal(size=leaf.shape) for leaf in weights)
        state = adamw(weights, gradients, state, 0.1, 0.3, beta_1=0.8, beta_2=0.9, epsilon=1e-3)
        for leaf, gradient, mean, square in zip(expected, gradients, means, squares, strict=True):
            for index in np.ndindex(*leaf.shape):
                mean[index] = 0.8 * mean[index] + 0.2 * gradient[index]
                square[index] = 0.9 * square[index] + 0.1 * gradient[index] ** 2
                update = mean[index] / (1 - 0.8**step) / (math.sqrt(square[index] / (1 - 0.9**step)) + 1e-3)
                decay = 0.3 * leaf[index] if leaf.ndim == 2 else 0  # a bias does not decay
                leaf[index] -= 0.1 * (update + decay)
    assert state.updates == 5
    for leaf, copy in zip(weights, expected, strict=True):
        np.testing.assert_allclose(leaf, copy, rtol=1e-12)


def test_large_arrays_are_updated_as_a_whole():
    weights, gradients = (np.ones((300, 400), np.float32),), (np.full((300, 400), 2, np.float32),)
    adamw(weights, gradients, start(weights), 0.5, 0.0)
    np.testing.assert_allclose(weights[0], 0.5, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_are_clipped_together(dtype):
    gradients = (np.array([3.0, 0], dtype), np.array([[4.0]], dtype))
    assert clip(gradients, 10) == 5
    assert clip(gradients, np.inf) == 5
    assert clip(gradients, 0.5) == 5
    assert clip(gradients, np.inf) == pytest.approx(0.5)
    assert gradients[0].tolist() == pytest.approx([0.3, 0])
    assert gradients[0].dtype == dtype


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_norms_that_are_not_finite_are_returned_and_not_clipped(value):
    gradients = (np.array([value, 1.0]),)
    assert not math.isfinite(clip(gradients, 1.0))
    assert gradients[0][1] == 1


def test_the_learning_rate_rises_and_falls_in_straight_lines():
    rates = [linear_schedule(update, 10, 4, 2.0) for update in range(11)]
    assert rates == pytest.approx([0, 0.5, 1, 1.5, 2, 10 / 6, 8 / 6, 1, 4 / 6, 2 / 6, 0])
    assert linear_schedule(0, 5, 0, 2.0) == 2
