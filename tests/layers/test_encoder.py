import numpy as np
import pytest

from distilroberta_np import reference
from distilroberta_np.layers import activation
from distilroberta_np.layers.attention import AttentionCache, SequenceGroup, attention_bias
from distilroberta_np.layers.dropout import Dropout
from distilroberta_np.layers.encoder import (
    EncoderLayerWeights,
    encoder,
    encoder_backward,
    encoder_layer,
    encoder_layer_backward,
)
from distilroberta_np.layers.feed_forward import FeedForwardWeights
from distilroberta_np.layers.layer_norm import LayerNormWeights
from distilroberta_np.layers.linear import LinearWeights
from tests.layers.test_attention import attention_weights
from tests.support.gradients import Repeated, check, exact_normal_cdf, numbers, writable
from tests.support.seeded import draw

HIDDEN, HEADS, EPS = 8, 2, 1e-5
GROUPS = [
    SequenceGroup(2, 3, 3, attention_bias(np.array([[1, 1, 1], [1, 0, 1]]), like=np.empty(0))),
    SequenceGroup(1, 4, 4),
]


@pytest.fixture
def exact_gelu(monkeypatch):
    monkeypatch.setattr(activation, "normal_cdf", exact_normal_cdf)


def layer_weights(seed, dtype=np.float32):
    def norm(offset):
        return LayerNormWeights(draw(seed + offset, HIDDEN, dtype=dtype), draw(seed + offset + 1, HIDDEN, dtype=dtype))

    return EncoderLayerWeights(
        attention=attention_weights(HIDDEN, dtype),
        attention_layer_norm=norm(10),
        feed_forward=FeedForwardWeights(
            LinearWeights(draw(seed, 16, HIDDEN, dtype=dtype), draw(seed + 1, 16, dtype=dtype)),
            LinearWeights(draw(seed + 2, HIDDEN, 16, dtype=dtype), draw(seed + 3, HIDDEN, dtype=dtype)),
        ),
        feed_forward_layer_norm=norm(20),
    )


def groups_of(mask, like):
    return [SequenceGroup(*mask.shape, queries=mask.shape[1], bias=attention_bias(mask, like=like))]


def reference_layer(inputs, mask, weights):
    """Each sequence through `reference/` by itself, without its padding: (B x S, H) -> the rows of its tokens."""
    attention, feed_forward = weights.attention, weights.feed_forward
    params = {
        "attention": {
            "self": {name: getattr(attention, name)._asdict() for name in ("query", "key", "value")},
            "output": {"dense": attention.output._asdict(), "LayerNorm": weights.attention_layer_norm._asdict()},
        },
        "intermediate": {"dense": feed_forward.intermediate._asdict()},
        "output": {"dense": feed_forward.output._asdict(), "LayerNorm": weights.feed_forward_layer_norm._asdict()},
    }
    pairs = zip(inputs.reshape(*mask.shape, HIDDEN), mask, strict=True)
    return np.concatenate([reference.roberta.layer(rows[seen == 1], params, HEADS, EPS, {}) for rows, seen in pairs])


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-5), (np.float64, 1e-11)])
def test_a_layer_equals_the_reference(dtype, tolerance, exact_gelu):
    inputs, weights = draw(0, 10, HIDDEN, dtype=dtype), layer_weights(1, dtype)
    before = inputs.copy()
    mask = np.array([[1] * 5, [1, 1, 1, 0, 0]])
    result = encoder_layer(inputs, inputs, groups_of(mask, like=inputs), weights, HEADS, EPS)
    assert result.dtype == dtype
    expected = reference_layer(inputs, mask, weights)
    np.testing.assert_allclose(result[mask.reshape(-1) == 1], expected, rtol=0, atol=tolerance)
    np.testing.assert_array_equal(inputs, before)


def test_a_layer_computes_only_the_query_rows():
    inputs, weights = draw(0, 10, HIDDEN), layer_weights(1)
    expected = reference_layer(inputs, np.ones((2, 5)), weights)[[1, 4, 5, 7]]
    result = encoder_layer(inputs[[1, 4, 5, 7]], inputs, [SequenceGroup(2, 5, queries=2)], weights, HEADS, EPS)
    np.testing.assert_allclose(result, expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("count", [1, 3])
def test_layers_follow_each_other_and_their_caches_can_be_kept(count, exact_gelu):
    inputs, layers = draw(0, 10, HIDDEN, dtype=np.float64), tuple(layer_weights(i, np.float64) for i in range(count))
    groups = groups_of(np.ones((2, 5)), like=inputs)
    caches = []
    last = encoder(inputs, groups, slice(None), layers, HEADS, EPS, caches=caches)
    states = [cache.hidden_states for cache in caches if isinstance(cache, AttentionCache)]
    assert len(states) == count
    assert states[0] is inputs
    for state, following, layer in zip(states, [*states[1:], last], layers, strict=True):
        np.testing.assert_allclose(following, reference_layer(state, np.ones((2, 5)), layer), rtol=0, atol=1e-11)
    np.testing.assert_array_equal(last, encoder(inputs, groups, slice(None), layers, HEADS, EPS))


def test_the_last_layer_computes_the_selected_rows():
    inputs, layers = draw(0, 10, HIDDEN), (layer_weights(1), layer_weights(2))
    whole = encoder(inputs, [SequenceGroup(2, 5, 5)], slice(None), layers, HEADS, EPS)
    selected = encoder(inputs, [SequenceGroup(2, 5, 2)], np.array([0, 3, 5, 9]), layers, HEADS, EPS)
    np.testing.assert_allclose(selected, whole[[0, 3, 5, 9]], rtol=0, atol=2e-5)


@pytest.mark.parametrize("rate", [0, 0.4])
def test_layer_backward_equals_finite_differences(rate, exact_gelu):
    x, weights, by = numbers(0, 10, HIDDEN), writable(layer_weights(1)), numbers(1, 10, HIDDEN)
    dropout = Dropout(rate, Repeated())

    def forward(caches=None):
        return encoder_layer(x, x, GROUPS, weights, HEADS, EPS, dropout, caches)

    forward(caches := [])
    d_queries, d_x, d_weights = encoder_layer_backward(by, caches, GROUPS, weights, HEADS, EPS)
    assert caches == []
    check(lambda: float((forward() * by).sum()), (x, weights), (d_queries + d_x, d_weights), atol=1e-6)


def test_encoder_backward_equals_finite_differences(exact_gelu):
    x, by = numbers(0, 10, HIDDEN), numbers(1, 4, HIDDEN)
    layers, selected = (writable(layer_weights(1)), writable(layer_weights(5))), np.array([0, 4, 6, 9])
    groups = [GROUPS[0]._replace(queries=1), SequenceGroup(1, 4, 2)]

    def forward(caches=None):
        return encoder(x, groups, selected, layers, HEADS, EPS, caches=caches)

    forward(caches := [])
    gradients = encoder_backward(by, caches, groups, selected, layers, HEADS, EPS)
    check(lambda: float((forward() * by).sum()), (x, layers), gradients, atol=1e-6)
