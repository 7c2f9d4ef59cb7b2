"""`distilroberta-np bias`: one text for several groups of people, and what a model makes of each."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
from collections.abc import Sequence

from ..analysis.bias import GroupComparison, compare_groups, draw_comparison
from ..pipelines import pipeline
from ..pipelines.fill_mask import DEFAULT_TOP_K
from .answering import said_on_stderr
from .terminal import SubParsers, add_command, add_model_arguments, print_table, printable

_EXAMPLES = """\
  distilroberta-np bias "The {man|woman} worked as a <mask>."
  distilroberta-np bias "The {man|woman} lost {his|her} <mask>." --top-k 10
  distilroberta-np bias "The {} prayed to <mask>." --groups Muslim Christian Hindu
  distilroberta-np bias "The {man|woman} was a <mask>." --targets nurse "police officer"
  distilroberta-np bias "The {man|woman} worked as a <mask>." --plot bias.png

The words in braces are the groups; several pairs of braces vary together. The
template stands before --groups and --targets, or behind --. {{ and }} stand for
braces themselves.

On a terminal: each group's likeliest words; the probability of all these words
(or of --targets) for each group, with the log-ratio, log2 p(word | group) /
p(word | baseline), as a number and a bar; each word's association with each
group, log2 p(group | word) / p(group) (Kurita et al. 2019); and how far groups
are apart over the whole vocabulary.

Piped, a line for each of these, separated by tabs, which begins with what it is:
  prediction  group, score, token, sequence
  word        token, group, probability, log-ratio, association
  divergence  group, group, total variation distance, Jensen-Shannon divergence

One template is an anecdote: ask with several before you conclude anything."""

# Characters of a bar to either side of its zero. With two groups of short names a line has 80 then.
_HALF = 12
# Full, half to the right of zero, half to the left, zero; and what terminals show that lack these.
_BLOCKS = "█▌▐│"
_ASCII = "#  |"

Columns = list[list[str]]


def add_parser(commands: SubParsers) -> None:
    summary = "compare what a model says of several groups of people"
    parser = add_command(commands, "bias", summary=summary, examples=_EXAMPLES)
    parser.add_argument("template", metavar="TEMPLATE", help="a text with one <mask> and the groups in it: {man|woman}")
    parser.add_argument("--groups", nargs="+", metavar="GROUP", help="what stands at each {} of the template")
    parser.add_argument("--targets", nargs="+", metavar="WORD", help="compare these words (default: all groups' lists)")
    parser.add_argument("--baseline", metavar="GROUP", help="whom the others are compared with (default: the first)")
    parser.add_argument(
        "--top-k", type=int, default=DEFAULT_TOP_K, metavar="K", help="how many predictions a group (default: 5)"
    )
    parser.add_argument("--plot", metavar="FILE.png", help="draw the log-ratios (needs matplotlib: the plot extra)")
    parser.add_argument("--json", action="store_true", help="all of it as one JSON object")
    add_model_arguments(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    with said_on_stderr():
        unmasker = pipeline(
            "fill-mask", options.model, revision=options.revision, local_files_only=options.local_files_only
        )
        comparison = compare_groups(
            unmasker,
            options.template,
            options.groups,
            top_k=options.top_k,
            targets=options.targets,
            baseline=options.baseline,
        )
        if options.plot is not None:
            try:
                draw_comparison(comparison, options.plot)
            except ImportError as error:
                print(f"distilroberta-np: {error}", file=sys.stderr)
                return 2
    if options.json:
        print(json.dumps(dataclasses.asdict(comparison)))
    elif sys.stdout.isatty():
        _show(comparison)
    else:
        _print_lines(comparison)
    return 0


def _print_lines(comparison: GroupComparison) -> None:
    for group in comparison.groups:
        print_table(
            ("prediction", group.name, f"{item['score']:.4g}", item["token_str"], item["sequence"])
            for item in group.predictions
        )
    for word in comparison.words:
        print_table(
            ("word", word.token_str, name, f"{probability:.4g}", _signed(word.log_ratios[name]), _signed(association))
            for (name, probability), association in zip(
                word.probabilities.items(), word.associations.values(), strict=True
            )
        )
    for pair in comparison.divergences:
        distances = (f"{pair.total_variation:.4g}", f"{pair.jensen_shannon:.4g}")
        print_table([("divergence", pair.first, pair.second, *distances)])


def _show(comparison: GroupComparison) -> None:
    """The tables, as many groups side by side as the terminal has room for."""
    base, words = comparison.baseline, comparison.words
    names = ["", *(word.token_str for word in words)]
    largest = max(abs(ratio) for word in words for ratio in word.log_ratios.values())
    signs = _BLOCKS if _can_show(_BLOCKS) else _ASCII
    axis = f"{-largest:<{_HALF}.2f}0{largest:>+{_HALF}.2f}"

    print(printable(comparison.template))
    _print_columns(
        [],
        [
            [
                _right("", *(f"{item['score']:.4g}" for item in group.predictions)),
                [f" {group.name}", *(item["token_str"] for item in group.predictions)],
            ]
            for group in comparison.groups
        ],
    )
    print(f"\nprobability, and log2 of its ratio to that for {printable(base)}")
    _print_columns(
        [names, _right(base, *(f"{word.probabilities[base]:.4g}" for word in words))],
        [
            [
                _right(group.name, *(f"{word.probabilities[group.name]:.4g}" for word in words)),
                _right("log2", *(_signed(word.log_ratios[group.name]) for word in words)),
                [axis, *(_bar(word.log_ratios[group.name], largest, signs) for word in words)],
            ]
            for group in comparison.groups
            if group.name != base
        ],
    )
    print("\nassociation of a word with a group, in bits (Kurita et al. 2019)")
    _print_columns(
        [names],
        [
            [_right(group.name, *(_signed(word.associations[group.name]) for word in words))]
            for group in comparison.groups
        ],
    )
    print("\ndistance of groups over the whole vocabulary, from 0 to 1")
    pairs = comparison.divergences
    _print_columns(
        [
            ["", *(f"{pair.first} : {pair.second}" for pair in pairs)],
            _right("total variation", *(f"{pair.total_variation:.4f}" for pair in pairs)),
            _right("Jensen-Shannon, bits", *(f"{pair.jensen_shannon:.4f}" for pair in pairs)),
        ],
        [],
    )


def _print_columns(first: Columns, groups: Sequence[Columns]) -> None:
    """A table of the columns that come first and of each group's own, broken where the terminal ends: then the next
    groups follow below, again with the first columns."""
    room = shutil.get_terminal_size().columns
    table = list(first)
    for columns in groups:
        if len(table) > len(first) and _width([*table, *columns]) > room:
            print_table(zip(*table, strict=True))
            print()
            table = list(first)
        table += columns
    print_table(zip(*table, strict=True))


def _width(table: Columns) -> int:
    # As print_table has it: two spaces before each.
    return sum(2 + max(map(len, column)) for column in table)


def _right(*cells: str) -> list[str]:
    width = max(map(len, cells))
    return [cell.rjust(width) for cell in cells]


def _signed(number: float) -> str:
    # What rounds to zero has no sign.
    return f"{number:+.2f}" if round(number, 2) else "0.00"


def _bar(value: float, largest: float, signs: str) -> str:
    """A bar from the middle to one side, `largest` being as long as there is room for."""
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
