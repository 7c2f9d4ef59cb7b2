import io
import sys
from types import ModuleType, SimpleNamespace

import pytest

from distilroberta_np.runtime import progress
from distilroberta_np.runtime.progress import PlainBar, clock, progress_bar


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self):
        return True

    def lines(self):
        return [line.removesuffix("\n").removesuffix("\x1b[K") for line in self.getvalue().split("\r")[1:]]


@pytest.fixture
def screen(monkeypatch):
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=Screen()))
    return progress.sys.stderr


@pytest.fixture
def now(monkeypatch):
    """The time, which only the test moves."""
    time = [0.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: time[0]))
    return time


@pytest.fixture
def without_tqdm(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)


def test_without_a_bar_nothing_is_printed_or_imported(capsys, without_tqdm):
    for nothing in (None, False):
        with progress_bar(nothing, 5) as bar:
            assert bar is None
    assert capsys.readouterr() == ("", "")


def test_tqdm_where_it_is_installed(monkeypatch):
    package, module = ModuleType("tqdm"), ModuleType("tqdm.auto")
    module.tqdm = lambda **arguments: arguments
    monkeypatch.setitem(sys.modules, "tqdm", package)
    monkeypatch.setitem(sys.modules, "tqdm.auto", module)
    assert progress_bar(True, 5) == {"total": 5, "unit": " texts"}


def test_a_bar_of_the_caller_is_used_and_not_closed(screen, now):
    own = PlainBar(5)
    with progress_bar(own, 5) as bar:
        assert bar is own
    assert screen.lines() == []


def test_a_plain_bar_counts_and_estimates(screen, now, without_tqdm):
    with progress_bar(True, 4_000) as bar:
        now[0] = 10.0
        bar.update(1_000)
        bar.update(500)  # at once: not drawn
        now[0] = 30.0
        bar.update(1_500)
        now[0] = 40.0
        bar.update(1_000)
    assert screen.lines() == [
        f"[{'.' * 24}] 0 of 4,000 texts",
        f"[{'#' * 6}{'.' * 18}] 1,000 of 4,000 texts, 100.0 per second, 0:30 left",
        f"[{'#' * 18}{'.' * 6}] 3,000 of 4,000 texts, 100.0 per second, 0:10 left",
        f"[{'#' * 24}] 4,000 of 4,000 texts, 100.0 per second, 0:00 left",
        f"[{'#' * 24}] 4,000 of 4,000 texts, 100.0 per second, 0:00 left",
    ]


def test_without_a_total_it_counts(screen, now):
    with PlainBar(None) as bar:
        now[0] = 2.0
        bar.update(1)
    assert screen.lines()[:2] == ["0 texts", "1 text, 0.5 per second"]


def test_a_bar_that_does_not_stay_leaves_nothing(screen, now):
    with PlainBar(5, stays=False) as bar:
        bar.clear()
        bar.clear()
    assert screen.lines()[1::2] == ["", ""]


@pytest.mark.parametrize("inactive", ["no terminal", "closed", "told"])
def test_nothing_is_drawn_where_nobody_watches(monkeypatch, screen, inactive):
    monkeypatch.setattr(screen, "isatty", lambda: inactive != "no terminal")
    if inactive == "closed":
        monkeypatch.setattr(progress.sys, "stderr", None)
    with PlainBar(5, active=inactive != "told") as bar:
        bar.update(5)
    assert screen.getvalue() == ""


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3723, "1:02:03")])
def test_clock(seconds, text):
    assert clock(seconds) == text
