"""The settings in a folder of sentence-transformers. Those that are not supported are refused by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..checkpoint.sentence_folder import ENCODER_SETTINGS_FILES, SETTINGS_FILE
from ..errors import ConfigError
from ..files import read_json, write_json
from ..messages import shown

# For each task, the output that the model's forward gives, and the name that sentence-transformers gives it.
_OUTPUTS = {
    "feature-extraction": ("last_hidden_state", "token_embeddings"),
    "sequence-classification": ("logits", "scores"),
}
_UNSUPPORTED = (
    "config_args", "config_kwargs", "document_length", "query_expansion", "query_length", "tokenizer_name_or_path"
)  # fmt: skip
# Settings of how torch loads the model, which change no result here.
_LOADING = ("add_pooling_layer", "attn_implementation", "device_map", "dtype", "torch_dtype", "use_safetensors")
_KINDS = {str: "a string", int: "a positive integer", dict: "an object"}


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
        prompts = _value(path, values, "prompts", dict) or {}
        if not all(isinstance(text, str | None) for text in prompts.values()):
            raise ConfigError(f"{path}: prompts must be strings, not {shown(prompts)}")
        kinds = {"default_prompt_name": str, "similarity_fn_name": str, "truncate_dim": int, "activation_fn": str}
        return cls(
            _value(path, values, "model_type", str) or "SentenceTransformer",
            {name: text or "" for name, text in prompts.items()},
            **{name: _value(path, values, name, kind) for name, kind in kinds.items()},
        )

    def save(self, folder: Path) -> None:
        """Write config_sentence_transformers.json, without empty settings."""
        write_json(folder / SETTINGS_FILE, {name: value for name, value in asdict(self).items() if value is not None})


@dataclass(frozen=True)
class EncoderSettings:
    """The settings of an encoder's sentence_bert_config.json."""

    # They take precedence over tokenizer_config.json, such as `model_max_length`.
    tokenizer: Mapping[str, Any] = field(default_factory=dict)
    do_lower_case: bool = False

    @classmethod
    def load(cls, folder: Path, task: str) -> EncoderSettings:
        """Read the settings in an encoder's folder; a missing file has the defaults. `task` is "feature-extraction" or
        "sequence-classification". Raises ConfigError."""
        path = next((folder / name for name in ENCODER_SETTINGS_FILES if (folder / name).exists()), None)
        if path is None:
            return cls()
        values = read_object(path)
        method_output, module_output = _OUTPUTS[task]
        modality = {"text": {"method": "forward", "method_output_name": method_output}}
        supported: dict[str, list[Any]]
        supported = {"transformer_task": [task], "modality_config": [modality], "module_output_name": [module_output]}
        _check(path, values, {key: [] for key in _UNSUPPORTED} | supported)
        for key in ("model_args", "model_kwargs"):
            loading = _value(path, values, key, dict) or {}
            _check(path, loading, {name: [] for name in loading if name not in _LOADING})
        calls = _value(path, values, "processing_kwargs", dict) or {}
        call = (_value(path, calls, "text", dict) or {}) | (_value(path, calls, "common", dict) or {})
        supported = {"padding": [True, "longest"], "truncation": [True, "longest_first"]}
        _check(path, call, {name: [] for name in call if name != "max_length"} | supported)
        tokenizer: dict[str, Any] = {"model_max_length": _value(path, values, "max_seq_length", int)}
        for key in ("tokenizer_args", "processor_kwargs"):
            tokenizer |= _value(path, values, key, dict) or {}
        tokenizer["model_max_length"] = _value(path, call, "max_length", int) or tokenizer["model_max_length"]
        _value(path, tokenizer, "model_max_length", int)
        given = {name: value for name, value in tokenizer.items() if value is not None}
        return cls(given, bool(values.get("do_lower_case")))

    def save(self, folder: Path, task: str) -> None:
        """Write sentence_bert_config.json."""
        length = self.tokenizer.get("model_max_length")
        values: dict[str, Any] = {"max_seq_length": length, "do_lower_case": self.do_lower_case}
        if task != "feature-extraction":  # the default, which old versions do not name
            values["transformer_task"] = task
        write_json(folder / ENCODER_SETTINGS_FILES[0], values)


def read_module_config(folder: Path) -> dict[str, Any]:
    """Read the config.json of a module that maps embeddings to embeddings. Raises ConfigError."""
    path = folder / "config.json"
    values = read_object(path)
    _check(path, values, dict.fromkeys(("module_input_name", "module_output_name"), ("sentence_embedding",)))
    return values


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises ConfigError."""
    values = read_json(path, ConfigError)
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must be a JSON object, not {type(values).__name__}")
    return values


def _check(path: Path, values: Mapping[str, Any], supported: Mapping[str, Sequence[Any]]) -> None:
    """Refuse values that are neither empty nor supported."""
    for key, known in supported.items():
        if values.get(key) and values[key] not in known:
            only = f", only {', '.join(map(shown, known))}" if known else ""
            raise ConfigError(f"{path}: {key} {shown(values[key])} is not supported{only}")


def _value(path: Path, values: Mapping[str, Any], key: str, kind: type) -> Any:
    value = values.get(key)
    too_small = isinstance(value, int) and value < 1
    if value is not None and (not isinstance(value, kind) or isinstance(value, bool) or too_small):
        raise ConfigError(f"{path}: {key} must be {_KINDS[kind]}, not {shown(value)}")
    return value
