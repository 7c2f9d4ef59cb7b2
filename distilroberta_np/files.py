"""Reading files that strangers wrote, within bounds, and writing files atomically."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from .messages import shown

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LARGEST_JSON = 64 * 2**20
# The end of the names of what is being written; after a kill, such files are left over.
INCOMPLETE = ".incomplete"


def read_json(path: str | os.PathLike[str], error_type: type[Exception]) -> Any:
    """Read a JSON file of bounded size. Raises `error_type`, whatever is wrong with the file."""
    return parse_json(read_bytes(path, error_type), path, error_type)


def parse_json(content: str | bytes, path: str | os.PathLike[str], error_type: type[Exception]) -> Any:
    """Parse the content of a JSON file. Raises `error_type`, which names the file."""
    try:
        return load_json(content)
    except ValueError as error:
        raise error_type(f"{path}: not valid JSON: {error}") from None


def load_json(content: str | bytes | bytearray, **options: Any) -> Any:
    """`json.loads`, which raises ValueError also for an object with a key twice, and for too deep a nesting."""
    try:
        return json.loads(content, object_pairs_hook=unique_keys, **options)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_text(path: str | os.PathLike[str], error_type: type[Exception]) -> str:
    """Read a text file of bounded size, in UTF-8. Raises `error_type`, whatever is wrong with the file."""
    try:
        return read_bytes(path, error_type).decode()
    except UnicodeDecodeError as error:
        raise error_type(f"{path}: not UTF-8: {error.reason} at byte {error.start}") from None


def read_bytes(path: str | os.PathLike[str], error_type: type[Exception]) -> bytes:
    """Read a regular file of bounded size. Raises `error_type` if it is not one, or cannot be read."""
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise error_type(f"{path}: not a regular file")
        if path.stat().st_size > LARGEST_JSON:
            raise error_type(f"{path}: larger than {LARGEST_JSON // 2**20} MiB")
        return path.read_bytes()
    except FileNotFoundError:
        raise error_type(f"{path}: no such file") from None
    except OSError as error:
        if isinstance(error, error_type):
            raise
        raise error_type(f"{path}: cannot be read: {error.strerror or error}") from None


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a JSON object that has a key twice, as its meaning is unclear: an `object_pairs_hook` of json.loads."""
    values = dict(pairs)
    if len(values) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"an object has the key {shown(twice)} twice")
    return values


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that replaces `path` when the block ends, and is deleted when the block raises.

    The file lies next to `path` under a random name, has the permissions of the user's other files, and never follows
    a link. It is on the disk before it is renamed: a power loss leaves no empty file under the final name.
    """
    temporary = path.with_name(f"{path.name}.{os.urandom(4).hex()}{INCOMPLETE}")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def sha256(*files: Path) -> str:
    """The SHA-256 of a file, or of several, by those of each."""
    digests = []
    for path in files:
        with open(path, "rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()


def remove_leftovers(folder: Path, prefix: str = "") -> None:
    """Remove what a killed process was writing into a folder, under names with a prefix."""
    for leftover in folder.glob(f"{prefix}*{INCOMPLETE}"):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path, error: Exception) -> Iterator[None]:
    """Hold a folder for the block. Raises `error` if another process holds it.

    Windows and some file systems have no such locks; there, nothing is held.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise error from None
        yield
    finally:
        os.close(descriptor)


def open_log(path: Path) -> TextIO:
    """Open a text file to append lines to, as UTF-8. It never follows a link. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
    return open(os.open(path, flags, 0o666), "a", newline="", encoding="utf-8")


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, as UTF-8."""
    with atomic_write(path) as file:
        file.write(text.encode())


def write_json(path: Path, values: Any) -> None:
    """Write a JSON file atomically."""
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")
