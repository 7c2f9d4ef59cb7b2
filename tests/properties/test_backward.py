"""Backward passes on random shapes, against finite differences."""

import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="needs the test extra: pip install 'distilroberta-np[test]'")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distilroberta_np.layers.attention import SequenceGroup, attention, attention_backward
from distilroberta_np.layers.layer_norm import LayerNormWeights, layer_norm, layer_norm_backward
from distilroberta_np.layers.linear import LinearWeights, linear, linear_backward
from distilroberta_np.layers.losses import cross_entropy
from tests.layers.test_attention import attention_weights
from tests.support.gradients import check, numbers, writable

# The same examples every time: a default run must not fail by chance.
EXAMPLES = settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
sizes = st.integers(1, 5)


@EXAMPLES
@given(sizes, sizes, sizes)
def test_linear(rows, inputs, outputs):
    x, by = numbers(0, rows, inputs), numbers(3, rows, outputs)
    weights = LinearWeights(numbers(1, outputs, inputs), numbers(2, outputs))
    gradients = linear_backward(by, x, weights)
    check(lambda: float((linear(x, weights) * by).sum()), (x, weights), gradients)


@EXAMPLES
@given(sizes, st.integers(2, 6))
def test_layer_norm(rows, size):
    x, by = numbers(0, rows, size), numbers(3, rows, size)
    weights = LayerNormWeights(numbers(1, size), numbers(2, size))
    gradients = layer_norm_backward(by, x, weights, 0.1)
    check(lambda: float((layer_norm(x, weights, 0.1) * by).sum()), (x, weights), gradients)


@EXAMPLES
@given(sizes, st.integers(1, 9))
def test_cross_entropy(rows, size):
    logits, labels = 3 * numbers(0, rows, size), np.random.default_rng(1).integers(0, size, rows)
    check(lambda: cross_entropy(logits.copy(), labels)[0], logits, cross_entropy(logits.copy(), labels)[1])


@EXAMPLES
@given(st.lists(st.tuples(st.integers(1, 2), st.integers(1, 3)), min_size=1, max_size=3), st.sampled_from([1, 2]))
def test_attention(shapes, heads):
    groups = [SequenceGroup(count, tokens, tokens) for count, tokens in shapes]
    rows = sum(count * tokens for count, tokens in shapes)
    x, by, weights = numbers(0, rows, 4), numbers(1, rows, 4), writable(attention_weights(4))

    def forward():
        return attention(x, x, groups, weights, heads)

    d_queries, d_x, d_weights = attention_backward(by, forward()[1], groups, weights, heads)
    check(lambda: float((forward()[0] * by).sum()), (x, weights), (d_queries + d_x, d_weights))
