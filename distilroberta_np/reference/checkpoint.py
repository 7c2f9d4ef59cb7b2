"""A model's folder: `config.json`, and the weights in `model.safetensors`.

A safetensors file is the length of its header (8 bytes, little-endian), the header, which is JSON, and the numbers.
For each tensor the header gives the name, the type of number, the shape, and where its bytes begin and end, counted
from the end of the header:

    {"lm_head.bias": {"dtype": "F16", "shape": [16384], "data_offsets": [0, 32768]}, ...}
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Params = dict[str, Any]  # nested: the tensor "lm_head.dense.bias" is params["lm_head"]["dense"]["bias"]


def floats(data: bytes, dtype: str) -> Array:
    """Return stored numbers as float32, which holds float16 and bfloat16 exactly."""
    if dtype == "BF16":  # the upper half of a float32, so put it there
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(data, {"F32": "<f4", "F16": "<f2"}[dtype]).astype(np.float32)


def read_safetensors(file: bytes) -> dict[str, Array]:
    """Return every tensor of a safetensors file by its name."""
    start = 8 + int.from_bytes(file[:8], "little")
    header = json.loads(file[8:start])
    header.pop("__metadata__", None)
    tensors = {}
    for name, about in header.items():
        begin, end = about["data_offsets"]
        tensors[name] = floats(file[start + begin : start + end], about["dtype"]).reshape(about["shape"])
    return tensors


def nested(tensors: dict[str, Array]) -> Params:
    """Return {"a.b": x, "a.c": y} as {"a": {"b": x, "c": y}}."""
    params: Params = {}
    for name, tensor in tensors.items():
        *path, last = name.split(".")
        node = params
        for part in path:
            node = node.setdefault(part, {})
        node[last] = tensor
    return params


def load(folder: Path) -> tuple[Params, dict[str, Any]]:
    """Return the weights and the configuration of a model."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return nested(read_safetensors((folder / "model.safetensors").read_bytes())), config
