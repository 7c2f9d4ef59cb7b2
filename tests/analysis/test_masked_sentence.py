import numpy as np
import pytest

from distilroberta_np import PipelineException
from distilroberta_np.analysis.masked_sentence import find_target, log_softmax, read_masked_sentence
from tests.support.brute_force import TEXT


def test_a_sentence(model):
    sentence = read_masked_sentence(model.unmasker, TEXT)
    assert list(sentence.ids) == model.ids(TEXT)
    assert sentence.tokens[sentence.mask] == "<mask>"


@pytest.mark.parametrize(("text", "count"), [("the cat", "no"), ("<mask> <mask>", "2")])
def test_a_sentence_needs_exactly_one_mask(model, text, count):
    with pytest.raises(PipelineException, match=f"the text has {count} <mask>; write exactly one"):
        read_masked_sentence(model.unmasker, text)


def test_targets_are_single_tokens(model):
    ids = model.tokenizer.ids
    assert find_target(model.unmasker, "cat") == find_target(model.unmasker, " cat") == ids["Ġcat"]
    assert find_target(model.unmasker, "b") == ids["b"]
    for target in ("dog", ""):
        with pytest.raises(ValueError, match=f"the target '{target}' is not a single token"):
            find_target(model.unmasker, target)


def test_log_softmax():
    logits = np.array([[1000, 999, -1e30], [0, 0, 0]], np.float32)
    result = log_softmax(logits)
    assert result.dtype == np.float64
    np.testing.assert_allclose(np.exp(result).sum(-1), 1)
    np.testing.assert_allclose(result[:, 0] - result[:, 1], [1, 0])
