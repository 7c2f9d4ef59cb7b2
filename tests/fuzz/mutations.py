"""Seeded mutations of files: bytes, lines, JSON trees, and the kind of file."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Characters that command a terminal, change the direction of text, or cannot be encoded; numbers at the edges.
ODD_TEXTS = (
    "", " ", "\0", "\x1b[31mred", "\u202eback", "\ud800", "a" * 5000, "<mask>", "<s>", "</s>", "<pad>", "Ġ", "Ġthe",
    "é", "e\u0301", "🙂", "日本", "\ufeff", "\r\n", "../..", "/etc/passwd", "C:\\x", "null", "nan", "-1", "1e999", "{}",
    "%s", "__import__", "torch.nn.Tanh", "sentence_transformers.models.Pooling", "gelu", "relu", "roberta", "bert",
)  # fmt: skip
ODD_NUMBERS = (
    0, 1, -1, 2, 3, 7, 255, 256, 2**31 - 1, 2**31, 2**63, -(2**63), 2**64, 10**30, 0.0, -0.0, 0.5, 1e-5, 1e308, 1e-320,
    float("nan"), float("inf"), -float("inf"), 100_000_000,
)  # fmt: skip

# Names of settings that files can have, to be set to odd values.
SETTINGS = (
    "num_labels", "id2label", "label2id", "problem_type", "tie_word_embeddings", "hidden_act", "architectures",
    "dtype", "position_embedding_type", "is_decoder", "quantization_config", "type_vocab_size", "rms_norm_eps",
    "layer_norm_eps", "truncation_side", "padding_side", "model_max_length", "max_len", "add_prefix_space",
    "do_lower_case", "mask_token", "pad_token", "bos_token", "cls_token", "unk_token", "added_tokens_decoder",
    "extra_special_tokens", "tokenizer_class", "additional_special_tokens", "pooling_mode",
    "pooling_mode_cls_token", "pooling_mode_lasttoken", "include_prompt", "max_seq_length", "prompts",
    "default_prompt_name", "similarity_fn_name", "truncate_dim", "activation_fn", "kwargs",
    "sbert_ce_default_activation_function", "sentence_transformers", "activation_function", "use_residual",
    "weight_map", "model_args", "tokenizer_args", "processor_kwargs", "__metadata__", "dropout", "vocab", "merges",
    "byte_fallback",
)  # fmt: skip
REPLACE = {"type": "Replace", "pattern": {"String": "t"}, "content": "tt"}
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": False}
# Parts of a tokenizer.json that the tokenizers package knows, some of which grow a text without bound or take for ever.
COMPONENTS: dict[str, tuple[Any, ...]] = {
    "normalizer": (
        {"type": "NFC"}, {"type": "Lowercase"}, {"type": "StripAccents"}, {"type": "Prepend", "prepend": "a" * 1000},
        REPLACE, {"type": "Sequence", "normalizers": [REPLACE] * 36}, {"type": "Nmt"}, {"type": "ByteLevel"},
        {"type": "Replace", "pattern": {"Regex": "(t+)+$"}, "content": "<mask>"},
        {"type": "Sequence", "normalizers": []},
    ),
    "pre_tokenizer": (
        BYTE_LEVEL, {"type": "Whitespace"}, {"type": "Punctuation", "behavior": "Removed"}, {"type": "Sequence",
        "pretokenizers": [BYTE_LEVEL]}, {"type": "Split", "pattern": {"Regex": "."}, "behavior": "Isolated",
        "invert": True}, {"type": "Metaspace", "replacement": "_", "prepend_scheme": "always", "split": True},
    ),
    "post_processor": (
        {"type": "BertProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0]}, BYTE_LEVEL,
        {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 1}}], "pair": [],
         "special_tokens": {}},
    ),
    "decoder": ({"type": "WordPiece", "prefix": "##", "cleanup": True}, {"type": "Fuse"}),
    "truncation": ({"direction": "Left", "max_length": 3, "strategy": "LongestFirst", "stride": 0},),
    "padding": (
        {"strategy": {"Fixed": 30}, "direction": "Left", "pad_to_multiple_of": None, "pad_id": 1, "pad_type_id": 0,
         "pad_token": "<pad>"},
    ),
}  # fmt: skip


def mutate_component(data: bytes, rng: random.Random) -> bytes:
    """A tokenizer.json with another component, or other settings of its model or of an added token."""
    tree = json.loads(data)
    kind = rng.randrange(4)
    if kind < 2:
        name = rng.choice(sorted(COMPONENTS))
        tree[name] = rng.choice(COMPONENTS[name])
    elif kind == 2:
        name = rng.choice(("dropout", "unk_token", "continuing_subword_prefix", "fuse_unk", "byte_fallback", "type"))
        tree["model"][name] = rng.choice((None, 0.0, 0.5, 1.0, True, "<unk>", "WordLevel", "Unigram", ""))
    else:
        token = rng.choice(tree["added_tokens"])
        token[rng.choice(("lstrip", "rstrip", "normalized", "single_word", "special"))] ^= True
        token["content"] = rng.choice((token["content"], token["content"], "the", " ", "Ġcat"))
    return json.dumps(tree).encode()


def odd_value(rng: random.Random) -> Any:
    """A value of any JSON type that a file should not have where it is put."""
    value: Any = rng.choice(
        [rng.choice(ODD_TEXTS), rng.choice(ODD_NUMBERS), None, True, False, [], {}, [None], {"": 0}, "deep"]
    )
    if value == "deep":
        value = []
        for _ in range(rng.choice((3, 200))):
            value = [value] if rng.random() < 0.5 else {"a": value}
    return value


def _nodes(tree: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a JSON tree."""
    found: list[tuple[Any, Any]] = []
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        keys: Any = node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        for key in keys:
            found.append((node, key))
            waiting.append(node[key])
    return found


def mutate_tree(tree: Any, rng: random.Random) -> Any:
    """A JSON tree with up to three of its nodes changed, in place."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        nodes = _nodes(tree)
        if not nodes or rng.random() < 0.02:
            return odd_value(rng)
        # Deep nodes outnumber the others by far; go down a random path instead, half of the time.
        container, key = rng.choice(nodes)
        if rng.random() < 0.5:
            container = tree
            while True:
                key = rng.choice(list(container) if isinstance(container, dict) else range(len(container)))
                if not container[key] or not isinstance(container[key], dict | list) or rng.random() < 0.3:
                    break
                container = container[key]
        change = rng.randrange(6)
        if change == 0:
            del container[key]
        elif change == 1 and isinstance(container, dict):
            container[rng.choice([*ODD_TEXTS, *map(str, container)])] = container.pop(key)
        elif change == 2 and isinstance(container, dict):
            container[rng.choice(SETTINGS if rng.random() < 0.7 else ODD_TEXTS)] = odd_value(rng)
        elif change == 3 and isinstance(container[key], int | float):
            container[key] = container[key] + rng.choice((-1, 1, 8, 1000))
        elif change == 4:
            other, place = rng.choice(nodes)
            container[key] = other[place] if not isinstance(other[place], dict | list) else odd_value(rng)
        else:
            container[key] = odd_value(rng)
    return tree


def mutate_json(data: bytes, rng: random.Random) -> bytes:
    text = json.dumps(mutate_tree(json.loads(data), rng), ensure_ascii=rng.random() < 0.9)
    return text.encode("utf-8", "surrogatepass")


def mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    """Flipped bits, cuts, repetitions and insertions."""
    values = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        if not values:
            break
        start = rng.randrange(len(values)) if rng.random() < 0.5 else rng.randrange(min(len(values), 400))
        stop = start + rng.choice((1, 2, 8, 100))
        change = rng.randrange(6)
        if change == 0:
            values[start] ^= 1 << rng.randrange(8)
        elif change == 1:
            del values[start:stop]
        elif change == 2:
            del values[start:]
        elif change == 3:
            values[start:start] = values[start:stop]
        elif change == 4:
            values[start:start] = rng.choice(ODD_TEXTS).encode("utf-8", "surrogatepass")
        else:
            values[start:stop] = rng.randbytes(min(stop, len(values)) - start)
    return bytes(values)


def mutate_lines(data: bytes, rng: random.Random) -> bytes:
    """Lines that are dropped, doubled, swapped, joined, or get odd text or other separators."""
    lines = data.split(b"\n")
    for _ in range(rng.choice((1, 2, 4))):
        index, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        odd = rng.choice(ODD_TEXTS).encode("utf-8", "surrogatepass")
        change = rng.randrange(7)
        if change == 0 and len(lines) > 1:
            del lines[index]
        elif change == 1:
            lines.insert(other, lines[index])
        elif change == 2:
            lines[index], lines[other] = lines[other], lines[index]
        elif change == 3:
            cells = lines[index].split(b"\t")
            cells[rng.randrange(len(cells))] = odd
            lines[index] = b"\t".join(cells)
        elif change == 4:
            lines[index] = lines[index].replace(b"\t", rng.choice((b" ", b",", b"\t\t", b"")))
        elif change == 5:
            lines[index] += rng.choice((b"\t", b",", b'"', b"\r", b"\x85", b"\xc2\xa0", odd))
        else:
            lines[index] = odd
    return b"\n".join(lines)


def mutate_header(data: bytes, rng: random.Random) -> bytes:
    """A safetensors file whose header is mutated, and sometimes its stated length too."""
    length = int.from_bytes(data[:8], "little")
    header = mutate_json(data[8 : 8 + length], rng)
    stated = len(header) + rng.choice((0, 0, 0, 0, 1, -1, 2**40))
    return stated.to_bytes(8, "little", signed=True) + header + data[8 + length :]


def mutate_kind(path: Path, rng: random.Random) -> None:
    """Put something else in the place of a file: nothing, a folder, a link to a device, a FIFO."""
    path.unlink()
    change = rng.randrange(5)
    if change == 0:
        path.mkdir()
    elif change == 1:
        path.symlink_to(rng.choice(("/dev/zero", "/dev/null", "nowhere", path.name)))
    elif change == 2:
        os.mkfifo(path)
    elif change == 3:
        path.touch()


Mutation = Callable[[bytes, random.Random], bytes]


def mutation_for(name: str, rng: random.Random) -> Mutation:
    """A mutation that suits a file's name."""
    if rng.random() < 0.15:
        return mutate_bytes
    if name == "tokenizer.json" and rng.random() < 0.6:
        return mutate_component
    if name.endswith((".json", ".jsonl")):
        return mutate_lines if name.endswith("l") else mutate_json
    if name.endswith(".safetensors"):
        return mutate_header if rng.random() < 0.7 else mutate_bytes
    return mutate_lines
