import numpy as np

from distilroberta_np.layers.dropout import Dropout, drop, drop_backward
from tests.support.seeded import draw


def test_activations_are_zeroed_or_scaled_so_that_the_mean_stays():
    inputs = np.ones((400, 500), np.float32)
    outputs, mask = drop(inputs, Dropout(0.25, np.random.default_rng(0)))
    assert outputs.dtype == np.float32
    assert set(np.unique(outputs)) == {np.float32(0), np.float32(4 / 3)}
    np.testing.assert_allclose(outputs.mean(), 1, atol=0.01)
    d_outputs = draw(1, 400, 500)
    np.testing.assert_array_equal(drop_backward(d_outputs, mask), d_outputs * outputs)


def test_without_dropout_the_inputs_are_returned():
    inputs = draw(0, 3, 4)
    for dropout in (None, Dropout(0.0, None)):
        outputs, mask = drop(inputs, dropout)
        assert outputs is inputs
        assert mask is None
        assert drop_backward(inputs, mask) is inputs
