"""Losses and their gradients. `tests/training/test_student.py` has more on those of distillation."""

import numpy as np
import pytest

from distilroberta_np.layers.losses import binary_cross_entropy, cross_entropy, mean_squared_error
from tests.support.gradients import check, numbers


@pytest.mark.parametrize(("rows", "size"), [(1, 1), (1, 9), (6, 1), (5, 7)])
def test_cross_entropy(rows, size):
    logits, labels = 3 * numbers(0, rows, size), np.random.default_rng(1).integers(0, size, rows)
    value, d_logits = cross_entropy(logits.copy(), labels)
    check(lambda: cross_entropy(logits.copy(), labels)[0], logits, d_logits)
    expected = [np.log(np.exp(row - row[label]).sum()) for row, label in zip(logits, labels, strict=True)]
    assert value == pytest.approx(np.mean(expected))
    half, d_half = cross_entropy(logits.copy(), labels, count=2 * rows)
    assert half == pytest.approx(value / 2)
    np.testing.assert_allclose(d_half, d_logits / 2)


@pytest.mark.parametrize("shape", [(1, 1), (4, 1), (3, 5)])
@pytest.mark.parametrize("loss_function", [binary_cross_entropy, mean_squared_error])
def test_losses_of_several_labels_equal_finite_differences(loss_function, shape):
    logits, labels = 3 * numbers(0, *shape), (numbers(1, *shape) > 0).astype(float)
    _, d_logits = loss_function(logits, labels)
    check(lambda: loss_function(logits, labels)[0], (logits,), (d_logits,))


def test_large_logits_do_not_overflow():
    logits, labels = np.float32([[-500, 500, 500]]), np.float32([[0, 1, 0]])
    loss, d_logits = binary_cross_entropy(logits, labels)
    assert loss == pytest.approx(500 / 3)
    np.testing.assert_allclose(d_logits, [[0, 0, 1 / 3]], atol=1e-7)
    assert d_logits.dtype == np.float32
