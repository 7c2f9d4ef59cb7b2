import numpy as np
import pytest
from distilroberta_np.layers.classification_head import classification_head_forward

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


@pytest.mark.parametrize("texts", [1, 5, 200])
def test_against_the_formula(texts):
    weights, x = head_weights(draw), draw(0, texts, HIDDEN)
    wanted = np.tanh(x @ weights.dense.weight.T + weights.dense.bias) @ weights.output.weight.T + weights.output.bias
    logits = classification_head(x, weights)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, wanted, atol=1e-5)
    forward, _ = classification_head_forward(x, weights, Dropout(0.0, None))
    np.testing.assert_array_equal(forward, logits)


@pytest.mark.parametrize("rate", [0.0, 0.4])
def test_backward_against_finite_differences(rate):
    weights, x, by = head_weights(), numbers(0, 4, HIDDEN), numbers(5, 4, LABELS)
    dropout = Dropout(rate, Repeated())

    def run():
        return classification_head_forward(x, weights, dropout)

    logits, kept = run()
    if rate:
        assert np.abs(logits - classification_head(x, weights)).max() > 0.1  # something was left out
    d_x, d_weights = classification_head_backward(by, kept, weights)
    check(lambda: float((run()[0] * by).sum()), (x, weights), (d_x, d_weights))
