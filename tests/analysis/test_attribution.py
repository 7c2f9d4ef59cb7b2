import numpy as np
import pytest

from distilroberta_np.analysis import attribute
from tests.support.brute_force import TEXT, roberta


class Path:
    """The log-probability of a word as a function of the word embeddings, and its gradient by finite differences."""

    def __init__(self, model, token):
        self.model, self.token, self.mask = model, token, model.mask(TEXT)
        ids = np.array(model.ids(TEXT))
        record = model.record(TEXT)["embeddings"]
        self.rest = record["position"] + record["token_type"]
        self.word = record["word"]
        inner = np.full_like(ids, model.tokenizer.ids["<mask>"])
        inner[[0, -1]] = ids[[0, -1]]
        table = model.params["roberta"]["embeddings"]["word_embeddings"]["weight"]
        self.baseline = table[inner]

    def value(self, word):
        norm = self.model.params["roberta"]["embeddings"]["LayerNorm"]
        states = roberta.layer_norm(word + self.rest, norm, self.model.eps)
        return self.model.run_from(0, states)[self.mask, self.token]

    def along(self, word, direction, step=1e-4):
        """The derivative in a direction (S, H), for each token by itself: (S,)."""
        slopes = []
        for token in range(len(word)):
            change = np.zeros_like(word)
            change[token] = step * direction[token]
            slopes.append((self.value(word + change) - self.value(word - change)) / (2 * step))
        return np.array(slopes)


@pytest.mark.parametrize("target", [None, "cat"])
def test_gradients_equal_finite_differences(model, target):
    attribution = attribute(model.unmasker, TEXT, target, steps=4)
    best = model.log_probabilities(model.ids(TEXT))[model.mask(TEXT)].argmax()
    path = Path(model, best if target is None else model.tokenizer.ids["Ġcat"])
    np.testing.assert_allclose(attribution.log_probability, path.value(path.word), rtol=0, atol=2e-4)
    np.testing.assert_allclose(attribution.baseline_log_probability, path.value(path.baseline), rtol=0, atol=2e-4)
    np.testing.assert_allclose(attribution.gradient_times_input, path.along(path.word, path.word), rtol=1e-3, atol=1e-3)
    points, weights = np.polynomial.legendre.leggauss(4)
    difference = path.word - path.baseline
    slopes = [path.along(path.baseline + (point + 1) / 2 * difference, difference) for point in points]
    np.testing.assert_allclose(attribution.integrated_gradients, weights / 2 @ slopes, rtol=1e-3, atol=1e-3)


def test_integrated_gradients_are_complete(model):
    errors = [abs(attribute(model.unmasker, TEXT, steps=steps).completeness_error) for steps in (2, 200)]
    assert errors[1] < 1e-3
    assert errors[1] < errors[0]


def test_tokens_of_the_baseline_get_nothing(model):
    attribution = attribute(model.unmasker, TEXT, steps=2)
    assert attribution.tokens[3] == "<mask>"
    assert attribution.integrated_gradients[[0, 3, -1]].tolist() == [0, 0, 0]
    assert np.count_nonzero(attribution.integrated_gradients) == len(attribution.tokens) - 3


@pytest.mark.parametrize("steps", [0, -1])
def test_steps(model, steps):
    with pytest.raises(ValueError, match="steps must be at least 1"):
        attribute(model.unmasker, TEXT, steps=steps)
