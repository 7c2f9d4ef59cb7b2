"""`distilroberta-np info`: describes a model without running it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..checkpoint.load import open_checkpoint
from ..checkpoint.safetensors_file import StoredTensor
from ..config import RobertaConfig
from ..layers.params import tree_leaves
from ..models.masked_lm import masked_lm_keys
from ..models.roberta import stored_roberta_keys
from ..tokenizer import RobertaTokenizer
from .command import Command
from .terminal import add_model_arguments, find_model, print_table

_EXAMPLES = """\
  distilroberta-np info
  distilroberta-np info --model roberta-large --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def run(options: argparse.Namespace) -> int:
    facts = describe(find_model(options))
    if options.json:
        print(json.dumps(facts))
        return 0
    for title, section in facts.items():
        if sys.stdout.isatty():
            print(title)
        rows = [(name, _readable(value)) for name, value in section.items()]
        print_table(rows if sys.stdout.isatty() else [(title, *row) for row in rows])
    return 0


def describe(folder: Path) -> dict[str, dict[str, Any]]:
    """The facts about a model's folder, by section. Raises ConfigError, CheckpointError or TokenizerError."""
    config = RobertaConfig.from_file(folder / "config.json")
    tokenizer = RobertaTokenizer.from_folder(folder)
    stored = open_checkpoint(folder)
    parameters, loaded = _count(config, stored)
    size = sum(path.stat().st_size for path in {tensor.path for tensor in stored.values()})
    dtypes = sorted({stored[name].dtype for name in loaded})
    return {
        "model": {
            "folder": str(folder),
            "architectures": list(config.architectures),
            "files": sorted({tensor.path.name for tensor in stored.values()}),
            "bytes": size,
            "dtype": dtypes,
            "bytes in memory": 4 * parameters["in all"],
            "held": "mapped from the file, not copied" if dtypes == ["F32"] else "converted to float32",
        },
        "config": {
            field.name: getattr(config, field.name)
            for field in dataclasses.fields(config)
            if field.name != "architectures"
        },
        "parameters": parameters,
        "tokenizer": {
            "entries": tokenizer.vocab_size,
            "mask": f"{tokenizer.mask_token} ({tokenizer.token_to_id(tokenizer.mask_token)})",
            "padding": f"{tokenizer.pad_token} ({tokenizer.pad_token_id})",
            "most tokens of a text": tokenizer.longest_text(config.max_sequence_length),
        },
    }


def _count(config: RobertaConfig, stored: Mapping[str, StoredTensor]) -> tuple[dict[str, int], set[str]]:
    """How many numbers each part holds, the tied matrix counted once; and the names of the tensors that we load."""
    roberta = stored_roberta_keys(config, stored)
    attention = [(layer.attention, layer.attention_layer_norm) for layer in roberta.layers]
    feed_forward = [(layer.feed_forward, layer.feed_forward_layer_norm) for layer in roberta.layers]
    parts: dict[str, Any] = {
        "embeddings": roberta.embeddings,
        f"attention ({len(attention)} layers)": tuple(attention),
        f"feed-forward ({len(feed_forward)} layers)": tuple(feed_forward),
        "language-model head": masked_lm_keys(config).lm_head if "lm_head.bias" in stored else None,
        "pooler": roberta.pooler,
    }
    counts = {name: sum(math.prod(key.shape) for key in tree_leaves(part)) for name, part in parts.items()}
    loaded = {key.name for part in parts.values() for key in tree_leaves(part)} & stored.keys()
    counts["other heads"] = sum(
        math.prod(tensor.shape)
        for name, tensor in stored.items()
        if name not in loaded and not name.startswith("lm_head.decoder.") and not name.endswith(".position_ids")
    )
    counts = {name: count for name, count in counts.items() if count}
    return counts | {"in all": sum(counts.values())}, loaded


def _readable(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


COMMAND = Command(
    "info", "models", "a model's config, parameters, file, memory and tokenizer", _EXAMPLES, add_arguments, run
)
