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
    tabs: bool  # whether they separate the cells
    cells: list[str]  # none in an empty line


def read_conll(path: Path, bad: Bad = refuse) -> list[TaggedSentence]:
    """Read the sentences of a CoNLL file: one word per line, its tag in the last column, empty lines between sentences.

    Columns are separated by tabs in lines with a tab, else by spaces (not by other white space, which belongs to the
    word). Lines of `-DOCSTART-` only end a sentence. Lines that begin with # are metadata, unless they have the columns
    and a tag of words.

    `bad` is told of each line without a word or a tag, or with another number of columns; its sentence is skipped. Also
    told of lines that could be metadata or words.

    Raises TrainingError: the file cannot be read, or its first column numbers the words.
    """
    lines = [_parse(number, text) for number, text in enumerate(read_text(path).split("\n"), start=1)]
    words = [line for line in lines if line.cells and not line.text.startswith("#")]
    tags = {line.cells[-1] for line in words}
    counts = Counter((line.tabs, len(line.cells)) for line in words)
    usual = {tabs: count for (tabs, count), _ in reversed(counts.most_common())}  # columns, with tabs and without

    sentences: list[TaggedSentence] = []
    sentence: list[_Line] = []
    for line in [*lines, _parse(len(lines) + 1, "")]:
        if not line.cells:
            problem = next((found for each in sentence if (found := _problem(each, usual))), None)
            if problem is not None:
                bad(f"{path}, {problem}")
            elif sentence:
                columns = list(zip(*((each.cells[0], each.cells[-1]) for each in sentence), strict=True))
                sentences.append(TaggedSentence(columns[0], columns[1], f"{path}, line {sentence[0].number}"))
            sentence = []
        elif not line.text.startswith("#"):
            sentence.append(line)
        elif len(line.cells) == usual.get(line.tabs):
            tag = line.cells[-1]
            if line.tabs or tag in tags or _ENTITY_TAG.fullmatch(tag):
                sentence.append(line)
            elif not _METADATA.search(line.text):
                bad(
                    f"{path}, line {line.number}: {shown(line.text)} could be metadata or a word; remove it, or "
                    "separate the columns by tabs"
                )
        elif sentence and not line.text.startswith("# "):
            sentence.append(line)  # a word with a wrong number of columns
    numbered = all(_NUMBER.fullmatch(word) for each in sentences for word in each.words)
    if sentences and numbered and all(each.words[0] in ("1", "1-2") for each in sentences):
        raise TrainingError(
            f"{path}: the first column numbers the words, as in CoNLL-U; remove it, so that the word is in the first "
            "column and the tag in the last"
        )
    return sentences


def _parse(number: int, text: str) -> _Line:
    tabs = "\t" in text
    cells = [cell.strip(" ") for cell in text.split("\t")] if tabs else [*filter(None, text.split(" "))]
    return _Line(number, text, tabs, [] if not any(map(str.strip, cells)) or cells[0] == "-DOCSTART-" else cells)


def _problem(line: _Line, usual: dict[bool, int]) -> str | None:
    """What is wrong with a line of a sentence, if anything."""
    expected = usual.get(line.tabs, len(line.cells))
    if len(line.cells) < 2 or not line.cells[0] or not line.cells[-1]:
        return f"line {line.number}: a line must hold a word and its tag, not {shown(line.text)}"
    if len(line.cells) != expected:
        return f"line {line.number}: {len(line.cells)} columns, but the file has {expected}: {shown(line.text)}"
    return None
