"""Byte-level byte pair encoding: text to token ids and back (Sennrich et al. 2016; Radford et al. 2019, section 2.2).

Text is cut into words, each word into the bytes of its UTF-8, and the bytes are merged, pair by pair, into tokens.
Every text has a form in bytes, so no text is unknown. The vocabulary and the merges come from `tokenizer.json`.
"""

import json
import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path


def byte_letters() -> dict[int, str]:
    """Return a visible letter for each of the 256 bytes, as GPT-2 writes them: "Ġ" for the space, "Ċ" for a newline."""
    visible = [byte for byte in range(256) if chr(byte).isprintable() and chr(byte) != " "]
    hidden = [byte for byte in range(256) if byte not in visible]
    return {byte: chr(byte) for byte in visible} | {byte: chr(256 + n) for n, byte in enumerate(hidden)}


LETTERS = byte_letters()
BYTES = {letter: byte for byte, letter in LETTERS.items()}

# GPT-2's words: an English contraction, or letters, digits or other signs with one space before them, or spaces. The
# last space of several belongs to the word after it. GPT-2 writes \p{L} for letters and \p{N} for digits, which `re`
# does not know, so the pattern is matched against the text's `silhouette`, where all letters are ASCII letters.
WORD = re.compile(r"'(?:s|t|re|ve|m|ll|d)| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+", re.ASCII)


def silhouette(text: str) -> str:
    """Return the text with an ASCII character of the same kind for each that is not ASCII: "naïve ½" -> "naave 0"."""

    def kind(character: str) -> str:
        if character.isascii():
            return character
        if character.isalpha():
            return "a"
        if unicodedata.category(character).startswith("N"):
            return "0"
        return "\t" if character.isspace() else "!"  # a tab, as only U+0020 itself joins the word after it

    return "".join(map(kind, text))


def merge(parts: list[str], ranks: dict[tuple[str, str], int]) -> Iterator[list[str]]:
    """Yield a word's parts before and after each merge: of all neighbours, the pair that was learned first is joined.

    ["Ġ", "t", "h", "e"] -> ["Ġt", "h", "e"] -> ["Ġt", "he"] -> ["Ġthe"]
    """
    yield parts
    while pairs := [(ranks[pair], n) for n, pair in enumerate(pairwise(parts)) if pair in ranks]:
        _, n = min(pairs)
        parts = [*parts[:n], parts[n] + parts[n + 1], *parts[n + 2 :]]
        yield parts


class Tokenizer:
    """RoBERTa's tokenizer, from the text of a `tokenizer.json`."""

    def __init__(self, tokenizer_json: str) -> None:
        settings = json.loads(tokenizer_json)
        pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in settings["model"]["merges"]]
        added = settings["added_tokens"]  # <s>, <pad>, </s>, <unk> and <mask>: found in the text before anything else
        self.ranks = {(first, second): rank for rank, (first, second) in enumerate(pairs)}
        self.ids: dict[str, int] = settings["model"]["vocab"] | {token["content"]: token["id"] for token in added}
        self.tokens = {token_id: token for token, token_id in self.ids.items()}
        # <mask> takes the spaces before it (lstrip): the model sees "a<mask>" and predicts " nurse", space included.
        spaces = r"[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*"
        patterns = [(spaces if token["lstrip"] else "") + re.escape(token["content"]) for token in added]
        self.added = re.compile("|".join(patterns))
        self.add_prefix_space: bool = settings["pre_tokenizer"]["add_prefix_space"]

    @classmethod
    def from_folder(cls, folder: Path) -> "Tokenizer":
        return cls((folder / "tokenizer.json").read_text(encoding="utf-8"))

    def encode(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Return the ids of `<s> text </s>`, and for each the characters (start, end) that it stands for."""
        found, end = [("<s>", (0, 0))], 0
        for match in self.added.finditer(text):
            found += self.encode_words(text, end, match.start())
            token, end = match[0].lstrip(), match.end()
            found.append((token, (end - len(token), end)))
        found += [*self.encode_words(text, end, len(text)), ("</s>", (0, 0))]
        return [self.ids[token] for token, _ in found], [offsets for _, offsets in found]

    def encode_words(self, text: str, start: int, end: int) -> Iterator[tuple[str, tuple[int, int]]]:
        """Yield the tokens of text[start:end], which has no added token in it, with their offsets."""
        text = text[start:end]
        if self.add_prefix_space and text and text[0] != " ":
            text, start = " " + text, start - 1
        for word in WORD.finditer(silhouette(text)):
            characters = [n for n in range(*word.span()) for _ in text[n].encode()]  # which each byte belongs to
            *_, parts = merge([LETTERS[byte] for byte in text[slice(*word.span())].encode()], self.ranks)
            first = 0
            for part in parts:
                last = first + len(part) - 1
                spaces = len(part) - len(part.lstrip(LETTERS[ord(" ")]))  # a token's offsets leave its spaces out
                yield part, (start + characters[first] + spaces, start + characters[last] + 1)
                first += len(part)

    def decode(self, ids: list[int]) -> str:
        """Return the text of the tokens. Bytes that are no whole character become U+FFFD."""
        letters = "".join(self.tokens[token_id] for token_id in ids)
        return bytes(BYTES[letter] for letter in letters).decode(errors="replace")
