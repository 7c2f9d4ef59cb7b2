"""The losses of distillation and the student's gradients against finite differences. The parity suite compares them
with torch's losses."""

import math

import numpy as np
import pytest

from distilroberta_np import RobertaConfig, RobertaForMaskedLM, RobertaModel
from distilroberta_np.layers import activation
from distilroberta_np.layers.dropout import Dropout
from distilroberta_np.layers.losses import cosine_distance, kl_divergence
from distilroberta_np.layers.params import tree_leaves, tree_map
from distilroberta_np.models.masked_lm import lm_head, masked_lm_gradients, masked_lm_keys
from distilroberta_np.training.settings import DistillSettings
from distilroberta_np.training.student import (
    distillation_gradients,
    first_student,
    layers_of_student,
)
from tests.support.gradient_cases import MASKED, SHAPE, TEXTS
from tests.support.gradients import STEP, Repeated, check, exact_normal_cdf, numbers
from tests.support.seeded import config_dict, seeded_tensors


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_kl_divergence_is_the_definition(temperature):
    z, t = numbers(0, 5, 7) * 3, numbers(1, 5, 7) * 3
    p, q = (np.exp(x / temperature) / np.exp(x / temperature).sum(axis=1, keepdims=True) for x in (t, z))
    loss, _ = kl_divergence(z.copy(), t.copy(), temperature)
    assert loss == pytest.approx(temperature**2 * (p * np.log(p / q)).sum() / 5, rel=1e-12)
    assert kl_divergence(t.copy(), t.copy(), temperature)[0] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_kl_divergences_gradient(temperature):
    logits, teacher = numbers(0, 4, 6), numbers(1, 4, 6)
    _, gradient = kl_divergence(logits.copy(), teacher.copy(), temperature, count=9)
    check(lambda: kl_divergence(logits.copy(), teacher.copy(), temperature, count=9)[0], (logits,), (gradient,))


def test_kl_divergence_does_not_overflow():
    loss, gradient = kl_divergence(np.array([[1e4, 0]], np.float32), np.array([[0, 1e4]], np.float32), 1.0)
    assert loss == pytest.approx(1e4)
    assert gradient.tolist() == [[1, -1]]


def test_cosine_distance_is_the_definition():
    x, y = numbers(0, 5, 7), numbers(1, 5, 7)
    expected = np.mean([1 - a @ b / math.sqrt((a @ a) * (b @ b)) for a, b in zip(x, y, strict=True)])
    assert cosine_distance(x, y)[0] == pytest.approx(expected, rel=1e-9)
    assert cosine_distance(x, 3 * x)[0] == pytest.approx(0, abs=1e-9)


def test_cosine_distances_gradient():
    x, y = numbers(0, 4, 6), numbers(1, 4, 6)
    check(lambda: cosine_distance(x, y, count=9)[0], (x,), (cosine_distance(x, y, count=9)[1],))


def test_large_arrays_are_compared_as_a_whole():
    """They are cut into blocks, whose losses add up."""
    x, y = numbers(0, 600, 300), numbers(1, 600, 300)
    for loss in (lambda a, b: kl_divergence(a.copy(), b.copy(), 2.0), cosine_distance):
        whole, gradient = loss(x, y)
        rows = [loss(x[n : n + 1], y[n : n + 1]) for n in range(600)]
        assert whole == pytest.approx(np.mean([part for part, _ in rows]), rel=1e-9)
        np.testing.assert_allclose(gradient, np.concatenate([part for _, part in rows]) / 600, rtol=1e-9, atol=1e-15)


def test_the_students_layers():
    assert layers_of_student(12, 6) == [0, 2, 4, 7, 9, 11]  # DistilBERT's
    assert layers_of_student(6, 3) == [0, 2, 5]
    assert layers_of_student(4, 4) == [0, 1, 2, 3]
    assert layers_of_student(5, 1) == [0]
    for teacher in range(1, 25):
        for layers in range(1, teacher + 1):
            chosen = layers_of_student(teacher, layers)
            assert chosen == sorted(set(chosen))
            assert len(chosen) == layers
            assert chosen[0] == 0
            assert layers == 1 or chosen[-1] == teacher - 1


# -- the whole model -------------------------------------------------------------------------------------------------


def model(seed, layers):
    shape = SHAPE | {"num_hidden_layers": layers}
    config, tensors = RobertaConfig.from_dict(config_dict(**shape)), seeded_tensors(seed, **shape)
    return config, tree_map(lambda key: tensors[key.name].astype(np.float64), masked_lm_keys(config))


@pytest.fixture
def teacher():
    config, weights = model(5, layers=4)
    return RobertaForMaskedLM(config, weights)


OBJECTIVES = {
    "all": DistillSettings(teacher=""),
    "soft targets at masks": DistillSettings(teacher="", restrict_ce_to_mask=True, alpha_cos=0.0),
    "soft targets": DistillSettings(teacher="", alpha_mlm=0.0, alpha_cos=0.0, temperature=3.0),
    "cosine": DistillSettings(teacher="", alpha_ce=0.0, alpha_mlm=0.0),
}


@pytest.mark.parametrize("settings", OBJECTIVES.values(), ids=OBJECTIVES)
def test_every_tensor_against_finite_differences(settings, teacher, monkeypatch):
    monkeypatch.setattr(activation, "normal_cdf", exact_normal_cdf)
    config, weights = model(0, layers=2)
    dropout = Dropout(0.3 if settings.alpha_cos else 0.0, Repeated())

    def run():
        return distillation_gradients(TEXTS, MASKED, weights, config, teacher, settings, dropout)

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
        assert float((gradient * direction).sum()) == pytest.approx(slope, rel=1e-5, abs=1e-7), key.name


def test_the_losses_are_weighted(teacher):
    config, weights = model(0, layers=2)

    def loss(**alphas):
        settings = DistillSettings(teacher="", **{"alpha_ce": 0.0, "alpha_mlm": 0.0, "alpha_cos": 0.0} | alphas)
        return distillation_gradients(TEXTS, MASKED, weights, config, teacher, settings)[0]

    ce, mlm, cos = loss(alpha_ce=1.0), loss(alpha_mlm=1.0), loss(alpha_cos=1.0)
    assert min(ce, mlm, cos) > 0.01
    assert loss(alpha_ce=5.0, alpha_mlm=2.0, alpha_cos=1.0) == pytest.approx(5 * ce + 2 * mlm + cos, rel=1e-9)
    assert mlm == pytest.approx(masked_lm_gradients(TEXTS, MASKED, weights, config)[0], rel=1e-9)


def test_soft_targets_at_masked_positions_only(teacher):
    config, weights = model(0, layers=2)
    texts = [row for group in TEXTS for row in group]
    asked = [np.flatnonzero(row >= 0) for group in MASKED for row in group]

    def logits(weights, config):
        hidden_states = np.concatenate(RobertaModel(config, weights.roberta).encode(texts, asked))
        return lm_head(hidden_states, weights.lm_head, weights.roberta.embeddings.word, config.layer_norm_eps)[0]

    expected, _ = kl_divergence(logits(weights, config), logits(teacher.weights, teacher.config), 2.0)
    settings = DistillSettings(teacher="", alpha_ce=1.0, alpha_mlm=0.0, alpha_cos=0.0, restrict_ce_to_mask=True)
    loss, _ = distillation_gradients(TEXTS, MASKED, weights, config, teacher, settings)
    assert loss == pytest.approx(expected, rel=1e-9)


def test_without_a_teachers_losses_it_is_masked_language_modelling(teacher):
    config, weights = model(0, layers=2)
    settings = DistillSettings(teacher="", alpha_ce=0.0, alpha_mlm=1.0, alpha_cos=0.0)
    loss, gradients = distillation_gradients(TEXTS, MASKED, weights, config, teacher, settings)
    expected, others = masked_lm_gradients(TEXTS, MASKED, weights, config)
    assert loss == pytest.approx(expected, rel=1e-12)
    for ours, other in zip(tree_leaves(gradients), tree_leaves(others), strict=True):
        np.testing.assert_allclose(ours, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("restrict", [False, True])
def test_parts_of_a_batch_add_up(teacher, restrict):
    config, weights = model(0, layers=2)
    settings = DistillSettings(teacher="", restrict_ce_to_mask=restrict)

    def run(texts, labels, *counts):
        return distillation_gradients(texts, labels, weights, config, teacher, settings, None, *counts)

    loss, gradients = run(TEXTS, MASKED)
    parts = [run([ids], [labels], 4, 14) for ids, labels in zip(TEXTS, MASKED, strict=True)]
    assert loss == pytest.approx(sum(part for part, _ in parts), rel=1e-9)
    for whole, *some in zip(tree_leaves(gradients), *(tree_leaves(tree) for _, tree in parts), strict=True):
        np.testing.assert_allclose(whole, sum(some), rtol=1e-9, atol=1e-12)


def test_a_student_of_all_layers_has_nothing_to_learn_from_its_teacher(teacher):
    student = first_student(teacher.weights, 4)
    settings = DistillSettings(teacher="", alpha_mlm=0.0)
    loss, gradients = distillation_gradients(TEXTS, MASKED, student, teacher.config, teacher, settings)
    assert loss == pytest.approx(0, abs=1e-9)
    assert max(np.abs(leaf).max() for leaf in tree_leaves(gradients)) < 1e-9
