import numpy as np
import pytest

from distilroberta_np import reference
from distilroberta_np.layers.attention import TextGroup, attention_bias, multi_head_attention
from distilroberta_np.layers.encoder import EncoderLayerWeights, encoder, encoder_layer
from distilroberta_np.layers.feed_forward import FeedForwardWeights
from distilroberta_np.layers.layer_norm import LayerNormWeights
from distilroberta_np.layers.linear import LinearWeights
from tests.layers.test_attention import attention_weights
from tests.support.seeded import draw

HIDDEN, HEADS, EPS = 8, 2, 1e-5


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
    return [TextGroup(*mask.shape, queries=mask.shape[1], bias=attention_bias(mask, like=like))]


def reference_layer(inputs, mask, weights):
    """Each text through `reference/` by itself, without its padding: (B x S, H) -> the rows of tokens (N, H)."""
    attention, feed_forward = weights.attention, weights.feed_forward
    params = {
        "attention": {
            "self": {name: getattr(attention, name)._asdict() for name in ("query", "key", "value")},
            "output": {"dense": attention.output._asdict(), "LayerNorm": weights.attention_layer_norm._asdict()},
        },
        "intermediate": {"dense": feed_forward.intermediate._asdict()},
        "output": {"dense": feed_forward.output._asdict(), "LayerNorm": weights.feed_forward_layer_norm._asdict()},
    }
    texts = [text[seen == 1] for text, seen in zip(inputs.reshape(*mask.shape, HIDDEN), mask, strict=True)]
    return np.concatenate([reference.roberta.layer(text, params, HEADS, EPS, {}) for text in texts])


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-5), (np.float64, 2e-6)])
def test_a_layer_adds_and_then_normalises(dtype, tolerance):
    inputs, weights = draw(0, 10, HIDDEN, dtype=dtype), layer_weights(1, dtype)
    mask = np.array([[1] * 5, [1, 1, 1, 0, 0]])
    groups = groups_of(mask, like=inputs)
    result, (probabilities,) = encoder_layer(inputs, inputs, groups, weights, HEADS, EPS)
    assert result.dtype == dtype
    expected = reference_layer(inputs, mask, weights)
    np.testing.assert_allclose(result[mask.reshape(-1) == 1], expected, rtol=0, atol=tolerance)
    _, (wanted,) = multi_head_attention(inputs, inputs, groups, weights.attention, HEADS)
    np.testing.assert_array_equal(probabilities, wanted)


def test_a_layer_computes_only_the_rows_that_are_asked_for():
    inputs, weights = draw(0, 10, HIDDEN), layer_weights(1)
    wanted = reference_layer(inputs, np.ones((2, 5)), weights)[[1, 4, 5, 7]]
    result, _ = encoder_layer(inputs[[1, 4, 5, 7]], inputs, [TextGroup(2, 5, queries=2)], weights, HEADS, EPS)
    np.testing.assert_allclose(result, wanted, rtol=0, atol=2e-5)


@pytest.mark.parametrize("count", [1, 3])
def test_layers_follow_each_other_and_all_states_can_be_kept(count):
    inputs, layers = draw(0, 10, HIDDEN, dtype=np.float64), tuple(layer_weights(i, np.float64) for i in range(count))
    groups = groups_of(np.ones((2, 5)), like=inputs)
    last, states, attentions = encoder(
        inputs, groups, layers, HEADS, EPS, keep_hidden_states=True, keep_attentions=True
    )
    assert len(states) == count + 1
    assert states[0] is inputs
    assert states[-1] is last
    for index, layer in enumerate(layers):
        np.testing.assert_allclose(
            states[index + 1], reference_layer(states[index], np.ones((2, 5)), layer), rtol=0, atol=2e-6
        )
    assert [group.shape for (group,) in attentions] == [(2, HEADS, 5, 5)] * count


def test_nothing_is_kept_unasked_and_the_result_is_the_same():
    inputs, layers = draw(0, 3, HIDDEN), (layer_weights(1), layer_weights(2))
    groups = groups_of(np.ones((1, 3)), like=inputs)
    last, states, attentions = encoder(inputs, groups, layers, HEADS, EPS)
    assert (states, attentions) == ([], [])
    np.testing.assert_array_equal(last, encoder(inputs, groups, layers, HEADS, EPS, keep_attentions=True)[0])
