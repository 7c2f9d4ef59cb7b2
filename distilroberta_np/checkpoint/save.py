"""Writing a model as the folder that this package and transformers load."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from ..config import RobertaConfig
from ..layers.params import tree_leaves
from .shards import WEIGHTS_FILE


def save_model(folder: Path, config: RobertaConfig, keys: Any, weights: Any, dtype: str = "float32") -> None:
    """Write config.json and model.safetensors into a folder that is there, each beside its place and renamed.

    Args:
        folder: where to.
        config: of the model.
        keys: the tree of the tensors' names, alike to the weights (`keys.py`).
        weights: float32 arrays.
        dtype: "float32" or "float16", to store them in.

    Raises:
        ValueError: another dtype.
    """
    if dtype not in ("float32", "float16"):
        raise ValueError(f"dtype must be float32 or float16, not {dtype!r}")
    named = zip(tree_leaves(keys), tree_leaves(weights), strict=True)
    tensors = {key.name: np.ascontiguousarray(leaf.astype(dtype, copy=False)) for key, leaf in named}
    beside = folder / (WEIGHTS_FILE + ".new")
    beside.touch()
    mode = beside.stat().st_mode  # as the user's other files; the package's own would be for the user alone
    save_file(tensors, beside, metadata={"format": "pt"})
    beside.chmod(mode)
    _write_json(folder / "config.json", config.to_dict() | {"dtype": dtype})
    beside.replace(folder / WEIGHTS_FILE)


def save_tokenizer(
    folder: Path, tokenizer_json: str, special_tokens: Mapping[str, str], max_length: int | None
) -> None:
    """Write a tokenizer.json, and the tokenizer_config.json that has transformers read it as RoBERTa's.

    Args:
        folder: where to.
        tokenizer_json: the text of the tokenizer.json.
        special_tokens: how each role's token is written ("bos_token": "<s>").
        max_length: most tokens of a text, if that is known.
    """
    _write_text(folder / "tokenizer.json", tokenizer_json)
    # Its two other names for the first and the last token.
    roles = {"cls_token": special_tokens["bos_token"], "sep_token": special_tokens["eos_token"], **special_tokens}
    limit = {} if max_length is None else {"model_max_length": max_length}
    _write_json(folder / "tokenizer_config.json", {"tokenizer_class": "RobertaTokenizer", **limit, **roles})


def _write_json(path: Path, values: dict[str, Any]) -> None:
    _write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def _write_text(path: Path, text: str) -> None:
    beside = path.with_name(path.name + ".new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


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
