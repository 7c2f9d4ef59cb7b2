import numpy as np
import pytest

from distilroberta_np.analysis import ablate
from distilroberta_np.runtime import batching
from tests.support.brute_force import TEXT


@pytest.mark.parametrize("target", [None, "cat"])
def test_each_part_left_out_by_weights_of_zero(model, target):
    ids, mask = model.ids(TEXT), model.mask(TEXT)
    whole = model.log_probabilities(ids)[mask]
    token = whole.argmax() if target is None else model.tokenizer.ids["Ġcat"]
    ablation = ablate(model.unmasker, TEXT, target)
    assert ablation.target == model.tokenizer.decode([token])
    assert ablation.heads.shape == (model.layers, model.heads)
    np.testing.assert_allclose(ablation.log_probability, whole[token], rtol=0, atol=2e-4)
    for layer in range(model.layers):
        for head in range(model.heads):
            params, weights = model.edited(layer)
            columns = slice(head * model.size, (head + 1) * model.size)
            weights["attention"]["output"]["dense"]["weight"][:, columns] = 0
            change = (model.log_probabilities(ids, params)[mask] - whole)[token]
            np.testing.assert_allclose(ablation.heads[layer, head], change, rtol=0, atol=5e-4)
        params, weights = model.edited(layer)
        for array in weights["output"]["dense"].values():
            array[:] = 0
        change = (model.log_probabilities(ids, params)[mask] - whole)[token]
        np.testing.assert_allclose(ablation.feed_forward[layer], change, rtol=0, atol=5e-4)


def test_each_token_left_out(model):
    ids, mask = model.ids(TEXT), model.mask(TEXT)
    whole, ablation = model.log_probabilities(ids)[mask], ablate(model.unmasker, TEXT)
    assert len(ablation.tokens) == len(ids)
    for position in range(len(ids)):
        if position == mask:
            assert ablation.left_out[position] == 0
            continue
        rest = ids[:position] + ids[position + 1 :]
        row = model.log_probabilities(rest)[rest.index(ids[mask])]
        np.testing.assert_allclose(ablation.left_out[position], (row - whole)[whole.argmax()], rtol=0, atol=5e-4)


def test_several_packed_batches_give_the_same(model, monkeypatch):
    whole = ablate(model.unmasker, TEXT)
    monkeypatch.setattr(batching.batches, "__defaults__", (25,))
    parts = ablate(model.unmasker, TEXT)
    for name in ("heads", "feed_forward", "left_out"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=0, atol=2e-5)
