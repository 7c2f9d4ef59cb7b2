"""The whole model's gradients against finite differences; against torch's they are in the parity suite."""

import numpy as np
import pytest

from distilroberta_np import RobertaConfig
from distilroberta_np.layers import activation
from distilroberta_np.layers.dropout import Dropout
from distilroberta_np.layers.params import tree_leaves, tree_map
from distilroberta_np.models.masked_lm import masked_lm_gradients, masked_lm_keys
from tests.support.gradients import STEP, Repeated, exact_normal_distribution
from tests.support.seeded import config_dict, seeded_tensors

SHAPE = {"vocab_size": 20, "hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 12}
TEXTS = [np.array([[0, 19, 7, 2], [0, 6, 19, 2]]), np.array([[0, 5, 19, 9, 8, 2]])]
LABELS = [np.array([[-100, 9, -100, -100], [-100, 6, 5, -100]]), np.array([[-100, -100, 12, -100, -100, -100]])]


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_every_tensor_against_finite_differences(rate, monkeypatch):
    monkeypatch.setattr(activation, "_normal_distribution", exact_normal_distribution)
    config = RobertaConfig.from_dict(config_dict(**SHAPE))
    tensors = seeded_tensors(0, **SHAPE)
    weights = tree_map(lambda key: tensors[key.name].astype(np.float64), masked_lm_keys(config))
    dropout = Dropout(rate, Repeated())

    def run():
        return masked_lm_gradients(TEXTS, LABELS, weights, config, dropout, dropout)

    _, gradients = run()
    rng = np.random.default_rng(1)
    keys = tree_leaves(masked_lm_keys(config))
    for key, weight, gradient in zip(keys, tree_leaves(weights), tree_leaves(gradients), strict=True):
        assert gradient.shape == weight.shape
        # A direction a tensor: the slope along it is its product with the gradient.
        direction = rng.standard_normal(weight.shape)
        if "embeddings.word" in key.name or "embeddings.position" in key.name:
            direction[1] = 0  # the rows of padding never learn
        weight += STEP * direction
        above = run()[0]
        weight -= 2 * STEP * direction
        below = run()[0]
        weight += STEP * direction
        slope = (above - below) / (2 * STEP)
        assert float((gradient * direction).sum()) == pytest.approx(slope, rel=1e-5, abs=1e-8), key.name


def test_parts_of_a_batch_add_up():
    config = RobertaConfig.from_dict(config_dict(**SHAPE))
    tensors = seeded_tensors(0, **SHAPE)
    weights = tree_map(lambda key: tensors[key.name], masked_lm_keys(config))
    none = Dropout(0.0, None)
    loss, gradients = masked_lm_gradients(TEXTS, LABELS, weights, config, none, none)
    parts = [
        masked_lm_gradients([ids], [labels], weights, config, none, none, count=4)
        for ids, labels in zip(TEXTS, LABELS, strict=True)
    ]
    assert loss == pytest.approx(sum(part for part, _ in parts), rel=1e-6)
    for whole, *some in zip(tree_leaves(gradients), *(tree_leaves(tree) for _, tree in parts), strict=True):
        assert whole.dtype == np.float32
        np.testing.assert_allclose(sum(some), whole, rtol=0, atol=1e-5)
