"""From a model's folder to a tree of weights: every tensor must be there, in its shape, and no unknown one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from ..layers.params import Array, tree_leaves, tree_map
from ..messages import warn
from .keys import Key
from .safetensors_file import StoredTensor, open_safetensors
from .shards import INDEX_FILE, WEIGHTS_FILE, read_weight_map

_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model.pt", "model.pt", "model.bin")


def load_tree(
    folder: Path,
    stored: Mapping[str, StoredTensor],
    keys: Any,
    unused: tuple[str, ...] = (),
    aliases: Mapping[str, str] | None = None,
) -> Any:
    """Read the tensors that a tree of `Key` names.

    Args:
        stored: its tensors, from `open_checkpoint`.
        unused: prefixes of the names of tensors that may also be there. (So may position ids, which old versions of
            transformers stored.)
        aliases: other names, under which tensors may be stored instead.

    Returns a tree of float32 arrays, of the structure of `keys`.

    Raises CheckpointError: a tensor is missing, of another shape or dtype, or not finite; or the parts of the model
    that are loaded have unknown tensors. (Those of other parts are only warned of.)
    """
    names: dict[str, str] = {}
    for key in tree_leaves(keys):
        # Layer norms have other names in checkpoints from TensorFlow.
        old = key.name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        known = (key.name, old, (aliases or {}).get(key.name, key.name))
        names[key.name] = next((name for name in known if name in stored), key.name)
    missing = sorted(name for name, found in names.items() if found not in stored)
    if missing:
        raise CheckpointError(f"{folder}: the checkpoint lacks {_some(missing)}")
    others = sorted(
        name
        for name in stored.keys() - set(names.values())
        if not name.endswith(".position_ids") and not name.startswith(unused)
    )
    parts = {name.partition(".")[0] for name in names}
    unexpected = [name for name in others if name.partition(".")[0] in parts]
    if unexpected:
        raise CheckpointError(f"{folder}: the checkpoint has {_some(unexpected)}, which the config does not describe")
    if others:
        warn(f"{folder}: {_some(others)} in the checkpoint are not used; they belong to a head that is not known here")

    def read(key: Key) -> Array:
        tensor = stored[names[key.name]]
        if tensor.shape != key.shape:
            raise CheckpointError(
                f"{tensor.path}: {tensor.name} has the shape {tensor.shape}, but the config says {key.shape}"
            )
        return tensor.to_float32()

    return tree_map(read, keys)


def open_checkpoint(folder: Path, memory_map: bool = True) -> dict[str, StoredTensor]:
    """Open a folder's model.safetensors, or the shards that its index names.

    `memory_map` maps the files, whose pages are then read as they are needed, instead of reading them into memory.

    Raises CheckpointError: the files are missing or malformed, or the weights are a pickle.
    """
    if (folder / WEIGHTS_FILE).exists():
        return open_safetensors(folder / WEIGHTS_FILE, memory_map)
    if (folder / INDEX_FILE).exists():
        return _open_shards(folder, memory_map)
    pickle = next((name for name in _PICKLES if (folder / name).exists()), None)
    if pickle is not None:
        raise CheckpointError(
            f"{folder / pickle}: a pickle can run any code when it is opened, so it is not opened here. If you trust "
            "it, load it with transformers and call save_pretrained, which writes model.safetensors"
        )
    raise CheckpointError(f"{folder}: has no {WEIGHTS_FILE} and no {INDEX_FILE}")


def _open_shards(folder: Path, memory_map: bool) -> dict[str, StoredTensor]:
    weight_map = read_weight_map(folder)
    shards = {name: open_safetensors(folder / name, memory_map) for name in dict.fromkeys(weight_map.values())}
    for tensor, shard in weight_map.items():
        if tensor not in shards[shard]:
            raise CheckpointError(f"{folder / INDEX_FILE}: says that {tensor} is in {shard}, but it is not")
    for name, tensors in shards.items():
        for tensor in tensors:
            if weight_map.get(tensor) != name:
                raise CheckpointError(f"{folder / name}: holds {tensor}, which {INDEX_FILE} does not expect there")
    return {tensor: shards[shard][tensor] for tensor, shard in weight_map.items()}


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
