import math

import numpy as np
import pytest

from distilroberta_np import CheckpointError, RobertaForMaskedLM
from distilroberta_np.layers import activation
from distilroberta_np.layers.layer_norm import LayerNormWeights
from distilroberta_np.layers.linear import LinearWeights
from distilroberta_np.models import masked_lm
from distilroberta_np.models.masked_lm import LMHeadWeights, lm_head, lm_head_backward
from distilroberta_np.runtime import batching, threads
from tests.support.gradients import check, exact_normal_cdf, numbers
from tests.support.seeded import draw, seeded_tensors, write_model

SEQUENCES, POSITIONS = [[0, 5, 40, 7, 2], [0, 9, 2], [0, 8, 2]], [[1], [2, 0], [0, 1, 2]]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return RobertaForMaskedLM.from_pretrained(write_model(tmp_path_factory.mktemp("model"), seeded_tensors(3)))


@pytest.mark.parametrize("leading", [(), (3,), (2, 4)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 3e-5), (np.float64, 3e-6)])
def test_dense_gelu_norm_and_the_tied_embeddings(leading, dtype, tolerance):
    hidden, vocabulary, eps = 8, 11, 1e-5
    weights = LMHeadWeights(
        dense=LinearWeights(draw(0, hidden, hidden, dtype=dtype), draw(1, hidden, dtype=dtype)),
        layer_norm=LayerNormWeights(draw(2, hidden, dtype=dtype), draw(3, hidden, dtype=dtype)),
        bias=draw(4, vocabulary, dtype=dtype),
    )
    words, inputs = draw(5, vocabulary, hidden, dtype=dtype), draw(6, *leading, hidden, dtype=dtype)
    result, _ = lm_head(inputs, weights, words, eps)
    assert result.dtype == dtype
    assert result.shape == (*leading, vocabulary)
    for position in np.ndindex(*leading):
        dense = weights.dense.weight.astype(np.float64) @ inputs[position] + weights.dense.bias
        active = np.array([x * (1 + math.erf(x / math.sqrt(2))) / 2 for x in dense])
        normal = (active - active.mean()) / np.sqrt(active.var() + eps) * weights.layer_norm.weight
        expected = words.astype(np.float64) @ (normal + weights.layer_norm.bias) + weights.bias
        np.testing.assert_allclose(result[position], expected, rtol=0, atol=tolerance)


def test_head_backward_equals_finite_differences(monkeypatch):
    monkeypatch.setattr(activation, "normal_cdf", exact_normal_cdf)
    x, words, by = numbers(0, 3, 4), numbers(1, 7, 4), numbers(2, 3, 7)
    weights = LMHeadWeights(
        LinearWeights(numbers(3, 4, 4), numbers(4, 4)), LayerNormWeights(numbers(5, 4), numbers(6, 4)), numbers(7, 7)
    )
    gradients = lm_head_backward(by, lm_head(x, weights, words, 1e-5)[1], weights, words, 1e-5)
    check(lambda: float((lm_head(x, weights, words, 1e-5)[0] * by).sum()), (x, weights, words), gradients, atol=1e-6)


def test_the_head_alone_gives_the_logits_of_its_hidden_states(model):
    states = model.roberta([[0, 9, 8, 2]]).last_hidden_state
    np.testing.assert_allclose(model.logits(states[0, 2]), model([[0, 9, 8, 2]]).logits[0, 2], rtol=0, atol=1e-5)
    np.testing.assert_allclose(model.logits(states[0], slice(5, 9)), model.logits(states[0])[:, 5:9], rtol=0, atol=1e-5)


@pytest.mark.parametrize("count", [1, 3])
def test_logits_at_and_mapped_logits_are_those_of_the_whole(model, monkeypatch, count):
    monkeypatch.setattr(threads, "_openblas", lambda: (lambda: count, lambda number: None))
    monkeypatch.setattr(batching, "_MIN_THREAD_TOKENS", 1)
    monkeypatch.setattr(masked_lm, "MAPPED_ROWS", 2)
    expected = [model([sequence]).logits[0, selected] for sequence, selected in zip(SEQUENCES, POSITIONS, strict=True)]
    assert model.logits_at([], []) == []
    for ours, theirs in zip(model.logits_at(SEQUENCES, POSITIONS), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-5)
    mapped = np.concatenate(list(model.map_logits(lambda logits: logits * 2, SEQUENCES, POSITIONS)))
    np.testing.assert_allclose(mapped, 2 * np.concatenate(expected), rtol=0, atol=4e-5)


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_logits_that_are_not_finite_are_refused(model):
    dense = model.weights.lm_head.dense
    corrupt = model.weights._replace(
        lm_head=model.weights.lm_head._replace(dense=dense._replace(weight=np.full_like(dense.weight, 3e38)))
    )
    broken = RobertaForMaskedLM(model.config, corrupt)
    with pytest.raises(CheckpointError, match="the logits contain NaN or infinity; the checkpoint is probably corrupt"):
        broken.logits_at(SEQUENCES, POSITIONS)
    with pytest.raises(CheckpointError, match="the logits contain NaN or infinity"):
        list(broken.map_logits(np.copy, SEQUENCES, POSITIONS))
