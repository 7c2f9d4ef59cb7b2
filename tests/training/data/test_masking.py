import numpy as np
import pytest

from distilroberta_np.training.data.masking import mask_tokens

MASK, SIZE = 99, 99


@pytest.mark.parametrize("rate", [0.15, 0.4])
def test_positions_are_selected_and_most_are_masked(rate):
    rng = np.random.default_rng(0)
    ids = rng.integers(4, SIZE, (400, 500))
    ids[:, 0], ids[:, -1], ids[:, 7] = 0, 2, 1
    masked, labels = mask_tokens(ids, rng, MASK, SIZE, range(4), rate)
    selected = labels != -100
    assert not selected[:, [0, 7, -1]].any()
    np.testing.assert_array_equal(labels[selected], ids[selected])
    np.testing.assert_array_equal(masked[~selected], ids[~selected])
    assert selected[:, 8:-1].mean() == pytest.approx(rate, abs=0.005)
    hidden = masked[selected] == MASK
    changed = ~hidden & (masked[selected] != ids[selected])
    assert hidden.mean() == pytest.approx(0.8, abs=0.01)
    assert changed.mean() == pytest.approx(0.1 * (1 - 1 / SIZE), abs=0.01)
    assert np.unique(masked[selected][changed]).size == SIZE  # any token may come


def test_the_same_seed_draws_the_same():
    ids = np.arange(4, 64).reshape(3, 20)
    first, second = (mask_tokens(ids, np.random.default_rng(3), MASK, SIZE, ()) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_whole_words_are_selected_together():
    rng = np.random.default_rng(0)
    continues = np.zeros(SIZE + 1, bool)
    continues[50:SIZE] = True
    ids = rng.integers(4, SIZE, (200, 60))
    ids[:, 0] = 0
    masked, labels = mask_tokens(ids, rng, MASK, SIZE, range(4), 0.2, continues)
    selected = labels != -100
    inside = continues[ids[:, 2:]]
    np.testing.assert_array_equal(selected[:, 2:][inside], selected[:, 1:-1][inside])  # as the token before
    assert selected.mean() == pytest.approx(0.2, abs=0.02)
    assert (masked[selected] == MASK).mean() == pytest.approx(0.8, abs=0.02)
