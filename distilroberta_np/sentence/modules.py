"""The modules of a sentence encoder: a pooling layer, and what follows it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from ..checkpoint.sentence_folder import MODULES_FILE, Module, write_modules
from ..errors import ConfigError
from ..layers.params import Array
from ..messages import shown
from .dense import Dense
from .normalize import Normalize
from .pooling import Pooling

# A function of embeddings (N, H) -> (N, D).
Layer = Callable[[Array], Array]

_LAYERS: dict[str, type[Dense] | type[Normalize]] = {"Dense": Dense, "Normalize": Normalize}


def check_modules(folder: Path, modules: Sequence[Module], supported: Collection[str]) -> None:
    """Check that the modules are the encoder, followed by `supported` ones. Raises ConfigError."""
    path = folder / MODULES_FILE
    if modules[0].kind != "Transformer":
        raise ConfigError(f"{path}: the first module must be a Transformer, not {shown(modules[0].kind)}")
    for module in modules[1:]:
        if module.kind not in supported:
            known = f", only {', '.join(supported)}" if supported else ""
            raise ConfigError(f"{path}: the module {shown(module.kind)} is not supported{known}")


def load_modules(folder: Path, modules: Sequence[Module], hidden_size: int) -> tuple[Pooling, list[Layer]]:
    """Load the modules that follow the encoder. Raises ConfigError if one is malformed or not supported, and
    CheckpointError if its weights cannot be used."""
    check_modules(folder, modules, ("Pooling", *_LAYERS, "Dropout"))
    if [module.kind == "Pooling" for module in modules] != [index == 1 for index in range(max(2, len(modules)))]:
        raise ConfigError(f"{folder / MODULES_FILE}: the second module must be a Pooling, and the only one")
    pooling = Pooling.load(folder / modules[1].path, hidden_size)
    width = len(pooling.modes) * hidden_size
    layers: list[Layer] = []
    for module in modules[2:]:
        if module.kind in _LAYERS:  # dropout does nothing at inference
            layers.append(_LAYERS[module.kind].load(folder / module.path, width))
            width = output_size(layers, width)
    return pooling, layers


def output_size(layers: Sequence[Layer], width: int) -> int:
    """The size of the embeddings that layers make of embeddings of size `width`."""
    return next((layer.out_features for layer in reversed(layers) if isinstance(layer, Dense)), width)


def save_modules(folder: Path, pooling: Pooling, layers: Sequence[Layer], hidden_size: int) -> None:
    """Save the modules that follow the encoder, and modules.json. Raises ValueError, and writes nothing, if one of the
    layers cannot be saved."""
    saved = [layer for layer in layers if isinstance(layer, Dense | Normalize)]
    if len(saved) < len(layers):
        raise ValueError(f"layers other than {' and '.join(_LAYERS)} cannot be saved")
    kinds = ["Pooling", *(type(layer).__name__ for layer in saved)]
    modules = [Module(kind, f"{index}_{kind}") for index, kind in enumerate(kinds, start=1)]
    write_modules(folder, [Module("Transformer", ""), *modules])
    pooling.save(folder / modules[0].path, hidden_size)
    for module, layer in zip(modules[1:], saved, strict=True):
        layer.save(folder / module.path)
