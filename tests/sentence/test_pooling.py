import numpy as np
import pytest

from distilroberta_np.sentence.pooling import POOLING_MODES, pooling, pooling_places
from tests.support.seeded import draw


def plain(mode, vectors, skipped):
    """By the equations, over all tokens of a text, of which the first few don't count."""
    kept = vectors.astype(np.float64)[skipped:]
    places = np.arange(skipped, len(vectors)) + 1
    return {
        "cls": kept[0],
        "lasttoken": kept[-1],
        "max": kept.max(axis=0),
        "mean": kept.sum(axis=0) / len(kept),
        "mean_sqrt_len_tokens": kept.sum(axis=0) / np.sqrt(len(kept)),
        "weightedmean": (kept * places[:, None]).sum(axis=0) / places.sum(),
    }[mode]


@pytest.mark.parametrize("skipped", [0, 2, 6])
@pytest.mark.parametrize("modes", [*((mode,) for mode in POOLING_MODES), ("lasttoken", "cls"), POOLING_MODES])
def test_every_mode_at_the_places_that_it_needs(modes, skipped):
    vectors = draw(0, 7, 5)
    places = pooling_places(modes, 7, skipped)
    pooled = pooling(vectors[places], places, modes)
    assert pooled.dtype == np.float32
    np.testing.assert_allclose(pooled, np.concatenate([plain(mode, vectors, skipped) for mode in modes]), rtol=1e-5)


def test_where_the_first_or_the_last_will_do_no_others_are_asked_for():
    assert pooling_places(("cls",), 7, 0) == [0]
    assert pooling_places(("lasttoken",), 7, 2) == [6]
    assert pooling_places(("lasttoken", "cls"), 7, 2) == [2, 6]
    assert pooling_places(("lasttoken", "cls"), 1, 0) == [0]
    assert pooling_places(("cls", "mean"), 4, 1) == [1, 2, 3]
