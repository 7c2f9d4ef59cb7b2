"""The names of a checkpoint's files, and the index that says which shard has which tensor."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import CheckpointError
from ..files import read_json
from ..messages import shown

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"

# A file's name that leads nowhere else: no separator of any system, no Windows drive.
_PLAIN_NAME = re.compile(r"[^/\\:\0\ud800-\udfff]{0,240}\.safetensors")


def read_weight_map(folder: Path) -> dict[str, str]:
    """Read the index of a sharded checkpoint, from tensors to file names. Only plain names are accepted.

    Raises CheckpointError: the index is missing or malformed.
    """
    path = folder / INDEX_FILE
    index = read_json(path, CheckpointError)
    weight_map = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{path}: has no weight_map, which says which file has which tensor")
    for shard in weight_map.values():
        if not isinstance(shard, str) or not _PLAIN_NAME.fullmatch(shard):
            raise CheckpointError(
                f"{path}: names {shown(shard)} as a file of weights; it must be a .safetensors next to it"
            )
    return weight_map


def shard_files(folder: Path) -> list[str]:
    """The shards that the index of a checkpoint names. Raises CheckpointError as `read_weight_map`."""
    return list(dict.fromkeys(read_weight_map(folder).values()))
