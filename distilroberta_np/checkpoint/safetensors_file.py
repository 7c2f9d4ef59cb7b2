"""Reading .safetensors files through a memory map, so that float32 weights are never copied, and writing them.

The safetensors package checks the header: its size, and offsets without overlaps or gaps. Its own NumPy loader would
read a second copy of all tensors.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from safetensors import SafetensorError, safe_open

from ..errors import CheckpointError
from ..files import unique_keys
from ..layers.params import Array

# The NumPy dtype that views a stored one; NumPy has no bfloat16.
_STORED_AS = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
# A thousand layers need a quarter of it. The safetensors package would read a larger one for minutes.
_LARGEST_HEADER = 8 * 2**20


class MappedFile:
    """A file that is mapped into memory; or read into it, which is safe even if others change the file.

    Attributes:
        path: of the file.
        content: its bytes.
    """

    def __init__(self, path: Path, memory_map: bool) -> None:
        self.path = path
        self._descriptor: int | None = None
        if memory_map:
            self._descriptor = os.open(path, os.O_RDONLY)
            weakref.finalize(self, os.close, self._descriptor)
            self.content: mmap.mmap | bytes = mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ)
        else:
            self.content = path.read_bytes()
        self._status = self._read_status()

    def check(self) -> None:
        """Raise CheckpointError if the file that is mapped has changed: its values differ, or are gone."""
        if self._read_status() != self._status:
            raise CheckpointError(
                f"{self.path}: has been changed since it was loaded, so the weights in memory are changed too. Load "
                "the model again; memory_map=False makes it independent of the file"
            )

    def _read_status(self) -> tuple[int, int] | None:
        # Of the open file: another one may have its name by now, which changes nothing.
        if self._descriptor is None:
            return None
        status = os.fstat(self._descriptor)
        return status.st_size, status.st_mtime_ns

    def __getstate__(self) -> dict[str, Any]:
        # Weights that are pickled or copied with their model are in memory, so there is nothing to check.
        return {"path": self.path, "content": b"", "_descriptor": None, "_status": None}


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file, which is not read before `to_float32`."""

    file: MappedFile
    name: str
    dtype: str
    shape: tuple[int, ...]
    _offset: int

    @property
    def path(self) -> Path:
        """The path of the file."""
        return self.file.path

    def to_float32(self) -> Array:
        """The values as a float32 array: a read-only view of the file if it has that dtype, else a new array.

        Raises CheckpointError: the dtype is not supported, or values are not finite.
        """
        if self.dtype not in _STORED_AS:
            raise CheckpointError(
                f"{self.path}: {self.name} has the dtype {self.dtype}; only {', '.join(_STORED_AS)} are supported"
            )
        stored: Array = np.frombuffer(self.file.content, _STORED_AS[self.dtype], math.prod(self.shape), self._offset)
        if self.dtype == "BF16":
            # bfloat16 is the upper half of a float32.
            stored = (stored.astype(np.uint32) << 16).view(np.float32)
        # Unaligned data would be copied again by every product.
        values: Array = stored.astype(np.float32, copy=not stored.flags.aligned)
        # A sum is the cheapest test: NaN and infinity survive it, and finite values fail only if they overflow.
        with np.errstate(over="ignore", invalid="ignore"):
            suspicious = not np.isfinite(values.sum())
        if suspicious and not np.isfinite(values).all():
            raise CheckpointError(f"{self.path}: {self.name} contains NaN or infinity; the file is damaged")
        return values.reshape(self.shape)


def open_safetensors(path: Path, memory_map: bool = True) -> dict[str, StoredTensor]:
    """Map a file, or read it, and return its tensors by name.

    Raises CheckpointError: the file is missing, truncated or malformed.
    """
    try:
        if path.exists() and not path.is_file():
            raise OSError("not a regular file")
        # Layout: the header's length in 8 bytes, little-endian; the header in JSON; the data.
        with open(path, "rb") as start:
            header_end = 8 + int.from_bytes(start.read(8), "little")
        if min(header_end, path.stat().st_size) > _LARGEST_HEADER:
            raise OSError(f"a header of {header_end:,} bytes, which no RoBERTa needs")
        with safe_open(path, framework="np"):
            pass
        file = MappedFile(path, memory_map)
        header: dict[str, Any] = json.loads(file.content[8:header_end], object_pairs_hook=unique_keys)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} ({_size(path)}): not a complete safetensors file: {error!s:.200}. If it was downloaded, "
            "delete it and download it again"
        ) from None
    header.pop("__metadata__", None)
    return {
        name: StoredTensor(file, name, entry["dtype"], tuple(entry["shape"]), header_end + entry["data_offsets"][0])
        for name, entry in header.items()
    }


def write_safetensors(file: BinaryIO, tensors: Mapping[str, Array], metadata: Mapping[str, str] | None = None) -> None:
    """Write float32 and float16 arrays as a .safetensors file, without a second copy of them all."""
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    end = 0
    for name, array in tensors.items():
        start, end = end, end + array.nbytes
        header[name] = {"dtype": f"F{8 * array.itemsize}", "shape": array.shape, "data_offsets": (start, end)}
    content = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    content += b" " * (-len(content) % 8)
    file.write(len(content).to_bytes(8, "little") + content)
    for array in tensors.values():
        file.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)


def _size(path: Path) -> str:
    try:
        return f"{path.stat().st_size:,} bytes"
    except (OSError, ValueError):
        return "unreadable"
