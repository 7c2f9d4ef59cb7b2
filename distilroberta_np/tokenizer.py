"""`RobertaTokenizer`: RoBERTa's byte-level BPE (Radford et al. 2019, section 2.2), run by the tokenizers package."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from tokenizers import Encoding, Tokenizer
from tokenizers.normalizers import Lowercase
from tokenizers.normalizers import Sequence as NormalizerSequence

from .errors import TokenizerError
from .files import write_json, write_text
from .harmless import LOADING, check_harmless
from .messages import shown
from .pretrained import TOKENIZER, Pretrained
from .tokenizer_calls import TokenizerCalls
from .tokenizer_files import SPECIAL_TOKENS, read_tokenizer, rust_errors

# Settings that are saved as they were read.
_SAVED = (
    *("tokenizer_class", "add_prefix_space", "trim_offsets", "truncation_side", "padding_side"),
    *("split_special_tokens", "model_input_names"),
)
_OVERRIDES = ("model_max_length", "padding_side", "truncation_side", "add_prefix_space")


class RobertaTokenizer(TokenizerCalls, Pretrained):
    """Text to token ids and back. Thread-safe: encoding changes no state.

    Attributes:
        mask_token: the mask token as written in a text.
        pad_token, pad_token_id: the padding token, and its id.
        bos_token_id, eos_token_id: the ids of the tokens before and after a text, `<s>` and `</s>`.
        vocab_size: the number of tokens, added ones included.
        model_max_length: the maximum number of tokens, special ones included, by the settings; None if they have none.
        truncation_side, padding_side: "right" or "left".
        lowercase: whether texts are converted to lower case, as a folder of sentence-transformers can ask for.
    """

    lowercase = False

    PARTS: ClassVar[tuple[str, ...]] = (TOKENIZER,)

    def __init__(self, tokenizer: Tokenizer, settings: dict[str, Any] | None = None) -> None:
        """Wrap a `tokenizers.Tokenizer`, with the values of a tokenizer_config.json if there is one.

        Raises:
            TokenizerError: it does not put one token before and one after a text, or has no padding token.
        """
        settings = settings or {}
        self._tokenizer = tokenizer
        self._settings = settings
        with rust_errors("the tokenizer cannot read a text"):
            # Of a text, not of an empty one: a template can put both tokens before it.
            inner = tokenizer.encode("a", add_special_tokens=False).ids
            ids = tokenizer.encode("a").ids
        if len(ids) < 2 or ids[1:-1] != inner:
            raise TokenizerError("it does not put one token before a text and one after it, as RoBERTa's does")
        self.bos_token_id, self.eos_token_id = ids[0], ids[-1]
        special = {role: _text(settings.get(role), token) for role, token in SPECIAL_TOKENS.items()}
        pad_token_id = tokenizer.token_to_id(special["pad_token"])
        if pad_token_id is None:
            raise TokenizerError(f"the vocabulary has no {special['pad_token']}; a RoBERTa tokenizer needs it to pad")
        self.pad_token, self.pad_token_id = special["pad_token"], pad_token_id
        self.mask_token = special["mask_token"]
        self.vocab_size: int = tokenizer.get_vocab_size(with_added_tokens=True)
        # "No limit" is written as an enormous number (1e30). Old files have another name for it.
        length = settings.get("model_max_length", settings.get("max_len"))
        if not isinstance(length, int | float) or isinstance(length, bool) or not 1 <= length < 1_000_000:
            length = None
        self.model_max_length = None if length is None else int(length)
        self._gives_token_types = "token_type_ids" in (settings.get("model_input_names") or ())
        self.truncation_side: str = settings.get("truncation_side") or "right"
        self.padding_side: str = settings.get("padding_side") or "right"

    @classmethod
    def from_folder(
        cls, folder: Path, overrides: Mapping[str, Any] | None = None, *, lowercase: bool = False, **options: Any
    ) -> RobertaTokenizer:
        """Read tokenizer.json, or else vocab.json and merges.txt, with tokenizer_config.json, special_tokens_map.json
        and added_tokens.json if they are there.

        Args:
            folder: the folder of the files.
            overrides: settings that take precedence over those of tokenizer_config.json.
            lowercase: convert texts to lower case.
            options: overrides by their names, such as model_max_length=128 or padding_side="left"; and arguments of
                transformers that change nothing here, such as use_fast=True.

        Raises:
            TokenizerError: files are missing or malformed, or need something that is not supported.
            TypeError, ValueError: an unknown option, or one that would change something else.
        """
        named = {name: options.pop(name) for name in _OVERRIDES if name in options}
        check_harmless(LOADING, options)
        tokenizer, settings = read_tokenizer(folder, {**(overrides or {}), **named})
        if lowercase:
            steps = [Lowercase()] if tokenizer.normalizer is None else [Lowercase(), tokenizer.normalizer]
            tokenizer.normalizer = NormalizerSequence(steps)
        try:
            result = cls(tokenizer, settings)
        except TokenizerError as error:
            raise TokenizerError(f"{folder}: the tokenizer: {error}") from None
        result.lowercase = lowercase
        return result

    @property
    def mask_token_id(self) -> int:
        """The id of the mask token. Raises TokenizerError if the tokenizer has none."""
        token_id = self._tokenizer.token_to_id(self.mask_token)
        if token_id is None:
            raise TokenizerError(f"the tokenizer has no mask token {self.mask_token}")
        return token_id

    def __repr__(self) -> str:
        length = "" if self.model_max_length is None else f", model_max_length={self.model_max_length}"
        return f"{type(self).__name__}(vocab_size={self.vocab_size}{length})"

    @cached_property
    def longest_token(self) -> float:
        """The maximum number of characters of a token; infinity if the tokenizer normalizes texts."""
        return max(map(len, self._tokenizer.get_vocab())) if self._tokenizer.normalizer is None else math.inf

    def longest_text(self, max_sequence_length: int) -> int:
        """The maximum number of tokens, special ones included, together with a model that reads so many."""
        return min(max_sequence_length, self.model_max_length or max_sequence_length)

    def encoding(self, text: str, pair: str | None = None, *, add_special_tokens: bool = True) -> Encoding:
        """Tokenize a text, or a pair of texts as `<s> text </s></s> pair </s>`.

        Returns:
            The tokens with their `ids`, their `offsets` in characters, and `sequence_ids`: 0 for the text, 1 for the
            pair, None for special tokens.

        Raises:
            TypeError: not a string.
            TokenizerError: the text has a lone surrogate, which is not a character; the tokenizer fails; or the model
                would need token types other than 0.
        """
        for part in (text,) if pair is None else (text, pair):
            self._check_text(part)
        with rust_errors(f"the tokenizer cannot read the text {shown(text)}"):
            encoding = self._tokenizer.encode(text, pair, add_special_tokens=add_special_tokens)
        if self._gives_token_types and any(encoding.type_ids):
            raise TokenizerError(
                "the tokenizer gives tokens the type 1, but only type 0 is supported; if the model was trained without "
                "token types, leave token_type_ids out of model_input_names in tokenizer_config.json"
            )
        return encoding

    def _check_text(self, text: object) -> None:
        if not isinstance(text, str):
            raise TypeError(f"a text must be a string, not a {type(text).__name__}: {text!r:.80}")
        # Checked here, because some versions of the package would replace it.
        position = _lone_surrogate(text)
        if position is not None:
            raise TokenizerError(
                f"character {position} of the text is U+{ord(text[position]):04X}, half of a surrogate pair and "
                "not a character; read the text with its own encoding, or with errors='replace'"
            )

    def to_json(self) -> str:
        """The text of a tokenizer.json. It does not have `lowercase`, which is not a setting of tokenizers."""
        text: str = self._tokenizer.to_str(pretty=True)
        if not self.lowercase:
            return text
        values = json.loads(text)
        steps = values["normalizer"]["normalizers"][1:]
        return json.dumps({**values, "normalizer": steps[0] if steps else None}, indent=2, ensure_ascii=False)

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write tokenizer.json and tokenizer_config.json, with which this package and transformers make the same ids.

        Args:
            folder: created if it does not exist.
        """
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        frame = {"cls_token": self.bos_token_id, "sep_token": self.eos_token_id}
        settings = {role: self.id_to_token(token_id) for role, token_id in frame.items()}
        for role, token in SPECIAL_TOKENS.items():
            text = _text(self._settings.get(role), token)
            if self.token_to_id(text) is not None:
                settings[role] = text
        saved = {name: self._settings[name] for name in _SAVED if self._settings.get(name) is not None}
        limit = {} if self.model_max_length is None else {"model_max_length": self.model_max_length}
        write_text(path / "tokenizer.json", self.to_json())
        saved = {"tokenizer_class": "RobertaTokenizer", **saved, **limit, **settings}
        write_json(path / "tokenizer_config.json", saved)

    def token_to_id(self, token: str) -> int | None:
        """The id of a token as the vocabulary writes it (`ĠParis`), or None."""
        return self._tokenizer.token_to_id(token) if _lone_surrogate(token) is None else None

    def id_to_token(self, token_id: int) -> str:
        """The token of an id as the vocabulary writes it (`ĠParis`). Raises ValueError if there is none."""
        token = self._tokenizer.id_to_token(token_id) if 0 <= token_id < 2**32 else None
        if token is None:
            raise ValueError(f"no token has the id {token_id}; the vocabulary has {self.vocab_size}")
        return token


def _lone_surrogate(text: str) -> int | None:
    """The position of the first half of a surrogate pair in a text; None if there is none."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return error.start
    return None


def _text(value: Any, usual: str) -> str:
    """A special token that the settings write as a string, or as an object with its flags."""
    return str((value.get("content") if isinstance(value, dict) else value) or usual)
