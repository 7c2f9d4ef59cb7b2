"""Writing a model as the folder that this package and transformers load."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from ..config import RobertaConfig
from ..model.roberta import MaskedLMWeights
from ..model.tree import Array, tree_leaves
from .files import WEIGHTS_FILE
from .keys import masked_lm_keys


def save_masked_lm(
    folder: Path, config: RobertaConfig, weights: MaskedLMWeights[Array], tokenizer_json: str, dtype: str = "float32"
) -> None:
    """Write config.json, model.safetensors and tokenizer.json into a folder that is there.

    Args:
        folder: an empty one; `replace_folder` makes it, and puts it in another's place when it is whole.
        config: of the model.
        weights: its float32 arrays.
        tokenizer_json: the text of its tokenizer.json.
        dtype: "float32" or "float16", to store the weights in.
    """
    keys = tree_leaves(masked_lm_keys(config))
    tensors = {key.name: leaf.astype(dtype) for key, leaf in zip(keys, tree_leaves(weights), strict=True)}
    save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    settings = {"tokenizer_class": "RobertaTokenizer", "model_max_length": config.max_sequence_length}
    for name, values in (("config.json", config.to_dict() | {"dtype": dtype}), ("tokenizer_config.json", settings)):
        (folder / name).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    (folder / "tokenizer.json").write_text(tokenizer_json, encoding="utf-8")


def save_tree(path: Path, tree: Any) -> None:
    """The arrays of a tree in one .safetensors file, numbered in their order."""
    save_file({f"{place:05}": np.ascontiguousarray(leaf) for place, leaf in enumerate(tree_leaves(tree))}, path)


def replace_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Have a folder written beside its place, and renamed into it when it is whole.

    Whatever stops this leaves the old folder, or for the moment between two renames leaves it beside its place, from
    where `recover_folder` puts it back.
    """
    beside = folder.with_name(folder.name + ".new")
    old = folder.with_name(folder.name + ".old")
    for leftover in (beside, old):
        if leftover.exists():
            shutil.rmtree(leftover)
    beside.mkdir(parents=True)
    fill(beside)
    for path in beside.iterdir():
        with open(path, "rb") as file:
            os.fsync(file.fileno())
    if folder.exists():
        folder.rename(old)
    beside.rename(folder)
    if old.exists():
        shutil.rmtree(old)


def recover_folder(folder: Path) -> None:
    """Put back a folder that `replace_folder` was stopped in the middle of replacing."""
    old = folder.with_name(folder.name + ".old")
    if old.exists() and not folder.exists():
        old.rename(folder)
