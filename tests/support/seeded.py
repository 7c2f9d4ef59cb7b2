"""Small RoBERTas with seeded random weights, made from nothing: a config, weights in any stored form, a tokenizer."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers.pre_tokenizers import ByteLevel

from distilroberta_np import FillMaskPipeline, RobertaConfig, pipeline
from distilroberta_np.layers.params import tree_leaves
from distilroberta_np.models.masked_lm import masked_lm_keys
from distilroberta_np.models.roberta import roberta_keys

MERGES = ["t h", "th e", "Ġ the", "Ġ a", "c a", "ca t", "Ġ cat", "s a", "sa t", "Ġ sat", "o n", "Ġ on", "a b"]
_SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
_VOCAB = [*_SPECIAL, *sorted(ByteLevel.alphabet()), *(merge.replace(" ", "") for merge in MERGES), "<mask>"]
VOCAB_SIZE = len(_VOCAB)

CONFIG: dict[str, Any] = {
    "model_type": "roberta",
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 32,
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
    "hidden_act": "gelu",
    "pad_token_id": 1,
}


def config_dict(**changes: Any) -> dict[str, Any]:
    return CONFIG | changes


def tokenizer_dict() -> dict[str, Any]:
    """A tokenizer.json: every byte, a dozen merges, and RoBERTa's special tokens."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": _VOCAB.index(token),
                "content": token,
                "single_word": False,
                "lstrip": token == "<mask>",
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for token in [*_SPECIAL, "<mask>"]
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": {
            "type": "RobertaProcessing",
            "sep": ["</s>", 2],
            "cls": ["<s>", 0],
            "trim_offsets": True,
            "add_prefix_space": False,
        },
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: index for index, token in enumerate(_VOCAB) if token != "<mask>"},
            "merges": list(MERGES),
        },
    }


def seeded_tensors(seed: int = 0, *, prefix: str = "roberta.", pooler: bool = False, **shape: Any) -> dict[str, Any]:
    """Every tensor of a checkpoint by its name, float32; with the prefix "" a bare encoder.

    The scales keep attention far from uniform and logits far from equal, as in trained models.
    """
    config = RobertaConfig.from_dict(config_dict(**shape))
    keys = [*tree_leaves(roberta_keys(config, prefix, with_pooler=pooler))]
    if prefix:
        keys += tree_leaves(masked_lm_keys(config).lm_head)
    rng = np.random.default_rng(seed)
    tensors = {}
    for key in keys:
        if "norm" in key.name.lower() and key.name.endswith("weight"):
            values = rng.uniform(0.5, 1.5, key.shape)
        elif key.name.endswith("bias"):
            values = rng.normal(0, 0.2, key.shape)
        else:
            values = rng.normal(0, 2 * key.shape[-1] ** -0.5, key.shape)
        tensors[key.name] = values.astype(np.float32)
    return tensors


def stored(values: np.ndarray, dtype: str) -> bytes:
    """A float32 array as the bytes of a safetensors dtype; bfloat16 by rounding to the nearest even."""
    if dtype == "BF16":
        bits = values.astype(np.float32).view(np.uint32)
        return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2").tobytes()
    return values.astype({"F32": "<f4", "F16": "<f2", "F64": "<f8", "I8": "i1", "I64": "<i8"}[dtype]).tobytes()


def safetensors_bytes(tensors: dict[str, Any], dtype: str = "F32") -> bytes:
    """A whole safetensors file."""
    header, data = {}, b""
    for name, values in tensors.items():
        body = stored(values, dtype)
        header[name] = {"dtype": dtype, "shape": list(values.shape), "data_offsets": [len(data), len(data) + len(body)]}
        data += body
    return with_header(header, data)


def with_header(header: Any, data: bytes = b"") -> bytes:
    """A safetensors file with a header as it is given: an object, or the text itself."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def write_model(
    folder: Path,
    tensors: dict[str, Any] | None = None,
    *,
    seed: int = 0,
    dtype: str = "F32",
    shards: int = 0,
    tokenizer: bool = True,
    **shape: Any,
) -> Path:
    """A model's folder: config.json, weights whole or in `shards` files, and a tokenizer.json."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", config_dict(**shape))
    tensors = seeded_tensors(seed, **shape) if tensors is None else tensors
    if shards:
        names = list(tensors)
        weight_map = {}
        for shard in range(shards):
            file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
            part = {name: tensors[name] for name in names[shard::shards]}
            (folder / file).write_bytes(safetensors_bytes(part, dtype))
            weight_map |= dict.fromkeys(part, file)
        write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": weight_map})
    else:
        (folder / "model.safetensors").write_bytes(safetensors_bytes(tensors, dtype))
    if tokenizer:
        write_json(folder / "tokenizer.json", tokenizer_dict())
    return folder


def seeded_pipeline(folder: Path, tensors: dict[str, Any] | None = None, **shape: Any) -> FillMaskPipeline:
    return pipeline("fill-mask", write_model(folder, tensors, **shape))


def draw(seed: int, *shape: int, dtype: Any = np.float32, scale: float = 1.0) -> np.ndarray:
    """Normal random numbers, read-only, as weights mapped from a file are."""
    values = np.random.default_rng([seed, *shape]).normal(0, scale, shape).astype(dtype)
    values.setflags(write=False)
    return values
