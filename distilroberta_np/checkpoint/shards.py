"""What a checkpoint's files are called, and which of them hold what when the weights come in shards."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import CheckpointError
from ..files import read_json

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"

# A file's name, without anything that leads elsewhere: no separator of any system, no Windows drive.
_PLAIN_NAME = re.compile(r"[^/\\:\0\ud800-\udfff]{0,240}\.safetensors")


def read_weight_map(folder: Path) -> dict[str, str]:
    """The index of a checkpoint in shards: the file of each tensor. Only plain names beside the index are let through.

    Raises:
        CheckpointError: no index, or a malformed one.
    """
    path = folder / INDEX_FILE
    index = read_json(path, CheckpointError)
    weight_map = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{path}: no weight_map in it, which says what tensor lies in what file")
    for shard in weight_map.values():
        if not isinstance(shard, str) or not _PLAIN_NAME.fullmatch(shard):
            raise CheckpointError(
                f"{path}: names {shard!r:.80} as a file of weights; it must be a .safetensors beside it"
            )
    return weight_map


def shard_files(folder: Path) -> list[str]:
    """The files that the index of a checkpoint names, each once. Raises CheckpointError as `read_weight_map`."""
    return list(dict.fromkeys(read_weight_map(folder).values()))
