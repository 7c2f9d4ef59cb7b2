"""Interrupts, forks and signal handlers at random moments; each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from distilroberta_np.runtime.threads import _openblas

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.skipif(_openblas() is None, reason="NumPy uses another BLAS than OpenBLAS"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs the signals and forks of Unix"),
]


def run(scenario, count, seconds):
    result = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-m", "tests.support.interrupted", scenario, str(count), "0"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("scenario", "count"), [("by_signals", 60), ("in_threads", 60), ("in_handlers", 20), ("by_forks", 8)]
)
def test_a_moment_of_interruption_changes_nothing(scenario, count):
    run(scenario, count, 120)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "count"), [("by_signals", 6000), ("in_threads", 6000), ("in_handlers", 1000), ("by_forks", 400)]
)
def test_thousands_of_interruptions_change_nothing(scenario, count):
    run(scenario, count, 1200)
