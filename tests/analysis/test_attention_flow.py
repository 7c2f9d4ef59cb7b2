import numpy as np
import pytest

from distilroberta_np.analysis import attention_norms, attention_rollout, trace
from tests.support.brute_force import TEXT


@pytest.fixture
def recorded(model):
    return trace(model.unmasker, TEXT)


def test_rollout_sums_over_all_paths(model, recorded):
    """The flow from one token to another is the sum over all paths of tokens, one per layer."""
    rollout = attention_rollout(recorded)
    record, tokens = model.record(TEXT), len(model.ids(TEXT))
    steps = [0.5 * record[f"layer.{n}"]["probabilities"].mean(0) + 0.5 * np.eye(tokens) for n in range(model.layers)]

    def flow(layer, query, key):
        if layer < 0:
            return float(query == key)
        return sum(steps[layer][query, middle] * flow(layer - 1, middle, key) for middle in range(tokens))

    for layer in range(min(model.layers, 2)):
        expected = [[flow(layer, query, key) for key in range(tokens)] for query in range(tokens)]
        np.testing.assert_allclose(rollout[layer], expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(rollout.sum(-1), 1)
    assert rollout.shape == (model.layers, tokens, tokens)


def test_norms_of_what_each_head_brings(model, recorded):
    norms, record, tokens = attention_norms(model.unmasker.model, recorded), model.record(TEXT), len(model.ids(TEXT))
    assert norms.heads.shape == (model.layers, model.heads, tokens, tokens)
    assert norms.total.shape == (model.layers, tokens, tokens)
    for n in range(model.layers):
        layer = record[f"layer.{n}"]
        weights = model.params["roberta"]["encoder"]["layer"][str(n)]["attention"]["output"]["dense"]
        brought = np.zeros((model.heads, tokens, tokens, model.config["hidden_size"]))
        for head in range(model.heads):
            columns = slice(head * model.size, (head + 1) * model.size)
            for query in range(tokens):
                for key in range(tokens):
                    value = weights["weight"][:, columns] @ layer["value"][head, key]
                    brought[head, query, key] = layer["probabilities"][head, query, key] * value
        np.testing.assert_allclose(norms.heads[n], np.linalg.norm(brought, axis=-1), rtol=0, atol=1e-4)
        np.testing.assert_allclose(norms.total[n], np.linalg.norm(brought.sum(0), axis=-1), rtol=0, atol=1e-4)
        # What all heads bring from all tokens is the output of attention, but for the bias.
        np.testing.assert_allclose(
            brought.sum(axis=(0, 2)) + weights["bias"], layer["attention_output"], rtol=0, atol=1e-12
        )
