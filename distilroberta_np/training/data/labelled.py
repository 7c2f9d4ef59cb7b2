"""The files that fine-tuning reads: texts with labels, sentences with a tag a word, questions with their answers.

What is wrong with a row is told to a function `bad`, as a sentence that names the file and the place in it. `refuse`
raises it; another may note it, and the row is left out.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import TrainingError
from ...files import read_json, unique_keys
from ...messages import shown

# The names of columns that are known without being told.
TEXT_COLUMNS = ("text", "sentence", "sentence1", "premise")
PAIR_COLUMNS = ("text_pair", "sentence2", "hypothesis")
LABEL_COLUMNS = ("label", "labels", "score")

Bad = Callable[[str], None]


def refuse(sentence: str) -> None:
    """Raise a TrainingError that says what is wrong with a row."""
    raise TrainingError(f"{sentence}. Mend it, or have such rows left out with --skip-bad-rows")


class Columns(NamedTuple):
    """Which columns of a table are what: names, or numbers from 1 where the file has no header. None: one of the known
    names, but for the pair where the text's column is given: then there is none."""

    text: str | None = None
    pair: str | None = None
    label: str | None = None
    header: bool = True


class LabelledText(NamedTuple):
    text: str
    pair: str | None  # the second text, in files of pairs
    label: str | tuple[str, ...]  # as it stands in the file; JSON may give several as a list
    place: str  # "FILE, line 7"


class TaggedSentence(NamedTuple):
    words: tuple[str, ...]
    tags: tuple[str, ...]
    place: str  # of the first word


class Question(NamedTuple):
    id: str
    question: str
    context: str
    answers: tuple[tuple[str, int], ...]  # text, and where it starts in the context; none if there is no answer
    place: str  # "FILE, question 56be..."


# -- texts -----------------------------------------------------------------------------------------------------------


def read_texts(path: Path, columns: Columns = Columns(), bad: Bad = refuse) -> list[LabelledText]:  # noqa: B008
    """The rows of a file of texts, or of pairs of texts, with their labels.

    Args:
        path: .csv (quoted with " where need be), .tsv or .txt (a row a line, tabs between, nothing quoted, as GLUE's
            files), .jsonl or .json (an object a line). UTF-8. Empty lines are passed over.
        columns: which are which.
        bad: told of rows that can't be used: too few or too many columns, an empty text, JSON that isn't an object.

    Raises:
        TrainingError: the file can't be read, or its columns aren't known.
    """
    readers = {".csv": _csv_rows, ".tsv": _tsv_rows, ".txt": _tsv_rows, ".jsonl": _json_rows, ".json": _json_rows}
    if path.suffix not in readers:
        raise TrainingError(f"{path}: a file of texts must be {', '.join(readers)}, and end so")
    rows: list[LabelledText] = []
    found: tuple[str, str | None, str] | None = None
    for place, row in readers[path.suffix](path, read_text(path), columns, bad):
        found = found or _find_columns(path, columns, list(row))
        text, pair, label = (None if name is None else row.get(name) for name in found)
        if found[1] is not None and not _is_text(pair):
            bad(f"{place}: no text in the column {found[1]}")
        elif not _is_text(text):
            bad(f"{place}: no text in the column {found[0]}")
        elif (known := _label(label)) is None:
            bad(f"{place}: {shown(label)} in the column {found[2]} is no label")
        else:
            rows.append(LabelledText(str(text), pair if pair is None else str(pair), known, place))
    return rows


def read_text(path: Path) -> str:
    """A whole file, UTF-8. Raises TrainingError."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise TrainingError(f"{path}: no such file") from None
    except OSError as error:
        raise TrainingError(f"{path}: can't be read: {error.strerror or error}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TrainingError(f"{path}, line {line}: not UTF-8; save the file in that encoding") from None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _label(value: Any) -> str | tuple[str, ...] | None:
    """A label as text; None if it can't be one. JSON has numbers and lists too."""
    if isinstance(value, list):
        parts = [_label(part) for part in value]
        return tuple(part for part in parts if isinstance(part, str)) if all(map(_is_text, parts)) else None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value).strip()


Rows = Iterator[tuple[str, dict[str, Any]]]  # where each stands, and its cells by their columns' names


def _csv_rows(path: Path, text: str, columns: Columns, bad: Bad) -> Rows:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)

    def lines() -> Iterator[tuple[int, list[str]]]:
        while True:
            number = reader.line_num + 1
            try:
                yield number, next(reader)
            except StopIteration:
                return
            except csv.Error as error:  # what follows a broken quotation can't be told apart
                raise TrainingError(f"{path}, line {number}: not CSV: {error}") from None

    yield from _table(path, lines(), columns, bad)


def _tsv_rows(path: Path, text: str, columns: Columns, bad: Bad) -> Rows:
    lines = enumerate(text.split("\n"), start=1)  # not splitlines, which splits at other characters too
    yield from _table(
        path, ((number, line.split("\t") if line else []) for number, line in _stripped(lines)), columns, bad
    )


def _stripped(lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    return ((number, line.removesuffix("\r")) for number, line in lines)


def _table(path: Path, lines: Iterator[tuple[int, list[str]]], columns: Columns, bad: Bad) -> Rows:
    names: list[str] | None = None
    for number, cells in lines:
        if not cells:
            continue
        if names is None:
            names = [cell.strip() for cell in cells] if columns.header else list(map(str, range(1, len(cells) + 1)))
            if len(set(names)) < len(names):
                raise TrainingError(f"{path}, line {number}: two columns of the header have one name")
            if columns.header:
                continue
        place = f"{path}, line {number}"
        if len(cells) != len(names):
            bad(f"{place}: {len(cells)} columns, and the file has {len(names)}")
            continue
        yield place, dict(zip(names, cells, strict=True))


def _json_rows(path: Path, text: str, columns: Columns, bad: Bad) -> Rows:
    for number, line in _stripped(enumerate(text.split("\n"), start=1)):
        place = f"{path}, line {number}"
        if not line.strip():
            continue
        try:
            row = json.loads(line, object_pairs_hook=unique_keys)
        except (ValueError, RecursionError) as error:
            bad(f"{place}: not JSON: {error}")
            continue
        if isinstance(row, dict):
            yield place, row
        else:
            bad(f"{place}: a line must hold an object, not a {type(row).__name__}")


def _find_columns(path: Path, columns: Columns, names: list[str]) -> tuple[str, str | None, str]:
    """The names of the columns of text, pair and label."""

    def find(what: str, chosen: str | None, known: tuple[str, ...]) -> str | None:
        if chosen is not None:
            if chosen not in names:
                raise TrainingError(f"{path}: no column {chosen!r}; it has {', '.join(names)}")
            return chosen
        found = [name for name in known if name in names]
        if len(found) > 1:
            raise TrainingError(
                f"{path}: {' and '.join(found)} could both be the {what}; say which with --{what}-column"
            )
        return found[0] if found else None

    text = find("text", columns.text, TEXT_COLUMNS)
    pair = None if columns.pair is None and columns.text is not None else find("pair", columns.pair, PAIR_COLUMNS)
    label = find("label", columns.label, LABEL_COLUMNS)
    if text is None or label is None:
        what, known = ("text", TEXT_COLUMNS) if text is None else ("label", LABEL_COLUMNS)
        raise TrainingError(
            f"{path}: none of its columns ({', '.join(names)}) is known as the {what}, as {', '.join(known)} would be; "
            f"say which with --{what}-column"
        )
    return text, pair, label


# -- tagged words ----------------------------------------------------------------------------------------------------


def read_conll(path: Path, bad: Bad = refuse) -> list[TaggedSentence]:
    """The sentences of a CoNLL file: a word a line, its tag in the last column, an empty line between sentences.

    Columns stand between tabs where a line has one, else between spaces. Lines of `-DOCSTART-` only end a sentence.

    Args:
        path: UTF-8.
        bad: told of a line without a word or a tag; its sentence is left out.

    Raises:
        TrainingError: the file can't be read.
    """
    sentences: list[TaggedSentence] = []
    rows: list[tuple[str, str]] = []
    wrong: str | None = None
    first = 1

    def close() -> None:
        if wrong is not None:
            bad(wrong)
        elif rows:
            words, tags = zip(*rows, strict=True)
            sentences.append(TaggedSentence(words, tags, f"{path}, line {first}"))

    for number, line in _stripped(enumerate(read_text(path).split("\n"), start=1)):
        cells = [cell.strip() for cell in line.split("\t")] if "\t" in line else line.split()
        if not any(cells) or cells[0] == "-DOCSTART-":
            close()
            rows, wrong = [], None
            continue
        if not rows:
            first = number
        if len(cells) < 2 or not cells[0] or not cells[-1]:
            wrong = wrong or f"{path}, line {number}: a line must hold a word and its tag, not {line!r:.60}"
        rows.append((cells[0], cells[-1]))
    close()
    return sentences


# -- questions -------------------------------------------------------------------------------------------------------


def read_squad(path: Path, bad: Bad = refuse) -> list[Question]:
    """The questions of a file in the format of SQuAD 1.1 or 2.0.

    Args:
        path: JSON.
        bad: told of questions that can't be used: without a text, or with an answer that isn't where it says.

    Raises:
        TrainingError: the file isn't in that format.
    """
    questions: list[Question] = []
    values = read_json(path, TrainingError)
    number = 0
    for article in _list(path, values, "data", "it"):
        for paragraph in _list(path, article, "paragraphs", "an article"):
            for entry in _list(path, paragraph, "qas", "a paragraph"):
                number += 1
                name = entry.get("id", f"number {number}") if isinstance(entry, dict) else f"number {number}"
                place = f"{path}, question {name}"
                try:
                    questions.append(_question(entry, paragraph.get("context"), str(name), place))
                except ValueError as error:
                    bad(f"{place}: {error}")
    return questions


def _list(path: Path, values: Any, key: str, what: str) -> list[Any]:
    if not isinstance(values, dict) or not isinstance(values.get(key), list):
        raise TrainingError(f"{path}: not in SQuAD's format: {what} must be an object with a list {key!r}")
    found: list[Any] = values[key]
    return found


def _question(entry: Any, context: Any, name: str, place: str) -> Question:
    """Raises ValueError where it can't be used."""
    if not isinstance(entry, dict) or not _is_text(entry.get("question")):
        raise ValueError("no text as its question")
    if not _is_text(context):
        raise ValueError("no text as its paragraph's context")
    impossible, answers = entry.get("is_impossible", False), entry.get("answers", [])
    if not isinstance(impossible, bool) or not isinstance(answers, list):
        raise ValueError("is_impossible must be true or false, and answers a list")
    if impossible == bool(answers):
        raise ValueError("it must have answers, or say is_impossible, and not both")
    found = []
    for answer in answers:
        text, start = (answer.get(key) for key in ("text", "answer_start")) if isinstance(answer, dict) else (None, 0)
        if not isinstance(text, str) or not text.strip() or isinstance(start, bool) or not isinstance(start, int):
            raise ValueError("an answer must have a text and an answer_start")
        if start < 0 or context[start : start + len(text)] != text:
            raise ValueError(f"the answer {text!r:.60} is not at character {start} of its context")
        found.append((text, start))
    return Question(name, entry["question"], context, tuple(found), place)
