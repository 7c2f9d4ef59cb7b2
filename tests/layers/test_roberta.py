"""`roberta_at` beside `roberta`, which itself is tested by way of the models in `tests/test_models.py`. More of
this, with random texts and places, is in `tests/properties/`."""

import numpy as np
from distilroberta_np.layers.roberta import roberta_at

from distilroberta_np import RobertaForMaskedLM
from distilroberta_np.models.roberta import roberta
from tests.support.seeded import write_model


def test_the_vectors_at_some_places_are_those_of_the_whole(tmp_path):
    model = RobertaForMaskedLM.from_pretrained(write_model(tmp_path))
    weights, config = model.weights.roberta, model.config
    # Groups of two, one and one; a token of padding in the text; a place asked for twice.
    sequences = [[0, 5, 2], [0, 1, 2], [0, 9, 2], [0, 9, 8, 7, 2]]
    places = [[1], [2], [0, 0], [4, 1]]
    vectors = iter(roberta_at(sequences, places, weights, config))
    for sequence, row in zip(sequences, places, strict=True):
        ids = np.array([sequence])
        whole = roberta(ids, np.ones_like(ids), weights, config).last_hidden_state[0]
        for place in row:
            np.testing.assert_allclose(next(vectors), whole[place], rtol=0, atol=2e-5)
    assert next(vectors, None) is None


def test_a_model_of_one_layer(tmp_path):
    model = RobertaForMaskedLM.from_pretrained(write_model(tmp_path, num_hidden_layers=1))
    ids = np.array([[0, 9, 8, 2]])
    whole = roberta(ids, np.ones_like(ids), model.weights.roberta, model.config).last_hidden_state
    vectors = roberta_at(ids.tolist(), [[2, 1]], model.weights.roberta, model.config)
    np.testing.assert_allclose(vectors, whole[0, [2, 1]], rtol=0, atol=1e-5)
