"""Reading a .safetensors file through a memory map, so that float32 weights are never copied.

The safetensors package checks the header (its size, the offsets, that they neither overlap nor leave gaps), and this
file maps what it has approved: the package's own NumPy loader reads a second copy of everything.
"""

from __future__ import annotations

import json
import math
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from safetensors import SafetensorError, safe_open

from ..errors import CheckpointError
from ..files import unique_keys
from ..layers.params import Array

# How a stored dtype is viewed in NumPy, which has no bfloat16.
_STORED_AS: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype("<u2")}


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as it lies in a file: nothing is read before `to_float32`."""

    path: Path
    name: str
    dtype: str
    shape: tuple[int, ...]
    _mapped: mmap.mmap
    _offset: int

    def to_float32(self) -> Array:
        """The values as a float32 array: a read-only view of the file if they are stored so, else a new array.

        Raises:
            CheckpointError: another dtype, or values that are not finite.
        """
        if self.dtype not in _STORED_AS:
            raise CheckpointError(
                f"{self.path}: {self.name} is stored as {self.dtype}; only {', '.join(_STORED_AS)} can be read"
            )
        stored: Array = np.frombuffer(self._mapped, _STORED_AS[self.dtype], math.prod(self.shape), self._offset)
        if self.dtype == "BF16":
            # The upper half of a float32, bit for bit.
            stored = (stored.astype(np.uint32) << 16).view(np.float32)
        # A file may leave its data unaligned, which every product would copy again.
        values: Array = stored.astype(np.float32, copy=not stored.flags.aligned)
        # A sum is the cheapest pass that any NaN or infinity survives; finite values can only fail it by overflowing.
        with np.errstate(over="ignore", invalid="ignore"):
            suspicious = not np.isfinite(values.sum())
        if suspicious and not np.isfinite(values).all():
            raise CheckpointError(f"{self.path}: {self.name} holds NaN or infinite values; the file is damaged")
        return values.reshape(self.shape)


def open_safetensors(path: Path) -> dict[str, StoredTensor]:
    """Map a file and list its tensors by name.

    Raises:
        CheckpointError: no such file, cut short, or not a valid safetensors file.
    """
    try:
        if path.exists() and not path.is_file():
            raise OSError("a folder or a device")
        with safe_open(path, framework="np"):
            pass
        with open(path, "rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        # Layout: 8 bytes with the header's length, little-endian; the header, JSON; the data.
        header_end = 8 + int.from_bytes(mapped[:8], "little")
        header: dict[str, Any] = json.loads(mapped[8:header_end], object_pairs_hook=unique_keys)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} ({_size(path)}): not a whole safetensors file: {error!s:.200}. If it was downloaded, delete it "
            "and do so again"
        ) from None
    header.pop("__metadata__", None)
    return {
        name: StoredTensor(
            path, name, entry["dtype"], tuple(entry["shape"]), mapped, header_end + entry["data_offsets"][0]
        )
        for name, entry in header.items()
    }


def write_safetensors(file: BinaryIO, tensors: Mapping[str, Array], metadata: Mapping[str, str] | None = None) -> None:
    """Write float32 and float16 arrays as a .safetensors file, without a second copy of them all."""
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    end = 0
    for name, array in tensors.items():
        start, end = end, end + array.nbytes
        header[name] = {"dtype": f"F{8 * array.itemsize}", "shape": array.shape, "data_offsets": (start, end)}
    content = json.dumps(header, separators=(",", ":")).encode()
    content += b" " * (-len(content) % 8)
    file.write(len(content).to_bytes(8, "little") + content)
    for array in tensors.values():
        file.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)


def _size(path: Path) -> str:
    try:
        return f"{path.stat().st_size:,} bytes"
    except (OSError, ValueError):
        return "unreadable"
