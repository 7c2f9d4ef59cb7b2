import numpy as np
import pytest

from distilroberta_np.sentence.similarity import SIMILARITY_FUNCTIONS, similarity, similarity_pairwise
from tests.support.seeded import draw

PLAIN = {
    "cosine": lambda a, b: a @ b / (np.sqrt(a @ a) * np.sqrt(b @ b)),
    "dot": lambda a, b: a @ b,
    "euclidean": lambda a, b: -np.sqrt(((a - b) ** 2).sum()),
    "manhattan": lambda a, b: -np.abs(a - b).sum(),
}


@pytest.mark.parametrize("function", SIMILARITY_FUNCTIONS)
def test_every_function_matches_its_equation(function):
    a, b = draw(0, 4, 7), draw(1, 3, 7)
    scores = similarity(a, b, function)
    assert scores.dtype == np.float32
    plain = [[PLAIN[function](x, y) for y in b.astype(np.float64)] for x in a.astype(np.float64)]
    np.testing.assert_allclose(scores, plain, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(similarity_pairwise(a[:3], b, function), np.diag(plain), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("function", SIMILARITY_FUNCTIONS)
def test_single_embeddings_and_lists(function):
    a, b = draw(0, 7), draw(1, 3, 7)
    assert similarity(a, b, function).shape == (1, 3)
    assert similarity(b.tolist(), list(b), function).shape == (3, 3)
    assert similarity(b[:0], b, function).shape == (0, 3)
    assert similarity_pairwise(a, b, function).shape == (3,)
    assert similarity_pairwise(a, a, function).shape == ()


@pytest.mark.parametrize("function", ["euclidean", "manhattan"])
def test_close_embeddings_are_told_apart(function):
    a = draw(0, 1, 768) + np.float32(100)
    b = a.copy()
    b[0, 0] += np.float32(1e-3)
    assert similarity(a, a, function)[0, 0] == 0
    assert similarity(a, b, function)[0, 0] == pytest.approx(-1e-3, rel=1e-2)


def test_the_cosine_of_zeros_is_zero():
    assert similarity(np.zeros(3), np.ones(3))[0, 0] == 0


@pytest.mark.parametrize("compare", [similarity, similarity_pairwise])
def test_embeddings_that_cannot_be_compared(compare):
    with pytest.raises(ValueError, match="must be one of cosine, dot, euclidean, manhattan, not 'maxsim'"):
        compare(np.ones(3), np.ones(3), "maxsim")
    with pytest.raises(ValueError, match=r"not \(1, 1, 3\)"):
        compare(np.ones((1, 1, 3)), np.ones(3))
    with pytest.raises(ValueError, match="of size 3 and 4 cannot be compared"):
        compare(np.ones((2, 3)), np.ones((2, 4)))


def test_pairs_need_the_same_number_of_both():
    with pytest.raises(ValueError, match="there are 2 and 3 embeddings"):
        similarity_pairwise(np.ones((2, 3)), np.ones((3, 3)))
