"""Draw the pictures of docs/course/, and renew what depends on the embedded model.

    python -m scripts.draw_course

Run it after the embedded model has changed. Each notebook is run, and the figure that it draws becomes N_name.svg. In
the lesson of the same name the alternative text of the picture and the printed outputs are replaced. Read the lessons
afterwards: the sentences between are not.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

import matplotlib

from tests.support.course import NOTEBOOKS, PICTURE, RUN, run, run_notebook

# An opaque background is readable on light and dark pages. Text is drawn as paths, so no font is needed.
STYLE = {"figure.facecolor": "white", "savefig.facecolor": "white", "svg.fonttype": "path", "svg.hashsalt": "course"}


def main() -> None:
    matplotlib.use("agg")
    matplotlib.rcParams.update(STYLE)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for notebook in NOTEBOOKS:
            draw(notebook)


def draw(notebook: Path) -> None:
    names, _ = run_notebook(notebook)
    description, picture = names["description"], notebook.with_suffix(".svg")
    title = notebook.stem.partition("_")[2].replace("_", " ")
    # Without its date and creator the same picture is the same file.
    metadata = {"Title": title, "Description": description, "Date": None, "Creator": None}
    names["figure"].savefig(picture, metadata=metadata)
    svg = re.sub(r"\s*\n\s*", "\n", picture.read_text(encoding="utf-8"))
    svg = re.sub(r"\b([1-9]\d*\.\d\d)\d+", r"\1", svg)  # hundredths of a point are enough
    picture.write_text(svg, encoding="utf-8")

    lesson = notebook.with_suffix(".md")
    text = lesson.read_text(encoding="utf-8")
    text = PICTURE.sub(lambda match: f"![{description}]({match['path']})", text)
    text = RUN.sub(lambda match: renewed(match, lesson.name), text)
    lesson.write_text(text, encoding="utf-8")
    print(f"{picture.name}: {picture.stat().st_size:,} bytes")


def renewed(match: re.Match[str], name: str) -> str:
    return f"```python\n{match['code']}```\n\n```text\n{run(match['code'], name)}```"


if __name__ == "__main__":
    main()
