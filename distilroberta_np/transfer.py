"""Fetching files from the hub: bounded in size and in time, and verified before they get their name.

The session is huggingface_hub's, which knows the user's proxies and certificates. Its own downloads make paths of
headers that the server sends, and give a file its name before anyone can verify it.
"""

from __future__ import annotations

import hashlib
import os
import queue
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import HubError
from .files import LARGEST_JSON, atomic_write, load_json

# A file may take as long as this, and then as long as this slow a line needs for its size.
_PATIENCE = 60.0  # seconds
_SLOWEST = 50_000  # bytes per second
_CHUNK = 2**16
_ATTEMPTS = 5


class RefusalError(Exception):
    """An answer with the HTTP status of an error. Its body is not read.

    Attributes:
        status: the HTTP status.
        code, reason: the hub's own, from its headers.
    """

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(f"HTTP status {status}")
        self.status = status
        self.code, self.reason = headers.get("X-Error-Code", ""), headers.get("X-Error-Message", "")


def fetch_json(url: str, headers: Mapping[str, str]) -> Any:
    """Fetch a JSON document of bounded size.

    Raises:
        RefusalError, OSError: it was not transferred.
        ValueError: it is too large, or not JSON.
    """
    content = bytearray()
    for _, chunk in _get(url, headers, 0, time.monotonic() + _PATIENCE):
        content += chunk
        if len(content) > LARGEST_JSON:
            raise ValueError(f"the answer is larger than {LARGEST_JSON // 2**20} MiB")
    return load_json(content)


def fetch_file(url: str, headers: Mapping[str, str], path: Path, size: int, expected: str, name: str) -> None:
    """Fetch a file, verify it, and only then give it its name.

    Args:
        path: its final name, whose folder exists.
        expected: its hash, as `file_hash` computes it.
        name: for the progress bar and for errors.

    Raises:
        HubError: the content does not have the size or the hash.
        RefusalError, OSError: it was not transferred, or not stored.
    """
    from huggingface_hub.utils import tqdm

    deadline = time.monotonic() + _PATIENCE + size / _SLOWEST
    silent = {} if len(expected) == 64 else {"disable": True}  # a bar for weights only
    with (
        atomic_write(path) as file,
        tqdm(desc=name, total=size, unit="B", unit_scale=True, **silent) as progress,  # type: ignore[no-untyped-call]
    ):
        end, failures = 0, 0
        while end < size:
            try:
                for start, chunk in _get(url, headers, end, deadline):
                    end = start + len(chunk)
                    if end > size:
                        raise HubError(f"{name} is longer than the {size:,} bytes that the hub says; tell its authors")
                    file.seek(start)
                    file.write(chunk)
                    progress.update(end - progress.n)
                if end < size:
                    raise ConnectionError(f"{name} ended after {end:,} of {size:,} bytes")
            except ConnectionError:
                failures += 1
                if failures == _ATTEMPTS:
                    raise
                time.sleep(1)
        file.flush()
        actual = file_hash(Path(file.name), expected)
        if actual != expected:
            raise HubError(
                f"{name} came damaged: its hash is {actual}, the hub says {expected}. It has been deleted; try again"
            )


def file_hash(path: Path, like: str) -> str:
    """The hash that the hub names a file by: SHA-256 in Git LFS, else git's blob hash, a SHA-1.

    Args:
        path: a regular file.
        like: a hash of the same kind, whose length tells which it is.
    """
    with open(path, "rb") as file:
        if len(like) == 64:
            return hashlib.file_digest(file, "sha256").hexdigest()
        blob = hashlib.sha1(b"blob %d\0" % os.fstat(file.fileno()).st_size, usedforsecurity=False)
        return hashlib.file_digest(file, lambda: blob).hexdigest()


def _get(url: str, headers: Mapping[str, str], start: int, deadline: float) -> Iterator[tuple[int, bytes]]:
    """The body from an offset on, in chunks with their offsets.

    A thread of its own reads it, so that no server can stretch the transfer beyond its deadline, a byte at a time.
    """
    items: queue.Queue[tuple[int, bytes] | Exception | None] = queue.Queue(16)
    abandoned = threading.Event()

    def put(item: tuple[int, bytes] | Exception | None) -> None:
        while not abandoned.is_set():
            with suppress(queue.Full):
                items.put(item, timeout=0.1)
                break

    def receive() -> None:
        try:
            ranged = {"Range": f"bytes={start}-"} if start else {}
            with _open(url, {**headers, "Accept-Encoding": "identity", **ranged}) as (status, body):
                offset = start if status == 206 else 0
                for chunk in body:
                    put((offset, chunk))
                    offset += len(chunk)
                    if abandoned.is_set():
                        return
            put(None)
        except Exception as error:
            put(error)

    threading.Thread(target=receive, daemon=True).start()
    try:
        while True:
            item = items.get(timeout=max(deadline - time.monotonic(), 0))
            if item is None:
                return
            if isinstance(item, RefusalError | TypeError | AttributeError):
                raise item
            if isinstance(item, Exception):
                raise ConnectionError("the transfer broke off") from item
            yield item
    except queue.Empty:
        raise TimeoutError("the transfer timed out") from None
    finally:
        abandoned.set()


@contextmanager
def _open(url: str, headers: Mapping[str, str]) -> Iterator[tuple[int, Iterator[bytes]]]:
    """The status of the answer to a GET, and its body, as it comes."""
    from huggingface_hub.constants import HF_HUB_DOWNLOAD_TIMEOUT as timeout  # noqa: N811
    from huggingface_hub.utils import get_session

    session: Any = get_session()
    # huggingface_hub has a session of requests before version 1, and a client of httpx since.
    is_httpx = callable(getattr(session, "stream", None))
    with (
        session.stream("GET", url, headers=headers, timeout=timeout)
        if is_httpx
        else session.get(url, headers=headers, timeout=timeout, stream=True)
    ) as response:
        if response.status_code not in (200, 206):
            raise RefusalError(response.status_code, response.headers)
        body = response.iter_raw() if is_httpx else response.raw.stream(_CHUNK, decode_content=False)
        yield response.status_code, body
