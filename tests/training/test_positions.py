import numpy as np
import pytest

from distilroberta_np.training.positions import continue_positions


def on_circles(count, size=24):
    """Points that move on four circles at once, each in a plane of its own, and are back after 48 steps."""
    rng = np.random.default_rng(0)
    planes = np.linalg.qr(rng.normal(size=(size, 8)))[0].T
    angles = 2 * np.pi / 48 * np.arange(count)[:, None] * [1, 3, 7, 11]
    return 3 + np.concatenate([np.cos(angles), np.sin(angles)], axis=1) @ planes


def test_points_on_circles_go_on():
    expected = on_circles(120)
    positions = expected.copy()
    positions[[0, 49]] = 9.0  # <s> and </s> have these
    positions[50:] = 0.0
    continue_positions(positions, 50)
    np.testing.assert_allclose(positions[49:], expected[49:], atol=1e-9)
    np.testing.assert_array_equal(positions[1:49], expected[1:49])
    np.testing.assert_array_equal(positions[0], 9.0)


@pytest.mark.parametrize("learned", [4, 5, 9, 100])
def test_the_others_stay_as_large(learned):
    positions = np.random.default_rng(1).normal(size=(400, 32)).astype(np.float32)
    before = positions.copy()
    continue_positions(positions, learned)
    assert positions.dtype == np.float32
    np.testing.assert_array_equal(positions[: learned - 1], before[: learned - 1])
    center = before[1 : learned - 1].mean(axis=0)
    distances = np.linalg.norm(positions[learned - 1 :] - center, axis=1)
    np.testing.assert_allclose(distances, distances[0], rtol=1e-4)
