"""`distilroberta-np bias`: compare the predictions of a model for several groups of people."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
from collections.abc import Iterable, Sequence

from ..analysis.bias import GroupComparison, GroupPredictions, compare_groups
from ..analysis.charts import draw_comparison
from ..messages import printable
from ..pipelines import pipeline
from ..pipelines.fill_mask import DEFAULT_TOP_K
from .answering import warnings_on_stderr
from .command import Command
from .terminal import add_model_arguments, print_table, where_from

_EXAMPLES = """\
  distilroberta-np bias "The {man|woman} worked as a <mask>."
  distilroberta-np bias "The {man|woman} lost {his|her} <mask>." --top-k 10
  distilroberta-np bias "The {} prayed to <mask>." --groups Muslim Christian Hindu
  distilroberta-np bias "The {man|woman} was a <mask>." --targets nurse "police officer"
  distilroberta-np bias "The {man|woman} worked as a <mask>." --plot bias.png

The words in braces are the groups; several pairs of braces vary together. Write the
template before --groups and --targets, or after --. {{ and }} are literal braces.

On a terminal, the output is: the most likely words of each group; the probability
of these words (or of --targets) for each group, with the log-ratio, log2
p(word | group) / p(word | baseline), as a number and a bar; the association of each
word with each group, log2 p(group | word) / p(group) (Kurita et al. 2019); and the
distance between the groups over the whole vocabulary.

Piped, it is one line for each of these, with columns separated by tabs:
  prediction  group, score, token, sequence
  word        token, group, probability, log-ratio, association
  divergence  group, group, total variation distance, Jensen-Shannon divergence

One template is an anecdote: compare several before you draw conclusions."""

# Characters of a bar on either side of zero. With two short group names a line is 80 wide.
_HALF = 12
# Full, half to the right of zero, half to the left, zero; and a replacement for terminals without these.
_BLOCKS = "█▌▐│"
_ASCII = "#  |"

Columns = list[list[str]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("template", metavar="TEMPLATE", help="a text with one <mask> and the groups: {man|woman}")
    parser.add_argument("--groups", nargs="+", metavar="GROUP", help="the words for each {} of the template")
    parser.add_argument("--targets", nargs="+", metavar="WORD", help="compare these words (default: the predictions)")
    parser.add_argument("--baseline", metavar="GROUP", help="compare the others with this group (default: the first)")
    parser.add_argument(
        "--top-k", type=int, default=DEFAULT_TOP_K, metavar="K", help="predictions per group (default: 5)"
    )
    parser.add_argument("--plot", metavar="FILE.png", help="draw the log-ratios (needs matplotlib: the plot extra)")
    parser.add_argument("--json", action="store_true", help="print one JSON object with everything")
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> int:
    with warnings_on_stderr():
        unmasker = pipeline("fill-mask", options.model, **where_from(options))
        chosen = {name: getattr(options, name) for name in ("top_k", "targets", "baseline")}
        comparison = compare_groups(unmasker, options.template, options.groups, **chosen)
    if options.plot is not None:
        draw_comparison(comparison, options.plot)
    if options.json:
        print(json.dumps(dataclasses.asdict(comparison)))
    elif sys.stdout.isatty():
        _show(comparison)
    else:
        print_table(_rows(comparison))
    return 0


def _rows(comparison: GroupComparison) -> Iterable[Sequence[str]]:
    for group in comparison.groups:
        for item in group.predictions:
            yield "prediction", group.name, f"{item['score']:.4g}", item["token_str"], item["sequence"]
    for word in comparison.words:
        for name, probability in word.probabilities.items():
            ratio, association = _signed(word.log_ratios[name]), _signed(word.associations[name])
            yield "word", word.token_str, name, f"{probability:.4g}", ratio, association
    for pair in comparison.divergences:
        yield "divergence", pair.first, pair.second, f"{pair.total_variation:.4g}", f"{pair.jensen_shannon:.4g}"


def _show(comparison: GroupComparison) -> None:
    """Print the tables, with as many groups side by side as fit on the terminal."""
    base, words, pairs = comparison.baseline, comparison.words, comparison.divergences
    names = [group.name for group in comparison.groups]
    largest = max(abs(ratio) for word in words for ratio in word.log_ratios.values())
    signs = _BLOCKS if _can_show(_BLOCKS) else _ASCII
    axis = f"{-largest:<{_HALF}.2f}0{largest:>+{_HALF}.2f}"
    tokens = ["", *(word.token_str for word in words)]

    def probabilities(name: str) -> list[str]:
        return _right(name, *(f"{word.probabilities[name]:.4g}" for word in words))

    def predictions(group: GroupPredictions) -> Columns:
        scores = _right("", *(f"{item['score']:.4g}" for item in group.predictions))
        return [scores, [f" {group.name}", *(item["token_str"] for item in group.predictions)]]

    def ratios(name: str) -> Columns:
        numbers = _right("log2", *(_signed(word.log_ratios[name]) for word in words))
        bars = [axis, *(_bar(word.log_ratios[name], largest, signs) for word in words)]
        return [probabilities(name), numbers, bars]

    print(printable(comparison.template))
    _print_columns([], list(map(predictions, comparison.groups)))
    print(f"\nprobability, and log2 of its ratio to that for {printable(base)}")
    _print_columns([tokens, probabilities(base)], [ratios(name) for name in names if name != base])
    print("\nassociation of a word with a group, in bits (Kurita et al. 2019)")
    _print_columns([tokens], [[_right(name, *(_signed(word.associations[name]) for word in words))] for name in names])
    print("\ndistance between groups over the whole vocabulary, from 0 to 1")
    distances = [
        _right("total variation", *(f"{pair.total_variation:.4f}" for pair in pairs)),
        _right("Jensen-Shannon, bits", *(f"{pair.jensen_shannon:.4f}" for pair in pairs)),
    ]
    _print_columns([["", *(f"{pair.first} : {pair.second}" for pair in pairs)], *distances], [])


def _print_columns(first: Columns, groups: Sequence[Columns]) -> None:
    """Print a table of the first columns and of each group's columns. Groups that do not fit on the terminal follow
    below, with the first columns repeated."""
    room = shutil.get_terminal_size().columns
    table = list(first)
    for columns in groups:
        # print_table puts two spaces before each column.
        if len(table) > len(first) and sum(2 + max(map(len, column)) for column in [*table, *columns]) > room:
            print_table(zip(*table, strict=True))
            print()
            table = list(first)
        table += columns
    print_table(zip(*table, strict=True))


def _right(*cells: str) -> list[str]:
    width = max(map(len, cells))
    return [cell.rjust(width) for cell in cells]


def _signed(number: float) -> str:
    # What rounds to zero has no sign.
    return f"{number:+.2f}" if round(number, 2) else "0.00"


def _bar(value: float, largest: float, signs: str) -> str:
    """A bar from zero to one side, in half characters; `largest` fills the side."""
    full, right, left, zero = tuple(signs)
    length, half = divmod(round(abs(value) / (largest or 1.0) * _HALF * 2), 2)
    if value < 0:
        return ((left if half else "") + full * length).rjust(_HALF) + zero
    return " " * _HALF + zero + full * length + (right if half else "")


def _can_show(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


COMMAND = Command(
    "bias", "texts", "compare the predictions of a model for several groups of people", _EXAMPLES, add_arguments, run
)
