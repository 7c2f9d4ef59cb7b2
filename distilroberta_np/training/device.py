"""Where the arrays of a training run are: in main memory (NumPy), or on an NVIDIA GPU (CuPy).

The layers and the optimizers use functions that both have, and return arrays of the kind that they take. Ids, labels
and positions stay on the host and are copied where they index an array. A GPU sums the gradients of the embeddings in
no fixed order, so two runs on it differ in the last digits."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import TypeVar, cast

import numpy as np

from ..errors import TrainingError
from ..layers.params import tree_map

DEVICES = ("cpu", "cuda")
Tree = TypeVar("Tree")


def to_device(tree: Tree, device: str) -> Tree:
    """Copy the arrays of a tree to a device, "cpu" or "cuda", unless they are there already.

    Raises TrainingError if the device is unknown or cannot be used.
    """
    return tree if is_host(device) else cast(Tree, tree_map(_cupy().asarray, tree))


def to_host(tree: Tree) -> Tree:
    """Copy the arrays of a tree to main memory, unless they are there already."""
    return cast(Tree, tree_map(lambda leaf: leaf if isinstance(leaf, np.ndarray) else leaf.get(), tree))


def rng_for(device: str, seed: Sequence[int]) -> np.random.Generator:
    """A random generator on a device, CuPy's on a GPU. The two devices draw different numbers."""
    return np.random.default_rng(seed) if is_host(device) else _cupy().random.default_rng(seed)


def is_host(device: str) -> bool:
    """Whether a device is main memory. Raises TrainingError for an unknown name."""
    if device not in DEVICES:
        raise TrainingError(f"device must be {' or '.join(DEVICES)}, not {device!r}")
    return device == "cpu"


@functools.cache
def _cupy() -> ModuleType:
    """CuPy, after a first matrix product on the GPU."""
    try:
        cupy = importlib.import_module("cupy")
    except ImportError:
        raise TrainingError(
            "device cuda needs CuPy: pip install 'distilroberta-np[cuda]' (for CUDA 12) or cupy-cuda13x (for CUDA 13), "
            "or use --device cpu"
        ) from None
    try:
        ones = cupy.ones((2, 2), np.float32)
        float((ones @ ones).sum())
    # Without a driver, a GPU or a library of CUDA it fails in many ways, some only at the first product.
    except Exception as error:
        message = f"device cuda cannot be used: {error}. CuPy needs an NVIDIA GPU and the CUDA version it is built for"
        raise TrainingError(message) from None
    return cupy
