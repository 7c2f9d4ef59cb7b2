"""Tagged words: CoNLL files."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from ...errors import TrainingError
from ...messages import shown
from .source import Bad, read_text, refuse

_ENTITY_TAG = re.compile(r"O|[BIESLU]-.+")
_METADATA = re.compile("=|^#(begin|end) document")
_NUMBER = re.compile(r"\d+([-.]\d+)?")  # of a word in CoNLL-U: 3, 3-4 or 3.1


class TaggedSentence(NamedTuple):
    words: tuple[str, ...]
    tags: tuple[str, ...]
    location: str  # "FILE, line 7", of the first word


class _Line(NamedTuple):
    number: int
    text: str
    cells: list[str]  # none in an empty line

    @property
    def columns(self) -> tuple[bool, int]:
        return "\t" in self.text, len(self.cells)


def read_conll(path: Path, bad: Bad = refuse) -> list[TaggedSentence]:
    """Read the sentences of a CoNLL file: one word per line, its tag in the last column, empty lines between sentences.

    Columns are separated by tabs in lines with a tab, else by spaces (not by other white space, which belongs to the
    word). Lines of `-DOCSTART-` only end a sentence. Lines that begin with # before a sentence, or with "# "
    anywhere, are metadata, unless they have the columns and a tag of words.

    Args:
        path: of the file. bad: told of each line without a word or a tag, or with another number of columns, whose
        sentence is skipped; and
            of lines that could be metadata or words.

    Raises:
        TrainingError: the file cannot be read, or its first column numbers the words.
    """
    lines = [_parse(number, line) for number, line in enumerate(read_text(path).split("\n"), start=1)]
    words = [line for line in lines if line.cells and not line.text.startswith("#")]
    tags = {line.cells[-1] for line in words}
    # The usual number of columns, of lines with tabs and of those without.
    usual: dict[bool, int] = {}
    for (tabs, count), _ in Counter(line.columns for line in words).most_common():
        usual.setdefault(tabs, count)

    sentences: list[TaggedSentence] = []
    sentence: list[_Line] = []
    for line in [*lines, _parse(len(lines) + 1, "")]:
        if line.cells:
            tabs, columns = line.columns
            fits, tag = columns == usual.get(tabs), line.cells[-1]
            if (
                not line.text.startswith("# " if sentence else "#")
                or (fits and (tabs or tag in tags))
                or (fits and _ENTITY_TAG.fullmatch(tag))
            ):
                sentence.append(line)
            elif fits and not _METADATA.search(line.text):
                bad(
                    f"{path}, line {line.number}: {shown(line.text)} could be metadata or a word; remove it, or "
                    "separate the columns by tabs"
                )
        elif sentence:
            problem = next((found for each in sentence if (found := _problem(each, usual))), None)
            if problem is None:
                cells = [each.cells for each in sentence]
                location = f"{path}, line {sentence[0].number}"
                sentences.append(TaggedSentence(tuple(c[0] for c in cells), tuple(c[-1] for c in cells), location))
            else:
                bad(f"{path}, {problem}")
            sentence = []
    if (
        sentences
        and all(_NUMBER.fullmatch(word) for each in sentences for word in each.words)
        and all(each.words[0] in ("1", "1-2") for each in sentences)
    ):
        raise TrainingError(f"{path}: the first column numbers the words, as in CoNLL-U; remove it, so that the word "
                            "is in the first column and the tag in the last")  # fmt: skip
    return sentences


def _parse(number: int, text: str) -> _Line:
    cells = [cell.strip(" ") for cell in text.split("\t")] if "\t" in text else text.strip(" ").split(" ")
    cells = cells if "\t" in text else [cell for cell in cells if cell]
    return _Line(number, text, [] if not any(map(str.strip, cells)) or cells[0] == "-DOCSTART-" else cells)


def _problem(line: _Line, usual: dict[bool, int]) -> str | None:
    """What is wrong with a line of a sentence, if anything."""
    expected = usual.get("\t" in line.text, len(line.cells))
    if len(line.cells) < 2 or not line.cells[0] or not line.cells[-1]:
        return f"line {line.number}: a line must hold a word and its tag, not {shown(line.text)}"
    if len(line.cells) != expected:
        return f"line {line.number}: {len(line.cells)} columns, but the file has {expected}: {shown(line.text)}"
    return None
