"""What a folder of sentence-transformers says beside a model: the modules behind the encoder, and how to use it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoint.sentence_folder import ENCODER_SETTINGS_FILES, MODULES_FILE, SETTINGS_FILE, Module
from ..errors import ConfigError
from ..files import read_json
from ..layers.activation import gelu, sigmoid
from ..layers.params import Array
from ..messages import shown

# Settings of the encoder that change the result and aren't computed here. Empty ones ask for nothing.
_REFUSED = ("do_lower_case", "query_length", "document_length", "query_expansion", "processing_kwargs")


@dataclass(frozen=True)
class SentenceSettings:
    """What config_sentence_transformers.json says."""

    model_type: str = "SentenceTransformer"
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt_name: str | None = None
    similarity_fn_name: str | None = None
    truncate_dim: int | None = None
    activation_fn: str | None = None


def check_modules(folder: Path, modules: Sequence[Module], computed: Sequence[str]) -> None:
    """Whether the modules are the encoder and then some of those `computed`. Raises ConfigError."""
    path = folder / MODULES_FILE
    if modules[0].kind != "Transformer":
        raise ConfigError(f"{path}: the first module must be a Transformer, not {shown(modules[0].kind)}")
    for module in modules[1:]:
        if module.kind not in computed:
            known = f", only {', '.join(computed)}" if computed else ""
            raise ConfigError(f"{path}: the module {shown(module.kind)} is not computed here{known}")


def read_sentence_settings(folder: Path) -> SentenceSettings:
    """What a folder's config_sentence_transformers.json says; what it leaves out is as by default, and so is all of it
    where there is none. Raises ConfigError."""
    path = folder / SETTINGS_FILE
    if not path.exists():
        return SentenceSettings()
    values = _read_object(path)
    prompts = values.get("prompts") or {}
    if not isinstance(prompts, dict) or not all(isinstance(text, str | None) for text in prompts.values()):
        raise ConfigError(f"{path}: prompts must be texts by their names, not {shown(prompts)}")
    return SentenceSettings(
        model_type=_value(path, values, "model_type", str) or "SentenceTransformer",
        prompts={name: text or "" for name, text in prompts.items()},
        default_prompt_name=_value(path, values, "default_prompt_name", str),
        similarity_fn_name=_value(path, values, "similarity_fn_name", str),
        truncate_dim=_value(path, values, "truncate_dim", int),
        activation_fn=_value(path, values, "activation_fn", str),
    )


def read_max_seq_length(folder: Path) -> int | None:
    """Most tokens of a sentence, by the encoder's own settings; None where they don't say.

    Raises:
        ConfigError: they are malformed, or ask for something that isn't computed here.
    """
    for name in ENCODER_SETTINGS_FILES:
        path = folder / name
        if path.exists():
            values = _read_object(path)
            for key in _REFUSED:
                if values.get(key):
                    raise ConfigError(f"{path}: {key} {shown(values[key])} is not computed here")
            length: int | None = _value(path, values, "max_seq_length", int)
            return length
    return None


def read_module_config(folder: Path, module: Module) -> dict[str, Any]:
    """A module's config.json, which those without any settings may lack. Raises ConfigError."""
    path = folder / module.path / "config.json"
    values = _read_object(path) if path.exists() or module.kind not in ("Normalize", "Dropout") else {}
    for key in ("module_input_name", "module_output_name"):
        if values.get(key) not in (None, "sentence_embedding"):
            raise ConfigError(f"{path}: {key} {shown(values[key])} is not computed here, only 'sentence_embedding'")
    return values


def activation(name: Any) -> Callable[[Array], Array]:
    """An activation by the name of torch's class, such as "torch.nn.modules.activation.Sigmoid". Nothing of that name
    is imported or run. Raises ConfigError if it isn't computed here."""
    package, _, last = str(name).rpartition(".")
    if not package.startswith("torch.") or last not in _ACTIVATIONS:
        raise ConfigError(f"the activation {shown(name)} is not computed here, only {', '.join(_ACTIVATIONS)}")
    return _ACTIVATIONS[last]


def _identity(x: Array) -> Array:
    return x


def _relu(x: Array) -> Array:
    result: Array = np.maximum(x, 0)
    return result


_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "Identity": _identity,
    "Sigmoid": sigmoid,
    "Tanh": np.tanh,
    "ReLU": _relu,
    "GELU": gelu,
}


def _read_object(path: Path) -> dict[str, Any]:
    values = read_json(path, ConfigError)
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must be a JSON object, not a {type(values).__name__}")
    return values


def _value(path: Path, values: dict[str, Any], key: str, kind: type) -> Any:
    value = values.get(key)
    if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
        raise ConfigError(f"{path}: {key} must be {'a string' if kind is str else 'an integer'}, not {shown(value)}")
    return value
