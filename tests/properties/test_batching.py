"""Sequences of any lengths, packed without padding."""

import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="needs the test extra: pip install 'distilroberta-np[test]'")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distilroberta_np import RobertaForMaskedLM
from distilroberta_np.runtime import batching
from distilroberta_np.runtime.batching import micro_batches
from tests.support.seeded import VOCAB_SIZE, write_model

# The same examples every time: a default run must not fail by chance.
EXAMPLES = settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return RobertaForMaskedLM.from_pretrained(write_model(tmp_path_factory.mktemp("model")))


# Ids from 1 on: padding, which is token 1, may occur in a sequence.
texts = st.lists(st.lists(st.integers(1, VOCAB_SIZE - 1), min_size=1, max_size=12), min_size=1, max_size=12)


@EXAMPLES
@given(st.data(), texts)
def test_encode_equals_the_model_at_the_selected_positions(model, data, sequences):
    positions = [
        data.draw(st.lists(st.integers(0, len(sequence) - 1), min_size=1, max_size=3), label="positions")
        for sequence in sequences
    ]
    for sequence, selected, states in zip(sequences, positions, model.encode(sequences, positions), strict=True):
        whole = model.roberta([sequence]).last_hidden_state[0]
        assert states.dtype == np.float32
        np.testing.assert_allclose(states, whole[selected], rtol=0, atol=2e-5)


@EXAMPLES
@given(st.lists(st.integers(1, 512), min_size=1, max_size=80), st.integers(1, 8))
def test_micro_batches_have_no_gaps_and_equal_shares(lengths, number):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batching, "worker_threads", lambda: number)
        parts = micro_batches(lengths)
    assert [index for part in parts for index in range(len(lengths))[part]] == list(range(len(lengths)))
    assert all(range(len(lengths))[part] for part in parts)
    # Each has its share of a thread's tokens, give or take the sequences at its ends.
    total = sum(lengths)
    threads = number if total >= number * batching._MIN_THREAD_TOKENS else 1
    share = min(total / threads, batching._MICRO_BATCH_TOKENS)
    assert max(sum(lengths[part]) for part in parts) <= share + max(lengths)
