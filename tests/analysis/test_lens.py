import numpy as np
import pytest

from distilroberta_np.analysis import logit_lens
from tests.support.brute_force import TEXT


@pytest.mark.parametrize("target", [None, "cat"])
def test_the_head_is_applied_to_every_layer(model, target):
    lens = logit_lens(model.unmasker, TEXT, target, top_k=3)
    expected = np.exp([model.head(states)[model.mask(TEXT)] for states in model.states(TEXT)])  # [L + 1, V]
    token = expected[-1].argmax() if target is None else model.tokenizer.ids["Ġcat"]
    assert lens.target == model.tokenizer.decode([token])
    np.testing.assert_allclose(lens.probabilities, expected[:, token], rtol=1e-3)
    assert lens.ranks.tolist() == [1 + sum(row > row[token]) for row in expected]
    for words, probabilities, row in zip(lens.words, lens.word_probabilities, expected, strict=True):
        best = np.argsort(-row)[:3]
        assert words == [model.tokenizer.decode([word]) for word in best]
        np.testing.assert_allclose(probabilities, row[best], rtol=1e-3)
    if target is None:
        assert lens.words[-1][0] == lens.target
        assert lens.ranks[-1] == 1


def test_at_least_one_word_per_layer(model):
    with pytest.raises(ValueError, match="top_k must be at least 1"):
        logit_lens(model.unmasker, TEXT, top_k=0)
