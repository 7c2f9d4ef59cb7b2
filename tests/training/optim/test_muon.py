import numpy as np
import pytest

from distilroberta_np import RobertaConfig
from distilroberta_np.layers.params import tree_leaves, tree_map
from distilroberta_np.models.masked_lm import masked_lm_keys
from distilroberta_np.training.optim.adamw import adamw, start
from distilroberta_np.training.optim.muon import muon, orthogonal
from tests.support.seeded import config_dict, seeded_tensors


@pytest.mark.parametrize("shape", [(8, 8), (12, 5), (5, 12), (1, 7)])
def test_all_singular_values_come_near_one_and_the_directions_stay(shape):
    matrix = np.random.default_rng(0).normal(size=shape)
    u, _, v = np.linalg.svd(matrix, full_matrices=False)
    result = orthogonal(matrix)
    assert result.shape == shape
    mapped = np.diag(u.T @ result @ v.T)
    np.testing.assert_allclose(u @ np.diag(mapped) @ v, result, atol=1e-6)  # only the values change
    assert ((mapped > 0.6) & (mapped < 1.3)).all()


def test_muon_updates_the_matrices_of_the_layers_and_adamw_the_rest():
    config = RobertaConfig.from_dict(config_dict())
    tensors = seeded_tensors(0)
    ours, theirs, gradients = (tree_map(lambda key: tensors[key.name].copy(), masked_lm_keys(config)) for _ in range(3))
    first = tree_map(np.copy, ours)
    state, other = start(ours), start(theirs)
    for _ in range(2):
        state = muon(ours, gradients, state, 0.01, 0.1)
        other = adamw(theirs, gradients, other, 0.01, 0.1)
    assert state.updates == 2
    momentum = 0.0
    in_layers = {id(leaf) for leaf in tree_leaves(ours.roberta.layers)}
    trees = (ours, theirs, gradients, first)
    for mine, adams, gradient, before in zip(*map(tree_leaves, trees), strict=True):
        if id(mine) not in in_layers or mine.ndim < 2:
            np.testing.assert_array_equal(mine, adams)
            continue
        expected, momentum = before, 0.0
        for _ in range(2):
            momentum = 0.95 * momentum + gradient
            step = orthogonal(gradient + 0.95 * momentum) * 0.2 * np.sqrt(max(mine.shape))
            expected = expected - 0.01 * (step + 0.1 * expected)
        np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=1e-6)
