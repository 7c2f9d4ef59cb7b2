"""From a folder's files to a tokenizer, by the rules of transformers.

tokenizer.json has everything, or else vocab.json and merges.txt the vocabulary. tokenizer_config.json,
special_tokens_map.json and added_tokens.json say what is different or additional. Nothing is handed to the tokenizers
package before it is bounded and known: its Rust code would wait for pipes, exhaust the memory, or abort the process.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import RobertaProcessing

from .errors import TokenizerError
from .files import parse_json, read_json, read_text
from .messages import shown

# RoBERTa's special tokens by their roles, in the order of their ids.
SPECIAL_TOKENS = {
    "bos_token": "<s>",
    "pad_token": "<pad>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "mask_token": "<mask>",
}
# All roles, in the order in which transformers adds missing tokens. A text stands between cls_token and sep_token.
ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_USUAL = {**SPECIAL_TOKENS, "cls_token": "<s>", "sep_token": "</s>"}

# The classes of transformers that build RoBERTa's tokenizer from the vocabulary. Others use tokenizer.json as it is.
_ROBERTA_CLASSES = ("RobertaTokenizer", "LongformerTokenizer", "BartTokenizer")
# Settings that would replace the files.
_REFUSED = ("vocab", "merges", "post_processor", "tokenizer_object")

_KNOWN = {
    "model": ("BPE", "WordPiece", "WordLevel", "Unigram"),
    "normalizer": (
        *("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Strip", "Nmt", "Precompiled", "BertNormalizer"),
        *("Prepend", "Replace"),
    ),
    "pre_tokenizer": (
        *("ByteLevel", "BertPreTokenizer", "Metaspace", "Whitespace", "WhitespaceSplit", "Punctuation", "Digits"),
        *("CharDelimiterSplit", "UnicodeScripts"),
    ),
    "post_processor": ("RobertaProcessing", "BertProcessing", "TemplateProcessing", "ByteLevel"),
    "decoder": ("ByteLevel", "WordPiece", "Metaspace", "BPEDecoder", "ByteFallback", "Fuse", "Strip", "Replace"),
}
# The key of a Sequence's components.
_SEQUENCES = {
    "normalizer": "normalizers",
    "pre_tokenizer": "pretokenizers",
    "post_processor": "processors",
    "decoder": "decoders",
}
_SPACES = " {2,}"  # the only regular expression that is known; others can take exponential time
_MOST_GROWTH = 20  # of a text, by all its normalizers
_MOST_COMPONENTS = 100


def read_tokenizer(folder: Path, overrides: Mapping[str, Any] | None = None) -> tuple[Tokenizer, dict[str, Any]]:
    """Read the tokenizer of a folder.

    `overrides` take precedence over the settings of tokenizer_config.json.

    Returns the tokenizer, and the settings of tokenizer_config.json together with those of the other files. Raises
    TokenizerError: files are missing, malformed, or need something that is not supported.
    """
    settings = {**(_read_object(folder / "tokenizer_config.json") or {}), **(overrides or {})}
    if settings.get("tokenizer_class") is None:
        settings["tokenizer_class"] = (_read_object(folder / "config.json") or {}).get("tokenizer_class")
    path = folder / "tokenizer.json"
    text = read_text(path, TokenizerError) if path.exists() else None
    if text is not None:
        content = _object(path, parse_json(text, path, TokenizerError))
    else:
        path = folder / "vocab.json"
        if not (path.exists() and (folder / "merges.txt").exists()):
            raise TokenizerError(f"{folder}: has no tokenizer.json, and no vocab.json with merges.txt")
        lines = read_text(folder / "merges.txt", TokenizerError).split("\n")
        merges = [line.rstrip("\r") for line in lines if line.strip() and not line.startswith("#version")]
        content = {"model": {"type": "BPE", "vocab": _read_object(path), "merges": merges}}
    try:
        _check_settings(settings)
        tokens = _added_tokens(folder, settings, content.get("added_tokens"))
        with rust_errors("not a tokenizer that can be read"):
            return _build(text, content, settings, tokens), settings
    except TokenizerError as error:
        raise TokenizerError(f"{path}: {error}") from None


@contextmanager
def rust_errors(what: str) -> Iterator[None]:
    """Turn the errors of the tokenizers package into a TokenizerError.

    It reports most problems as plain Exceptions, and panics on some, which are BaseExceptions.
    """
    try:
        yield
    except (TokenizerError, MemoryError):
        raise
    except Exception as error:
        raise TokenizerError(f"{what}: {error}") from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise TokenizerError(f"{what}: {error}") from None


def make_roberta(
    tokenizer: Tokenizer, settings: Mapping[str, Any] | None = None, tokens: Iterable[AddedToken] = ()
) -> Tokenizer:
    """Give a byte-level BPE the pre-tokenizer, decoder, special tokens and post-processor of RoBERTa.

    `tokens` are added before the special tokens that the vocabulary lacks.
    """
    settings = _USUAL | {name: value for name, value in (settings or {}).items() if value is not None}
    prefix, trim = _flag(settings, "add_prefix_space", False), _flag(settings, "trim_offsets", True)
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=prefix)
    tokenizer.decoder = ByteLevelDecoder()
    tokens = list(tokens)
    cls, sep, pad = (_content(role, settings[role]) for role in ("cls_token", "sep_token", "pad_token"))
    for token in (cls, sep, pad):
        if tokenizer.token_to_id(token) is None and token not in {token.content for token in tokens}:
            raise TokenizerError(f"the vocabulary has no {token}; a RoBERTa tokenizer needs {cls}, {sep} and {pad}")
    _add(tokenizer, settings, tokens)
    after, before = ((token, tokenizer.token_to_id(token) or 0) for token in (sep, cls))
    # By position: versions of the package have different names for the second argument.
    tokenizer.post_processor = RobertaProcessing(after, before, trim, prefix)
    return tokenizer


# -- the files -------------------------------------------------------------------------------------------------------


def _read_object(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    return _object(path, read_json(path, TokenizerError))


def _object(path: Path, values: Any) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise TokenizerError(f"{path}: must be a JSON object, not {type(values).__name__}")
    return values


def _check_settings(settings: Mapping[str, Any]) -> None:
    for name in _REFUSED:
        if settings.get(name) is not None:
            raise TokenizerError(f"tokenizer_config.json: {name} is not supported")
    names = settings.get("fast_tokenizer_files") or []
    if not isinstance(names, list) or any(name != "tokenizer.json" for name in names):
        raise TokenizerError(
            f"tokenizer_config.json: fast_tokenizer_files {shown(names)} is not supported, only tokenizer.json"
        )
    for name in ("truncation_side", "padding_side"):
        if settings.get(name) not in (None, "left", "right"):
            raise TokenizerError(f"tokenizer_config.json: {name} must be left or right, not {shown(settings[name])}")
    inputs = settings.get("model_input_names")
    if inputs is not None and (not isinstance(inputs, list) or not all(isinstance(name, str) for name in inputs)):
        raise TokenizerError(f"tokenizer_config.json: model_input_names must be a list of names, not {shown(inputs)}")
    if not isinstance(settings.get("tokenizer_class") or "", str):
        raise TokenizerError(f"tokenizer_config.json: tokenizer_class {shown(settings['tokenizer_class'])} is no name")


def _flag(settings: Mapping[str, Any], name: str, default: bool) -> bool:
    value = settings.get(name)
    if value is not None and not isinstance(value, bool):
        raise TokenizerError(f"tokenizer_config.json: {name} must be true or false, not {shown(value)}")
    return default if value is None else value


# -- special and added tokens ------------------------------------------------------------------------------------------


def _added_tokens(folder: Path, settings: dict[str, Any], in_json: Any) -> dict[int, AddedToken]:
    """The added tokens of all files by their ids. Settings of special_tokens_map.json join the others."""
    if settings.get("added_tokens_decoder") is not None:
        decoder = settings["added_tokens_decoder"]
        if not isinstance(decoder, dict):
            raise TokenizerError(f"added_tokens_decoder must be a JSON object, not {shown(decoder)}")
        return _by_id(decoder.items(), "added_tokens_decoder")
    extra = _extra_tokens(settings)
    for name, value in (_read_object(folder / "special_tokens_map.json") or {}).items():
        # It goes before the settings for tokens with a role, and after them for others.
        if name in ROLES or (name not in settings and (name != "additional_special_tokens" or not extra)):
            settings[name] = value
        elif name == "extra_special_tokens" and isinstance(value, list):
            settings[name] = [*extra, *value]
    special = {_content(role, settings[role]) for role in ROLES if settings.get(role) is not None}
    special |= {_content("a special token", token) for token in _extra_tokens(settings)}
    tokens: dict[int, AddedToken] = {}
    for content, token_id in (_read_object(folder / "added_tokens.json") or {}).items():
        flags = {"normalized": content not in special, "special": content in special}
        tokens |= _by_id([(token_id, {"content": content, **flags})], "added_tokens.json")
    if in_json is not None:
        if not isinstance(in_json, list) or not all(isinstance(entry, dict) for entry in in_json):
            raise TokenizerError(f"not a tokenizer that can be read: added_tokens must be a list, not {shown(in_json)}")
        tokens |= _by_id(((entry.get("id"), entry) for entry in in_json), "added_tokens")
    return tokens


def _by_id(items: Iterable[tuple[Any, Any]], source: str) -> dict[int, AddedToken]:
    tokens = {}
    for token_id, value in items:
        if not str(token_id).isascii() or not str(token_id).isdecimal() or not isinstance(value, dict):
            raise TokenizerError(f"not a tokenizer that can be read: {source} has {shown(value)} as {shown(token_id)}")
        tokens[int(token_id)] = _token(source, value)
    return tokens


def _token(source: str, value: Any) -> AddedToken:
    """A token that is written as a string, or as an object with its flags."""
    flags = value if isinstance(value, dict) else {}
    names = ("single_word", "lstrip", "rstrip", "normalized", "special")
    return AddedToken(_content(source, value), **{name: bool(flags[name]) for name in names if name in flags})


def _content(source: str, value: Any) -> str:
    content = value.get("content") if isinstance(value, dict) else value
    if not isinstance(content, str) or not content:
        raise TokenizerError(f"{source} must be a string, not {shown(value)}")
    try:
        content.encode()
    except UnicodeEncodeError as error:
        raise TokenizerError(f"{source} {shown(value)}: {error.reason}") from None
    return content


def _extra_tokens(settings: Mapping[str, Any]) -> list[Any]:
    """The special tokens without a role."""
    extra = settings.get("extra_special_tokens") or settings.get("additional_special_tokens") or []
    extra = list(extra.values()) if isinstance(extra, dict) else extra
    if not isinstance(extra, list):
        raise TokenizerError(f"extra_special_tokens must be a list of tokens, not {shown(extra)}")
    others = (value for name, value in settings.items() if name.endswith("_token") and name not in ROLES)
    return [*extra, *(value for value in others if isinstance(value, str))]


def _add(tokenizer: Tokenizer, settings: Mapping[str, Any], tokens: Iterable[AddedToken]) -> None:
    """Add the tokens that the tokenizer lacks, and those of the settings, in the order of transformers."""
    known = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    missing = {token.content: token for token in tokens if token.content not in known}
    for role in ROLES:
        value = settings.get(role)
        if value is not None and _content(role, value) not in known | missing.keys():
            # Without flags of its own, RoBERTa's mask takes the space before it, which transformers 5 forgets.
            own = value if isinstance(value, dict) else {"lstrip": role == "mask_token"}
            token = _token(role, {"content": _content(role, value), **own, "special": True})
            missing[token.content] = token
    for value in _extra_tokens(settings):
        token = _token("a special token", value if isinstance(value, dict) else {"content": value, "special": True})
        if token.content not in known | missing.keys():
            missing[token.content] = token
    tokenizer.add_tokens(list(missing.values()))


# -- the tokenizer -----------------------------------------------------------------------------------------------------


def _build(
    text: str | None, content: dict[str, Any], settings: dict[str, Any], tokens: dict[int, AddedToken]
) -> Tokenizer:
    """The tokenizer, from the content of a tokenizer.json and its text, if there is one."""
    if content.get("version", "1.0") != "1.0":
        raise TokenizerError(f"version {shown(content['version'])} of the format is not supported, only '1.0'")
    model = content.get("model")
    if not isinstance(model, dict):
        raise TokenizerError(f"not a tokenizer that can be read: model must be an object, not {shown(model)}")
    name = settings.get("tokenizer_class") or "RobertaTokenizer"
    in_order = [token for _, token in sorted(tokens.items())]
    if name.removesuffix("Fast") in _ROBERTA_CLASSES and (model.get("type") or "BPE") == "BPE" and "merges" in model:
        _check_roberta(content, settings)
        # Without the options that transformers leaves out, the text gives the same tokenizer, three times as fast.
        plain = model.get("dropout") is None and model.get("unk_token") is None and not model.get("fuse_unk")
        if text is not None and settings.get("added_tokens_decoder") is None and plain:
            tokenizer = Tokenizer.from_str(text)
        else:
            merges: Any = [tuple(merge.split(" ") if isinstance(merge, str) else merge) for merge in model["merges"]]
            tokenizer = Tokenizer(BPE(model.get("vocab"), merges))
        make_roberta(tokenizer, settings, in_order)
    else:
        _check_components(content)
        if model.get("dropout") is not None:
            content = content | {"model": model | {"dropout": None}}
        tokenizer = Tokenizer.from_str(json.dumps(content))
        _add(tokenizer, settings, in_order)
    for token_id, token in tokens.items():
        if tokenizer.token_to_id(token.content) != token_id:
            raise TokenizerError(
                f"the added token {shown(token.content)} must have the id {token_id}, but the vocabulary gives it "
                f"{tokenizer.token_to_id(token.content)}"
            )
    for side in ("truncation", "padding"):
        values = content.get(side)
        direction = values.get("direction") if isinstance(values, dict) else None
        if isinstance(direction, str):
            settings.setdefault(f"{side}_side", direction.lower())
    if settings.get("model_input_names") is None and name.removesuffix("Fast") not in _ROBERTA_CLASSES:
        settings["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]  # as in transformers
    # A tokenizer.json can ask for padding and truncation; both are done elsewhere.
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if _flag(settings, "split_special_tokens", False):
        tokenizer.encode_special_tokens = True
    return tokenizer


def _check_roberta(content: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Refuse components of a tokenizer.json that transformers 5 replaces, and earlier versions follow."""
    way_out = "; set tokenizer_class to PreTrainedTokenizerFast in tokenizer_config.json to use it"
    if content.get("normalizer") is not None:
        raise TokenizerError(f"normalizer {shown(content['normalizer'])} is not supported for RoBERTa{way_out}")
    model = content["model"]
    for name in ("continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges"):
        if model.get(name):
            raise TokenizerError(f"{name} {shown(model[name])} is not supported for RoBERTa{way_out}")
    if "pre_tokenizer" in content:
        splitter = content["pre_tokenizer"]
        if not isinstance(splitter, dict) or splitter.get("type") != "ByteLevel" or splitter.get("use_regex") is False:
            raise TokenizerError(f"pre_tokenizer {shown(splitter)} is not supported for RoBERTa{way_out}")
        first, last = (_content(role, settings.get(role) or _USUAL[role]) for role in ("cls_token", "sep_token"))
        if _frame(content.get("post_processor")) != (first, last):
            raise TokenizerError(f"its post_processor does not put {first} before a text and {last} after it")


def _frame(processor: Any) -> tuple[Any, Any] | None:
    """The tokens that a post-processor puts before and after a text, if it puts one on each side."""
    try:
        if processor["type"] == "RobertaProcessing":
            return processor["cls"][0], processor["sep"][0]
        first, text, last = processor["single"]
        return (first["SpecialToken"]["id"], last["SpecialToken"]["id"]) if "Sequence" in text else None
    except (KeyError, TypeError, ValueError, IndexError):
        return None


def _check_components(content: Mapping[str, Any]) -> None:
    """Refuse components that are not known, and normalizers that make texts much longer."""
    count, growth = 0, 1.0
    waiting = [(kind, content.get(kind)) for kind in _KNOWN]
    while waiting:
        kind, component = waiting.pop()
        count += 1
        if count > _MOST_COMPONENTS:
            raise TokenizerError(f"has more than {_MOST_COMPONENTS} components")
        if component is None:
            continue
        name = component.get("type", "BPE" if kind == "model" else None) if isinstance(component, dict) else None
        if name == "Sequence" and kind in _SEQUENCES:
            parts = component.get(_SEQUENCES[kind])
            if not isinstance(parts, list):
                raise TokenizerError(f"not a tokenizer that can be read: {kind} {shown(component)}")
            waiting += [(kind, part) for part in parts]
        elif name not in _KNOWN[kind]:
            raise TokenizerError(f"the {kind} {shown(name if name is not None else component)} is not supported")
        elif name == "Replace":
            growth *= _growth(component)
        elif name == "Prepend":
            growth += len(str(component.get("prepend")))
    if growth > _MOST_GROWTH:
        raise TokenizerError(f"its normalizers can make a text {growth:,.0f} times as long; at most {_MOST_GROWTH}")


def _growth(replace: Mapping[str, Any]) -> float:
    """How much longer a Replace can make a text."""
    pattern, content = replace.get("pattern"), replace.get("content")
    if pattern == {"Regex": _SPACES} and isinstance(content, str):
        return max(1.0, len(content.encode()) / 2)
    text = pattern.get("String") if isinstance(pattern, dict) else None
    if not isinstance(text, str) or not text or not isinstance(content, str):
        raise TokenizerError(f"Replace with the pattern {shown(pattern)} is not supported, only with a text")
    return max(1.0, len(content.encode()) / len(text.encode()))
