"""Splitting text into what a model is trained on and what it is measured on, document by document."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from distilroberta_np.training.data.text import read_paragraphs


def split_documents(files: Sequence[Path], folder: Path, one_in: int = 100) -> tuple[list[Path], Path]:
    """Copy the documents of each file to a file of the same name, and one in `one_in` to `held_out.txt` instead.

    A document's own text decides, so the split is the same wherever and in whatever order it is made, and copies of a
    document land on one side.

    Returns:
        The files to train on, one for each of `files`, and the one held out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    training, held_out = [], folder / "held_out.txt"
    with open(held_out, "w", encoding="utf-8") as aside:
        for path in files:
            target = folder / (path.name.removesuffix(".gz").removesuffix(".txt") + ".train.txt")
            with open(target, "w", encoding="utf-8") as kept:
                for document in documents([path]):
                    digest = hashlib.sha256(document.encode()).digest()
                    (kept if int.from_bytes(digest[:8], "big") % one_in else aside).write(document + "\n\n")
            training.append(target)
    return training, held_out


def documents(files: Sequence[Path]) -> Iterator[str]:
    """The documents of files: paragraphs, a line each."""
    lines: list[str] = []
    for line in read_paragraphs(files):
        if line:
            lines.append(line)
        elif lines:
            yield "\n".join(lines)
            lines = []
