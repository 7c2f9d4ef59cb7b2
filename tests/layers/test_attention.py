import math

import numpy as np
import pytest

from distilroberta_np.layers.attention import (
    AttentionWeights,
    SequenceGroup,
    attention,
    attention_backward,
    attention_bias,
    split_heads,
)
from distilroberta_np.layers.dropout import Dropout
from distilroberta_np.layers.linear import LinearWeights
from tests.support.gradients import Repeated, check, numbers, writable
from tests.support.seeded import draw


def attention_weights(hidden, dtype=np.float32):
    scale = hidden**-0.5
    return AttentionWeights(
        *(
            LinearWeights(draw(i, hidden, hidden, dtype=dtype, scale=2 * scale), draw(i, hidden, dtype=dtype))
            for i in range(4)
        )
    )


def plain_attention(inputs, mask, weights, heads):
    """One query of one head of one sequence at a time, in float64. Masked keys are left out."""
    batch, sequence, hidden = inputs.shape
    size = hidden // heads
    query, key, value = (
        inputs.astype(np.float64) @ part.weight.astype(np.float64).T + part.bias
        for part in (weights.query, weights.key, weights.value)
    )
    context = np.zeros(inputs.shape)
    probabilities = np.zeros((batch, heads, sequence, sequence))
    for text in range(batch):
        seen = [position for position in range(sequence) if mask[text, position]]
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            for position in range(sequence):
                dots = [query[text, position, part] @ key[text, other, part] / math.sqrt(size) for other in seen]
                exponentials = [math.exp(dot - max(dots)) for dot in dots]
                for other, exponential in zip(seen, exponentials, strict=True):
                    probability = exponential / sum(exponentials)
                    probabilities[text, head, position, other] = probability
                    context[text, position, part] += probability * value[text, other, part]
    return context @ weights.output.weight.astype(np.float64).T + weights.output.bias, probabilities


def attend(inputs, mask, weights, heads):
    """The sequences as one group: (B, S, H) and (B, S) -> (B, S, H) and (B, A, S, S)."""
    batch, sequence, hidden = inputs.shape
    rows = inputs.reshape(-1, hidden)
    group = SequenceGroup(batch, sequence, queries=sequence, bias=attention_bias(mask, like=inputs))
    attended, cache = attention(rows, rows, [group], weights, heads)
    return attended.reshape(inputs.shape), cache.probabilities[0]


@pytest.mark.parametrize(
    ("batch", "sequence", "hidden", "heads"), [(1, 1, 1, 1), (2, 3, 4, 1), (1, 5, 6, 6), (3, 7, 12, 4), (2, 9, 16, 2)]
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-5), (np.float64, 1e-12)])
@pytest.mark.parametrize("hide", [True, False])
def test_equals_a_loop_over_sequences_heads_and_queries(batch, sequence, hidden, heads, dtype, tolerance, hide):
    inputs, weights = draw(9, batch, sequence, hidden, dtype=dtype), attention_weights(hidden, dtype)
    mask = np.random.default_rng(1).integers(0, 2, (batch, sequence)) if hide else np.ones((batch, sequence))
    mask[:, 0] = 1
    attended, probabilities = attend(inputs, mask, weights, heads)
    expected, wanted_probabilities = plain_attention(inputs, mask, weights, heads)
    assert attended.dtype == probabilities.dtype == dtype
    np.testing.assert_allclose(attended, expected, rtol=0, atol=tolerance)
    np.testing.assert_allclose(probabilities, wanted_probabilities, rtol=0, atol=tolerance)


def test_groups_see_only_themselves_and_some_rows_can_be_selected():
    """Two sequences of 3 tokens with all queries, and three of 5 tokens with the second and the last."""
    weights, shapes = attention_weights(8), [(2, 3, 8), (3, 5, 8)]
    texts = [draw(seed, *shape) for seed, shape in enumerate(shapes)]
    expected = [plain_attention(group, np.ones(group.shape[:2]), weights, 4) for group in texts]
    rows = np.concatenate([group.reshape(-1, 8) for group in texts])
    queries = np.concatenate([texts[0].reshape(-1, 8), texts[1][:, [1, 4]].reshape(-1, 8)])
    groups = [SequenceGroup(2, 3, queries=3), SequenceGroup(3, 5, queries=2)]
    attended, cache = attention(queries, rows, groups, weights, 4)
    probabilities = cache.probabilities
    np.testing.assert_allclose(attended[:6], expected[0][0].reshape(-1, 8), rtol=0, atol=2e-5)
    np.testing.assert_allclose(attended[6:], expected[1][0][:, [1, 4]].reshape(-1, 8), rtol=0, atol=2e-5)
    np.testing.assert_allclose(probabilities[0], expected[0][1], rtol=0, atol=2e-5)
    np.testing.assert_allclose(probabilities[1], expected[1][1][:, :, [1, 4]], rtol=0, atol=2e-5)


def test_a_masked_key_has_probability_0():
    inputs, mask = draw(0, 1, 4, 8, scale=30), np.array([[1, 0, 1, 0]])
    _, probabilities = attend(inputs, mask, attention_weights(8), 2)
    assert (probabilities[..., [1, 3]] == 0).all()
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-6)


def test_attention_is_finite_if_every_key_is_masked():
    inputs, mask = draw(0, 2, 4, 8), np.array([[1, 1, 1, 1], [0, 0, 0, 0]])
    attended, probabilities = attend(inputs, mask, attention_weights(8), 2)
    assert np.isfinite(attended).all()
    np.testing.assert_allclose(probabilities[1], 1 / 4, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mask_dtype", [bool, np.uint8, np.int64])
def test_the_bias_is_zero_for_tokens_and_the_lowest_number_for_padding(dtype, mask_dtype):
    bias = attention_bias(np.array([[1, 1, 0]], mask_dtype), like=np.empty(0, dtype))
    assert bias.dtype == dtype
    assert bias.shape == (1, 1, 1, 3)
    assert bias.ravel().tolist() == [0, 0, np.finfo(dtype).min]


def test_there_is_no_bias_if_nothing_is_masked():
    assert attention_bias(np.ones((2, 3), np.int64), like=np.empty(0, np.float32)) is None


@pytest.mark.parametrize("order", ["C", "F"])
def test_heads_are_views_of_adjacent_parts_of_a_row(order):
    rows = np.asarray(np.arange(2 * 3 * 8).reshape(6, 8), order=order)
    heads = split_heads(rows, SequenceGroup(2, 3, 3), 4)
    assert heads.shape == (2, 4, 3, 2)
    assert heads[1, 2, 0].tolist() == rows[3, 4:6].tolist()
    assert np.shares_memory(heads, rows)


GROUPS = [
    SequenceGroup(2, 3, 3, attention_bias(np.array([[1, 1, 1], [1, 0, 1]]), like=np.empty(0))),
    SequenceGroup(1, 4, 4),
]


@pytest.mark.parametrize("rate", [0, 0.4])
@pytest.mark.parametrize("heads", [1, 2, 4])
def test_backward_equals_finite_differences(rate, heads):
    x, weights, by = numbers(0, 10, 4), writable(attention_weights(4)), numbers(1, 10, 4)
    dropout = Dropout(rate, Repeated())

    def forward():
        return attention(x, x, GROUPS, weights, heads, dropout)

    d_queries, d_x, d_weights = attention_backward(by, forward()[1], GROUPS, weights, heads)
    check(lambda: float((forward()[0] * by).sum()), (x, weights), (d_queries + d_x, d_weights))
    without = attention(x, x, GROUPS, weights, heads)[0]
    assert np.allclose(forward()[0], without, atol=1e-12) == (rate == 0)
