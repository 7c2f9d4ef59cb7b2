"""The losses of distillation and their gradients next to torch's, put together as DistilBERT's released code does."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the parity extra: pip install 'distilroberta-np[parity]'")
pytest.importorskip("transformers", reason="needs the parity extra")

import torch

from distilroberta_np import RobertaConfig, RobertaForMaskedLM
from distilroberta_np.layers.losses import cosine_distance, kl_divergence
from distilroberta_np.layers.params import tree_leaves, tree_map
from distilroberta_np.models.masked_lm import masked_lm_keys
from distilroberta_np.training.settings import DistillSettings
from distilroberta_np.training.student import distillation_gradients
from tests.parity.test_training import SHAPE, batch, gradients_of
from tests.support.transformers_models import seeded_masked_lm

pytestmark = pytest.mark.parity


def numbers(seed, *shape, dtype=np.float64):
    return np.random.default_rng(seed).normal(0, 3, shape).astype(dtype)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-5)])
@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_soft_targets_are_torchs(dtype, tolerance, temperature):
    z, t = numbers(0, 40, 3000, dtype=dtype), numbers(1, 40, 3000, dtype=dtype)
    theirs = torch.from_numpy(z.copy()).requires_grad_()
    expected = (
        torch.nn.KLDivLoss(reduction="batchmean")(
            torch.log_softmax(theirs / temperature, dim=-1), torch.softmax(torch.from_numpy(t) / temperature, dim=-1)
        )
        * temperature**2
    )
    expected.backward()
    loss, gradient = kl_divergence(z, t.copy(), temperature)
    assert loss == pytest.approx(expected.item(), rel=tolerance)
    assert gradient.dtype == dtype
    np.testing.assert_allclose(gradient, theirs.grad.numpy(), rtol=tolerance * 10, atol=tolerance / 100)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-5)])
def test_cosine_distance_is_torchs(dtype, tolerance):
    x, y = numbers(0, 40, 64, dtype=dtype), numbers(1, 40, 64, dtype=dtype)
    x[3] = 0  # a vector of no direction
    theirs = torch.from_numpy(x.copy()).requires_grad_()
    expected = torch.nn.CosineEmbeddingLoss()(theirs, torch.from_numpy(y), torch.ones(40, dtype=theirs.dtype))
    expected.backward()
    loss, gradient = cosine_distance(x, y)
    assert loss == pytest.approx(expected.item(), rel=tolerance)
    np.testing.assert_allclose(gradient, theirs.grad.numpy(), rtol=tolerance * 100, atol=tolerance / 100)


def their_loss(student, teacher, inputs, temperature, alpha_ce, alpha_mlm, alpha_cos, restrict):
    """Of `Distiller.step`."""
    outputs = student(**inputs, output_hidden_states=True)
    with torch.no_grad():
        goal = teacher(inputs["input_ids"], inputs["attention_mask"], output_hidden_states=True)
    chosen = inputs["labels"] > -1 if restrict else inputs["attention_mask"] == 1
    soft = torch.nn.KLDivLoss(reduction="batchmean")(
        torch.log_softmax(outputs.logits[chosen] / temperature, dim=-1),
        torch.softmax(goal.logits[chosen] / temperature, dim=-1),
    )
    seen = inputs["attention_mask"] == 1
    ours, theirs = outputs.hidden_states[-1][seen], goal.hidden_states[-1][seen]
    cosine = torch.nn.CosineEmbeddingLoss(reduction="mean")(ours, theirs, ours.new_ones(len(ours)))
    return alpha_ce * soft * temperature**2 + alpha_mlm * outputs.loss + alpha_cos * cosine


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-6), (np.float32, 2e-4)])
@pytest.mark.parametrize(
    ("alphas", "restrict"), [((5.0, 2.0, 1.0), False), ((5.0, 2.0, 1.0), True), ((1.0, 0.0, 0.0), False)]
)
def test_every_tensors_gradient_is_torchs(dtype, tolerance, restrict, alphas):
    kind = torch.float64 if dtype == np.float64 else torch.float32
    student = seeded_masked_lm(3, **SHAPE | {"num_hidden_layers": 2}).to(kind)
    teacher = seeded_masked_lm(4, **SHAPE | {"num_hidden_layers": 4}).to(kind)
    (config, weights), goal = (
        (RobertaConfig.from_dict(model.config.to_dict()), model.state_dict()) for model in (student, teacher)
    )
    goal = RobertaForMaskedLM(goal[0], tree_map(lambda key: goal[1][key.name].numpy(), masked_lm_keys(goal[0])))
    weights = tree_map(lambda key: weights[key.name].numpy().copy(), masked_lm_keys(config))
    groups, inputs = batch(np.random.default_rng(0), [5, 5, 9, 30, 64])
    texts, labels = map(list, zip(*groups, strict=True))

    expected = their_loss(student, teacher, inputs, 2.0, *alphas, restrict)
    expected.backward()
    named = dict(zip(("alpha_ce", "alpha_mlm", "alpha_cos"), alphas, strict=True))
    settings = DistillSettings(teacher="", restrict_ce_to_mask=restrict, **named)
    loss, gradients = distillation_gradients(texts, labels, weights, config, goal, settings)
    assert loss == pytest.approx(expected.item(), rel=1e-5 if dtype == np.float32 else 1e-6)
    keys = tree_leaves(masked_lm_keys(config))
    pairs = zip(keys, tree_leaves(gradients), tree_leaves(gradients_of(student, config)), strict=True)
    for key, ours, theirs in pairs:
        assert ours.dtype == dtype
        # Relative to the tensor's largest; a key's bias has none, as it adds the same to all scores of a query.
        scale = max(np.abs(theirs).max(), 1e-2)
        assert np.abs(ours - theirs).max() <= tolerance * scale, key.name
