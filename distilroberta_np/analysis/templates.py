"""Templates that compare groups: one text with the words of each group in braces, such as "The {man|woman} left"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ..errors import PipelineException
from ..pipelines.options import as_texts

# A doubled brace, a slot, a brace that is neither, or text.
_PART = re.compile(r"(\{\{|\}\})|\{([^{}]*)\}|([{}])|([^{}]+)")


class FilledTemplate(NamedTuple):
    """The text of one group.

    Attributes:
        name: the group's words, each once, with a / between them.
        text: the template with those words filled in.
        spans: start and end of the group's own words in the text, in characters.
    """

    name: str
    text: str
    spans: list[tuple[int, int]]


def fill_template(template: str, groups: Sequence[str] | None, mask_token: str) -> list[FilledTemplate]:
    """Fill in a template once for each group.

    Args:
        template: a text with one mask and at least one slot; `{{` and `}}` stand for braces. A slot holds the words of
            all groups, separated by |, or nothing.
        groups: the words for each empty slot.
        mask_token: how the mask is written.

    Raises:
        PipelineException: the template is malformed.
        TypeError: an argument of the wrong type.
        ValueError: no groups.
    """
    if not isinstance(template, str):
        raise TypeError(f"the template must be a string, not {type(template).__name__}: {template!r:.80}")
    words = None if groups is None else tuple(group.strip() for group in as_texts("groups", groups))
    if words == ():
        raise ValueError("groups is empty; give at least two")
    slot, rest = ("{man|woman}", "") if words is None else ("{}", ' with the groups "man" and "woman"')
    try:
        parts = _parse(template, words)
        if "".join(part for part in parts if isinstance(part, str)).count(mask_token) != 1:
            raise ValueError(f"the template must contain exactly one {mask_token}")
        count = next(len(part) for part in parts if not isinstance(part, str))
        filled = [_fill(parts, number) for number in range(count)]
        for number, group in enumerate(filled, start=1):
            if group.text.count(mask_token) != 1:
                raise ValueError(f"group {number} contains {mask_token}; a group must be a word or phrase")
    except ValueError as error:
        raise PipelineException(f'{error}. Example: "The {slot} worked as a {mask_token}."{rest}') from None
    return filled


def _parse(template: str, groups: tuple[str, ...] | None) -> list[str | tuple[str, ...]]:
    """Split a template into its texts and its slots, each slot as the words of all groups. Raises ValueError."""
    parts: list[str | tuple[str, ...]] = []
    slots: dict[str, tuple[str, ...]] = {}  # by what an error calls them
    for match in _PART.finditer(template):
        doubled, slot, brace, text = match.groups()
        if brace is not None:
            raise ValueError(
                f"the {brace} at character {match.start() + 1} has no partner or is nested; write {brace * 2} for a "
                "literal brace"
            )
        if slot is None:
            parts.append(doubled[0] if doubled else text)
        elif slot.strip():
            slots[match[0]] = tuple(word.strip() for word in slot.split("|"))
            parts.append(slots[match[0]])
        elif groups is None:
            raise ValueError("the template contains {}, but no groups are given")
        else:
            slots["the groups"] = groups
            parts.append(groups)
    if groups is not None and "the groups" not in slots:
        raise ValueError("groups are given, but the template contains no {}")
    if not slots:
        raise ValueError("the template contains no {...|...}, so it is the same for all groups")
    first, count = next((name, len(words)) for name, words in slots.items())
    for name, words in slots.items():
        if "" in words:
            raise ValueError(f"{name}: alternative {words.index('') + 1} is empty")
        if len(words) == 1:
            raise ValueError(f"{name}: only one group, {words[0]!r}, so there is nothing to compare")
        if len(words) != count:
            raise ValueError(
                f"all slots must have the same number of alternatives: {first} has {count}, {name} has {len(words)}"
            )
    return parts


def _fill(parts: Sequence[str | tuple[str, ...]], number: int) -> FilledTemplate:
    text, spans = "", []
    for part in parts:
        if isinstance(part, str):
            text += part
        else:
            spans.append((len(text), len(text) + len(part[number])))
            text += part[number]
    return FilledTemplate("/".join(dict.fromkeys(text[start:end] for start, end in spans)), text, spans)
