import numpy as np
import pytest

from distilroberta_np import RobertaForMaskedLM
from distilroberta_np.runtime import batching, threads
from distilroberta_np.runtime.batching import batches, distinct, micro_batches, threads_for
from tests.support.seeded import VOCAB_SIZE, write_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return RobertaForMaskedLM.from_pretrained(write_model(tmp_path_factory.mktemp("model")))


@pytest.fixture
def three_threads(monkeypatch):
    monkeypatch.setattr(threads, "_openblas", lambda: (lambda: 3, lambda number: None))
    monkeypatch.setattr(batching, "_MIN_THREAD_TOKENS", 4)
    monkeypatch.setattr(batching, "_MICRO_BATCH_TOKENS", 30)


@pytest.mark.parametrize("count", [1, 2, 3, 40])
def test_hidden_states_are_returned_in_the_order_of_the_sequences(model, three_threads, count):
    rng = np.random.default_rng(count)
    sequences = [rng.integers(2, VOCAB_SIZE, rng.integers(1, 40)).tolist() for _ in range(count)]
    positions = [rng.integers(0, len(sequence), rng.integers(1, 4)).tolist() for sequence in sequences]
    results = model.encode(sequences, positions)
    assert len(results) == count
    for sequence, row, states in zip(sequences, positions, results, strict=True):
        whole = model.roberta([sequence]).last_hidden_state[0]
        np.testing.assert_allclose(states, whole[row], rtol=0, atol=2e-5)


def test_threads_have_the_same_work(monkeypatch):
    monkeypatch.setattr(batching, "worker_threads", lambda: 2)
    assert [len(range(300)[part]) for part in micro_batches([16] * 300)] == [50] * 6


def test_little_work_is_not_split(monkeypatch):
    monkeypatch.setattr(batching, "worker_threads", lambda: 4)
    assert threads_for(4 * batching._MIN_THREAD_TOKENS) == 4
    assert threads_for(4 * batching._MIN_THREAD_TOKENS - 1) == 1
    assert micro_batches([16] * 8) == [slice(0, 8)]


def test_distinct_keeps_the_order_of_first_appearance():
    keys, index = distinct(["b", "a", "b", "c", "a"])
    assert keys == ["b", "a", "c"]
    assert [keys[position] for position in index] == ["b", "a", "b", "c", "a"]
    assert distinct([]) == ([], [])


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([], []),
        ([9], [slice(0, 1)]),
        ([2, 3], [slice(0, 2)]),
        ([2, 3, 1, 9, 4, 1], [slice(0, 2), slice(2, 3), slice(3, 4), slice(4, 6)]),
    ],
)
def test_batches_hold_at_most_the_token_budget_or_one_sequence(lengths, expected):
    assert list(batches(lengths, max_tokens=5)) == expected
