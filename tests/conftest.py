from __future__ import annotations

import signal
from pathlib import Path

import pytest

from distilroberta_np.hub import find_published


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("distilroberta_np")
    group.addoption("--published-weights", metavar="PATH", help="the folder of distilroberta-base, if it isn't found")
    group.addoption("--require-weights", action="store_true", help="fail where distilroberta-base is missing")


def pytest_configure() -> None:
    # A job that a script starts in the background ignores these, and its tests of signals would wait for nothing.
    for name, usual in (
        ("SIGINT", signal.default_int_handler),
        ("SIGHUP", signal.SIG_DFL),
        ("SIGTERM", signal.SIG_DFL),
    ):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


@pytest.fixture(scope="session")
def published_weights(request: pytest.FixtureRequest) -> Path:
    """The folder of the published checkpoint. Tests that need it are skipped where it isn't."""
    given = request.config.getoption("--published-weights")
    folder = Path(given) if given else find_published()
    if folder is None:
        message = "distilroberta-base is not on this machine: get it (331 MB) with `distilroberta-np download`"
        if request.config.getoption("--require-weights"):
            pytest.fail(message)
        pytest.skip(message)
    return folder
