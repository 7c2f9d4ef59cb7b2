import sys
from types import ModuleType

import pytest

from distilroberta_np.runtime.progress import track

BATCHES = [slice(0, 3), slice(3, 5)]


def test_without_a_bar_nothing_is_printed_or_imported(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    assert list(track(BATCHES, 5, None)) == list(track(BATCHES, 5, False)) == BATCHES
    assert capsys.readouterr() == ("", "")


def test_tqdm_counts_inputs(monkeypatch):
    calls = []

    class Bar:
        def __init__(self, **arguments):
            calls.append(arguments)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            calls.append("closed")

        def update(self, count):
            calls.append(count)

    package, module = ModuleType("tqdm"), ModuleType("tqdm.auto")
    module.tqdm = Bar
    monkeypatch.setitem(sys.modules, "tqdm", package)
    monkeypatch.setitem(sys.modules, "tqdm.auto", module)
    assert list(track(BATCHES, 5, True)) == BATCHES
    assert calls == [{"total": 5, "unit": "text"}, 3, 2, "closed"]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_plain_bar_on_a_terminal_without_tqdm(capsys, monkeypatch, terminal):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert list(track(BATCHES, 5, True)) == BATCHES
    printed = capsys.readouterr().err
    if terminal:
        lines = [line.removesuffix("\x1b[K").strip() for line in printed.split("\r")[1:]]
        assert lines[0] == f"[{'.' * 24}] 0 of 5"
        assert lines[-1].startswith(f"[{'#' * 24}] 5 of 5, 0 s left") and printed.endswith("\n")
    else:
        assert printed == ""
