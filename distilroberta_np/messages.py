"""What users read: text that is safe to print, values shortened for errors, warnings that point at the user's line."""

from __future__ import annotations

import inspect
import re
import warnings
from typing import Any

# Control characters, line separators, lone surrogates, and the characters that change the direction of the text
# around them. Joiners, which emoji and several scripts need, stay.
_UNPRINTABLE = re.compile("[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ud800-\udfff]")


def printable(text: str) -> str:
    """Replace characters that could command the terminal, or reorder the line, by their escape codes."""
    return _UNPRINTABLE.sub(lambda match: repr(match[0])[1:-1], text)


def shown(value: Any) -> str:
    """The repr of a value, shortened to 80 characters: files of strangers can make it as long or deep as they like."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        return f"a value of type {type(value).__name__}, too large to show"
    return text if len(text) <= 80 else text[:77] + "..."


def warn(message: str) -> None:
    """Issue a UserWarning that points at the first line outside this package, which is the user's."""
    package = __name__.partition(".")[0]
    frame, level = inspect.currentframe(), 1
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == package:
        frame, level = frame.f_back, level + 1
    warnings.warn(printable(message), UserWarning, stacklevel=level)
