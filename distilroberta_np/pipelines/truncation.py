"""Truncation of texts, and of pairs of texts, to a number of tokens, as the tokenizers package does it."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Encoding

from ..errors import PipelineException

# The strategies, as the package calls them. True means the first.
STRATEGIES = ("longest_first", "only_first", "only_second")


def truncate(
    encoding: Encoding, max_length: int, strategy: str, index: int | None = None, side: str = "right"
) -> list[int]:
    """The ids of a text, or of a pair, with at most `max_length` tokens. Special tokens count, and stay.

    Args:
        encoding: of any length.
        strategy: which text of a pair is cut: "longest_first" cuts the longer one down to the length of the other, and
            then both alike; "only_first" and "only_second" cut that text, of which a token must stay.
        side: where a text is cut, "right" (its end) or "left".

    Raises:
        PipelineException: the strategy can't make the text short enough. `index` is that of the input.
    """
    parts = encoding.sequence_ids  # 0 and 1 for the texts' tokens, None for the special tokens
    special = parts.count(None)
    first, second = parts.count(0), parts.count(1)
    room = max_length - special
    if first + second <= room:
        return list(encoding.ids)
    if room < 0:
        raise PipelineException(f"max_length is {max_length}, less than the {special} special tokens", index)
    if room == 0:
        first = second = 0  # whatever the strategy
    elif strategy == "only_second" and 1 not in parts:
        raise PipelineException("truncation='only_second' cuts the second text, but there is none", index)
    elif strategy == "longest_first":
        first, second = _longest_first(first, second, room)
    else:
        fixed, cut = (second, "first") if strategy == "only_first" else (first, "second")
        if fixed >= room:
            raise PipelineException(
                f"truncation={strategy!r} cuts the {cut} text alone, but the other one has {fixed} tokens and only "
                f"{room} fit; truncation='longest_first' cuts both",
                index,
            )
        first, second = (room - fixed, fixed) if strategy == "only_first" else (fixed, room - fixed)
    left = {None: special, 0: first, 1: second}
    step = 1 if side == "right" else -1
    remaining = []
    for token_id, part in zip(encoding.ids[::step], parts[::step], strict=True):
        if left[part] > 0:
            left[part] -= 1
            remaining.append(token_id)
    return remaining[::step]


def _longest_first(first: int, second: int, room: int) -> tuple[int, int]:
    """How many tokens stay of two texts that together have more than `room`."""
    shorter = min(first, second)
    if 2 * shorter <= room:
        return (shorter, room - shorter) if first <= second else (room - shorter, shorter)
    # Half each; an odd token goes to the text that was longer, to the second if they are equal.
    half = room // 2
    return (half, room - half) if first <= second else (room - half, half)


def truncate_plain(ids: Sequence[int], max_length: int, side: str) -> Sequence[int]:
    """At most `max_length` ids of a text without special tokens, cut off on a side."""
    return ids[max(0, len(ids) - max_length) :] if side == "left" else ids[:max_length]


def check_length(ids: Sequence[int], limit: int, what: str, index: int | None) -> None:
    """Raise PipelineException if a text, or a pair, has more tokens than the model reads."""
    if len(ids) > limit:
        raise PipelineException(
            f"the {what} has {len(ids)} tokens and the model reads at most {limit}; shorten it, or truncate it with "
            "truncation=True",
            index,
        )


def cut_windows(tokens: int, room: int, stride: int, side: str = "right") -> list[range]:
    """Windows of at most `room` tokens over a text, each of which begins `stride` tokens before the end of the last.
    With the side "left" the first window is at the end of the text, and the others go back to its start."""
    last = max(tokens - stride, 1)
    windows = [range(start, min(start + room, tokens)) for start in range(0, last, room - stride)] if tokens else []
    return [range(tokens - each.stop, tokens - each.start) for each in windows] if side == "left" else windows
