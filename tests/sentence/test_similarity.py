import numpy as np
import pytest

from distilroberta_np.sentence.similarity import SIMILARITY_FUNCTIONS, normalize, similarity, similarity_pairwise
from tests.support.seeded import draw

PLAIN = {
    "cosine": lambda a, b: a @ b / (np.sqrt(a @ a) * np.sqrt(b @ b)),
    "dot": lambda a, b: a @ b,
    "euclidean": lambda a, b: -np.sqrt(((a - b) ** 2).sum()),
    "manhattan": lambda a, b: -np.abs(a - b).sum(),
}


@pytest.mark.parametrize("function", SIMILARITY_FUNCTIONS)
def test_all_to_all_and_pair_by_pair(function):
    a, b = draw(0, 4, 7), draw(1, 3, 7)
    scores = similarity(a, b, function)
    assert scores.dtype == np.float32
    plain = [[PLAIN[function](x, y) for y in b.astype(np.float64)] for x in a.astype(np.float64)]
    np.testing.assert_allclose(scores, plain, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(similarity_pairwise(a[:3], b, function), np.diag(plain), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("function", SIMILARITY_FUNCTIONS)
def test_one_vector_is_a_row_and_lists_are_taken(function):
    a, b = draw(0, 7), draw(1, 3, 7)
    assert similarity(a, b, function).shape == (1, 3)
    assert similarity(b.tolist(), list(b), function).shape == (3, 3)
    assert similarity(b[:0], b, function).shape == (0, 3)
    assert similarity_pairwise(a, b, function).shape == (3,)
    assert similarity_pairwise(a, a, function).shape == ()


@pytest.mark.parametrize("function", ["euclidean", "manhattan"])
def test_what_is_close_together_is_told_apart(function):
    a = draw(0, 1, 768) + np.float32(100)
    b = a.copy()
    b[0, 0] += np.float32(1e-3)
    assert similarity(a, a, function)[0, 0] == 0
    assert similarity(a, b, function)[0, 0] == pytest.approx(-1e-3, rel=1e-2)


def test_zeros_have_no_direction():
    assert (normalize(np.zeros((1, 3), np.float32)) == 0).all()
    assert similarity(np.zeros(3), np.ones(3))[0, 0] == 0


@pytest.mark.parametrize("compare", [similarity, similarity_pairwise])
def test_what_can_not_be_compared(compare):
    with pytest.raises(ValueError, match="must be one of cosine, dot, euclidean, manhattan, not 'maxsim'"):
        compare(np.ones(3), np.ones(3), "maxsim")
    with pytest.raises(ValueError, match=r"not \(1, 1, 3\)"):
        compare(np.ones((1, 1, 3)), np.ones(3))
    with pytest.raises(ValueError, match="of 3 and of 4 numbers can't be compared"):
        compare(np.ones((2, 3)), np.ones((2, 4)))


def test_pairs_need_as_many_of_both():
    with pytest.raises(ValueError, match="there are 2 embeddings and 3"):
        similarity_pairwise(np.ones((2, 3)), np.ones((3, 3)))
