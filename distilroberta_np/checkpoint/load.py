"""From a model's folder to a tree of weights: every tensor must be there, in its shape, and no unknown one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from ..layers.params import Array, tree_leaves, tree_map
from .keys import Key
from .safetensors_file import StoredTensor, open_safetensors
from .shards import INDEX_FILE, WEIGHTS_FILE, read_weight_map

_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model.pt", "model.pt", "model.bin")


def load_tree(folder: Path, stored: Mapping[str, StoredTensor], keys: Any, unused: tuple[str, ...] = ()) -> Any:
    """Read the tensors that a tree of `Key` names.

    Args:
        folder: the folder of the checkpoint.
        stored: its tensors, from `open_checkpoint`.
        keys: the tree of names and shapes.
        unused: prefixes of the names of tensors that may also be there. (So may position ids, which old versions of
            transformers stored.)

    Returns:
        A tree of float32 arrays, of the structure of `keys`.

    Raises:
        CheckpointError: a tensor is missing, unknown, of another shape or dtype, or not finite.
    """
    expected = {key.name for key in tree_leaves(keys)}
    missing = sorted(expected - stored.keys())
    if missing:
        raise CheckpointError(f"{folder}: the checkpoint lacks {_some(missing)}")
    unexpected = sorted(
        name for name in stored.keys() - expected if not name.endswith(".position_ids") and not name.startswith(unused)
    )
    if unexpected:
        raise CheckpointError(f"{folder}: the checkpoint has {_some(unexpected)}, which the config does not describe")

    def read(key: Key) -> Array:
        tensor = stored[key.name]
        if tensor.shape != key.shape:
            raise CheckpointError(
                f"{tensor.path}: {key.name} has the shape {tensor.shape}, but the config says {key.shape}"
            )
        return tensor.to_float32()

    return tree_map(read, keys)


def open_checkpoint(folder: Path) -> dict[str, StoredTensor]:
    """Open a folder's model.safetensors, or the shards that its index names, without reading any tensor.

    Raises:
        CheckpointError: the files are missing or malformed, or the weights are a pickle.
    """
    if (folder / WEIGHTS_FILE).exists():
        return open_safetensors(folder / WEIGHTS_FILE)
    if (folder / INDEX_FILE).exists():
        return _open_shards(folder)
    pickle = next((name for name in _PICKLES if (folder / name).exists()), None)
    if pickle is not None:
        raise CheckpointError(
            f"{folder / pickle}: a pickle can run any code when it is opened, so it is not opened here. If you trust "
            "it, load it with transformers and call save_pretrained, which writes model.safetensors"
        )
    raise CheckpointError(f"{folder}: has no {WEIGHTS_FILE} and no {INDEX_FILE}")


def _open_shards(folder: Path) -> dict[str, StoredTensor]:
    weight_map = read_weight_map(folder)
    shards = {name: open_safetensors(folder / name) for name in dict.fromkeys(weight_map.values())}
    stored = {}
    for tensor, shard in weight_map.items():
        if tensor not in shards[shard]:
            raise CheckpointError(f"{folder / INDEX_FILE}: says that {tensor} is in {shard}, but it is not")
        stored[tensor] = shards[shard][tensor]
    for name, tensors in shards.items():
        for tensor in tensors:
            if weight_map.get(tensor) != name:
                raise CheckpointError(f"{folder / name}: holds {tensor}, which {INDEX_FILE} does not expect there")
    return stored


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
