"""`RobertaConfig`: the shape of a checkpoint, read from its config.json and validated."""

from __future__ import annotations

import os
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from .errors import ConfigError
from .files import read_json
from .messages import shown
from .pretrained import CONFIG, Pretrained

# Far above any RoBERTa: a config.json beyond them is damaged or hostile, and would only exhaust memory.
_LARGEST_SIZE = 100_000_000
_MOST_LAYERS = 1_000

# Settings of the wider BERT family that change the result, and the only value that is supported.
_ONLY = {
    "model_type": "roberta",
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
    "quantization_config": None,
}

PROBLEM_TYPES = (None, "regression", "single_label_classification", "multi_label_classification")
_OF_HEADS = ("labels", "problem_type")


@dataclass(frozen=True, kw_only=True)
class RobertaConfig(Pretrained):
    """The hyper-parameters of a RoBERTa checkpoint (Liu et al. 2019), validated and frozen.

    Every field that shapes the computation must be given. The defaults of other libraries (`layer_norm_eps` 1e-12,
    512 positions, two token types) are BERT's and wrong for RoBERTa.

    Attributes:
        labels: of a fine-tuned head, in the order of their ids (`id2label` in a config.json).
        problem_type: the meaning of the head's logits; by their number if None.
        bos_token_id, eos_token_id, hidden_dropout_prob, attention_probs_dropout_prob: without effect here, and
            saved as they were read.

    Raises:
        ConfigError: a value is missing, of the wrong type, out of range or not supported.
    """

    PARTS: ClassVar[tuple[str, ...]] = (CONFIG,)

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
    labels: tuple[str, ...] | None = None
    problem_type: str | None = None
    bos_token_id: int | None = 0
    eos_token_id: int | None = 2
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1

    def __post_init__(self) -> None:
        for name in _SIZES:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise ConfigError(f"config: {name} must be an integer, not {shown(value)}")
            smallest = 0 if name == "pad_token_id" else 1
            largest = _MOST_LAYERS if name == "num_hidden_layers" else _LARGEST_SIZE
            if not smallest <= value <= largest:
                raise ConfigError(f"config: {name} must be between {smallest} and {largest:,}, not {shown(value)}")
        eps = self.layer_norm_eps
        if isinstance(eps, bool) or not isinstance(eps, int | float) or not 0 < eps < 1:
            raise ConfigError(f"config: layer_norm_eps must be a number between 0 and 1, not {shown(eps)}")
        if self.hidden_act != "gelu":
            act = shown(self.hidden_act)
            raise ConfigError(f"config: hidden_act {act} is not supported, only 'gelu' (the exact one)")
        if self.hidden_size % self.num_attention_heads:
            raise ConfigError(
                f"config: hidden_size {self.hidden_size} is not a multiple of "
                f"num_attention_heads {self.num_attention_heads}"
            )
        if self.pad_token_id >= self.vocab_size:
            raise ConfigError(
                f"config: pad_token_id {self.pad_token_id} is outside the vocabulary of {self.vocab_size} tokens"
            )
        if self.max_sequence_length < 1:
            raise ConfigError(
                f"config: max_position_embeddings {self.max_position_embeddings} leaves no position for a token: "
                f"positions start at pad_token_id + 1 = {self.pad_token_id + 1}"
            )
        architectures = self.architectures
        if not isinstance(architectures, tuple) or not all(isinstance(item, str) for item in architectures):
            raise ConfigError(f"config: architectures must be a list of names, not {shown(architectures)}")

        labels = self.labels
        if labels is not None and (
            not isinstance(labels, tuple) or not labels or not all(isinstance(label, str) for label in labels)
        ):
            raise ConfigError(f"config: labels must be a tuple of names, not {shown(labels)}")
        if self.problem_type not in PROBLEM_TYPES:
            raise ConfigError(
                f"config: problem_type {shown(self.problem_type)} is unknown; use {', '.join(PROBLEM_TYPES[1:])}"
            )

    @property
    def num_labels(self) -> int:
        """The number of labels of a fine-tuned head; 2 where the config doesn't say, as in transformers."""
        return len(self.id2label)

    @property
    def id2label(self) -> dict[int, str]:
        """The labels by their ids; LABEL_0 and LABEL_1 where the config names none."""
        return dict(enumerate(self.labels or ("LABEL_0", "LABEL_1")))

    @property
    def label2id(self) -> dict[str, int]:
        """The ids of the labels."""
        return {label: index for index, label in self.id2label.items()}

    @property
    def max_sequence_length(self) -> int:
        """The maximum number of tokens, special tokens included. Positions start after pad_token_id, so 514 position
        embeddings serve 512 tokens."""
        return self.max_position_embeddings - self.pad_token_id - 1

    def to_dict(self) -> dict[str, Any]:
        """The config in the keys of a config.json of transformers."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in _OF_HEADS}
        if self.labels is not None:
            values |= {"id2label": self.id2label, "label2id": self.label2id}
        if self.problem_type is not None:
            values["problem_type"] = self.problem_type
        return values | {
            "architectures": list(self.architectures),
            "model_type": "roberta",
            "tie_word_embeddings": True,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> RobertaConfig:
        """Make a config from the keys of a config.json. Keys without effect on the result are dropped.

        Raises:
            ConfigError: as the class, and if `values` describes another architecture.
        """
        if not isinstance(values, dict):
            raise ConfigError(f"config: must be a JSON object, not a {type(values).__name__}")
        if "model_type" not in values:
            raise ConfigError("config: model_type is missing; it must be 'roberta'")
        for name, only in _ONLY.items():
            if values.get(name, only) != only:
                raise ConfigError(f"config: {name} {shown(values[name])} is not supported, only {only!r}")
        missing = [name for name in _REQUIRED if name not in values]
        if missing:
            raise ConfigError(f"config: {', '.join(missing)} missing, and there is no safe default")
        known = {field.name: values[field.name] for field in fields(cls) if field.name in values}
        if isinstance(known.get("architectures", ()), list):
            known["architectures"] = tuple(known["architectures"])
        elif known.get("architectures", ()) is None:
            del known["architectures"]
        known["labels"] = _labels(values)
        return cls(**known)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> RobertaConfig:
        """Read a config.json. Raises ConfigError, which names the file."""
        values = read_json(path, ConfigError)
        try:
            return cls.from_dict(values)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None

    @classmethod
    def from_folder(cls, folder: Path) -> RobertaConfig:
        """Read the config.json of a folder. Raises ConfigError, which names the file."""
        return cls.from_file(folder / "config.json")


def _labels(values: dict[str, Any]) -> tuple[str, ...] | None:
    """The labels of a config.json in the order of their ids; LABEL_n where it has only their number."""
    names, count = values.get("id2label"), values.get("num_labels")
    if names is None:
        if count is None:
            return None
        if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= _LARGEST_SIZE:
            raise ConfigError(f"config: num_labels must be an integer of at least 1, not {shown(count)}")
        return tuple(f"LABEL_{index}" for index in range(count))
    if isinstance(names, dict) and all(str(index) in map(str, names) for index in range(len(names))):
        by_id = {str(index): name for index, name in names.items()}
        labels = tuple(by_id[str(index)] for index in range(len(names)))
        if labels and all(isinstance(label, str) for label in labels):
            return labels
    raise ConfigError(f"config: id2label must name every label from 0 on, not {shown(names)}")


_REQUIRED = tuple(field.name for field in fields(RobertaConfig) if field.default is MISSING)
_SIZES = (*(name for name in _REQUIRED if name != "layer_norm_eps"), "pad_token_id")
