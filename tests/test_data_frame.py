"""docs/data_frame.ipynb runs from top to bottom, and its data frames hold what it says."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.course import run_notebook

NOTEBOOK = Path(__file__).parents[1] / "docs" / "data_frame.ipynb"


def test_the_notebook_runs():
    if find_spec("pandas") is None:
        pytest.skip("pandas is not installed: pip install pandas")
    names, printed = run_notebook(NOTEBOOK)
    assert printed == ""
    frame, rows, best = (names[name] for name in ("frame", "rows", "best"))
    assert names["results"]._repr_html_().count("<tr>") == 1 + len(rows)
    assert [len(predictions) for predictions in frame["predictions"]] == [3] * len(frame)
    assert list(rows.columns) == ["input", "score", "token", "token_str", "sequence"]
    assert rows["input"].tolist() == [index for index in range(len(frame)) for _ in range(3)]
    assert best["token_str"].tolist() == [predictions[0]["token_str"] for predictions in frame["predictions"]]
    assert names["words"]["person"].notna().all()


def test_the_notebook_is_valid_and_holds_no_outputs():
    content = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    cells = content["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells)
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells if "outputs" in cell)
    assert f"({NOTEBOOK.name})" in (NOTEBOOK.parent / "guide.md").read_text(encoding="utf-8")
