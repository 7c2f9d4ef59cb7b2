"""Weights are trees of named tuples; these functions walk them.

A tree's leaves are arrays, or something else for each weight, such as its name and shape in a checkpoint
(`checkpoint/keys.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

Array = np.ndarray[Any, Any]
Leaf = TypeVar("Leaf")


def tree_map(function: Callable[[Any], Any], tree: Any) -> Any:
    """A tree of the same structure with `function` applied to every leaf. A part that is None stays None."""
    if tree is None:
        return None
    if not isinstance(tree, tuple):
        return function(tree)
    parts = [tree_map(function, part) for part in tree]
    return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)


def tree_leaves(tree: Any) -> Iterator[Any]:
    """The leaves of a tree, in the order in which its fields are declared."""
    if isinstance(tree, tuple):
        for part in tree:
            yield from tree_leaves(part)
    elif tree is not None:
        yield tree
