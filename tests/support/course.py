"""The lessons and notebooks of docs/course/: run, read, and compared with what they print."""

from __future__ import annotations

import contextlib
import io
import json
import math
import re
from pathlib import Path
from typing import Any, NamedTuple

COURSE = Path(__file__).parents[2] / "docs" / "course"
LESSONS = sorted(COURSE.glob("[1-9]_*.md"))
NOTEBOOKS = sorted(COURSE.glob("[1-9]_*.ipynb"))
TOLERANCE = 0.005

# A block that runs, and the text that it prints.
RUN = re.compile(r"^```python\n(?P<code>.*?)^```\n\n```text\n(?P<output>.*?)^```$", re.DOTALL | re.MULTILINE)
PICTURE = re.compile(r"^!\[(?P<alt>.*)\]\((?P<path>.*)\)$", re.MULTILINE)
_NUMBER = re.compile(r"(?<![A-Za-z])-?\d[\d,]*(?:\.\d*)?")


class Parts(NamedTuple):
    """A text taken apart: the words between its numbers, and the numbers."""

    words: list[str]
    numbers: list[str]


def parts_of(text: str) -> Parts:
    """Spaces are left out, as NumPy's printing aligns columns with them."""
    return Parts(["".join(words.split()) for words in _NUMBER.split(text)], numbers_in(text))


def numbers_in(text: str) -> list[str]:
    return [number.rstrip(",.").replace(",", "") for number in _NUMBER.findall(text)]


def equal(first: str, second: str) -> bool:
    """Whether two texts have the same words, and numbers that differ by at most the tolerance, or in the last digit."""
    one, other = parts_of(first), parts_of(second)
    if one.words != other.words or len(one.numbers) != len(other.numbers):
        return False
    return all(map(near, one.numbers, other.numbers))


def near(one: str, other: str) -> bool:
    """Whether two numbers are equal: integers, such as ids, exactly; others up to the tolerance."""
    if "." not in one + other:
        return int(one) == int(other)
    return math.isclose(float(one), float(other), rel_tol=0.002, abs_tol=TOLERANCE + 1e-9)


def run(code: str, name: str) -> str:
    """Run a block in a namespace of its own, and return what it prints."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, name, "exec"), {"__name__": "__main__"})
    return printed.getvalue()


def run_notebook(path: Path) -> tuple[dict[str, Any], str]:
    """Run the code cells in order without Jupyter. Returns their names and what they print."""
    names: dict[str, Any] = {"__name__": "__main__"}
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for number, cell in enumerate(cells, 1):
            if cell["cell_type"] == "code":
                exec(compile("".join(cell["source"]), f"{path.name}, cell {number}", "exec"), names)
    return names, printed.getvalue()
