"""The .npy file of `encode --output`: written row by row, and continued after an interruption."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from ..errors import PipelineException
from ..layers.params import Array
from ..runtime.progress import Bar
from ..sentence.sentence_encoder import SentenceEncoder

_PROBE = "A sentence by which a model is recognized."
# Differences between embeddings of equal sentences by one model, computed in products of other shapes.
_RTOL, _ATOL = 1e-3, 1e-4
_DIGEST_SIZE = 8


class EmbeddingFile:
    """Encodes texts into a .npy file, one row per text. The number of texts is not known in advance.

    Rows are appended to FILE.npy.part, and a digest of each text to FILE.npy.part.texts. If the block of a `with`
    statement is left without an exception, the former becomes FILE.npy, and the latter is removed. After an
    interruption the next call keeps the rows of equal texts, if they are by the same model with the same options.

    Args:
        path: the file to write.
        encoder: computes the rows.
        **options: of `SentenceEncoder.encode`.

    Attributes:
        found: the number of rows of an interrupted call.
    """

    def __init__(self, path: Path, encoder: SentenceEncoder, **options: Any) -> None:
        self._path, self._encoder, self._options = path, encoder, options
        self._probe = encoder.encode(_PROBE, **options).astype("<f4")  # [D]
        self._part, self._texts = (path.with_name(path.name + suffix) for suffix in (".part", ".part.texts"))

    def __enter__(self) -> Self:
        for path in (self._part, self._texts):
            if path.is_symlink():
                path.unlink()
            path.touch()
        self._rows_file, self._digests_file = open(self._part, "r+b"), open(self._texts, "r+b")
        self._next = 0
        self._write_header()
        self._start = self._rows_file.tell()
        stored = self._digests_file.read()
        probe, stored = stored[: self._probe.nbytes], stored[self._probe.nbytes :]
        self._digests = [stored[at : at + _DIGEST_SIZE] for at in range(0, len(stored), _DIGEST_SIZE)]
        rows = max(0, self._part.stat().st_size - self._start) // self._probe.nbytes
        known = len(probe) == self._probe.nbytes
        if not known or not np.allclose(np.frombuffer(probe, "<f4"), self._probe, _RTOL, _ATOL):
            self._digests_file.seek(0)
            self._digests_file.write(self._probe.tobytes())
            rows = 0
        self._keep(min(rows, len(stored) // _DIGEST_SIZE))
        self.found = len(self._digests)
        self._rows_file.seek(self._start)
        return self

    def answers(self, inputs: list[str], progress: Bar | None = None, **_: Any) -> Iterator[Array | Exception]:
        """Encode the next texts, and write their rows: NaN if a text cannot be encoded. Yields the embeddings, or the
        exceptions, in order. The bar counts the texts."""
        digests = [hashlib.sha256(text.encode(errors="surrogatepass")).digest()[:_DIGEST_SIZE] for text in inputs]
        while digests and self._next < len(self._digests) and digests[0] == self._digests[self._next]:
            row = np.frombuffer(self._rows_file.read(self._probe.nbytes), "<f4")
            yield PipelineException("the text could not be encoded before") if np.isnan(row).any() else row
            self._next, digests = self._next + 1, digests[1:]
        if digests:
            self._keep(self._next)
        remaining = inputs[len(inputs) - len(digests) :]
        if progress is not None:
            progress.update(len(inputs) - len(remaining))
        answers = self._encoder.answers(remaining, progress=progress, **self._options)
        for digest, answer in zip(digests, answers, strict=True):
            row = np.full_like(self._probe, np.nan) if isinstance(answer, Exception) else answer
            self._rows_file.write(row.astype("<f4").tobytes())
            self._digests_file.write(digest)
            self._next += 1
            yield answer
        self._rows_file.flush()
        self._digests_file.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        rows = self._next if kind is None else max(self._next, len(self._digests))
        self._keep(rows)
        self._write_header()
        self._rows_file.close()
        self._digests_file.close()
        if kind is None:
            self._part.replace(self._path)
        elif rows == 0:
            self._part.unlink()
        if kind is None or rows == 0:
            self._texts.unlink()

    def _keep(self, rows: int) -> None:
        """Discard all but the first rows, and go on writing after them."""
        for file, start, size in (
            (self._rows_file, self._start, self._probe.nbytes),
            (self._digests_file, self._probe.nbytes, _DIGEST_SIZE),
        ):
            file.truncate(start + rows * size)
            file.seek(start + rows * size)
        del self._digests[rows:]

    def _write_header(self) -> None:
        """Write the header for the rows so far. NumPy leaves room in it for the number to grow."""
        self._rows_file.seek(0)
        header = {"descr": "<f4", "fortran_order": False, "shape": (self._next, len(self._probe))}
        np.lib.format.write_array_header_1_0(self._rows_file, header)
