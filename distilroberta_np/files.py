"""JSON files that somebody else wrote: whatever is wrong with one becomes a single error of ours."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

_LARGEST_FILE = 64 * 2**20


def read_json(path: str | os.PathLike[str], error_type: type[Exception]) -> Any:
    """Read a JSON file that somebody else wrote; whatever is wrong with it becomes one `error_type`."""
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise error_type(f"{path}: a folder or a device, and no file")
        if path.stat().st_size > _LARGEST_FILE:
            raise error_type(f"{path}: larger than {_LARGEST_FILE // 2**20} MiB, which no such file is")
        return json.loads(path.read_bytes(), object_pairs_hook=unique_keys)
    except FileNotFoundError:
        raise error_type(f"{path}: no such file") from None
    except OSError as error:
        raise error_type(f"{path}: can't be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, error_type):
            raise
        raise error_type(f"{path}: not valid JSON: {error}") from None


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For json.loads as object_pairs_hook: an object that has a key twice says nothing certain, and is refused."""
    values = dict(pairs)
    if len(values) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {shown(twice)} is in one object twice")
    return values


def shown(value: Any) -> str:
    """A value for an error's text, which a hostile file can make as long or as deep as it likes."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        return f"a {type(value).__name__} too large to show"
    return text if len(text) <= 80 else text[:77] + "..."
