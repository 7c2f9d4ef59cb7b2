"""Compare answers of pipelines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest


def assert_same(ours: Any, expected: Any, rel: float = 1e-5, abs: float = 1e-7) -> None:
    """Equal types, lengths, keys in their order, and values; floats and arrays within a tolerance.

    NumPy's scalars, which transformers returns in some places, count as Python's.
    """
    if isinstance(expected, np.generic):
        expected = expected.item()
    kind = list if isinstance(ours, list) else type(ours)  # `Results` are lists
    assert isinstance(expected, kind), (type(ours), type(expected))
    if isinstance(expected, list):
        assert len(ours) == len(expected)
        for one, other in zip(ours, expected, strict=True):
            assert_same(one, other, rel, abs)
    elif isinstance(expected, dict):
        assert list(ours) == list(expected)
        for key, value in expected.items():
            assert_same(ours[key], value, rel, abs)
    elif isinstance(expected, np.ndarray):
        np.testing.assert_allclose(ours, expected, rtol=rel, atol=abs)
    elif isinstance(expected, float):
        assert ours == pytest.approx(expected, rel=rel, abs=abs)
    else:
        assert ours == expected


def close(answer: Any, expected: Any) -> bool:
    """Whether two JSON values are equal but for the rounding of floats, which depends on the batch."""
    if isinstance(expected, dict):
        return answer.keys() == expected.keys() and all(close(answer[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return len(answer) == len(expected) and all(map(close, answer, expected))
    return answer == pytest.approx(expected, abs=1e-5) if isinstance(expected, float) else answer == expected
