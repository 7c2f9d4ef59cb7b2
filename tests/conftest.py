from __future__ import annotations

from pathlib import Path

import pytest

from distilroberta_np.hub import find_published


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("distilroberta_np")
    group.addoption("--published-weights", metavar="PATH", help="the folder of distilroberta-base, if it isn't found")
    group.addoption("--require-weights", action="store_true", help="fail where distilroberta-base is missing")


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
