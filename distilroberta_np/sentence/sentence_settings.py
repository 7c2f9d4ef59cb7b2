"""The settings in a folder of sentence-transformers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..checkpoint.sentence_folder import ENCODER_SETTINGS_FILES, SETTINGS_FILE
from ..errors import ConfigError
from ..files import read_json
from ..messages import shown

# Settings of the encoder that change the result and are not supported. Empty values are harmless.
_UNSUPPORTED = ("do_lower_case", "query_length", "document_length", "query_expansion", "processing_kwargs")


@dataclass(frozen=True)
class SentenceSettings:
    """The settings of config_sentence_transformers.json."""

    model_type: str = "SentenceTransformer"
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt_name: str | None = None
    similarity_fn_name: str | None = None
    truncate_dim: int | None = None
    activation_fn: str | None = None

    @classmethod
    def load(cls, folder: Path) -> SentenceSettings:
        """Read a folder's settings; missing ones, or a missing file, have the defaults. Raises ConfigError."""
        path = folder / SETTINGS_FILE
        if not path.exists():
            return cls()
        values = read_object(path)
        prompts = values.get("prompts") or {}
        if not isinstance(prompts, dict) or not all(isinstance(text, str | None) for text in prompts.values()):
            raise ConfigError(f"{path}: prompts must map names to strings, not {shown(prompts)}")
        return cls(
            model_type=_value(path, values, "model_type", str) or "SentenceTransformer",
            prompts={name: text or "" for name, text in prompts.items()},
            default_prompt_name=_value(path, values, "default_prompt_name", str),
            similarity_fn_name=_value(path, values, "similarity_fn_name", str),
            truncate_dim=_value(path, values, "truncate_dim", int),
            activation_fn=_value(path, values, "activation_fn", str),
        )


def read_max_seq_length(folder: Path) -> int | None:
    """The maximum number of tokens in the settings of an encoder's folder; None if there is none.

    Raises:
        ConfigError: the settings are malformed or not supported.
    """
    path = next((folder / name for name in ENCODER_SETTINGS_FILES if (folder / name).exists()), None)
    if path is None:
        return None
    values = read_object(path)
    for key in _UNSUPPORTED:
        if values.get(key):
            raise ConfigError(f"{path}: {key} {shown(values[key])} is not supported")
    length: int | None = _value(path, values, "max_seq_length", int)
    return length


def read_module_config(folder: Path) -> dict[str, Any]:
    """Read the config.json of a module that maps embeddings to embeddings. Raises ConfigError."""
    path = folder / "config.json"
    values = read_object(path)
    for key in ("module_input_name", "module_output_name"):
        if values.get(key) not in (None, "sentence_embedding"):
            raise ConfigError(f"{path}: {key} {shown(values[key])} is not supported, only 'sentence_embedding'")
    return values


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises ConfigError."""
    values = read_json(path, ConfigError)
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must be a JSON object, not a {type(values).__name__}")
    return values


def _value(path: Path, values: dict[str, Any], key: str, kind: type) -> Any:
    value = values.get(key)
    if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
        raise ConfigError(f"{path}: {key} must be {'a string' if kind is str else 'an integer'}, not {shown(value)}")
    return value
