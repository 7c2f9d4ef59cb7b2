"""The chain rule over several masked positions, on a made-up model whose probabilities are known."""

import itertools

import numpy as np
import pytest

from distilroberta_np.pipelines.beam_search import fill_together, score_words

MASK, SIZE = 9, 10


def made_up(sequences, positions):
    """A log-probability that depends on everything: on the whole sequence and on the position."""
    for sequence, position in zip(sequences, positions, strict=True):
        assert sequence[position] == MASK
        scores = np.random.default_rng([*sequence, position]).standard_normal(SIZE)
        yield scores - np.log(np.exp(scores).sum())


def by_hand(ids, positions, tokens):
    """The same by the definition: one mask filled after the other."""
    ids, total = list(ids), 0.0
    for position, token in zip(positions, tokens, strict=True):
        (row,) = made_up([ids], [position])
        total += row[token]
        ids[position] = token
    return total


def test_a_word_becomes_as_many_masks_as_it_has_subwords():
    words = [(3,), (4,), (3, 4), (3, 5), (1, 2, 3), (3, 4, 5)]
    scores = score_words([0, MASK, 7, 2], 1, words, MASK, made_up)
    for subwords, score in zip(words, scores, strict=True):
        ids = [0, *[MASK] * len(subwords), 7, 2]
        assert score == pytest.approx(by_hand(ids, range(1, 1 + len(subwords)), subwords))


def test_words_that_begin_alike_share_what_is_computed():
    given = []

    def count(sequences, positions):
        given.extend(sequences)
        return made_up(sequences, positions)

    score_words([0, MASK, 2], 1, [(3, 4), (3, 5), (3, 6), (4, 6)], MASK, count)
    assert len(given) == 3  # two masks; 3 and a mask; 4 and a mask


@pytest.mark.parametrize("candidates", [None, np.array([1, 4, 6])])
def test_a_wide_search_finds_the_best_of_all(candidates):
    ids, masks = [0, MASK, 5, MASK, 2], [1, 3]
    pool = range(SIZE) if candidates is None else candidates.tolist()
    best = sorted((-by_hand(ids, masks, tokens), tokens) for tokens in itertools.product(pool, repeat=2))
    found = fill_together(ids, masks, SIZE**2, made_up, candidates)
    assert [tokens for _, tokens in found] == [tokens for _, tokens in best]
    np.testing.assert_allclose([score for score, _ in found], [-score for score, _ in best])


def test_a_search_keeps_no_more_than_its_width():
    assert len(fill_together([0, MASK, MASK, 2], [1, 2], 4, made_up)) == 4


def test_many_masks_are_still_told_apart():
    """A product of 300 such probabilities is 0 in float64."""

    def unlikely(sequences, positions):
        for position in positions:
            yield np.where(np.arange(SIZE) == position % SIZE, -50.0, -60.0)

    masks = list(range(300))
    (best, *_) = fill_together([MASK] * 300, masks, 2, unlikely)
    assert best == (-50.0 * 300, tuple(position % SIZE for position in masks))
    assert score_words([MASK], 0, [tuple(position % SIZE for position in masks)], MASK, unlikely) == [-50.0 * 300]
