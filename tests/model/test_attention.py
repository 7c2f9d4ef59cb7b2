import math

import numpy as np
import pytest

from distilroberta_np.model.attention import (
    AttentionWeights,
    attention_bias,
    merge_heads,
    multi_head_attention,
    split_heads,
)
from distilroberta_np.model.linear import LinearWeights
from tests.seeded import draw


def attention_weights(hidden, dtype=np.float32):
    scale = hidden**-0.5
    return AttentionWeights(
        *(
            LinearWeights(draw(i, hidden, hidden, dtype=dtype, scale=2 * scale), draw(i, hidden, dtype=dtype))
            for i in range(4)
        )
    )


def twin(inputs, mask, weights, heads):
    """A query of a head of a text at a time, in float64. Hidden keys are left out, not given a low score."""
    batch, sequence, hidden = inputs.shape
    size = hidden // heads
    query, key, value = (
        inputs.astype(np.float64) @ part.weight.astype(np.float64).T + part.bias
        for part in (weights.query, weights.key, weights.value)
    )
    context = np.zeros(inputs.shape)
    probabilities = np.zeros((batch, heads, sequence, sequence))
    for text in range(batch):
        seen = [place for place in range(sequence) if mask[text, place]]
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            for place in range(sequence):
                dots = [query[text, place, part] @ key[text, other, part] / math.sqrt(size) for other in seen]
                exponentials = [math.exp(dot - max(dots)) for dot in dots]
                for other, exponential in zip(seen, exponentials, strict=True):
                    probability = exponential / sum(exponentials)
                    probabilities[text, head, place, other] = probability
                    context[text, place, part] += probability * value[text, other, part]
    return context @ weights.output.weight.astype(np.float64).T + weights.output.bias, probabilities


@pytest.mark.parametrize(
    ("batch", "sequence", "hidden", "heads"), [(1, 1, 1, 1), (2, 3, 4, 1), (1, 5, 6, 6), (3, 7, 12, 4), (2, 9, 16, 2)]
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-5), (np.float64, 1e-12)])
def test_equals_a_loop_over_texts_heads_and_queries(batch, sequence, hidden, heads, dtype, tolerance):
    inputs, weights = draw(9, batch, sequence, hidden, dtype=dtype), attention_weights(hidden, dtype)
    mask = np.random.default_rng(1).integers(0, 2, (batch, sequence))
    mask[:, 0] = 1
    attended, probabilities = multi_head_attention(inputs, attention_bias(mask, like=inputs), weights, heads)
    wanted, wanted_probabilities = twin(inputs, mask, weights, heads)
    assert attended.dtype == probabilities.dtype == dtype
    np.testing.assert_allclose(attended, wanted, rtol=0, atol=tolerance)
    np.testing.assert_allclose(probabilities, wanted_probabilities, rtol=0, atol=tolerance)


def test_a_hidden_key_gets_no_probability_at_all():
    inputs, mask = draw(0, 1, 4, 8, scale=30), np.array([[1, 0, 1, 0]])
    _, probabilities = multi_head_attention(inputs, attention_bias(mask, like=inputs), attention_weights(8), 2)
    assert (probabilities[..., [1, 3]] == 0).all()
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-6)


def test_where_every_key_is_hidden_the_attention_is_finite():
    inputs, mask = draw(0, 2, 4, 8), np.array([[1, 1, 1, 1], [0, 0, 0, 0]])
    attended, probabilities = multi_head_attention(inputs, attention_bias(mask, like=inputs), attention_weights(8), 2)
    assert np.isfinite(attended).all()
    np.testing.assert_allclose(probabilities[1], 1 / 4, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mask_dtype", [bool, np.uint8, np.int64])
def test_the_bias_is_zero_for_tokens_and_the_lowest_number_for_padding(dtype, mask_dtype):
    bias = attention_bias(np.array([[1, 1, 0]], mask_dtype), like=np.empty(0, dtype))
    assert bias.dtype == dtype
    assert bias.shape == (1, 1, 1, 3)
    assert bias.ravel().tolist() == [0, 0, np.finfo(dtype).min]


def test_heads_are_neighbouring_parts_of_a_vector_and_go_back_to_their_places():
    vectors = np.arange(2 * 3 * 8).reshape(2, 3, 8)
    heads = split_heads(vectors, 4)
    assert heads.shape == (2, 4, 3, 2)
    assert heads[1, 2, 0].tolist() == vectors[1, 0, 4:6].tolist()
    np.testing.assert_array_equal(merge_heads(heads), vectors)
