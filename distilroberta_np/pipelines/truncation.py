"""Cutting texts, and pairs of texts, to a number of tokens: which tokens stay, as the tokenizers package has it."""

from __future__ import annotations

from tokenizers import Encoding

# What the package calls the ways to cut. True means the first.
STRATEGIES = ("longest_first", "only_first", "only_second")


def truncate(encoding: Encoding, max_length: int, strategy: str) -> list[int]:
    """The ids of a text, or of a pair, cut on the right to so many tokens; special tokens stay.

    Args:
        encoding: of any length.
        max_length: most tokens that stay, special ones included.
        strategy: which text of a pair is cut: "longest_first" the longer one, down to the length of the other, and then
            both alike; "only_first" or "only_second" that one, of which a token must stay.

    Raises:
        ValueError: it can't be cut so.
    """
    parts = encoding.sequence_ids  # 0 and 1 for the texts' tokens, None for the special ones between them
    special = parts.count(None)
    first, second = parts.count(0), parts.count(1)
    room = max_length - special
    if first + second <= room:
        return list(encoding.ids)
    if room < 0:
        raise ValueError(f"max_length is {max_length}, and the {special} special tokens are more; make it greater")
    if room == 0:
        first = second = 0  # whatever the strategy
    elif strategy == "only_second" and 1 not in parts:
        raise ValueError("truncation='only_second' cuts the second text, and there is none")
    elif strategy == "longest_first":
        first, second = _longest_first(first, second, room)
    else:
        fixed, cut = (second, "first") if strategy == "only_first" else (first, "second")
        if fixed >= room:
            raise ValueError(
                f"the {cut} text alone may be cut, and the other one has {fixed} tokens, where {room} fit; "
                "truncation='longest_first' cuts both"
            )
        first, second = (room - fixed, fixed) if strategy == "only_first" else (fixed, room - fixed)
    left = {None: special, 0: first, 1: second}
    kept = []
    for token_id, part in zip(encoding.ids, parts, strict=True):
        if left[part] > 0:
            left[part] -= 1
            kept.append(token_id)
    return kept


def _longest_first(first: int, second: int, room: int) -> tuple[int, int]:
    """How many tokens stay of two texts that are longer together than there is room."""
    shorter = min(first, second)
    if 2 * shorter <= room:
        return (shorter, room - shorter) if first <= second else (room - shorter, shorter)
    # Half each; an odd token goes to the text that was longer, to the second where they are equal.
    half = room // 2
    return (half, room - half) if first <= second else (room - half, half)
