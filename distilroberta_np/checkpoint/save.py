"""Saving a model as a folder that this package and transformers load."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..files import atomic_write
from ..layers.params import tree_leaves
from .safetensors_file import write_safetensors


def save_tree(path: Path, tree: Any) -> None:
    """Write the arrays of a tree into one .safetensors file, numbered in their order."""
    with atomic_write(path) as file:
        write_safetensors(file, {f"{index:05}": leaf for index, leaf in enumerate(tree_leaves(tree))})


def replace_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Replace a folder by a new one, which is written next to it (by `atomic_write`) and renamed when it is complete.

    An interruption leaves the old folder, or, between the two renames, leaves it under another name, from which
    `recover_folder` restores it.
    """
    new, old = (folder.with_name(folder.name + suffix) for suffix in (".new", ".old"))
    _remove(new)
    _remove(old)
    new.mkdir(parents=True)
    try:
        fill(new)
    except OSError:  # a full disk needs the space
        shutil.rmtree(new, ignore_errors=True)
        raise
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    _remove(old)


def _remove(folder: Path) -> None:
    """Remove a folder, or a link to one, if it exists."""
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def recover_folder(folder: Path) -> None:
    """Restore a folder that `replace_folder` was interrupted in replacing."""
    old = folder.with_name(folder.name + ".old")
    if old.exists() and not folder.exists():
        old.rename(folder)
