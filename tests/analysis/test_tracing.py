import numpy as np
import pytest

from distilroberta_np import PipelineException
from distilroberta_np.analysis import AXES, trace
from tests.support.brute_force import TEXT


def test_every_array_equals_the_reference(model):
    recorded, expected = trace(model.unmasker, TEXT), model.record(TEXT)
    layers = [expected[f"layer.{n}"] for n in range(model.layers)]
    named = {f"embeddings.{name}": array for name, array in expected["embeddings"].items()}
    named |= {f"layer.{name}": np.array([layer[name] for layer in layers]) for name in layers[0]}
    named["logits"] = expected["lm_head"]["logits"]
    assert recorded.arrays.keys() == named.keys() == AXES.keys()
    for name, array in named.items():
        assert recorded[name].dtype == np.float32
        assert recorded[name].shape == array.shape
        assert recorded[name].ndim == len(AXES[name])
        np.testing.assert_allclose(recorded[name], array, rtol=0, atol=2e-4, err_msg=name)


def test_tokens_and_hidden_states(model):
    recorded = trace(model.unmasker, TEXT)
    assert recorded.tokens == ("<s>", "the", " cat", "<mask>", " on", " ", "th", "i", "s", "</s>")
    assert list(recorded.ids) == model.ids(TEXT)
    np.testing.assert_allclose(recorded.hidden_states, model.states(TEXT), rtol=0, atol=1e-4)


def test_select_cuts_axes_by_name(model):
    recorded = trace(model.unmasker, TEXT)
    probabilities = recorded["layer.probabilities"]
    selected = recorded.select("layer.probabilities", layer=0, head=1, token="<mask>")
    np.testing.assert_array_equal(selected, probabilities[0, 1, 3])
    selected = recorded.select("layer.probabilities", key=" cat", layer=slice(0, 1))
    np.testing.assert_array_equal(selected, probabilities[:1, :, :, 2])
    with pytest.raises(ValueError, match="has no axis 'head'; its axes are token, hidden"):
        recorded.select("embeddings.norm", head=0)
    with pytest.raises(ValueError, match="' dog' is not a token of the sentence"):
        recorded.select("embeddings.norm", token=" dog")
    with pytest.raises(KeyError, match="is not in the trace"):
        recorded["layer.colour"]


def test_it_prints_what_it_has(model):
    lines = repr(trace(model.unmasker, TEXT)).splitlines()
    assert lines[0] == "Trace of 10 tokens: <s>|the| cat|<mask>| on| |th|i|s|</s>"
    assert len(lines) == 1 + len(AXES)
    shape = (model.layers, model.heads, 10, 10)
    assert f"layer.probabilities            layer, head, token, key   {shape}" in lines


def test_it_is_saved_as_npz(model, tmp_path):
    recorded = trace(model.unmasker, TEXT)
    recorded.save(tmp_path / "trace.npz")
    with np.load(tmp_path / "trace.npz", allow_pickle=False) as saved:
        assert saved["tokens"].tolist() == list(recorded.tokens)
        assert saved["ids"].tolist() == list(recorded.ids)
        for name, array in recorded.arrays.items():
            np.testing.assert_array_equal(saved[name], array)


def test_a_text_that_is_too_long(model):
    with pytest.raises(PipelineException, match=r"the text has \d+ tokens, more than the model's 512; shorten it"):
        trace(model.unmasker, "x" * 600)
