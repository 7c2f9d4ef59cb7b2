"""The fuzzer finds nothing: a few cases by default, all of them in the gate (`pytest -m slow`)."""

from __future__ import annotations

import pytest

pytest.importorskip("resource", reason="limits of memory and time need Unix")

from tests.fuzz.__main__ import fuzz


@pytest.mark.parametrize(
    ("files", "calls"),
    [(200, 0), (0, 100), pytest.param(10_000, 5_000, marks=pytest.mark.slow)],
    ids=["files", "calls", "all"],
)
def test_nothing_is_found(files, calls):
    comparisons, findings = fuzz(files, calls)
    assert not findings, "\n".join(findings)
    assert bool(comparisons) == bool(files), "no answer was compared with that of reference/"
