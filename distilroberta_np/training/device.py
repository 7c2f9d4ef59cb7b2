"""Where the arrays of a training are: in the machine's own memory (NumPy), or on an NVIDIA GPU (CuPy).

The functions of `model/` and the optimisers are made of what both have, and give arrays where they are given some. Ids,
labels and places stay on the host, where they are drawn, and are copied when a table is looked up with them. A GPU adds
up the gradients of the embeddings in an order of its own, so two runs there differ in the last digits.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

import numpy as np

from ..errors import TrainingError
from ..layers.params import tree_map

DEVICES = ("cpu", "cuda")


def check_device(device: str) -> None:
    """See that a device can be used, before anything takes time.

    Raises:
        TrainingError: there is no such device, or it can't be used.
    """
    if not is_host(device):
        _cupy()


def to_device(tree: Any, device: str) -> Any:
    """The tree with its arrays on a device: "cpu" or "cuda". Those that are there already are not copied.

    Raises TrainingError as `check_device`.
    """
    return tree if is_host(device) else tree_map(_cupy().asarray, tree)


def to_host(tree: Any) -> Any:
    """The tree with its arrays in NumPy, to be saved. Those that are there already are not copied."""
    return tree_map(lambda leaf: leaf if isinstance(leaf, np.ndarray) else leaf.get(), tree)


def rng_for(device: str, seed: list[int]) -> Any:
    """A generator that draws on a device, for dropout. (The two devices draw different numbers.)"""
    return np.random.default_rng(seed) if is_host(device) else _cupy().random.default_rng(seed)


def is_host(device: str) -> bool:
    """Whether a device is the machine's own memory. Raises TrainingError where there is none of that name."""
    if device not in DEVICES:
        raise TrainingError(f"device must be {' or '.join(DEVICES)}, not {device!r}")
    return device == "cpu"


@functools.cache
def _cupy() -> Any:
    """The package, when it has made a product on a GPU."""
    try:
        cupy = importlib.import_module("cupy")
    except ImportError:
        raise TrainingError(
            "device cuda needs CuPy: pip install 'distilroberta-np[cuda]' (for CUDA 12), or train with cpu"
        ) from None
    try:
        ones = cupy.ones((2, 2), np.float32)
        float((ones @ ones).sum())
    # Without a driver, a GPU or one of CUDA's libraries it fails in many ways, some only at the first product.
    except Exception as error:
        raise TrainingError(f"device cuda can't be used here: {error}. CuPy needs an NVIDIA GPU with CUDA 12") from None
    return cupy
