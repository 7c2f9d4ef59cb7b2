import numpy as np
import pytest

from distilroberta_np.layers.embeddings import EmbeddingsWeights, embeddings, embeddings_backward, position_ids
from distilroberta_np.layers.layer_norm import LayerNormWeights
from tests.support.gradients import check, numbers
from tests.support.seeded import draw


def embed(ids, weights, pad):
    return embeddings(ids.reshape(-1), position_ids(ids, pad).reshape(-1), weights, 1e-5)


@pytest.mark.parametrize(
    ("ids", "pad", "positions"),
    [
        ([1, 1, 0, 10, 1, 11, 2, 1], 1, [1, 1, 2, 3, 1, 4, 5, 1]),
        ([0, 5, 6, 2], 1, [2, 3, 4, 5]),
        ([1, 1, 1], 1, [1, 1, 1]),
        ([1, 2, 3], 0, [1, 2, 3]),
        ([7, 9, 7], 9, [10, 9, 11]),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.uint64])
def test_positions_count_the_tokens_other_than_padding(ids, pad, positions, dtype):
    assert position_ids(np.array([ids], dtype), pad).tolist() == [positions]


def test_512_tokens_use_positions_2_to_513():
    assert position_ids(np.full((1, 512), 5), 1).tolist() == [list(range(2, 514))]


@pytest.mark.parametrize(("batch", "sequence", "hidden"), [(1, 1, 1), (2, 5, 8), (3, 12, 16)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-12)])
@pytest.mark.parametrize("pad", [0, 1, 3])
def test_the_sum_of_three_rows_normalized(batch, sequence, hidden, dtype, tolerance, pad):
    weights = EmbeddingsWeights(
        word=draw(0, 20, hidden, dtype=dtype),
        position=draw(1, 30, hidden, dtype=dtype),
        token_type=draw(2, 1, hidden, dtype=dtype),
        layer_norm=LayerNormWeights(draw(3, hidden, dtype=dtype), draw(4, hidden, dtype=dtype)),
    )
    ids = np.random.default_rng(5).integers(0, 20, (batch, sequence))
    result = embed(ids, weights, pad)[0].reshape(batch, sequence, hidden)
    assert result.dtype == dtype
    for text in range(batch):
        last = pad
        for position in range(sequence):
            token = ids[text, position]
            last += token != pad
            row = pad if token == pad else last
            parts = (weights.word[token], weights.position[row], weights.token_type[0])
            total = sum(part.astype(np.float64) for part in parts)
            normal = (total - total.mean()) / np.sqrt(((total - total.mean()) ** 2).mean() + 1e-5)
            expected = normal * weights.layer_norm.weight + weights.layer_norm.bias
            np.testing.assert_allclose(result[text, position], expected, rtol=0, atol=tolerance)


def test_backward_equals_finite_differences():
    weights = EmbeddingsWeights(
        numbers(0, 9, 4), numbers(1, 8, 4), numbers(2, 1, 4), LayerNormWeights(numbers(3, 4), numbers(4, 4))
    )
    ids, by = np.array([[0, 5, 5, 8], [3, 5, 1, 1]]), numbers(5, 8, 4)
    gradients = embeddings_backward(by, embed(ids, weights, 1)[1], weights, 1, 1e-5)
    assert not gradients.word[1].any()  # padding
    assert not gradients.position[1].any()
    weighed = by * (ids.reshape(-1, 1) != 1)
    # Without the part of the padding, which the other weights see too.
    without_padding = embeddings_backward(weighed, embed(ids, weights, 1)[1], weights, 1, 1e-5)
    check(lambda: float((embed(ids, weights, 1)[0] * weighed).sum()), weights, without_padding, atol=1e-6)
    np.testing.assert_allclose(gradients.word, without_padding.word)
