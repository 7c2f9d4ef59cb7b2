"""Every backward pass against finite differences in float64. A function's outputs are weighed with random numbers, so
that the sum has a gradient with respect to each input and weight."""

import math

import numpy as np
import pytest
from distilroberta_np.layers.lm_head import lm_head_forward

from distilroberta_np.layers import activation
from distilroberta_np.layers.activation import gelu, gelu_backward, softmax, softmax_backward
from distilroberta_np.layers.attention import (
    TextGroup,
    attention_bias,
    multi_head_attention,
    multi_head_attention_backward,
    multi_head_attention_forward,
)
from distilroberta_np.layers.dropout import Dropout
from distilroberta_np.layers.embeddings import (
    EmbeddingsWeights,
    embeddings,
    embeddings_backward,
    embeddings_forward,
    position_ids,
)
from distilroberta_np.layers.encoder import encoder_layer, encoder_layer_backward, encoder_layer_forward
from distilroberta_np.layers.feed_forward import (
    FeedForwardWeights,
    feed_forward,
    feed_forward_backward,
    feed_forward_forward,
)
from distilroberta_np.layers.layer_norm import LayerNormWeights, layer_norm, layer_norm_backward
from distilroberta_np.layers.linear import LinearWeights, linear, linear_backward
from distilroberta_np.layers.losses import cross_entropy
from distilroberta_np.models.masked_lm import LMHeadWeights, lm_head, lm_head_backward
from tests.layers.test_attention import attention_weights
from tests.layers.test_encoder import EPS, HEADS, HIDDEN, layer_weights
from tests.support.gradients import Repeated, check, exact_normal_distribution, numbers, writable
from tests.support.seeded import draw

NO_DROPOUT = Dropout(0.0, None)


@pytest.fixture
def exact_gelu(monkeypatch):
    monkeypatch.setattr(activation, "_normal_distribution", exact_normal_distribution)


@pytest.mark.parametrize(("rows", "inputs", "outputs"), [(1, 1, 1), (1, 5, 3), (4, 1, 2), (5, 4, 1), (3, 4, 5)])
def test_linear(rows, inputs, outputs):
    x, by = numbers(0, rows, inputs), numbers(3, rows, outputs)
    weights = LinearWeights(numbers(1, outputs, inputs), numbers(2, outputs))
    d_x, d_weights = linear_backward(by, x, weights)
    check(lambda: float((linear(x, weights) * by).sum()), (x, weights), (d_x, d_weights))


def test_gelus_slope_is_within_2e_7():
    x = np.linspace(-6, 6, 10_001)
    wanted = [
        (1 + math.erf(v / math.sqrt(2))) / 2 + v * math.exp(-v * v / 2) / math.sqrt(2 * math.pi) for v in x.tolist()
    ]
    for dtype, tolerance in ((np.float32, 4e-7), (np.float64, 2e-7)):
        result = gelu_backward(np.ones_like(x, dtype), x.astype(dtype))
        assert result.dtype == dtype
        np.testing.assert_allclose(result, wanted, rtol=0, atol=tolerance)


@pytest.mark.parametrize("shape", [(1,), (7,), (3, 5), (2, 3, 4)])
def test_gelu(shape, exact_gelu):
    x, by = 2 * numbers(0, *shape), numbers(1, *shape)
    check(lambda: float((gelu(x) * by).sum()), x, gelu_backward(by, x))
    d_x = by.copy()
    assert gelu_backward(d_x, x, out=d_x) is d_x
    np.testing.assert_array_equal(d_x, gelu_backward(by, x))


def test_gelu_far_out():
    x = np.array([-1e30, -1e4, -30, 30, 1e4, 1e30], np.float32)
    assert gelu_backward(np.ones_like(x), x).tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("shape", [(1,), (7,), (3, 5), (2, 3, 4)])
def test_softmax(shape):
    x, by = numbers(0, *shape), numbers(1, *shape)
    check(lambda: float((softmax(x) * by).sum()), x, softmax_backward(by, softmax(x)))
    d_x = by.copy()
    assert softmax_backward(d_x, softmax(x), out=d_x) is d_x
    np.testing.assert_array_equal(d_x, softmax_backward(by, softmax(x)))


@pytest.mark.parametrize(("rows", "size"), [(1, 2), (1, 6), (5, 2), (4, 5)])
def test_layer_norm(rows, size):
    x, weights = numbers(0, rows, size), LayerNormWeights(numbers(1, size), numbers(2, size))
    by = numbers(3, rows, size)
    eps = 0.1  # two numbers that are all but equal would otherwise have a slope of 1e5
    gradients = layer_norm_backward(by, x, weights, eps)
    check(lambda: float((layer_norm(x, weights, eps) * by).sum()), (x, weights), gradients)


def test_many_rows_go_block_by_block():
    x, weights, by = draw(0, 300, 400), LayerNormWeights(draw(1, 400), draw(2, 400)), draw(3, 300, 400)
    d_x, d_weights = layer_norm_backward(by, x, weights, 1e-5)
    parts = [layer_norm_backward(by[i : i + 1], x[i : i + 1], weights, 1e-5) for i in range(300)]
    np.testing.assert_allclose(d_x, np.concatenate([part for part, _ in parts]), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(d_weights.weight, sum(part.weight for _, part in parts), rtol=1e-4, atol=1e-3)
    for backward, other in ((gelu_backward, x), (softmax_backward, softmax(x))):
        rows = [backward(by[i], other[i]) for i in range(300)]
        np.testing.assert_allclose(backward(by, other), rows, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("rows", "size"), [(1, 1), (1, 9), (6, 1), (5, 7)])
def test_cross_entropy(rows, size):
    logits, labels = 3 * numbers(0, rows, size), np.random.default_rng(1).integers(0, size, rows)

    def loss():
        return cross_entropy(logits.copy(), labels)[0]

    value, d_logits = cross_entropy(logits.copy(), labels)
    check(loss, logits, d_logits)
    by_hand = [np.log(np.exp(row - row[label]).sum()) for row, label in zip(logits, labels, strict=True)]
    assert value == pytest.approx(np.mean(by_hand))
    half, d_half = cross_entropy(logits.copy(), labels, count=2 * rows)
    assert half == pytest.approx(value / 2)
    np.testing.assert_allclose(d_half, d_logits / 2)


GROUPS = [
    TextGroup(2, 3, 3, attention_bias(np.array([[1, 1, 1], [1, 0, 1]]), like=np.empty(0))),
    TextGroup(1, 4, 4),
]


@pytest.mark.parametrize("rate", [0, 0.4])
@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attention(rate, heads):
    x, weights, by = numbers(0, 10, 4), writable(attention_weights(4)), numbers(1, 10, 4)
    dropout = Dropout(rate, Repeated())

    def forward():
        return multi_head_attention_forward(x, x, GROUPS, weights, heads, dropout)

    d_queries, d_x, d_weights = multi_head_attention_backward(by, forward()[1], GROUPS, weights, heads)
    check(lambda: float((forward()[0] * by).sum()), (x, weights), (d_queries + d_x, d_weights))
    if not rate:
        np.testing.assert_allclose(forward()[0], multi_head_attention(x, x, GROUPS, weights, heads)[0], atol=1e-12)


def test_feed_forward(exact_gelu):
    x, by = numbers(0, 3, 4), numbers(1, 3, 4)
    weights = FeedForwardWeights(
        LinearWeights(numbers(2, 6, 4), numbers(3, 6)), LinearWeights(numbers(4, 4, 6), numbers(5, 4))
    )
    output, kept = feed_forward_forward(x, weights)
    np.testing.assert_allclose(output, feed_forward(x, weights), atol=1e-12)
    gradients = feed_forward_backward(by, kept, weights)
    check(lambda: float((feed_forward(x, weights) * by).sum()), (x, weights), gradients)


@pytest.mark.parametrize("rate", [0, 0.4])
def test_encoder_layer(rate, exact_gelu):
    x, weights, by = numbers(0, 10, HIDDEN), writable(layer_weights(1)), numbers(1, 10, HIDDEN)
    dropout = Dropout(rate, Repeated())

    def forward():
        return encoder_layer_forward(x, x, GROUPS, weights, HEADS, EPS, dropout, dropout)

    d_queries, d_x, d_weights = encoder_layer_backward(by, forward()[1], GROUPS, weights, HEADS, EPS)
    check(lambda: float((forward()[0] * by).sum()), (x, weights), (d_queries + d_x, d_weights), atol=1e-6)
    if not rate:
        np.testing.assert_allclose(forward()[0], encoder_layer(x, x, GROUPS, weights, HEADS, EPS)[0], atol=1e-12)


def test_embeddings():
    weights = EmbeddingsWeights(
        numbers(0, 9, 4), numbers(1, 8, 4), numbers(2, 1, 4), LayerNormWeights(numbers(3, 4), numbers(4, 4))
    )
    ids, by = np.array([[0, 5, 5, 8], [3, 5, 1, 1]]), numbers(5, 2, 4, 4)
    output, kept = embeddings_forward(ids.reshape(-1), position_ids(ids, 1).reshape(-1), weights, EPS)
    np.testing.assert_allclose(output.reshape(2, 4, 4), embeddings(ids, weights, 1, EPS), atol=1e-12)
    gradients = embeddings_backward(by.reshape(-1, 4), kept, weights, 1, EPS)
    assert not gradients.word[1].any()  # padding
    assert not gradients.position[1].any()
    weighed = by * (ids != 1)[..., None]
    # Without the padding's part; the rest of the weights sees that too.
    without_padding = embeddings_backward(weighed.reshape(-1, 4), kept, weights, 1, EPS)
    check(lambda: float((embeddings(ids, weights, 1, EPS) * weighed).sum()), weights, without_padding, atol=1e-6)
    np.testing.assert_allclose(gradients.word, without_padding.word)


def test_lm_head(exact_gelu):
    x, words, by = numbers(0, 3, 4), numbers(1, 7, 4), numbers(2, 3, 7)
    weights = LMHeadWeights(
        LinearWeights(numbers(3, 4, 4), numbers(4, 4)), LayerNormWeights(numbers(5, 4), numbers(6, 4)), numbers(7, 7)
    )
    output, kept = lm_head_forward(x, weights, words, EPS)
    np.testing.assert_allclose(output, lm_head(x, weights, words, EPS), atol=1e-12)
    d_x, d_weights, d_words = lm_head_backward(by, kept, weights, words, EPS)
    loss = lambda: float((lm_head(x, weights, words, EPS) * by).sum())  # noqa: E731
    check(loss, (x, weights, words), (d_x, d_weights, d_words), atol=1e-6)
