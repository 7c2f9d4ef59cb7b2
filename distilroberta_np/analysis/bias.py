"""What a masked language model makes of one text for several groups of people: the bias probe.

The model card shows a text filled for a man and for a woman, side by side. `compare_groups` does that for any template
and any groups, and puts numbers on the difference:

- the log-ratio of a word, log2 p(word | group) / p(word | baseline): +1 means twice as likely as for the baseline;
- the association of a word with a group: the log-probability bias score of Kurita et al. 2019, "Measuring Bias in
  Contextualized Word Representations" (its "increased log probability score"), here in bits. It asks the other way
  round, how likely the group is where the word stands, and corrects it by the group's prior, how likely the group is
  with the word masked too: log2 p(group | word) / p(group). A word that is likelier for a group only because the
  group is the commoner one has no association with it;
- between two groups, over the whole vocabulary, p and q being their distributions: the total variation distance,
  ½ Σ |p - q| (Levin, Peres & Wilmer 2009, "Markov Chains and Mixing Times", proposition 4.2), and the Jensen-Shannon
  divergence in bits, H((p + q) / 2) - (H(p) + H(q)) / 2 (Lin 1991, "Divergence Measures Based on the Shannon
  Entropy"). Both are 0 for equal distributions and at most 1.

One template is an anecdote: another wording can turn its numbers round (Seshadri et al. 2022, "Quantifying Social
Biases Using Templates is Unreliable"). Ask with several before you conclude anything.
"""

from __future__ import annotations

import math
import os
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import PipelineException, TokenizerError
from ..layers.params import Array
from ..pipelines.base import as_integer
from ..pipelines.beam_search import Tokens, score_words
from ..pipelines.fill_mask import DEFAULT_TOP_K, FillMaskPipeline

# A doubled brace, a slot, a brace that is neither, or text.
_PART = re.compile(r"(\{\{|\}\})|\{([^{}]*)\}|([{}])|([^{}]+)")
# Words in a picture; more can't be read.
_MOST_DRAWN = 40


@dataclass(frozen=True)
class GroupPredictions:
    """A group's own text, and the likeliest words in it, as `FillMaskPipeline` gives them."""

    name: str
    text: str
    predictions: list[dict[str, Any]]


@dataclass(frozen=True)
class WordComparison:
    """One word in the texts of all groups; the dicts have a value for each group, by its name.

    Attributes:
        tokens: the ids of its pieces.
        token_str: as it stands in the text, with the space before it.
        probabilities: p(word | group).
        log_ratios: log2 p(word | group) / p(word | baseline); 0 for the baseline itself.
        associations: log2 p(group | word) / p(group | word masked).
    """

    tokens: tuple[int, ...]
    token_str: str
    probabilities: dict[str, float]
    log_ratios: dict[str, float]
    associations: dict[str, float]


@dataclass(frozen=True)
class GroupDivergence:
    """How far the distributions of two groups are apart, over the whole vocabulary: 0 if equal, at most 1."""

    first: str
    second: str
    total_variation: float
    jensen_shannon: float


@dataclass(frozen=True)
class GroupComparison:
    """What `compare_groups` returns. `words` are in the order of their largest absolute log-ratio; `divergences` has
    every pair of groups."""

    template: str
    baseline: str
    groups: tuple[GroupPredictions, ...]
    words: tuple[WordComparison, ...]
    divergences: tuple[GroupDivergence, ...]


@dataclass(frozen=True)
class _Reading:
    """A group's text as ids, where its mask is in them, and which of them are the group's own."""

    ids: list[int]
    mask: int
    group: list[int]


def compare_groups(
    unmasker: FillMaskPipeline,
    template: str,
    groups: Sequence[str] | None = None,
    *,
    top_k: int = DEFAULT_TOP_K,
    targets: Sequence[str] | None = None,
    baseline: str | None = None,
) -> GroupComparison:
    """Fill the mask of a text once for each group, and compare.

        compare_groups(unmasker, "The {man|woman} worked as a <mask>.")
        compare_groups(unmasker, "The {man|woman} lost {his|her} <mask>.")
        compare_groups(unmasker, "The {} prayed to <mask>.", ["Muslim", "Christian", "Hindu"])

    Args:
        unmasker: gives the model and its tokenizer; its own defaults (top_k and so on) play no part.
        template: a text with one `<mask>`, and the groups' words in braces, separated by |. Several slots vary
            together: the first group has the first alternative of each. `{{` and `}}` stand for braces themselves.
            A group has the name that is its alternatives, each once, with a / between them: "man/his".
        groups: what stands at each `{}` of the template: words of any number of tokens, and of any characters.
        top_k: the length of each group's list.
        targets: the words to compare, of any number of tokens, spelled as they would stand in the text; those of all
            groups' lists if None.
        baseline: the name of the group that the others are compared with; the first if None.

    Raises:
        PipelineException: the template is malformed, or a text is too long.
        TypeError: an argument of the wrong type.
        ValueError: an argument out of range.
    """
    tokenizer = unmasker.tokenizer
    top_k = as_integer("top_k", top_k, smallest=1)
    parts = _parse(template, groups, tokenizer.mask_token)
    count = max(len(part) for part in parts if isinstance(part, tuple))
    names = ["/".join(dict.fromkeys(part[n] for part in parts if isinstance(part, tuple))) for n in range(count)]
    for first, second in combinations(names, 2):
        if first == second:
            raise PipelineException(f"two groups are the same, {first!r}: leave one out")
    if baseline is not None and baseline not in names:
        raise ValueError(f"no group is called {baseline!r}, to be the baseline; there are {', '.join(names)}")
    base = 0 if baseline is None else names.index(baseline)

    plain = FillMaskPipeline(unmasker.model, tokenizer)
    filled = [_fill(parts, number) for number in range(count)]
    readings = [_read(plain, name, text, spans) for name, (text, spans) in zip(names, filled, strict=True)]
    _check_lengths(plain, names, readings, 1)
    texts = [text for text, _ in filled]
    lists = plain(texts, top_k=top_k)
    if targets is None:
        found = [(prediction["token"],) for predictions in lists for prediction in predictions]
        words: list[Tokens] = list(dict.fromkeys(found))
    else:
        words = _spell(plain, texts[0], targets)
        _check_lengths(plain, names, readings, max(map(len, words)))

    rows = list(plain.log_probabilities([reading.ids for reading in readings], [r.mask for r in readings]))  # [V] each
    scores = [_score(plain, reading, row, words) for reading, row in zip(readings, rows, strict=True)]
    associations = _associations(plain, readings, words)
    compared = [
        WordComparison(
            tokens=word,
            token_str=tokenizer.decode(word),
            probabilities={name: math.exp(scores[group][word]) for group, name in enumerate(names)},
            log_ratios={
                name: (scores[group][word] - scores[base][word]) / math.log(2) for group, name in enumerate(names)
            },
            associations={name: associations[group, word] / math.log(2) for group, name in enumerate(names)},
        )
        for word in words
    ]
    return GroupComparison(
        template=template,
        baseline=names[base],
        groups=tuple(map(GroupPredictions, names, texts, lists)),
        words=tuple(sorted(compared, key=lambda word: (-max(map(abs, word.log_ratios.values())), word.tokens))),
        divergences=tuple(
            GroupDivergence(names[a], names[b], *_divergences(rows[a], rows[b]))
            for a, b in combinations(range(count), 2)
        ),
    )


# -- templates -------------------------------------------------------------------------------------------------


def _parse(template: str, groups: Sequence[str] | None, mask_token: str) -> list[str | tuple[str, ...]]:
    """A template as its texts and, for each slot, the alternatives: equally many, at least two, none empty."""
    if not isinstance(template, str):
        raise TypeError(f"the template must be a text, not a {type(template).__name__}: {template!r:.80}")
    alternatives = None if groups is None else _as_groups(groups)
    parts: list[str | tuple[str, ...]] = []
    slots: list[str] = []  # as they are written
    open_slot = False
    for match in _PART.finditer(template):
        doubled, slot, brace, text = match.groups()
        if brace is not None:
            raise _wrong(
                f"the {brace} at character {match.start() + 1} has no partner, or stands inside another pair; "
                f"write {brace * 2} for a brace itself",
                mask_token,
            )
        if slot is None:
            parts.append(doubled[0] if doubled else text)
            continue
        slots.append(match[0] if slot.strip() else "the groups")
        if slot.strip():
            parts.append(tuple(alternative.strip() for alternative in slot.split("|")))
        elif alternatives is None:
            raise _wrong("the template has {} in it, and there are no groups to put there", mask_token, groups=True)
        else:
            parts.append(alternatives)
            open_slot = True
    if alternatives is not None and not open_slot:
        raise _wrong("there are groups, and the template has no {} to put them in", mask_token, groups=True)
    if not slots:
        raise _wrong("the template has no {...|...} in it, and so is the same for all groups", mask_token)

    choices = [part for part in parts if isinstance(part, tuple)]
    for slot, choice in zip(slots, choices, strict=True):
        if "" in choice:
            raise _wrong(f"{slot}: alternative {choice.index('') + 1} is empty", mask_token, groups=open_slot)
        if len(choice) == 1:
            reason = f"{slot}: one group only, {choice[0]!r}, and nothing to compare it with"
            raise _wrong(reason, mask_token, groups=open_slot)
        if len(choice) != len(choices[0]):
            raise _wrong(
                "what varies together must have equally many alternatives, and there are "
                f"{len(choices[0])} in {slots[0]} and {len(choice)} in {slot}",
                mask_token,
                groups=open_slot,
            )
    masks = "".join(part for part in parts if isinstance(part, str)).count(mask_token)
    if masks != 1:
        raise _wrong(f"the template must have one {mask_token}, and has {masks or 'none'}", mask_token)
    for number in range(len(choices[0])):
        if _fill(parts, number)[0].count(mask_token) != 1:
            raise _wrong(f"group {number + 1} has a {mask_token} in it, which is nobody", mask_token)
    return parts


def _as_groups(groups: Sequence[str]) -> tuple[str, ...]:
    if isinstance(groups, str) or not isinstance(groups, Sequence):
        raise TypeError(f"groups must be a list of texts, not {groups!r:.80}")
    if not groups:
        raise ValueError("groups is empty; there must be two at least")
    for group in groups:
        if not isinstance(group, str):
            raise TypeError(f"a group must be a text, not a {type(group).__name__}: {group!r:.80}")
    return tuple(group.strip() for group in groups)


def _wrong(reason: str, mask_token: str, *, groups: bool = False) -> PipelineException:
    """What is wrong with a template, and a right one."""
    slot, rest = ("{}", ' with the groups "man" and "woman"') if groups else ("{man|woman}", "")
    return PipelineException(f'{reason}. A right template is "The {slot} worked as a {mask_token}."{rest}')


def _fill(parts: Sequence[str | tuple[str, ...]], number: int) -> tuple[str, list[tuple[int, int]]]:
    """The text of a group, and where in it the group's own words are."""
    text, spans = "", []
    for part in parts:
        if isinstance(part, tuple):
            spans.append((len(text), len(text) + len(part[number])))
            text += part[number]
        else:
            text += part
    return text, spans


def _read(unmasker: FillMaskPipeline, name: str, text: str, spans: Sequence[tuple[int, int]]) -> _Reading:
    try:
        encoding = unmasker.tokenizer.encode(text)
    except TokenizerError as error:
        raise PipelineException(f"group {name!r}: {error}") from None
    mask = encoding.ids.index(unmasker.tokenizer.mask_token_id)
    # A token can go beyond the slot, as of "{cat|dog}s"; what is asked for later is then the whole token.
    group = [
        place
        for place, (start, end) in enumerate(encoding.offsets)
        if place != mask and any(start < last and end > first for first, last in spans)
    ]
    return _Reading(encoding.ids, mask, group)


def _check_lengths(unmasker: FillMaskPipeline, names: Sequence[str], readings: Sequence[_Reading], pieces: int) -> None:
    """Whether each text has room for a word of so many pieces."""
    for name, reading in zip(names, readings, strict=True):
        if len(reading.ids) + pieces - 1 > unmasker.max_length:
            tokens = f"{len(reading.ids) + pieces - 1} tokens" + (f" with a word of {pieces}" if pieces > 1 else "")
            raise PipelineException(
                f"group {name!r}: the text has {tokens}, and the model reads at most {unmasker.max_length}; shorten "
                "the template or the words"
            )


def _spell(unmasker: FillMaskPipeline, text: str, targets: Sequence[str]) -> list[Tokens]:
    """The targets' pieces, as they stand at the text's mask."""
    # They hang on the character before the mask alone. The scores aren't used: however many there are.
    mask = text.index(unmasker.tokenizer.mask_token)
    short = text[max(0, mask - 1) : mask + len(unmasker.tokenizer.mask_token)]
    answers = unmasker(short, targets=targets, whole_words=True, top_k=unmasker.model.config.vocab_size)
    return [tuple(answer["token"]) for answer in answers]


# -- numbers ---------------------------------------------------------------------------------------------------


def _score(unmasker: FillMaskPipeline, reading: _Reading, row: Array, words: Sequence[Tokens]) -> dict[Tokens, float]:
    """log p(word | group) of each word. `row` has that of every token: (V,)."""
    scores = {word: float(row[word[0]]) for word in words if len(word) == 1}
    longer = [word for word in words if len(word) > 1]
    mask_id = unmasker.tokenizer.mask_token_id
    found = score_words(reading.ids, reading.mask, longer, mask_id, unmasker.log_probabilities) if longer else []
    return scores | dict(zip(longer, found, strict=True))


def _associations(
    unmasker: FillMaskPipeline, readings: Sequence[_Reading], words: Sequence[Tokens]
) -> dict[tuple[int, Tokens], float]:
    """log p(group | word) - log p(group | word masked) of each group (by its number) and word.

    Kurita et al. 2019: a group's tokens are masked, and its probability taken with the word in the text, and with the
    word masked too. Of a group of several tokens it is the product of each one's, given those to its left, as
    `score_words` has it for words; a word of several tokens is masked by as many masks.
    """
    mask_id = unmasker.tokenizer.mask_token_id
    masked = {word: (mask_id,) * len(word) for word in words}
    asked = []  # group, what stands for the word, and of which token it is the probability
    sequences, places = [], []
    for number, reading in enumerate(readings):
        for filling in dict.fromkeys([*words, *masked.values()]):
            ids = [*reading.ids[: reading.mask], *filling, *reading.ids[reading.mask + 1 :]]
            own = [place + (len(filling) - 1) * (place > reading.mask) for place in reading.group]
            unknown = set(own)
            for place in own:
                sequences.append([mask_id if at in unknown else token for at, token in enumerate(ids)])
                places.append(place)
                asked.append((number, filling, ids[place]))
                unknown.remove(place)
    logs: dict[tuple[int, Tokens], float] = {}
    for (number, filling, token), row in zip(asked, unmasker.log_probabilities(sequences, places), strict=True):
        logs[number, filling] = logs.get((number, filling), 0.0) + float(row[token])
    return {
        (number, word): logs[number, word] - logs[number, masked[word]]
        for number in range(len(readings))
        for word in words
    }


def _divergences(first: Array, second: Array) -> tuple[float, float]:
    """The total variation distance and the Jensen-Shannon divergence (bits) of two distributions, given as natural
    logarithms: (V,) float32."""
    p, q = (np.exp(logs.astype(np.float64)) for logs in (first, second))
    p, q = p / p.sum(), q / q.sum()  # float32 leaves their sums 1e-6 from 1
    middle = (p + q) / 2
    # By its two divergences from the middle instead of three entropies, whose difference would be lost in rounding.
    shannon = sum(float(x @ np.log2(x / middle)) for x in (p, q)) / 2
    return float(np.abs(p - q).sum()) / 2, min(max(shannon, 0.0), 1.0)


# -- pictures --------------------------------------------------------------------------------------------------


def draw_comparison(comparison: GroupComparison, path: str | os.PathLike[str]) -> Path:
    """Draw the log-ratios as a chart of bars, to the right where a word is likelier than for the baseline.

    Args:
        comparison: of its words the first 40 are drawn.
        path: of the picture, which must end in .png.

    Returns:
        The picture's path.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: another ending.
    """
    picture = Path(path)
    if picture.suffix.lower() != ".png":
        raise ValueError(f"{picture}: a picture is written as PNG, so its name must end in .png")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("a picture needs matplotlib: pip install 'distilroberta-np[plot]'") from None
    words = comparison.words[:_MOST_DRAWN]
    others = [group.name for group in comparison.groups if group.name != comparison.baseline]
    places = np.arange(len(words))
    thickness = 0.8 / len(others)

    figure = Figure(figsize=(8, 1.6 + len(words) * max(0.32, 0.16 * len(others))), layout="constrained")
    axes = figure.add_subplot()
    for number, name in enumerate(others):
        ratios = [word.log_ratios[name] for word in words]
        offset = (number - (len(others) - 1) / 2) * thickness
        # Of two groups each has its side, and so its colour.
        colors = [f"C{number + 1}" if len(others) > 1 or ratio > 0 else "C0" for ratio in ratios]
        bars = axes.barh(places + offset, ratios, thickness, color=colors, label=name, zorder=2)
        labels = [f"{round(ratio, 2) + 0.0:+.2f}" for ratio in ratios]  # + 0.0: no -0.00
        axes.bar_label(bars, labels, padding=3, fontsize=8, color="0.3")
    largest = max(abs(ratio) for word in words for ratio in word.log_ratios.values()) or 1.0
    axes.set_xlim(-1.2 * largest, 1.2 * largest)
    axes.axvline(0, color="0.3", linewidth=0.8)
    axes.grid(axis="x", color="0.9", zorder=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(words) - 0.5, -0.5)
    # Words, names and templates are no formulas, whatever $ they hold.
    axes.set_yticks(places, [_label(word.token_str.strip()) for word in words], parse_math=False)
    figure.suptitle(textwrap.fill(_label(comparison.template), 80), parse_math=False)
    other = others[0] if len(others) == 1 else "the other group"
    side: dict[str, Any] = {"fontsize": 9, "color": "0.3", "parse_math": False}
    axes.set_title(f"\N{LEFTWARDS ARROW} likelier for {comparison.baseline}", loc="left", **side)
    axes.set_title(f"likelier for {other} \N{RIGHTWARDS ARROW}", loc="right", **side)
    left_out = f" (the largest {len(words)} of {len(comparison.words)})" if len(words) < len(comparison.words) else ""
    axes.set_xlabel(f"log2 of p(word | group) / p(word | {comparison.baseline}){left_out}", parse_math=False)
    if len(others) > 1:
        for text in figure.legend(loc="outside right upper", frameon=False).get_texts():
            text.set_parse_math(False)
    beside = picture.with_name(picture.name + ".new")
    figure.savefig(beside, format="png", dpi=120)
    beside.replace(picture)
    return picture


def _label(text: str) -> str:
    """A text whose control characters, which no font has, show as their codes."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
