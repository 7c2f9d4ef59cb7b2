"""Whole models' gradients against finite differences; against torch's they are in the parity suite."""

import numpy as np
import pytest

from distilroberta_np import RobertaConfig
from distilroberta_np.layers import activation
from distilroberta_np.layers.dropout import Dropout
from distilroberta_np.layers.losses import binary_cross_entropy, mean_squared_error
from distilroberta_np.layers.params import tree_leaves, tree_map
from distilroberta_np.models.question_answering import question_answering_gradients, question_answering_keys
from distilroberta_np.models.sequence_classification import (
    sequence_classification_gradients,
    sequence_classification_keys,
)
from distilroberta_np.models.token_classification import token_classification_gradients, token_classification_keys
from tests.support.gradients import STEP, Repeated, check, exact_normal_distribution, numbers
from tests.support.seeded import config_dict
from tests.support.seeded_heads import tensors_with_head

SHAPE = {"vocab_size": 20, "hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 12}
TEXTS = [np.array([[0, 19, 7, 2], [0, 6, 19, 2]]), np.array([[0, 5, 19, 9, 8, 2]])]
NONE = Dropout(0.0, None)

SINGLE = [np.array([2, 0]), np.array([1])]
SEVERAL = [np.array([[0, 1, 1], [0, 0, 0]]), np.array([[1, 0, 1]])]
NUMBERS = [np.array([0.5, -2.0]), np.array([3.25])]
ROWS = [np.array([[0.5, 1.0, 0.0], [0.0, -2.0, 4.0]]), np.array([[3.25, 0.0, 1.0]])]
TAGS = [np.array([[-100, 2, -100, -100], [-100, 0, 1, -100]]), np.array([[-100, -100, 1, 2, 0, -100]])]
ENDS = [np.array([[1, 2], [0, 0]]), np.array([[4, 5]])]
BEYOND = [np.array([[1, 4], [9, 2]]), np.array([[-1, 5]])]

SEQUENCE = (sequence_classification_gradients, sequence_classification_keys)
CASES = {
    "single": (*SEQUENCE, SINGLE, 3, "single_label_classification", 3),
    "several": (*SEQUENCE, SEVERAL, 3, "multi_label_classification", 3),
    "regression": (*SEQUENCE, NUMBERS, 1, "regression", 3),
    "regression of several": (*SEQUENCE, ROWS, 3, "regression", 3),
    "tokens": (token_classification_gradients, token_classification_keys, TAGS, 3, None, 6),
    "questions": (question_answering_gradients, question_answering_keys, ENDS, 2, None, (3, 3)),
    "questions beyond": (question_answering_gradients, question_answering_keys, BEYOND, 2, None, (2, 2)),
}


def model(keys, labels, problem_type, dtype):
    shape = SHAPE | {"num_labels": labels, "problem_type": problem_type}
    config, tensors = RobertaConfig.from_dict(config_dict(**shape)), tensors_with_head(keys, 0, **shape)
    return config, tree_map(lambda key: tensors[key.name].astype(dtype), keys(config))


@pytest.mark.parametrize("case", CASES)
def test_every_tensor_against_finite_differences(case, monkeypatch):
    gradients_of, keys, labels, count, problem_type, _ = CASES[case]
    monkeypatch.setattr(activation, "_normal_distribution", exact_normal_distribution)
    config, weights = model(keys, count, problem_type, np.float64)
    dropout = Dropout(0.3, Repeated())

    def run():
        return gradients_of(TEXTS, labels, weights, config, dropout, dropout)

    _, gradients = run()
    rng = np.random.default_rng(1)
    for key, weight, gradient in zip(*map(tree_leaves, (keys(config), weights, gradients)), strict=True):
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


@pytest.mark.parametrize("case", CASES)
def test_parts_of_a_batch_add_up(case):
    gradients_of, keys, labels, count, problem_type, asked = CASES[case]
    config, weights = model(keys, count, problem_type, np.float32)
    loss, gradients = gradients_of(TEXTS, labels, weights, config, NONE, NONE)
    parts = [
        gradients_of([ids], [some], weights, config, NONE, NONE, asked) for ids, some in zip(TEXTS, labels, strict=True)
    ]
    assert loss == pytest.approx(sum(part for part, _ in parts), rel=1e-6)
    for whole, *some in zip(tree_leaves(gradients), *(tree_leaves(tree) for _, tree in parts), strict=True):
        assert whole.dtype == np.float32
        np.testing.assert_allclose(sum(some), whole, rtol=0, atol=1e-5 * max(1, np.abs(whole).max()))


def test_losses_of_the_simplest_answers():
    """Where all logits are alike, the losses are known."""
    for gradients_of, keys, labels, count, problem_type, wanted in (
        (*CASES["single"][:5], np.log(3)),
        (*CASES["several"][:5], np.log(2)),
        (*CASES["regression"][:5], (0.5**2 + 2**2 + 3.25**2) / 3),
        (*CASES["tokens"][:5], np.log(3)),
        (*CASES["questions"][:5], (2 * np.log(4) + np.log(6)) / 3),
        (*CASES["questions beyond"][:5], (np.log(4) + np.log(6)) / 2),
    ):
        config, (encoder, head) = model(keys, count, problem_type, np.float64)
        weights = type(keys(config))(encoder, tree_map(np.zeros_like, head))
        assert gradients_of(TEXTS, labels, weights, config, NONE, NONE)[0] == pytest.approx(wanted)


@pytest.mark.parametrize("shape", [(1, 1), (4, 1), (3, 5)])
@pytest.mark.parametrize("loss_of", [binary_cross_entropy, mean_squared_error])
def test_losses_against_finite_differences(loss_of, shape):
    logits, labels = 3 * numbers(0, *shape), (numbers(1, *shape) > 0).astype(float)
    _, d_logits = loss_of(logits, labels)
    check(lambda: loss_of(logits, labels)[0], (logits,), (d_logits,))


def test_large_logits_do_not_overflow():
    logits, labels = np.float32([[-500, 500, 500]]), np.float32([[0, 1, 0]])
    loss, d_logits = binary_cross_entropy(logits, labels)
    assert loss == pytest.approx(500 / 3)
    np.testing.assert_allclose(d_logits, [[0, 0, 1 / 3]], atol=1e-7)
    assert d_logits.dtype == np.float32
