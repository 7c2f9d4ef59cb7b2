import numpy as np
import pytest

from distilroberta_np import ConfigError
from distilroberta_np.sentence.pooling import POOLING_MODES, Pooling
from tests.support.seeded import draw, write_json


def plain(mode, hidden_states, skipped):
    """The equation, over all pooled tokens of a sequence."""
    pooled = hidden_states.astype(np.float64)[skipped:]
    positions = np.arange(skipped, len(hidden_states)) + 1
    return {
        "cls": pooled[0],
        "lasttoken": pooled[-1],
        "max": pooled.max(axis=0),
        "mean": pooled.sum(axis=0) / len(pooled),
        "mean_sqrt_len_tokens": pooled.sum(axis=0) / np.sqrt(len(pooled)),
        "weightedmean": (pooled * positions[:, None]).sum(axis=0) / positions.sum(),
    }[mode]


@pytest.mark.parametrize("skipped", [0, 2, 6])
@pytest.mark.parametrize("modes", [*((mode,) for mode in POOLING_MODES), ("lasttoken", "cls"), POOLING_MODES])
def test_every_mode_matches_its_equation(modes, skipped):
    hidden_states = draw(0, 7, 5)
    pooling = Pooling(modes)
    positions = pooling.positions(7, skipped)
    pooled = pooling(hidden_states[positions], positions)
    assert pooled.dtype == np.float32
    expected = np.concatenate([plain(mode, hidden_states, skipped) for mode in modes])
    np.testing.assert_allclose(pooled, expected, rtol=1e-5)


def test_the_first_and_the_last_token_are_computed_alone():
    assert Pooling(("cls",)).positions(7) == [0]
    assert Pooling(("lasttoken",)).positions(7, 2) == [6]
    assert Pooling(("lasttoken", "cls")).positions(7, 2) == [2, 6]
    assert Pooling(("lasttoken", "cls")).positions(1) == [0]
    assert Pooling(("cls", "mean")).positions(4, 1) == [1, 2, 3]


@pytest.mark.parametrize("pooling", [Pooling(), Pooling(("max", "cls"), include_prompt=False)])
def test_a_round_trip(tmp_path, pooling):
    pooling.save(tmp_path, 5)
    assert Pooling.load(tmp_path, 5) == pooling


@pytest.mark.parametrize("mode", POOLING_MODES)
def test_old_configs_have_a_boolean_for_each_mode(tmp_path, mode):
    names = {"cls": "cls_token", "lasttoken": "lasttoken"}
    key = f"pooling_mode_{names.get(mode, mode.removesuffix('_tokens') + '_tokens')}"
    write_json(tmp_path / "config.json", {"word_embedding_dimension": 5, "pooling_mode_mean_tokens": False, key: True})
    assert Pooling.load(tmp_path, 5) == Pooling((mode,))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"word_embedding_dimension": 8}, r"config\.json: the embedding dimension is 8, but the model's is 5"),
        ({"pooling_mode": "median"}, "pooling_mode must be 1 to 16 of cls"),
        ({"pooling_mode": []}, "pooling_mode must be 1 to 16 of cls"),
        ({"pooling_mode": ["mean"] * 10**6}, "pooling_mode must be 1 to 16 of cls"),
        ({"pooling_mode": 5}, "pooling_mode must be a name or a list of names, not 5"),
        ({"pooling_mode": [{}]}, "pooling_mode must be a name or a list of names"),
        ({"include_prompt": "no"}, "include_prompt must be true or false, not 'no'"),
    ],
)
def test_malformed_configs(tmp_path, values, message):
    write_json(tmp_path / "config.json", {"word_embedding_dimension": 5} | values)
    with pytest.raises(ConfigError, match=message):
        Pooling.load(tmp_path, 5)
