"""`RobertaTokenizer`: RoBERTa's byte-level BPE (Radford et al. 2019, section 2.2), run by the tokenizers package."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeGuard

import numpy as np
from tokenizers import AddedToken, Encoding, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.normalizers import Lowercase
from tokenizers.normalizers import Sequence as NormalizerSequence
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import RobertaProcessing

from .checkpoint.save import save_tokenizer
from .errors import TokenizerError
from .files import read_json
from .layers.params import Array
from .pretrained import TOKENIZER, Pretrained

# The special tokens' roles, and what RoBERTa calls them; tokenizer_config.json can say otherwise.
SPECIAL_TOKENS = {
    "bos_token": "<s>",
    "pad_token": "<pad>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "mask_token": "<mask>",
}


class RobertaTokenizer(Pretrained):
    """Text to token ids and back. Thread-safe: encoding keeps no state.

    Attributes:
        mask_token, mask_token_id, pad_token, pad_token_id: as written in a text, and their ids.
        bos_token_id, eos_token_id: the ids of `<s>` and `</s>`.
        model_max_length: most tokens of a text, specials included, by tokenizer_config.json; None if it doesn't say.
        lowercase: whether texts are converted to lower case, as a folder of sentence-transformers can ask for.
    """

    lowercase = False

    PARTS: ClassVar[tuple[str, ...]] = (TOKENIZER,)

    def __init__(self, tokenizer: Tokenizer, settings: dict[str, Any] | None = None) -> None:
        """Wrap a `tokenizers.Tokenizer`, with the values of a tokenizer_config.json if there is one.

        Raises:
            TokenizerError: a special token is not in the vocabulary, or the settings are malformed.
        """
        settings = settings or {}
        # A tokenizer.json can ask for padding and truncation of its own; both are ours to do.
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        special = {role: _token_text(role, settings.get(role) or token) for role, token in SPECIAL_TOKENS.items()}
        known = {role: tokenizer.token_to_id(token) for role, token in special.items()}
        ids = {role: token_id for role, token_id in known.items() if token_id is not None}
        absent = [special[role] for role in ("mask_token", "pad_token", "bos_token", "eos_token") if role not in ids]
        if absent:
            raise TokenizerError(f"the vocabulary has no {', '.join(absent)}; a RoBERTa tokenizer needs them")
        self._special = {role: special[role] for role in ids}
        self.mask_token, self.mask_token_id = special["mask_token"], ids["mask_token"]
        self.pad_token, self.pad_token_id = special["pad_token"], ids["pad_token"]
        self.bos_token_id, self.eos_token_id = ids["bos_token"], ids["eos_token"]
        self.vocab_size: int = tokenizer.get_vocab_size(with_added_tokens=True)
        length = settings.get("model_max_length")
        # "No limit" is written as an enormous number (1e30) there.
        self.model_max_length: int | None = int(length) if _is_length(length) else None
        # On a text, not on an empty one: a template can put both before it.
        inner = tokenizer.encode("a", add_special_tokens=False).ids
        if tokenizer.encode("a").ids != [ids["bos_token"], *inner, ids["eos_token"]]:
            raise TokenizerError(
                f"it does not put {special['bos_token']} before a text and {special['eos_token']} behind it, as "
                "RoBERTa's does"
            )

    @classmethod
    def from_folder(
        cls, folder: Path, overrides: Mapping[str, Any] | None = None, *, lowercase: bool = False
    ) -> RobertaTokenizer:
        """Read tokenizer.json, or else vocab.json and merges.txt, and tokenizer_config.json if it is there.

        Args:
            folder: the folder of the files.
            overrides: settings that take precedence over those of tokenizer_config.json.
            lowercase: convert texts to lower case.

        Raises:
            TokenizerError: they are missing or malformed.
        """
        settings_path = folder / "tokenizer_config.json"
        settings = read_json(settings_path, TokenizerError) if settings_path.exists() else {}
        if not isinstance(settings, dict):
            raise TokenizerError(f"{settings_path}: must be a JSON object, not a {type(settings).__name__}")
        settings = {**settings, **(overrides or {})}
        if (folder / "tokenizer.json").exists():
            source = folder / "tokenizer.json"
            build: Callable[..., Tokenizer] = Tokenizer.from_file
            arguments: tuple[Any, ...] = (str(source),)
        elif (folder / "vocab.json").exists() and (folder / "merges.txt").exists():
            source = folder / "vocab.json"
            build = _from_vocab_and_merges
            arguments = (folder / "vocab.json", folder / "merges.txt")
        else:
            raise TokenizerError(f"{folder}: no tokenizer.json in it, and no vocab.json with merges.txt")
        try:
            tokenizer = _with_prefix_space(build(*arguments), settings.get("add_prefix_space"))
            if lowercase:
                steps = [Lowercase()] if tokenizer.normalizer is None else [Lowercase(), tokenizer.normalizer]
                tokenizer.normalizer = NormalizerSequence(steps)
            result = cls(tokenizer, settings)
            result.lowercase = lowercase
            return result
        except (KeyboardInterrupt, SystemExit):
            raise
        except TokenizerError as error:
            raise TokenizerError(f"{source}: {error}") from None
        # The package reports malformed files as plain Exceptions, and panics, which are BaseExceptions, on some.
        except BaseException as error:
            raise TokenizerError(f"{source}: not a tokenizer that can be read: {error}") from None

    def longest_text(self, max_sequence_length: int) -> int:
        """Most tokens of a text, specials included, for a model that reads so many: the tokenizer may say fewer."""
        return min(max_sequence_length, self.model_max_length or max_sequence_length)

    def encode(self, text: str, pair: str | None = None, *, add_special_tokens: bool = True) -> Encoding:
        """The tokens of a text, with their ids and their places (`offsets`, in characters); of a pair, both texts'
        (`sequence_ids` says whose), as `<s> text </s></s> pair </s>`.

        Raises:
            TypeError: not a string.
            TokenizerError: the text holds a lone surrogate, which is no character.
        """
        for part in (text,) if pair is None else (text, pair):
            if not isinstance(part, str):
                raise TypeError(f"a text must be a string, not a {type(part).__name__}: {part!r}")
            # Checked here, because some versions of the package would put another character in its place.
            place = _lone_surrogate(part)
            if place is not None:
                raise TokenizerError(
                    f"character {place} of the text is U+{ord(part[place]):04X}, half of a surrogate pair and no "
                    "character; read the text with its right encoding, or with errors='replace'"
                )
        try:
            return self._tokenizer.encode(text, pair, add_special_tokens=add_special_tokens)
        except (KeyboardInterrupt, SystemExit):
            raise
        # A malformed tokenizer can load and fail only here, with any exception; see from_folder.
        except BaseException as error:
            raise TokenizerError(f"the tokenizer can't read the text {text!r:.80}: {error}") from None

    def to_json(self) -> str:
        """The text of a tokenizer.json."""
        text: str = self._tokenizer.to_str(pretty=True)
        return text

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write tokenizer.json and tokenizer_config.json, as this package and transformers load them.

        Args:
            folder: made if it isn't there.
        """
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        save_tokenizer(path, self.to_json(), self._special, self.model_max_length)

    def decode(self, token_ids: Sequence[int] | Array, *, skip_special_tokens: bool = False) -> str:
        """The text that tokens stand for. Bytes that are no whole character become U+FFFD."""
        ids = list(map(int, token_ids))
        try:
            return self._tokenizer.decode(ids, skip_special_tokens=skip_special_tokens)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            raise TokenizerError(f"the tokenizer can't decode the tokens {ids!r:.80}: {error}") from None

    def token_to_id(self, token: str) -> int | None:
        """The id of a vocabulary entry as it is written there (`ĠParis`), or None."""
        return self._tokenizer.token_to_id(token) if _lone_surrogate(token) is None else None

    def id_to_token(self, token_id: int) -> str:
        """The vocabulary entry of an id, as it is written there (`ĠParis`)."""
        token = self._tokenizer.id_to_token(token_id) if 0 <= token_id < 2**32 else None
        if token is None:
            raise ValueError(f"no token has the id {token_id}; the vocabulary has {self.vocab_size}")
        return token

    def __call__(self, texts: str | Sequence[str]) -> dict[str, Array]:
        """Texts to what a model takes: `model(**tokenizer(texts))`.

        Returns:
            input_ids and attention_mask, int64 (B, S); the shorter texts are padded on the right.
        """
        texts = [texts] if isinstance(texts, str) else list(texts)
        return pad([self.encode(text).ids for text in texts], self.pad_token_id)


def pad(sequences: Sequence[Sequence[int]], pad_token_id: int) -> dict[str, Array]:
    """Sequences of unequal length as one batch: input_ids and attention_mask, int64 (B, S), padded on the right."""
    longest = max(map(len, sequences), default=0)
    input_ids = np.full((len(sequences), longest), pad_token_id, np.int64)
    attention_mask = np.zeros_like(input_ids)
    for row, sequence in enumerate(sequences):
        input_ids[row, : len(sequence)] = sequence
        attention_mask[row, : len(sequence)] = 1
    return {"input_ids": input_ids, "attention_mask": attention_mask}


def make_robertas(tokenizer: Tokenizer) -> Tokenizer:
    """Have a byte-level BPE split, mark and join text as RoBERTa's does. Special tokens that it lacks are added."""
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    for token in SPECIAL_TOKENS.values():
        # The mask takes the space before it, or "a <mask>" would have a token for that space too.
        lstrip = token == SPECIAL_TOKENS["mask_token"]
        tokenizer.add_special_tokens([AddedToken(token, lstrip=lstrip, normalized=False)])
    ids = tokenizer.get_vocab()
    eos, bos = ((token, ids[token]) for token in (SPECIAL_TOKENS["eos_token"], SPECIAL_TOKENS["bos_token"]))
    # By position: versions of the package name the second argument differently. The third trims spaces off `offsets`.
    tokenizer.post_processor = RobertaProcessing(eos, bos, True, False)
    return tokenizer


def _with_prefix_space(tokenizer: Tokenizer, wanted: Any) -> Tokenizer:
    """Whether a text is read as if a space stood before it: what tokenizer_config.json says goes before what
    tokenizer.json does, as in the reference."""
    if not isinstance(wanted, bool) or getattr(tokenizer.pre_tokenizer, "add_prefix_space", wanted) == wanted:
        return tokenizer
    parts = json.loads(tokenizer.to_str())  # not all versions of the package let it be set
    for name in ("pre_tokenizer", "post_processor"):
        if "add_prefix_space" in (parts[name] or {}):
            parts[name]["add_prefix_space"] = wanted
    return Tokenizer.from_str(json.dumps(parts))


def _from_vocab_and_merges(vocab: Path, merges: Path) -> Tokenizer:
    tokenizer = Tokenizer(BPE.from_file(str(vocab), str(merges)))
    for token in SPECIAL_TOKENS.values():
        if tokenizer.token_to_id(token) is None:
            raise TokenizerError(f"the vocabulary has no {token}")
    return make_robertas(tokenizer)


def _lone_surrogate(text: str) -> int | None:
    """The place of the first half of a surrogate pair in a text; None if there is none."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return error.start
    return None


def _token_text(role: str, token: Any) -> str:
    # Written as the token itself, or as an object with its settings.
    text = token.get("content") if isinstance(token, dict) else token
    if not isinstance(text, str):
        raise TokenizerError(f"tokenizer_config.json: {role} must be a string, not {token!r:.80}")
    return text


def _is_length(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value < 1_000_000
