import numpy as np
import pytest

from distilroberta_np.analysis.forward import Intervention, run_interventions, run_layer
from distilroberta_np.runtime import batching
from tests.support.brute_force import OTHER, TEXT


def test_a_layer_of_several_sequences(model):
    states = np.array([model.states(text)[0] for text in (TEXT, OTHER)], np.float32)
    weights = model.unmasker.model.weights.roberta.layers[0]
    results = run_layer(states, weights, model.unmasker.model.config)
    for row, text in enumerate((TEXT, OTHER)):
        for name, expected in model.record(text)["layer.0"].items():
            assert results[name].dtype == np.float32
            np.testing.assert_allclose(results[name][row], expected, rtol=0, atol=2e-4, err_msg=name)


@pytest.mark.parametrize("tokens", [1, 25, 16_384])
def test_interventions_at_several_layers(model, monkeypatch, tokens):
    """Each runs from its own layer on, whatever is packed with it; without a change it runs as the sentence."""
    monkeypatch.setattr(batching.batches, "__defaults__", (tokens,))
    states = model.states(TEXT)
    interventions = [Intervention(layer) for layer in range(model.layers + 1) for _ in range(2)]
    interventions[2] = Intervention(1, position=4, state=states[0][4])
    final = run_interventions(model.unmasker.model, np.array(states, np.float32), interventions, 3)
    changed = states[1].copy()
    changed[4] = states[0][4]
    expected = model.run_from(1, changed)[3]
    for index, row in enumerate(final):
        if index != 2:
            np.testing.assert_allclose(row, states[-1][3], rtol=0, atol=2e-4)
    np.testing.assert_allclose(model.head(final[2][None].astype(np.float64))[0], expected, rtol=0, atol=1e-3)
