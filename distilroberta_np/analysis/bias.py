"""Bias probe: the predictions of a masked language model for one text and several groups of people.

The model card shows a text filled in for a man and for a woman. `compare_groups` does so for any template and any
groups, and measures the difference:

- the log-ratio of a word, log2 p(word | group) / p(word | baseline): +1 means twice as likely as for the baseline;
- the association of a word with a group, log2 p(group | word) / p(group): the log-probability bias score ("increased
  log probability score") of Kurita et al. 2019, "Measuring Bias in Contextualized Word Representations", in bits. The
  prior p(group) is the group's probability with the word masked too. A word that is more likely for a group only
  because the group is more common has no association with it;
- between two groups, whose distributions over the vocabulary are p and q: the total variation distance, ½ Σ |p - q|
  (Levin, Peres & Wilmer 2009, "Markov Chains and Mixing Times", proposition 4.2), and the Jensen-Shannon divergence
  in bits, H((p + q) / 2) - (H(p) + H(q)) / 2 (Lin 1991, "Divergence Measures Based on the Shannon Entropy"). Both are
  0 for equal distributions and at most 1.

One template is an anecdote: another wording can reverse its numbers (Seshadri et al. 2022, "Quantifying Social Biases
Using Templates is Unreliable"). Compare several templates before you draw conclusions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from ..errors import PipelineException, TokenizerError
from ..layers.params import Array
from ..pipelines.beam_search import Tokens, score_words
from ..pipelines.fill_mask import DEFAULT_TOP_K, FillMaskPipeline, MaskPrediction
from ..pipelines.options import as_integer
from .templates import FilledTemplate, fill_template


@dataclass(frozen=True)
class GroupPredictions:
    """The text of a group and its most likely words, as `FillMaskPipeline` returns them."""

    name: str
    text: str
    predictions: list[MaskPrediction]


@dataclass(frozen=True)
class WordComparison:
    """One word in the texts of all groups; each dict has one value per group, by its name.

    Attributes:
        tokens: the ids of the word's subwords.
        token_str: the word as it appears in the text, with the space before it.
        probabilities: p(word | group).
        log_ratios: log2 p(word | group) / p(word | baseline); 0 for the baseline.
        associations: log2 p(group | word) / p(group | word masked).
    """

    tokens: tuple[int, ...]
    token_str: str
    probabilities: dict[str, float]
    log_ratios: dict[str, float]
    associations: dict[str, float]


@dataclass(frozen=True)
class GroupDivergence:
    """The distance between the distributions of two groups over the vocabulary: from 0, if equal, to 1."""

    first: str
    second: str
    total_variation: float
    jensen_shannon: float


@dataclass(frozen=True)
class GroupComparison:
    """The result of `compare_groups`: `words` are sorted by their largest absolute log-ratio; `divergences` holds
    every pair of groups."""

    template: str
    baseline: str
    groups: tuple[GroupPredictions, ...]
    words: tuple[WordComparison, ...]
    divergences: tuple[GroupDivergence, ...]


class _Reading(NamedTuple):
    """A group's text as ids."""

    ids: list[int]
    mask: int  # its position
    group: list[int]  # the positions of the group's own tokens


def compare_groups(
    unmasker: FillMaskPipeline,
    template: str,
    groups: Sequence[str] | None = None,
    *,
    top_k: int = DEFAULT_TOP_K,
    targets: Sequence[str] | None = None,
    baseline: str | None = None,
) -> GroupComparison:
    """Fill the mask of a text once for each group, and compare the predictions.

        compare_groups(unmasker, "The {man|woman} worked as a <mask>.")
        compare_groups(unmasker, "The {man|woman} lost {his|her} <mask>.")
        compare_groups(unmasker, "The {} prayed to <mask>.", ["Muslim", "Christian", "Hindu"])

    Args:
        unmasker: gives the model and its tokenizer; its defaults (`top_k` and so on) are not used.
        template: a text with one `<mask>`, and the groups' words in braces, separated by |. Several slots vary
            together: the first group takes the first alternative of each. `{{` and `}}` stand for literal braces.
            A group's name joins its alternatives with a /: "man/his".
        groups: the words for each `{}` of the template, of any number of tokens.
        top_k: the length of each group's list of predictions.
        targets: the words to compare, of any number of tokens, spelled as in the text; the words of all groups'
            lists if None.
        baseline: the name of the group to compare the others with; the first if None.

    Raises:
        PipelineException: the template is malformed, or a text is too long.
        TypeError: an argument of the wrong type.
        ValueError: an argument out of range.
    """
    tokenizer = unmasker.tokenizer
    top_k = as_integer("top_k", top_k, smallest=1)
    filled = fill_template(template, groups, tokenizer.mask_token)
    names = [group.name for group in filled]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise PipelineException(f"two groups are the same, {repeated!r}; remove one of them")
    if baseline is not None and baseline not in names:
        raise ValueError(f"baseline {baseline!r} is not a group; the groups are {', '.join(names)}")
    baseline = names[0] if baseline is None else baseline

    plain = FillMaskPipeline(unmasker.model, tokenizer)
    readings = {group.name: _read(plain, group) for group in filled}
    _check_lengths(plain, readings, 1)
    lists = plain([group.text for group in filled], top_k=top_k)
    if targets is None:
        words: list[Tokens] = list(dict.fromkeys((item["token"],) for predictions in lists for item in predictions))
    else:
        words = _spell(plain, filled[0].text, targets)
        _check_lengths(plain, readings, max(map(len, words)))

    masks = [reading.mask for reading in readings.values()]
    rows = dict(zip(names, plain.log_probabilities([r.ids for r in readings.values()], masks), strict=True))
    scores = {name: _score(plain, readings[name], rows[name], words) for name in names}
    associations = {name: _associations(plain, readings[name], words) for name in names}
    compared = [
        WordComparison(
            tokens=word,
            token_str=tokenizer.decode(word),
            probabilities={name: math.exp(scores[name][word]) for name in names},
            log_ratios={name: (scores[name][word] - scores[baseline][word]) / math.log(2) for name in names},
            associations={name: associations[name][word] / math.log(2) for name in names},
        )
        for word in words
    ]
    return GroupComparison(
        template=template,
        baseline=baseline,
        groups=tuple(
            GroupPredictions(group.name, group.text, found) for group, found in zip(filled, lists, strict=True)
        ),
        words=tuple(sorted(compared, key=lambda word: (-max(map(abs, word.log_ratios.values())), word.tokens))),
        divergences=tuple(GroupDivergence(a, b, *_divergences(rows[a], rows[b])) for a, b in combinations(names, 2)),
    )


def _read(unmasker: FillMaskPipeline, group: FilledTemplate) -> _Reading:
    try:
        encoding = unmasker.tokenizer.encoding(group.text)
    except TokenizerError as error:
        raise PipelineException(f"group {group.name!r}: {error}") from None
    mask = encoding.ids.index(unmasker.tokenizer.mask_token_id)
    # A token that extends beyond its slot, as in "{cat|dog}s", belongs to the group as a whole.
    own = [
        position
        for position, (start, end) in enumerate(encoding.offsets)
        if position != mask and any(start < last and end > first for first, last in group.spans)
    ]
    return _Reading(encoding.ids, mask, own)


def _check_lengths(unmasker: FillMaskPipeline, readings: dict[str, _Reading], subwords: int) -> None:
    """Check that each text has room for a word of several subwords. Raises PipelineException."""
    for name, reading in readings.items():
        length = len(reading.ids) + subwords - 1
        if length > unmasker.max_length:
            word = f" with a word of {subwords}" if subwords > 1 else ""
            raise PipelineException(
                f"group {name!r}: the text has {length} tokens{word}, more than the model's {unmasker.max_length}; "
                "shorten the template or the words"
            )


def _spell(unmasker: FillMaskPipeline, text: str, targets: Sequence[str]) -> list[Tokens]:
    """The subwords of each target at the text's mask."""
    # They depend only on the character before the mask. The scores are not used.
    mask = text.index(unmasker.tokenizer.mask_token)
    short = text[max(0, mask - 1) : mask + len(unmasker.tokenizer.mask_token)]
    answers = unmasker(short, targets=targets, whole_words=True, top_k=unmasker.model.config.vocab_size)
    return [tuple(np.atleast_1d(answer["token"]).tolist()) for answer in answers]


def _score(unmasker: FillMaskPipeline, reading: _Reading, row: Array, words: Sequence[Tokens]) -> dict[Tokens, float]:
    """log p(word | group) of each word; `row` holds that of every token, (V,)."""
    scores = {word: float(row[word[0]]) for word in words if len(word) == 1}
    longer = [word for word in words if len(word) > 1]
    mask_id = unmasker.tokenizer.mask_token_id
    found = score_words(reading.ids, reading.mask, longer, mask_id, unmasker.log_probabilities) if longer else []
    return scores | dict(zip(longer, found, strict=True))


def _associations(unmasker: FillMaskPipeline, reading: _Reading, words: Sequence[Tokens]) -> dict[Tokens, float]:
    """log p(group | word) - log p(group | word masked) of each word (Kurita et al. 2019).

    The group's tokens are masked, and their probability is taken with the word in the text and with the word masked
    too. For a group of several tokens it is the product of the probabilities of each, given those to its left, as
    `score_words` computes it for words. A word of several tokens is replaced by as many masks.
    """
    mask_id = unmasker.tokenizer.mask_token_id
    masked = {word: (mask_id,) * len(word) for word in words}
    queries = []  # the tokens in the word's position, and the id whose probability is needed
    sequences, positions = [], []
    for filling in dict.fromkeys([*words, *masked.values()]):
        ids = [*reading.ids[: reading.mask], *filling, *reading.ids[reading.mask + 1 :]]
        own = [position + (len(filling) - 1) * (position > reading.mask) for position in reading.group]
        for number, position in enumerate(own):
            hidden = set(own[number:])
            sequences.append([mask_id if index in hidden else token for index, token in enumerate(ids)])
            positions.append(position)
            queries.append((filling, ids[position]))
    logs: dict[Tokens, float] = dict.fromkeys([*words, *masked.values()], 0.0)
    for (filling, token), row in zip(queries, unmasker.log_probabilities(sequences, positions), strict=True):
        logs[filling] += float(row[token])
    return {word: logs[word] - logs[masked[word]] for word in words}


def _divergences(first: Array, second: Array) -> tuple[float, float]:
    """Total variation distance and Jensen-Shannon divergence (bits) of two distributions given as natural logarithms,
    (V,) float32."""
    p, q = (np.exp(logs.astype(np.float64)) for logs in (first, second))
    p, q = p / p.sum(), q / q.sum()  # in float32 the sums are off by 1e-6
    middle = (p + q) / 2
    # As two divergences from the middle: the difference of three entropies would be lost to rounding.
    shannon = sum(float(x @ np.log2(x / middle)) for x in (p, q)) / 2
    return float(np.abs(p - q).sum()) / 2, min(max(shannon, 0.0), 1.0)
