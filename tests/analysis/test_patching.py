import numpy as np
import pytest

from distilroberta_np import PipelineException
from distilroberta_np.analysis import patch
from tests.support.brute_force import OTHER, TEXT


@pytest.mark.parametrize("target", [None, "cat"])
def test_each_state_is_replaced_in_turn(model, target):
    mask = model.mask(TEXT)
    states, source = model.states(TEXT), model.states(OTHER)
    before, after = (model.log_probabilities(model.ids(text))[mask] for text in (TEXT, OTHER))
    if target is None:
        best = np.concatenate([np.argsort(-before)[:5], np.argsort(-after)[:5]])
        token = max(best, key=lambda word: abs(after[word] - before[word]))
    else:
        token = model.tokenizer.ids["Ġcat"]
    patching = patch(model.unmasker, TEXT, OTHER, target)
    assert patching.target == model.tokenizer.decode([token])
    expected = np.zeros((model.layers + 1, len(states[0])))
    for layer, position in np.ndindex(*expected.shape):
        patched = states[layer].copy()
        patched[position] = source[layer][position]
        expected[layer, position] = model.run_from(layer, patched)[mask, token]
    np.testing.assert_allclose(patching.log_probabilities, expected, rtol=0, atol=5e-4)
    np.testing.assert_allclose(patching.log_probability, before[token], rtol=0, atol=2e-4)
    np.testing.assert_allclose(patching.source_log_probability, after[token], rtol=0, atol=2e-4)
    # The final state of the mask carries everything; that of another token nothing, as the head reads only the mask.
    np.testing.assert_allclose(patching.effects[-1], np.arange(len(states[0])) == mask, rtol=0, atol=1e-4)


def test_sentences_must_match(model):
    for other in ("the cat <mask>", "the cat on this <mask>"):
        with pytest.raises(PipelineException, match=r"and their masks at positions 3 and [38]; both must be equal"):
            patch(model.unmasker, TEXT, other)


def test_sentences_must_differ(model):
    with pytest.raises(ValueError, match="is equally likely in both sentences; choose another target or sentence"):
        patch(model.unmasker, TEXT, TEXT)
