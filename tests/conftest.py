from __future__ import annotations

import signal
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from distilroberta_np import pipeline
from distilroberta_np.hub import find_embedded, find_published
from distilroberta_np.runtime import progress


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


@pytest.fixture(scope="session")
def answers() -> Any:
    """The embedded model's answers, of which tests make their expected output: it may be trained again."""
    return pipeline("fill-mask", find_embedded())("The man worked as a <mask>.")


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The progress bars that are made, each with its `total`, how many are `done`, and its `steps`."""
    made: list[Any] = []

    def new_bar(total: int | None) -> Any:
        made.append(CountingBar(total))
        return nullcontext(made[-1])

    monkeypatch.setattr(progress, "_new_bar", new_bar)
    return made


class CountingBar:
    def __init__(self, total: int | None) -> None:
        self.total = total
        self.steps: list[int] = []

    @property
    def done(self) -> int:
        return sum(self.steps)

    def update(self, count: int) -> None:
        self.steps.append(count)
