"""Texts of any lengths, packed without padding."""

import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="needs the test extra: pip install 'distilroberta-np[test]'")

from distilroberta_np.layers.roberta import roberta_at
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distilroberta_np import RobertaForMaskedLM
from distilroberta_np.models.roberta import roberta
from distilroberta_np.runtime import batching
from distilroberta_np.runtime.batching import cut
from tests.support.seeded import VOCAB_SIZE, write_model

# The same examples every time: a default run must not fail by chance.
EXAMPLES = settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return RobertaForMaskedLM.from_pretrained(write_model(tmp_path_factory.mktemp("model")))


# Ids from 1 on: padding, which is token 1, may stand in a text too.
texts = st.lists(st.lists(st.integers(1, VOCAB_SIZE - 1), min_size=1, max_size=12), min_size=1, max_size=12)


@EXAMPLES
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


@EXAMPLES
@given(st.lists(st.integers(1, 512), min_size=1, max_size=80), st.integers(1, 8))
def test_texts_are_cut_into_runs_without_gaps(lengths, number):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batching, "worker_threads", lambda: number)
        pieces = cut(lengths)
    assert [text for piece in pieces for text in range(len(lengths))[piece]] == list(range(len(lengths)))
    assert all(range(len(lengths))[piece] for piece in pieces)
    # A run has its share, give or take the texts at its ends.
    sizes = [sum(lengths[piece]) for piece in pieces]
    assert max(sizes) <= batching._MOST_TOKENS + max(lengths)
