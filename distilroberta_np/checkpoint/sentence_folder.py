"""The layout of a folder of sentence-transformers: the modules that it lists, and where the encoder's files lie."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import ConfigError
from ..files import read_json, write_json
from ..messages import shown
from .shards import WEIGHTS_FILE

MODULES_FILE = "modules.json"
SETTINGS_FILE = "config_sentence_transformers.json"
# The encoder's own settings, by their current and their old names; the first that exists counts.
ENCODER_SETTINGS_FILES = tuple(
    f"sentence_{name}_config.json"
    for name in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)

_MAX_MODULES = 100
# A folder's name, or nothing for the folder itself: nothing that leads elsewhere.
_PLAIN_NAME = re.compile(r"(\w[\w.-]{0,100})?", re.ASCII)


class Module(NamedTuple):
    """A step of a sentence encoder: its kind ("Pooling"), and its folder ("" for the folder itself)."""

    kind: str
    path: str

    @property
    def files(self) -> tuple[str, ...]:
        """The files that its folder must have. (The encoder has those of any model.)"""
        return {"Pooling": ("config.json",), "Dense": ("config.json", WEIGHTS_FILE)}.get(self.kind, ())


def read_modules(folder: Path) -> list[Module]:
    """Read the modules that modules.json lists, in order, supported or not.

    Raises ConfigError: the file is missing or malformed.
    """
    path = folder / MODULES_FILE
    entries = read_json(path, ConfigError)
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError(f"{path}: must be a list of modules, not {shown(entries)}")
    if len(entries) > _MAX_MODULES:
        raise ConfigError(f"{path}: lists {len(entries)} modules; at most {_MAX_MODULES} are supported")
    modules = []
    for entry in entries:
        kind, subfolder = entry.get("type"), entry.get("path")
        if not isinstance(kind, str) or not isinstance(subfolder, str) or not _PLAIN_NAME.fullmatch(subfolder):
            raise ConfigError(f"{path}: a module must have a type and a plain path, not {shown(entry)}")
        package, _, name = kind.rpartition(".")
        modules.append(Module(name if package.startswith("sentence_transformers.") else kind, subfolder))
    return modules


def write_modules(folder: Path, modules: Sequence[Module]) -> None:
    """Write modules.json, and make the folders of the modules."""
    entries = []
    for index, (kind, path) in enumerate(modules):
        (folder / path).mkdir(parents=True, exist_ok=True)
        # The package of classes that all versions of sentence-transformers have.
        entry_type = f"sentence_transformers.models.{kind}"
        entries.append({"idx": index, "name": str(index), "path": path, "type": entry_type})
    write_json(folder / MODULES_FILE, entries)


def encoder_path(modules: Sequence[Module]) -> str:
    """The folder of the encoder, which has its config, weights and tokenizer; "" for the folder itself."""
    return modules[0].path if modules[0].kind == "Transformer" else ""
