"""Questions about texts, with their answers: the JSON of SQuAD 1.1 and 2.0."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ...errors import TrainingError
from ...messages import shown
from .source import Bad, is_text, parse_json, read_text, refuse


class Question(NamedTuple):
    id: str
    question: str
    context: str
    answers: tuple[tuple[str, int], ...]  # text, and the character of the context where it starts; none: no answer
    location: str  # "FILE, question 56be..."


def read_squad(path: Path, bad: Bad = refuse) -> list[Question]:
    """Read the questions of a file in SQuAD's format.

    `bad` is told of each question that cannot be used: without a text, or with an answer that is not in the context.

    Raises TrainingError: the file is not in that format.
    """
    questions: list[Question] = []
    try:
        values = parse_json(read_text(path))
    except ValueError as error:
        raise error if isinstance(error, TrainingError) else TrainingError(f"{path}: not JSON: {error}") from None
    number = 0
    for article in _list(path, values, "data", "it"):
        for paragraph in _list(path, article, "paragraphs", "an article"):
            context = paragraph.get("context") if isinstance(paragraph, dict) else None
            for entry in _list(path, paragraph, "qas", "a paragraph"):
                number += 1
                name = str(entry.get("id", f"number {number}") if isinstance(entry, dict) else f"number {number}")
                location = f"{path}, question {name}"
                try:
                    questions.append(_question(entry, context, name, location))
                except ValueError as error:
                    bad(f"{location}: {error}")
    return questions


def _list(path: Path, values: object, key: str, what: str) -> list[object]:
    found = values.get(key) if isinstance(values, dict) else None
    if not isinstance(found, list):
        raise TrainingError(f"{path}: not in SQuAD's format: {what} must be an object with a list {key!r}")
    return found


def _question(entry: object, context: object, name: str, location: str) -> Question:
    """Raises ValueError if it cannot be used."""
    if not isinstance(entry, dict) or not is_text(entry.get("question")):
        raise ValueError("the question has no text")
    if not isinstance(context, str) or not context.strip():
        raise ValueError("the paragraph's context has no text")
    impossible, answers = entry.get("is_impossible", False), entry.get("answers", [])
    if not isinstance(impossible, bool) or not isinstance(answers, list):
        raise ValueError("is_impossible must be true or false, and answers a list")
    if impossible == bool(answers):
        raise ValueError("it must either have answers or be is_impossible")
    found = []
    for answer in answers:
        text, start = (answer.get(key) for key in ("text", "answer_start")) if isinstance(answer, dict) else (None, 0)
        if not isinstance(text, str) or not text.strip() or isinstance(start, bool) or not isinstance(start, int):
            raise ValueError("an answer must have a text and an answer_start")
        if start < 0 or context[start : start + len(text)] != text:
            raise ValueError(f"the answer {shown(text)} is not at character {start} of the context")
        found.append((text, start))
    return Question(name, entry["question"], context, tuple(found), location)
