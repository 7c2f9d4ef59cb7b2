"""`RobertaConfig`: the shape of a checkpoint, read from its config.json and validated."""

from __future__ import annotations

import os
from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from .errors import ConfigError
from .files import read_json, write_json
from .harmless import LOADING, check_harmless
from .messages import shown
from .pretrained import CONFIG, Pretrained

# Far above any RoBERTa: a config.json beyond them is damaged or hostile, and would only exhaust memory.
_LARGEST_SIZE = 100_000_000
_LARGEST = {"num_hidden_layers": 1_000}
_MOST_LABELS = 1_000_000

# Settings that change the result, and the values that are supported; the first one is the default.
_ONLY: dict[str, tuple[Any, ...]] = {
    "model_type": ("roberta",),
    "position_embedding_type": ("absolute", None),
    "is_decoder": (False,),
    "add_cross_attention": (False,),
    "quantization_config": (None,),
    "per_layer_config": (None,),
}

_EXACT_GELU = ("gelu", "gelu_python")  # two names of transformers for the same function
PROBLEM_TYPES = (None, "regression", "single_label_classification", "multi_label_classification")


@dataclass(kw_only=True, unsafe_hash=True)
class RobertaConfig(Pretrained):
    """The hyper-parameters of a RoBERTa checkpoint (Liu et al. 2019), validated and frozen.

    Only the names of labels can be replaced: `config.id2label = {0: "no", 1: "yes"}`, and `config.label2id`.

    Every field that shapes the computation must be given. The defaults of other libraries (`layer_norm_eps` 1e-12,
    512 positions, two token types) are BERT's and wrong for RoBERTa.

    Attributes:
        labels: of a fine-tuned head, in the order of their ids; or their number, if they have no names; None for two
            labels without names.
        label_ids: the ids of labels by other names than `labels` (`label2id` in a config.json).
        problem_type: the meaning of the head's logits; by their number if None.
        head_error: what is wrong with the settings of a head. Only models with such a head raise it.
        tie_word_embeddings: whether the language-model head multiplies with the word embeddings.
        bos_token_id, eos_token_id, hidden_dropout_prob, attention_probs_dropout_prob: without effect here, and
            saved as they were read.

    Raises ConfigError: a value is missing, of the wrong type, out of range or not supported.
    """

    PARTS: ClassVar[tuple[str, ...]] = (CONFIG,)
    model_type: ClassVar[str] = "roberta"

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
    labels: tuple[str, ...] | int | None = None
    label_ids: tuple[tuple[str, int], ...] | None = None
    problem_type: str | None = None
    head_error: str | None = field(default=None, compare=False)
    tie_word_embeddings: bool = True
    bos_token_id: int | None = 0
    eos_token_id: int | None = 2
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1

    def __post_init__(self) -> None:
        for name in _SIZES:
            smallest = 0 if name == "pad_token_id" else 1
            _check_integer(name, getattr(self, name), smallest, _LARGEST.get(name, _LARGEST_SIZE))

        def check(name: str, holds: object, need: str) -> None:
            if not holds:
                raise ConfigError(f"config: {name} must be {need}, not {shown(getattr(self, name))}")

        eps, labels, names = self.layer_norm_eps, self.labels, self.architectures
        is_number = isinstance(eps, int | float) and not isinstance(eps, bool)
        check("layer_norm_eps", is_number and 0 < eps < 1, "a number between 0 and 1")
        check("architectures", isinstance(names, tuple) and all(isinstance(x, str) for x in names), "a list of names")
        check("tie_word_embeddings", isinstance(self.tie_word_embeddings, bool), "true or false")
        if isinstance(labels, tuple):
            check("labels", labels and all(isinstance(label, str | int | float) for label in labels), "names")
        elif labels is not None:
            _check_integer("num_labels", labels, 1, _MOST_LABELS)
        _check_problem_type(self.problem_type)
        if self.hidden_act not in _EXACT_GELU:
            raise ConfigError(f"config: hidden_act {shown(self.hidden_act)} is not supported, only 'gelu' (exact)")
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

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("id2label", "label2id"):
            head = _head({"id2label": self.id2label, name: value})
            if not isinstance(head["labels"], tuple) or len(head["labels"]) != self.num_labels:
                raise ConfigError(f"config: {name} must have {self.num_labels} labels, as the head, not {shown(value)}")
            vars(self).update(labels=head["labels"], label_ids=head["label_ids"])
            for each in ("id2label", "label2id"):
                vars(self).pop(each, None)
        elif name in vars(self) or name not in self.__dataclass_fields__:
            raise FrozenInstanceError(f"{name} cannot be changed; make another config with dataclasses.replace")
        else:
            super().__setattr__(name, value)

    @property
    def num_labels(self) -> int:
        """The number of labels of a fine-tuned head; 2 where the config doesn't say, as in transformers."""
        if self.head_error is not None:
            raise ConfigError(self.head_error)
        return len(self.labels) if isinstance(self.labels, tuple) else self.labels or 2

    @cached_property
    def id2label(self) -> dict[int, str]:
        """The labels by their ids; LABEL_0, LABEL_1 and so on where the config has no names."""
        count = self.num_labels
        return dict(enumerate(self.labels if isinstance(self.labels, tuple) else map("LABEL_{}".format, range(count))))

    @cached_property
    def label2id(self) -> dict[str, int]:
        """The ids of the labels. Raises ConfigError if those of the config.json are malformed."""
        if self.label_ids is None:
            return {label: index for index, label in self.id2label.items()}
        ids = [index for _, index in self.label_ids]
        if not ids or not all(_is_integer(index) and 0 <= index < self.num_labels for index in ids):
            raise ConfigError(f"config: label2id must map labels to their ids, not {shown(dict(self.label_ids))}")
        return dict(self.label_ids)

    def with_labels(self, labels: tuple[str, ...] | None, problem_type: str | None) -> RobertaConfig:
        """The config of another head on the same encoder."""
        return replace(self, labels=labels, label_ids=None, problem_type=problem_type, head_error=None)

    @property
    def max_sequence_length(self) -> int:
        """The maximum number of tokens, special tokens included. Positions start after pad_token_id, so 514 position
        embeddings serve 512 tokens."""
        return self.max_position_embeddings - self.pad_token_id - 1

    def to_dict(self) -> dict[str, Any]:
        """The config in the keys of a config.json of transformers."""
        values = {name: getattr(self, name) for name in _OWN}
        if self.head_error is None and (self.labels, self.label_ids) != (None, None):
            ids = self.label2id if self.label_ids is None else self.label_ids
            values |= {"id2label": self.id2label, "label2id": dict(ids)}
        if self.problem_type is not None:
            values["problem_type"] = self.problem_type
        return values | {"architectures": list(self.architectures), "model_type": self.model_type}

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write config.json into a folder, which is created if it does not exist."""
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        write_json(path / "config.json", self.to_dict())

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> RobertaConfig:
        """Make a config from the keys of a config.json. Keys without effect on the result are dropped.

        Raises ConfigError: as the class, and if `values` describes another architecture.
        """
        if not isinstance(values, dict):
            raise ConfigError(f"config: must be a JSON object, not {type(values).__name__}")
        if "model_type" not in values:
            raise ConfigError("config: model_type is missing; it must be 'roberta'")
        for name, supported in _ONLY.items():
            if values.get(name, supported[0]) not in supported:
                raise ConfigError(f"config: {name} {shown(values[name])} is not supported, only {supported[0]!r}")
        missing = [name for name in _REQUIRED if name not in values]
        if missing:
            raise ConfigError(f"config: {', '.join(missing)} missing, and there is no safe default")
        known = {name: values[name] for name in _OWN if name in values}
        architectures = known.get("architectures")
        if isinstance(architectures, list | None):
            known["architectures"] = tuple(architectures or ())
        try:
            head = _head(values)
        except ConfigError as error:
            head = {"head_error": str(error)}
        return cls(**known, **head)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], **options: Any) -> RobertaConfig:
        """Read a config.json.

        Args:
            options: values instead of those of the file, such as `num_labels` or `id2label`; and arguments of
                transformers' `from_pretrained` that change nothing here.

        Raises:
            ConfigError: the values can't be used; it names the file.
            TypeError, ValueError: another option, or one that would change something.
        """
        values = read_json(path, ConfigError)
        known = {name: options.pop(name) for name in _OPTIONS if name in options}
        check_harmless(LOADING, options)
        if known and isinstance(values, dict):
            if "id2label" in known or "num_labels" in known:
                values.pop("label2id", None)
            values |= known
        try:
            config = cls.from_dict(values)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None
        return config if config.head_error is None else replace(config, head_error=f"{path}: {config.head_error}")

    @classmethod
    def from_folder(cls, folder: Path, **options: Any) -> RobertaConfig:
        """Read the config.json of a folder: options and errors as `from_file`."""
        return cls.from_file(folder / "config.json", **options)


def _head(values: dict[str, Any]) -> dict[str, Any]:
    """The settings of a head in a config.json, as fields of a `RobertaConfig`. Raises ConfigError."""
    labels = _labels(values)
    given, ids = values.get("label2id"), None
    if isinstance(labels, tuple) and given not in (None, {label: index for index, label in enumerate(labels)}):
        ids = tuple(given.items()) if isinstance(given, dict) else ()
    problem_type = values.get("problem_type") or None
    _check_problem_type(problem_type)
    count = labels if isinstance(labels, int) else len(labels or "ab")
    if problem_type == "single_label_classification" and count == 1:
        raise ConfigError("config: problem_type single_label_classification needs at least two labels")
    return {"labels": labels, "label_ids": ids, "problem_type": problem_type}


def _labels(values: dict[str, Any]) -> tuple[str, ...] | int | None:
    """The labels in the order of their ids, or their number if that is another than that of the names."""
    names: Any = values.get("id2label")
    count: int | None = values.get("num_labels")
    if count is not None:
        _check_integer("num_labels", count, 1, _MOST_LABELS)
    if names is None:
        return count
    if not isinstance(names, dict) or not all(key.isascii() and key.isdecimal() for key in map(str, names)):
        raise ConfigError(f"config: id2label must map ids to labels, not {shown(names)}")
    if count is not None and count != len(names):
        return count  # as in transformers, which then numbers the labels
    by_id = {int(key): name for key, name in names.items()}
    missing = next((index for index in range(len(names) or 1) if index not in by_id), None)
    if missing is not None:
        raise ConfigError(f"config: id2label has {len(names)} labels, but none with the id {missing}")
    labels = tuple(by_id[index] for index in range(len(names)))
    wrong = [label for label in labels if not isinstance(label, str | int | float)]
    if wrong:
        raise ConfigError(f"config: a label in id2label must be a text or a number, not {shown(wrong[0])}")
    return labels


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_integer(name: str, value: Any, smallest: int, largest: int) -> None:
    if not _is_integer(value):
        raise ConfigError(f"config: {name} must be an integer, not {shown(value)}")
    if not smallest <= value <= largest:
        raise ConfigError(f"config: {name} must be between {smallest} and {largest:,}, not {shown(value)}")


def _check_problem_type(value: Any) -> None:
    if value not in PROBLEM_TYPES:
        raise ConfigError(f"config: problem_type {shown(value)} is unknown; use {', '.join(PROBLEM_TYPES[1:])}")


_REQUIRED = tuple(each.name for each in fields(RobertaConfig) if each.default is MISSING)
_OF_HEADS = ("labels", "label_ids", "problem_type", "head_error")
_OWN = tuple(each.name for each in fields(RobertaConfig) if each.name not in _OF_HEADS)
_OPTIONS = (*_OWN, "problem_type", "id2label", "label2id", "num_labels")  # of `from_file`
_SIZES = (*(name for name in _REQUIRED if name != "layer_norm_eps"), "pad_token_id")
