"""`RobertaConfig`: the one place where a checkpoint's shape is decided, read from its config.json."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .errors import ConfigError

# Far above any RoBERTa; a config.json beyond them is damaged or hostile, and would only exhaust memory.
_LARGEST_SIZE = 100_000_000
_MOST_LAYERS = 1_000
_LARGEST_FILE = 64 * 2**20

# Settings of the architecture's wider family that change the result. What isn't written here can't be computed,
# so any other value is refused by name instead of being ignored.
_ONLY = {
    "model_type": "roberta",
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
    "quantization_config": None,
}


@dataclass(frozen=True, kw_only=True)
class RobertaConfig:
    """The hyper-parameters of a RoBERTa checkpoint (Liu et al. 2019), validated and frozen.

    Every field that shapes the computation must be given: the defaults that other libraries hold for them
    (`layer_norm_eps` 1e-12, 512 positions, two token types) are BERT's and wrong for this family.

    Raises:
        ConfigError: a value is missing, of the wrong type, out of range, or asks for something not computed here.
    """

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    type_vocab_size: int
    layer_norm_eps: float
    hidden_act: str = "gelu"
    pad_token_id: int = 1
    architectures: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in _SIZES:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise ConfigError(f"config: {name} must be an integer, not {_shown(value)}")
            smallest = 0 if name == "pad_token_id" else 1
            largest = _MOST_LAYERS if name == "num_hidden_layers" else _LARGEST_SIZE
            if not smallest <= value <= largest:
                raise ConfigError(f"config: {name} must be between {smallest} and {largest:,}, not {_shown(value)}")
        eps = self.layer_norm_eps
        if isinstance(eps, bool) or not isinstance(eps, int | float) or not 0 < eps < 1:
            raise ConfigError(f"config: layer_norm_eps must be a number between 0 and 1, not {_shown(eps)}")
        if self.hidden_act != "gelu":
            act = _shown(self.hidden_act)
            raise ConfigError(f"config: hidden_act {act} is not computed here, only 'gelu' (the exact one)")
        if self.hidden_size % self.num_attention_heads:
            raise ConfigError(
                f"config: hidden_size {self.hidden_size} is not a multiple of "
                f"num_attention_heads {self.num_attention_heads}"
            )
        if self.pad_token_id >= self.vocab_size:
            raise ConfigError(
                f"config: pad_token_id {self.pad_token_id} is outside the vocabulary of {self.vocab_size}"
            )
        if self.max_sequence_length < 1:
            raise ConfigError(
                f"config: max_position_embeddings {self.max_position_embeddings} leaves no position for a token: "
                f"they are counted from pad_token_id + 1 = {self.pad_token_id + 1}"
            )
        architectures = self.architectures
        if not isinstance(architectures, tuple) or not all(isinstance(item, str) for item in architectures):
            raise ConfigError(f"config: architectures must be a list of names, not {_shown(architectures)}")

    @property
    def attention_head_size(self) -> int:
        """Width of one attention head, hidden_size / num_attention_heads."""
        return self.hidden_size // self.num_attention_heads

    @property
    def max_sequence_length(self) -> int:
        """Most tokens, specials included. Positions start after pad_token_id, so 514 rows serve 512 tokens."""
        return self.max_position_embeddings - self.pad_token_id - 1

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> RobertaConfig:
        """Make a config from the keys of a config.json. Keys that don't bear on the computation are left out.

        Raises:
            ConfigError: as the class, or where `values` asks for another architecture.
        """
        if not isinstance(values, dict):
            raise ConfigError(f"config: must be a JSON object, not a {type(values).__name__}")
        if "model_type" not in values:
            raise ConfigError("config: model_type is missing; it must say 'roberta'")
        for name, only in _ONLY.items():
            if values.get(name, only) != only:
                raise ConfigError(f"config: {name} {_shown(values[name])} is not computed here, only {only!r}")
        missing = [name for name in _REQUIRED if name not in values]
        if missing:
            raise ConfigError(f"config: {', '.join(missing)} missing, and there is no safe default")
        known = {field.name: values[field.name] for field in fields(cls) if field.name in values}
        if isinstance(known.get("architectures", ()), list):
            known["architectures"] = tuple(known["architectures"])
        elif known.get("architectures", ()) is None:
            del known["architectures"]
        return cls(**known)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> RobertaConfig:
        """Read a config.json. Raises ConfigError that names the file."""
        values = read_json(path, ConfigError)
        try:
            return cls.from_dict(values)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | os.PathLike[str],
        *,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
    ) -> RobertaConfig:
        """Read the config of a folder, or of a model of the hub by its name.

        Raises:
            HubError: the model can't be found or fetched.
            ConfigError: its config.json can't be used.
        """
        from .hub import CONFIG, resolve_model

        folder = resolve_model(
            name_or_path, revision=revision, cache_dir=cache_dir, local_files_only=local_files_only, parts=(CONFIG,)
        )
        return cls.from_file(folder / "config.json")


_REQUIRED = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
    "layer_norm_eps",
)
_SIZES = (*_REQUIRED[:-1], "pad_token_id")


def _shown(value: Any) -> str:
    """A value for an error's text, which a hostile file can make as long or as deep as it likes."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        return f"a {type(value).__name__} too large to show"
    return text if len(text) <= 80 else text[:77] + "..."


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For json.loads as object_pairs_hook: an object that has a key twice says nothing certain, and is refused."""
    values = dict(pairs)
    if len(values) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {_shown(twice)} is in one object twice")
    return values


def read_json(path: str | os.PathLike[str], error_type: type[Exception]) -> Any:
    """Read a JSON file that somebody else wrote; whatever is wrong with it becomes one `error_type`."""
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise error_type(f"{path}: a folder or a device, and no file")
        if path.stat().st_size > _LARGEST_FILE:
            raise error_type(f"{path}: larger than {_LARGEST_FILE // 2**20} MiB, which no such file is")
        return json.loads(path.read_bytes(), object_pairs_hook=unique_keys)
    except FileNotFoundError:
        raise error_type(f"{path}: no such file") from None
    except OSError as error:
        raise error_type(f"{path}: can't be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, error_type):
            raise
        raise error_type(f"{path}: not valid JSON: {error}") from None
