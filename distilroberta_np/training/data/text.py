"""From text files to sequences of token ids, and the tokenizer for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

from ...errors import TrainingError
from ...layers.params import Array
from ...tokenizer_files import SPECIAL_TOKENS, make_roberta
from .source import read_lines

# RoBERTa's special tokens, with the ids 0 to 3; the mask token is the last of the vocabulary.
*SPECIAL, MASK = SPECIAL_TOKENS.values()


def read_paragraphs(files: Sequence[Path]) -> Iterator[str]:
    """Yield the lines of text files (.txt or .txt.gz), stripped; an empty line ends a document, as does a file."""
    for path in files:
        yield from map(str.strip, read_lines(path))
        yield ""


def train_tokenizer(files: Sequence[Path], vocab_size: int) -> Tokenizer:
    """Learn a byte-level BPE with at most `vocab_size` tokens from files, with RoBERTa's special tokens."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    trainer = BpeTrainer(
        vocab_size=vocab_size - 1,
        special_tokens=SPECIAL,
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((line for line in read_paragraphs(files) if line), trainer)
    return make_roberta(tokenizer)


def continuations(tokenizer: Tokenizer) -> Array:
    """Which tokens continue a word, (V,) bool: those that begin with a letter or digit, not with a space."""
    continues = np.zeros(tokenizer.get_vocab_size(), bool)
    for token, token_id in tokenizer.get_vocab().items():
        continues[token_id] = token[0].isalnum() and token[0] != "Ġ"
    return continues


def make_sequences(files: Sequence[Path], tokenizer: Tokenizer, length: int) -> tuple[Array, Array]:
    """Make sequences of at most `length` tokens, with `<s>` and `</s>`. Consecutive paragraphs of a document share a
    sequence if they fit (DOC-SENTENCES of Liu et al. 2019); long ones are split.

    Returns all ids, uint16 or uint32 (N,), one sequence after the other, and where each starts, with N at the end.
    Raises TrainingError: the files hold no text.
    """
    room = length - 2
    start, end = tokenizer.token_to_id("<s>"), tokenizer.token_to_id("</s>")
    dtype = np.uint16 if tokenizer.get_vocab_size() <= 2**16 else np.uint32
    parts: list[Array] = []
    sizes: list[int] = []

    def close(ids: list[int]) -> None:
        if ids:
            parts.append(np.array([start, *ids, end], dtype))
            sizes.append(len(ids) + 2)

    def encode(texts: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]

    waiting: list[int] = []
    for block in _in_blocks(read_paragraphs(files)):
        # The first word of a paragraph has other tokens at the start of a sequence than after the space that joins
        # paragraphs; the rest has the same tokens.
        words = [line.partition(" ") for line in block]
        begun = encode([word for word, _, _ in words])
        joined = encode([" " + word for word, _, _ in words])
        rests = encode([space + rest for _, space, rest in words])
        for line, first, after, rest in zip(block, begun, joined, rests, strict=True):
            if not line or len(waiting) + len(after) + len(rest) > room:
                close(waiting)
                waiting = []
            if not line:
                continue
            ids = (after if waiting else first) + rest
            while len(ids) > room:
                close(ids[:room])
                ids = ids[room:]
            waiting += ids
    close(waiting)
    if not parts:
        raise TrainingError(f"there is no text in {', '.join(map(str, files))}")
    return np.concatenate(parts), np.concatenate([[0], np.cumsum(sizes)])


def _in_blocks(lines: Iterator[str], size: int = 4096, characters: int = 2**24) -> Iterator[list[str]]:
    """Yield lists of lines, limited by their number and their characters, for the sake of memory."""
    block: list[str] = []
    length = 0
    for line in lines:
        block.append(line)
        length += len(line)
        if len(block) == size or length > characters:
            yield block
            block, length = [], 0
    if block:
        yield block
