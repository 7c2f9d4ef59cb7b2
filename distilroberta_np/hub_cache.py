"""A model in the cache of huggingface_hub: where its files lie, and whether their content has been verified.

A folder models--ORG--NAME has, as huggingface_hub makes and reads it,

    refs/BRANCH                 the commit of a branch
    snapshots/COMMIT/FILE       a link to the file's content
    blobs/HASH                  the content, under the hash that the hub knows it by
    .no_exist/COMMIT/FILE       a note that the commit has no such file

and .verified/HASH, ours: the size and time of a blob whose content has been compared with its hash.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from .files import remove_leftovers, write_text
from .transfer import fetch_file, file_hash

COMMIT = re.compile(r"[0-9a-f]{40}")
HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class CachedModel:
    """The cache's folder of a model."""

    def __init__(self, repo: str, cache_dir: str | os.PathLike[str] | None) -> None:
        from huggingface_hub import constants

        self._root = Path(cache_dir or constants.HF_HUB_CACHE).expanduser()
        self._name = "models--" + repo.replace("/", "--")
        self._folder = self._root / self._name

    def snapshot(self, revision: str) -> Path | None:
        """The folder of a branch, tag or commit, if the cache has it."""
        commit = revision
        if not COMMIT.fullmatch(revision):
            try:
                with open(self._folder / "refs" / revision, encoding="utf-8") as file:
                    commit = file.read(100).strip()
            except (OSError, ValueError):
                return None
        folder = self._folder / "snapshots" / commit
        return folder if COMMIT.fullmatch(commit) and folder.is_dir() else None

    def has(self, path: Path) -> bool:
        """Whether a file of a snapshot is here, with the content that its hash says."""
        try:
            # Only where there are links does the name tell the hash; a link may lead on, into a store for all models.
            blob = path.parent / path.readlink()
        except OSError:
            return path.is_file()
        if not HASH.fullmatch(blob.name) or not path.is_file():
            return path.is_file()
        status = path.stat()
        name, content = f".verified/{blob.name}", f"{status.st_size} {status.st_mtime_ns}"
        with suppress(OSError, ValueError):
            if (self._folder / name).read_text(encoding="utf-8") == content:
                return True
        if not _verified(path, blob.name):
            return False
        with suppress(OSError):  # a cache that is read only is verified each time
            self.note(name, content)
        return True

    def lacks(self, commit: str, filename: str) -> bool:
        """Whether a commit is known to have no such file."""
        return (self._folder / ".no_exist" / commit / filename).exists()

    def fetch(self, url: str, headers: dict[str, str], commit: str, filename: str, size: int, expected: str) -> Path:
        """Put a file into a snapshot, fetched unless its content is here. Returns its path; raises as `fetch_file`."""
        from huggingface_hub.utils import WeakFileLock

        path, blob = self._folder / "snapshots" / commit / filename, self._folder / "blobs" / expected
        lock = self._root / ".locks" / self._name / f"{expected}.lock"
        for folder in (path.parent, blob.parent, lock.parent):
            folder.mkdir(parents=True, exist_ok=True)
        with WeakFileLock(lock):
            remove_leftovers(blob.parent, expected)
            # What is here is verified anew: its note may be older than the damage.
            (self._folder / ".verified" / expected).unlink(missing_ok=True)
            if not _verified(path, expected):
                if not _verified(blob, expected):
                    fetch_file(url, headers, blob, size, expected, filename)
                path.unlink(missing_ok=True)
                try:
                    path.symlink_to(Path(*[".."] * (filename.count("/") + 2), "blobs", expected))
                except OSError:  # no links here
                    blob.replace(path)
        self.has(path)
        return path

    def note(self, name: str, text: str = "") -> None:
        """Write a note: "refs/BRANCH", the commit of a branch or tag, or ".no_exist/COMMIT/FILE"."""
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)


def _verified(path: Path, expected: str) -> bool:
    return path.is_file() and file_hash(path, expected) == expected
