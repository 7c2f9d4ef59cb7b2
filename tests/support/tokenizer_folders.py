"""Folders of tokenizers with settings of all kinds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.seeded import MERGES, VOCAB_SIZE, config_dict, tokenizer_dict, write_json

# transformers takes the tokenizer.json of this class as it is.
GENERIC = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>"}


def token(content: str, **flags: bool) -> dict[str, Any]:
    """An added token as tokenizer_config.json writes it."""
    usual = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": True, "special": False}
    return {"content": content, **usual, **flags}


def decoder(*tokens: Mapping[str, Any]) -> dict[str, Any]:
    """An added_tokens_decoder: RoBERTa's own tokens, and then these."""
    entries = tokenizer_dict()["added_tokens"]
    own = {str(entry["id"]): {name: flag for name, flag in entry.items() if name != "id"} for entry in entries}
    return own | {str(VOCAB_SIZE + number): dict(entry) for number, entry in enumerate(tokens)}


def write_tokenizer(
    folder: Path,
    settings: Mapping[str, Any] | None = None,
    *,
    files: Mapping[str, Any] | None = None,
    vocab: bool = False,
    **parts: Any,
) -> Path:
    """Write a config.json and a tokenizer into a folder.

    Args:
        settings: the content of tokenizer_config.json, if any.
        files: the contents of other JSON files.
        vocab: write vocab.json and merges.txt, and no tokenizer.json.
        parts: of tokenizer.json, instead of the usual ones.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values = tokenizer_dict() | parts
    write_json(folder / "config.json", config_dict())
    if vocab:
        added = {entry["content"]: entry["id"] for entry in values["added_tokens"]}
        write_json(folder / "vocab.json", values["model"]["vocab"] | added)
        (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *MERGES]) + "\n", encoding="utf-8")
    else:
        write_json(folder / "tokenizer.json", values)
    if settings is not None:
        write_json(folder / "tokenizer_config.json", settings)
    for name, content in (files or {}).items():
        write_json(folder / name, content)
    return folder
