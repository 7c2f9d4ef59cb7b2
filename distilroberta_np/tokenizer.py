"""`RobertaTokenizer`: RoBERTa's byte-level BPE (Radford et al. 2019, section 2.2), run by the tokenizers package."""

from __future__ import annotations

import json
import math
import operator
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar, overload

import numpy as np
from tokenizers import Encoding, Tokenizer
from tokenizers.normalizers import Lowercase
from tokenizers.normalizers import Sequence as NormalizerSequence

from .errors import TokenizerError
from .files import write_json, write_text
from .harmless import LOADING, check_harmless
from .layers.params import Array
from .messages import shown
from .pretrained import TOKENIZER, Pretrained
from .tokenizer_files import ROLES, SPECIAL_TOKENS, read_tokenizer, rust_errors

# Settings that are saved as they were read.
_SAVED = (
    *("tokenizer_class", "add_prefix_space", "trim_offsets", "truncation_side", "padding_side"),
    *("split_special_tokens", "model_input_names"),
)
_TRUNCATION = ("longest_first", "only_first", "only_second")
# What a call can return, by name: the attribute of an `Encoding`, and what it has at padding.
_RETURNED: dict[str, tuple[str, Any]] = {
    "input_ids": ("ids", None),  # the padding token
    "token_type_ids": ("type_ids", 0),
    "attention_mask": ("attention_mask", 0),
    "special_tokens_mask": ("special_tokens_mask", 1),
    "offset_mapping": ("offsets", (0, 0)),
}
_OVERRIDES = ("model_max_length", "padding_side", "truncation_side", "add_prefix_space")


class BatchEncoding(dict[str, Any]):
    """The result of a call: `result["input_ids"]` is `result.input_ids`, and `model(**result)` takes it."""

    def __init__(self, values: Mapping[str, Any], encodings: Sequence[Encoding] = ()) -> None:
        super().__init__(values)
        self.encodings = list(encodings)

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def tokens(self, batch_index: int = 0) -> list[str]:
        """The tokens of a text, as the vocabulary writes them, before padding."""
        return list(self.encodings[batch_index].tokens)

    def word_ids(self, batch_index: int = 0) -> list[int | None]:
        """Which word each token of a text belongs to, before padding; None for special tokens."""
        return list(self.encodings[batch_index].word_ids)

    def to(self, device: Any) -> BatchEncoding:
        """Return it unchanged: everything is on the CPU. Raises ValueError for another device."""
        if str(device) != "cpu":
            raise ValueError(f"device {shown(device)} is not supported: this package runs on the CPU")
        return self


class RobertaTokenizer(Pretrained):
    """Text to token ids and back. Thread-safe: encoding changes no state.

    Attributes:
        mask_token: the mask token as written in a text.
        pad_token, pad_token_id: the padding token, and its id.
        bos_token, eos_token, bos_token_id, eos_token_id: the tokens before and after a text, `<s>` and `</s>`, and
            their ids; also as cls_token and sep_token.
        unk_token, unk_token_id: the token for what the vocabulary does not have, and its id, or None.
        vocab_size: the number of tokens, added ones included.
        model_max_length: the maximum number of tokens, special ones included, by the settings; None if they have none.
        truncation_side, padding_side: "right" or "left".
        lowercase: whether texts are converted to lower case, as a folder of sentence-transformers can ask for.
    """

    lowercase = False

    PARTS: ClassVar[tuple[str, ...]] = (TOKENIZER,)

    def __init__(self, tokenizer: Tokenizer, settings: dict[str, Any] | None = None) -> None:
        """Wrap a `tokenizers.Tokenizer`, with the values of a tokenizer_config.json if there is one.

        Raises TokenizerError: it does not put one token before and one after a text, or has no padding token.
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
        self.bos_token_id = self.cls_token_id = ids[0]
        self.eos_token_id = self.sep_token_id = ids[-1]
        self.bos_token = self.cls_token = tokenizer.id_to_token(ids[0])
        self.eos_token = self.sep_token = tokenizer.id_to_token(ids[-1])
        self._special = {role: _text(settings.get(role), token) for role, token in SPECIAL_TOKENS.items()}
        self.pad_token, self.mask_token, self.unk_token = (
            self._special[role] for role in ("pad_token", "mask_token", "unk_token")
        )
        self.pad_token_id, self.unk_token_id = map(tokenizer.token_to_id, (self.pad_token, self.unk_token))
        if self.pad_token_id is None:
            raise TokenizerError(f"the vocabulary has no {self.pad_token}; a RoBERTa tokenizer needs it to pad")
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
        """The maximum number of tokens, special ones included, together with a model that reads that many."""
        return min(max_sequence_length, self.model_max_length or max_sequence_length)

    def encoding(self, text: str, pair: str | None = None, *, add_special_tokens: bool = True) -> Encoding:
        """Tokenize a text, or a pair of texts as `<s> text </s></s> pair </s>`.

        Returns the tokens with their `ids`, their `offsets` in characters, and `sequence_ids`: 0 for the text, 1 for
        the pair, None for special tokens.

        Raises:
            TypeError: not a string.
            TokenizerError: the text has a lone surrogate, which is not a character; the tokenizer fails; or the model
                would need token types other than 0.
        """
        encoding = self._encode(text, pair, add_special_tokens)
        if self._gives_token_types and any(encoding.type_ids):
            raise TokenizerError(
                "the tokenizer gives tokens the type 1, but only type 0 is supported; if the model was trained without "
                "token types, leave token_type_ids out of model_input_names in tokenizer_config.json"
            )
        return encoding

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

        The folder is created if it does not exist.
        """
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        saved = {name: self._settings[name] for name in _SAVED if self._settings.get(name) is not None}
        limit = {} if self.model_max_length is None else {"model_max_length": self.model_max_length}
        special = {role: token for role, token in self._special.items() if self.token_to_id(token) is not None}
        frame = {"cls_token": self.cls_token, "sep_token": self.sep_token}
        write_text(path / "tokenizer.json", self.to_json())
        saved = {"tokenizer_class": "RobertaTokenizer", **saved, **limit, **frame, **special}
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

    # -- the calls of transformers' tokenizers ----------------------------------------------------------------------

    def __call__(
        self,
        text: str | Sequence[Any],
        text_pair: str | Sequence[Any] | None = None,
        *,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        stride: int = 0,
        is_split_into_words: bool = False,
        return_tensors: str | None = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
    ) -> BatchEncoding:
        """Tokenize a text or a list of texts, alone or as pairs, for a model.

        Args:
            text, text_pair: a text, or a list of texts; with `is_split_into_words` a list of words, or a list of those.
            add_special_tokens: put `<s>` before the text, and `</s>` after each.
            padding: True or "longest" pads to the longest text of the batch, "max_length" to `max_length` or the
                maximum of the model.
            truncation: True or "longest_first", "only_first", "only_second": cut to `max_length`, or to the maximum of
                the model. `max_length` alone, without padding, cuts too.
            max_length: maximum number of tokens, special ones included.
            stride: tokens that neighbouring parts of a text share, with `return_overflowing_tokens`.
            is_split_into_words: whether texts come as lists of words.
            return_tensors: "np" for int64 arrays (B, S), "pt" for tensors of torch; None for lists.
            return_token_type_ids, return_attention_mask, return_overflowing_tokens, return_special_tokens_mask,
            return_offsets_mapping: whether the result has these.

        Raises:
            TypeError: not a text, or not a list of texts.
            ValueError: texts of different lengths for an array, or an argument with another value.
            TokenizerError: a text cannot be tokenized.
        """
        inner = text[0] if isinstance(text, list | tuple) and text else None
        batched = isinstance(inner, list | tuple) if is_split_into_words else not isinstance(text, str)
        if batched and isinstance(text_pair, str):
            raise TypeError("text_pair must be a list of texts, as text is one")
        texts = list(text) if batched else [text]
        pairs = [None] * len(texts) if text_pair is None else list(text_pair) if batched else [text_pair]
        if len(texts) != len(pairs):
            raise ValueError(f"there are {len(texts)} texts and {len(pairs)} in text_pair; give as many of both")
        if truncation == "do_not_truncate":
            truncation = False
        elif truncation is None:
            truncation = max_length is not None and padding is False
        strategy = _TRUNCATION[0] if truncation is True else truncation or None
        if strategy is not None and strategy not in _TRUNCATION:
            raise ValueError(f"truncation must be True, False or one of {', '.join(_TRUNCATION)}, not {strategy!r:.80}")
        limit = max_length if max_length is not None else self.model_max_length
        encodings, samples = [], []
        for index, pair in enumerate(zip(texts, pairs, strict=True)):
            encoding = self._encode(*pair, add_special_tokens, is_split_into_words, strategy, limit, stride)
            parts = [encoding, *(encoding.overflowing if return_overflowing_tokens else ())]
            encodings += parts
            samples += [index] * len(parts)
        returned = {
            "input_ids": True,
            "token_type_ids": self._gives_token_types if return_token_type_ids is None else return_token_type_ids,
            "attention_mask": return_attention_mask is not False,
            "special_tokens_mask": return_special_tokens_mask,
            "offset_mapping": return_offsets_mapping,
        }
        values: dict[str, list[Any]] = {
            name: [list(getattr(encoding, attribute)) for encoding in encodings]
            for name, (attribute, _) in _RETURNED.items()
            if returned[name]
        }
        self._pad_lists(values, padding, limit)
        if return_overflowing_tokens:
            values["overflow_to_sample_mapping"] = samples
        if not batched and return_tensors is None and not return_overflowing_tokens:
            values = {name: rows[0] for name, rows in values.items()}
        return BatchEncoding(_as_tensors(values, return_tensors), encodings)

    def _encode(
        self,
        text: Any,
        pair: Any,
        add_special_tokens: bool,
        is_split_into_words: bool = False,
        strategy: str | None = None,
        limit: int | None = None,
        stride: int = 0,
    ) -> Encoding:
        for part in (text,) if pair is None else (text, pair):
            for word in part if is_split_into_words and isinstance(part, list | tuple) else (part,):
                if not isinstance(word, str):
                    raise TypeError(f"a text must be a string, not {type(word).__name__}: {word!r:.80}")
                # Checked here, because some versions of the package would replace it.
                position = _lone_surrogate(word)
                if position is not None:
                    raise TokenizerError(
                        f"character {position} of the text is U+{ord(word[position]):04X}, half of a surrogate pair "
                        "and not a character; read the text with its own encoding, or with errors='replace'"
                    )
        arguments = {"is_pretokenized": is_split_into_words, "add_special_tokens": add_special_tokens}
        with rust_errors(f"the tokenizer cannot read the text {shown(text)}"):
            if strategy is None or limit is None:
                return self._tokenizer.encode(text, pair, **arguments)
            tokenizer, lock = self._truncating
            with lock:
                tokenizer.enable_truncation(limit, stride=stride, strategy=strategy, direction=self.truncation_side)
                return tokenizer.encode(text, pair, **arguments)

    @cached_property
    def _truncating(self) -> tuple[Tokenizer, Lock]:
        """A copy whose truncation can be set, one call at a time; the original never changes."""
        return Tokenizer.from_str(self._tokenizer.to_str()), Lock()

    def __getstate__(self) -> dict[str, Any]:
        """What copying and pickling take: all but a lock."""
        return {name: value for name, value in vars(self).items() if name != "_truncating"}

    def _pad_lists(self, values: dict[str, list[Any]], padding: bool | str, limit: int | None) -> None:
        """Pad rows in place: to the longest, or with "max_length" to the limit, if there is one."""
        if padding not in (True, False, "longest", "max_length", "do_not_pad"):
            raise ValueError(f"padding must be True, False, 'longest', 'max_length' or 'do_not_pad', not {padding!r}")
        if padding in (False, "do_not_pad") or (padding == "max_length" and limit is None):
            return
        length = limit if padding == "max_length" else max(map(len, values["input_ids"]), default=0)
        assert length is not None
        for name, rows in values.items():
            filler = self.pad_token_id if name == "input_ids" else _RETURNED[name][1]
            for row in rows:
                missing = [filler] * (length - len(row))
                row[:] = row + missing if self.padding_side == "right" else missing + row

    def pad(
        self,
        encoded: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        padding: bool | str = True,
        max_length: int | None = None,
        return_tensors: str | None = None,
    ) -> BatchEncoding:
        """Pad what calls returned, a mapping of lists or a list of mappings, to a batch.

        Raises ValueError: no ids, the result of a call with a single text, or values that cannot be padded.
        """
        if not isinstance(encoded, Mapping):
            encoded = {name: [item[name] for item in encoded] for name in (encoded[0] if encoded else {})}
        if "input_ids" not in encoded:
            raise ValueError(f"there are no input_ids to pad, only {', '.join(encoded) or 'nothing'}")
        unknown = encoded.keys() - _RETURNED.keys()
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))} cannot be padded; leave it out")
        if not all(isinstance(row, Iterable) for rows in encoded.values() for row in rows):
            raise ValueError("pad takes a batch; put the result of a call with a single text into a list")
        values = {name: [list(row) for row in rows] for name, rows in encoded.items()}
        values.setdefault("attention_mask", [[1] * len(row) for row in values["input_ids"]])
        self._pad_lists(values, padding, max_length or self.model_max_length)
        return BatchEncoding(_as_tensors(values, return_tensors))

    @overload
    def encode(self, text: str, text_pair: str | None = None, *, add_special_tokens: bool = True) -> list[int]: ...
    @overload
    def encode(self, text: Any, text_pair: Any = None, **arguments: Any) -> list[int] | list[list[int]] | Array: ...
    def encode(self, text: Any, text_pair: Any = None, **arguments: Any) -> Any:
        """The ids of a text or a pair; further arguments are those of a call."""
        return self(text, text_pair, **arguments)["input_ids"]

    def tokenize(self, text: str, pair: str | None = None, add_special_tokens: bool = False) -> list[str]:
        """The tokens of a text, as the vocabulary writes them."""
        return self(text, pair, add_special_tokens=add_special_tokens).tokens()

    @overload
    def decode(self, token_ids: int | Sequence[int], skip_special_tokens: bool = False) -> str: ...
    @overload
    def decode(self, token_ids: Sequence[Sequence[int]], skip_special_tokens: bool = False) -> list[str]: ...
    @overload
    def decode(self, token_ids: Array, skip_special_tokens: bool = False) -> str | list[str]: ...
    def decode(self, token_ids: Any, skip_special_tokens: bool = False) -> Any:
        """The text of tokens: an id, ids, or an array; a list of texts for rows of ids.

        Bytes that are not a complete character become U+FFFD.

        Raises:
            TypeError: an id is not an integer.
            TokenizerError: an id is outside the range of the tokenizers package.
        """
        ids = token_ids.tolist() if hasattr(token_ids, "tolist") else token_ids
        if isinstance(ids, list | tuple) and ids and isinstance(ids[0], list | tuple):
            return [self.decode(row, skip_special_tokens) for row in ids]
        ids = list(map(operator.index, ids)) if isinstance(ids, Iterable) else [operator.index(ids)]
        with rust_errors(f"the tokenizer cannot decode the tokens {shown(ids)}"):
            return self._tokenizer.decode(ids, skip_special_tokens=skip_special_tokens)

    def batch_decode(self, sequences: Iterable[Any], skip_special_tokens: bool = False) -> list[str]:
        """The text of each row of ids."""
        return [self.decode(row, skip_special_tokens) for row in sequences]

    @overload
    def convert_tokens_to_ids(self, tokens: str) -> int | None: ...  # type: ignore[overload-overlap]
    @overload
    def convert_tokens_to_ids(self, tokens: Sequence[str]) -> list[int | None]: ...
    def convert_tokens_to_ids(self, tokens: str | Sequence[str]) -> Any:
        """The id of a token as the vocabulary writes it, or else of the unknown token; the ids of several."""
        if not isinstance(tokens, str):
            return [self.convert_tokens_to_ids(token) for token in tokens]
        found = self.token_to_id(tokens)
        return self.unk_token_id if found is None else found

    @overload
    def convert_ids_to_tokens(self, ids: int, skip_special_tokens: bool = False) -> str | None: ...
    @overload
    def convert_ids_to_tokens(
        self, ids: Sequence[int] | Array, skip_special_tokens: bool = False
    ) -> list[str | None]: ...
    def convert_ids_to_tokens(self, ids: Any, skip_special_tokens: bool = False) -> Any:
        """The token of an id as the vocabulary writes it, or the tokens of several."""
        if hasattr(ids, "tolist"):
            ids = ids.tolist()
        if isinstance(ids, Iterable):
            special = set(self.all_special_ids) if skip_special_tokens else set()
            return [self.convert_ids_to_tokens(token_id) for token_id in ids if token_id not in special]
        index = operator.index(ids)
        return self._tokenizer.id_to_token(index) if 0 <= index < 2**32 else None

    def convert_tokens_to_string(self, tokens: Sequence[str]) -> str:
        """The text of tokens as the vocabulary writes them."""
        return str(self._tokenizer.decoder.decode(list(tokens)))

    def get_vocab(self) -> dict[str, int]:
        """The id of every token, added ones included."""
        return dict(self._tokenizer.get_vocab(with_added_tokens=True))

    def __len__(self) -> int:
        return self.vocab_size

    @property
    def special_tokens_map(self) -> dict[str, str]:
        """The special tokens by their roles, as far as the vocabulary has them."""
        tokens: dict[str, str] = {role: getattr(self, role) for role in ROLES}
        return {role: token for role, token in tokens.items() if self._tokenizer.token_to_id(token) is not None}

    @property
    def all_special_tokens(self) -> list[str]:
        """The special tokens, each once."""
        return list(dict.fromkeys(self.special_tokens_map.values()))

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of `all_special_tokens`."""
        ids = map(self._tokenizer.token_to_id, self.all_special_tokens)
        return [token_id for token_id in ids if token_id is not None]


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


def _as_tensors(values: Mapping[str, Any], kind: str | None) -> Mapping[str, Any]:
    if kind is None:
        return values
    if kind not in ("np", "pt"):
        raise ValueError(f"return_tensors must be 'np', 'pt' or None, not {kind!r:.80}")
    if len({len(row) for row in values["input_ids"]}) > 1:
        raise ValueError("the texts have different numbers of tokens; pad them with padding=True")
    arrays = {name: np.array(rows, np.int64) for name, rows in values.items()}
    if kind == "np":
        return arrays
    try:
        import torch
    except ModuleNotFoundError:
        raise TokenizerError("return_tensors='pt' needs PyTorch: pip install torch, or give 'np'") from None
    return {name: torch.from_numpy(array) for name, array in arrays.items()}
