"""The calls of a tokenizer that scripts use, with the arguments and results of transformers."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from threading import Lock
from typing import Any, overload

import numpy as np
from tokenizers import Encoding, Tokenizer

from .errors import TokenizerError
from .layers.params import Array
from .messages import shown
from .tokenizer_files import ROLES, SPECIAL_TOKENS, rust_errors

_TRUNCATION = ("longest_first", "only_first", "only_second")
_FROM_ENCODING = {
    "input_ids": "ids",
    "token_type_ids": "type_ids",
    "attention_mask": "attention_mask",
    "special_tokens_mask": "special_tokens_mask",
    "offset_mapping": "offsets",
}
_PADDING = {"token_type_ids": 0, "attention_mask": 0, "special_tokens_mask": 1, "offset_mapping": (0, 0)}


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


class TokenizerCalls:
    """What `RobertaTokenizer` can be asked, given how it makes an `Encoding`."""

    _tokenizer: Tokenizer
    _settings: dict[str, Any]
    pad_token: str
    pad_token_id: int
    mask_token: str
    bos_token_id: int
    eos_token_id: int
    model_max_length: int | None
    truncation_side: str
    padding_side: str

    def _check_text(self, text: object) -> None:
        raise NotImplementedError

    @cached_property
    def _truncating(self) -> tuple[Tokenizer, Lock]:
        """A copy whose truncation can be set, one call at a time; the original never changes."""
        return Tokenizer.from_str(self._tokenizer.to_str()), Lock()

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
            add_special_tokens: put `<s>` and `</s>` around.
            padding: True or "longest" pads to the longest text of the batch, "max_length" to `max_length` or the
                maximum of the model.
            truncation: True or "longest_first", "only_first", "only_second": cut to `max_length`, or to the maximum of
                the model. `max_length` alone, without padding, cuts too.
            max_length: maximum number of tokens, special ones included.
            stride: tokens that neighboring parts of a text share, with `return_overflowing_tokens`.
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
        texts = list(text) if batched else [text]
        pairs = [None] * len(texts) if text_pair is None else list(text_pair) if batched else [text_pair]
        if len(texts) != len(pairs):
            raise ValueError(f"there are {len(texts)} texts and {len(pairs)} in text_pair; give as many of both")
        strategy = _truncation(truncation, max_length is not None and padding is False)
        limit = max_length if max_length is not None else self.model_max_length
        encodings, samples = [], []
        for index, pair in enumerate(zip(texts, pairs, strict=True)):
            encoding = self._encode_with(*pair, add_special_tokens, is_split_into_words, strategy, limit, stride)
            parts = [encoding, *(encoding.overflowing if return_overflowing_tokens else ())]
            encodings += parts
            samples += [index] * len(parts)
        wanted = {
            "input_ids": True,
            "token_type_ids": "token_type_ids" in (self._settings.get("model_input_names") or ())
            if return_token_type_ids is None
            else return_token_type_ids,
            "attention_mask": return_attention_mask is not False,
            "special_tokens_mask": return_special_tokens_mask,
            "offset_mapping": return_offsets_mapping,
        }
        values: dict[str, list[Any]] = {
            name: [list(getattr(encoding, _FROM_ENCODING[name])) for encoding in encodings]
            for name, present in wanted.items()
            if present
        }
        self._pad_lists(values, padding, limit)
        if return_overflowing_tokens:
            values["overflow_to_sample_mapping"] = samples
        if not batched and return_tensors is None and not return_overflowing_tokens:
            values = {name: rows[0] for name, rows in values.items()}
        return BatchEncoding(_as_tensors(values, return_tensors), encodings)

    def _encode_with(
        self,
        text: Any,
        pair: Any,
        add_special_tokens: bool,
        is_split_into_words: bool,
        strategy: str | None,
        limit: int | None,
        stride: int,
    ) -> Encoding:
        for part in (text,) if pair is None else (text, pair):
            for piece in part if is_split_into_words and isinstance(part, list | tuple) else (part,):
                self._check_text(piece)
        arguments = {"is_pretokenized": is_split_into_words, "add_special_tokens": add_special_tokens}
        with rust_errors(f"the tokenizer cannot read the text {shown(text)}"):
            if strategy is None or limit is None:
                return self._tokenizer.encode(text, pair, **arguments)
            tokenizer, lock = self._truncating
            with lock:
                tokenizer.enable_truncation(limit, stride=stride, strategy=strategy, direction=self.truncation_side)
                return tokenizer.encode(text, pair, **arguments)

    def _pad_lists(self, values: dict[str, list[Any]], padding: bool | str, limit: int | None) -> None:
        """Pad rows in place: to the longest, or with "max_length" to the limit, if there is one."""
        if padding not in (True, False, "longest", "max_length", "do_not_pad"):
            raise ValueError(f"padding must be True, False, 'longest', 'max_length' or 'do_not_pad', not {padding!r}")
        if padding in (False, "do_not_pad") or (padding == "max_length" and limit is None):
            return
        length = limit if padding == "max_length" else max(map(len, values["input_ids"]), default=0)
        assert length is not None
        for name, rows in values.items():
            filler = self.pad_token_id if name == "input_ids" else _PADDING[name]
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
        """Pad what calls returned, a mapping of lists or a list of mappings, to a batch."""
        if not isinstance(encoded, Mapping):
            encoded = {name: [item[name] for item in encoded] for name in (encoded[0] if encoded else {})}
        values = {name: [list(row) for row in rows] for name, rows in encoded.items()}
        if "input_ids" not in values:
            raise ValueError(f"there are no input_ids to pad, only {', '.join(values) or 'nothing'}")
        values.setdefault("attention_mask", [[1] * len(row) for row in values["input_ids"]])
        unknown = values.keys() - _PADDING.keys() - {"input_ids"}
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))} cannot be padded; leave it out")
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
        found = self._tokenizer.token_to_id(tokens)
        return self._tokenizer.token_to_id(self._special("unk_token")) if found is None else found

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
        return self._tokenizer.id_to_token(operator.index(ids))

    def convert_tokens_to_string(self, tokens: Sequence[str]) -> str:
        """The text of tokens as the vocabulary writes them."""
        text: str = self._tokenizer.decoder.decode(list(tokens))
        return text

    def get_vocab(self) -> dict[str, int]:
        """The id of every token, added ones included."""
        vocabulary: dict[str, int] = self._tokenizer.get_vocab(with_added_tokens=True)
        return vocabulary

    def __len__(self) -> int:
        return int(self._tokenizer.get_vocab_size(with_added_tokens=True))

    # -- special tokens ------------------------------------------------------------------------------------------

    def _special(self, role: str) -> str:
        """A special token that the settings write as a string, or as an object with its flags."""
        value = self._settings.get(role)
        return str((value.get("content") if isinstance(value, dict) else value) or SPECIAL_TOKENS[role])

    @property
    def special_tokens_map(self) -> dict[str, str]:
        """The special tokens by their roles, as far as the vocabulary has them."""
        frame = {role: str(self._tokenizer.id_to_token(token_id)) for role, token_id in self._frame.items()}
        tokens = {role: self._special(role) for role in SPECIAL_TOKENS} | frame
        return {role: tokens[role] for role in ROLES if self._tokenizer.token_to_id(tokens[role]) is not None}

    @property
    def _frame(self) -> dict[str, int]:
        first, last = self.bos_token_id, self.eos_token_id
        return {"bos_token": first, "eos_token": last, "cls_token": first, "sep_token": last}

    def __getattr__(self, name: str) -> Any:
        # The tokens of the roles that have no attribute of their own, such as cls_token, and their ids.
        role = name.removesuffix("_id")
        if role in ("bos_token", "eos_token", "cls_token", "sep_token", "unk_token"):
            if role == "unk_token":
                token = self._special(role)
                return token if name == role else self._tokenizer.token_to_id(token)
            return self._frame[role] if name != role else self._tokenizer.id_to_token(self._frame[role])
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    @property
    def all_special_tokens(self) -> list[str]:
        """The special tokens, each once."""
        return list(dict.fromkeys(self.special_tokens_map.values()))

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of `all_special_tokens`."""
        ids = map(self._tokenizer.token_to_id, self.all_special_tokens)
        return [token_id for token_id in ids if token_id is not None]


def _truncation(truncation: bool | str | None, by_length: bool) -> str | None:
    """The strategy of tokenizers; None for no truncation. `by_length` is the one if none is given."""
    if truncation is True or (truncation is None and by_length):
        return _TRUNCATION[0]
    if truncation in (None, False, "do_not_truncate"):
        return None
    if truncation not in _TRUNCATION:
        raise ValueError(f"truncation must be True, False or one of {', '.join(_TRUNCATION)}, not {truncation!r:.80}")
    return str(truncation)


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
