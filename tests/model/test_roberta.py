"""`roberta_at` beside `roberta`; `roberta` itself is tested by way of the models in `tests/test_models.py`."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distilroberta_np import RobertaForMaskedLM
from distilroberta_np.model.roberta import roberta, roberta_at
from tests.seeded import VOCAB_SIZE, write_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return RobertaForMaskedLM.from_pretrained(write_model(tmp_path_factory.mktemp("model")))


# Ids from 1 on: padding, which is token 1, may stand in a text too.
texts = st.lists(st.lists(st.integers(1, VOCAB_SIZE - 1), min_size=1, max_size=12), min_size=1, max_size=12)


@settings(deadline=None, max_examples=60)
@given(st.data(), texts)
def test_the_vectors_at_some_places_are_those_of_the_whole(model, data, sequences):
    places = [
        data.draw(st.lists(st.integers(0, len(sequence) - 1), min_size=1, max_size=3), label="places")
        for sequence in sequences
    ]
    weights, config = model.weights.roberta, model.config
    vectors = iter(roberta_at(sequences, places, weights, config))
    for sequence, row in zip(sequences, places, strict=True):
        ids = np.array([sequence])
        whole = roberta(ids, np.ones_like(ids), weights, config).last_hidden_state[0]
        for place in row:
            vector = next(vectors)
            assert vector.dtype == np.float32
            np.testing.assert_allclose(vector, whole[place], rtol=0, atol=2e-5)
    assert next(vectors, None) is None


def test_a_model_of_one_layer(tmp_path):
    model = RobertaForMaskedLM.from_pretrained(write_model(tmp_path, num_hidden_layers=1))
    ids = np.array([[0, 9, 8, 2]])
    whole = roberta(ids, np.ones_like(ids), model.weights.roberta, model.config).last_hidden_state
    vectors = roberta_at(ids.tolist(), [[2, 1]], model.weights.roberta, model.config)
    np.testing.assert_allclose(vectors, whole[0, [2, 1]], rtol=0, atol=1e-5)
