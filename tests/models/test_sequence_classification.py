"""The head; loading, calling and saving the model is tested in `test_base.py`, its gradients in `test_roberta.py`."""

import numpy as np
import pytest

from distilroberta_np.layers.dropout import Dropout
from distilroberta_np.layers.linear import LinearWeights
from distilroberta_np.models.sequence_classification import (
    ClassificationHeadWeights,
    classification_head,
    classification_head_backward,
)
from tests.support.gradients import Repeated, check, numbers
from tests.support.seeded import draw

HIDDEN, LABELS = 6, 3


def head_weights(make=numbers):
    return ClassificationHeadWeights(
        LinearWeights(make(1, HIDDEN, HIDDEN), make(2, HIDDEN)), LinearWeights(make(3, LABELS, HIDDEN), make(4, LABELS))
    )


@pytest.mark.parametrize("count", [1, 5, 200])
def test_the_head_equals_its_formula(count):
    weights, x = head_weights(draw), draw(0, count, HIDDEN)
    expected = np.tanh(x @ weights.dense.weight.T + weights.dense.bias) @ weights.output.weight.T + weights.output.bias
    logits, _ = classification_head(x, weights)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected, atol=1e-5)


@pytest.mark.parametrize("rate", [0.0, 0.4])
def test_head_backward_equals_finite_differences(rate):
    weights, x, by = head_weights(), numbers(0, 4, HIDDEN), numbers(5, 4, LABELS)
    dropout = Dropout(rate, Repeated())

    def run():
        return classification_head(x, weights, dropout)

    logits, cache = run()
    if rate:
        assert np.abs(logits - classification_head(x, weights)[0]).max() > 0.1
    d_x, d_weights = classification_head_backward(by, cache, weights)
    check(lambda: float((run()[0] * by).sum()), (x, weights), (d_x, d_weights))
