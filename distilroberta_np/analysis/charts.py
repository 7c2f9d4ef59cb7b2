"""Charts of what an analysis found, drawn with matplotlib (the plot extra)."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from ..files import atomic_write
from ..messages import printable
from .bias import GroupComparison

# More words are illegible.
_MAX_WORDS = 40


def draw_comparison(comparison: GroupComparison, path: str | os.PathLike[str]) -> Path:
    """Draw the log-ratios as a bar chart: bars to the right are words more likely than for the baseline.

    Args:
        comparison: its first 40 words are drawn.
        path: the picture to write, which must end in .png.

    Returns the picture's path.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: another ending.
    """
    picture = Path(path)
    if picture.suffix.lower() != ".png":
        raise ValueError(f"{picture}: the chart is a PNG picture, so its name must end in .png")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("charts need matplotlib: pip install 'distilroberta-np[plot]'") from None
    words = comparison.words[:_MAX_WORDS]
    others = [group.name for group in comparison.groups if group.name != comparison.baseline]
    positions = np.arange(len(words))
    thickness = 0.8 / len(others)

    figure = Figure(figsize=(8, 1.6 + len(words) * max(0.32, 0.16 * len(others))), layout="constrained")
    axes = figure.add_subplot()
    for number, name in enumerate(others):
        ratios = [word.log_ratios[name] for word in words]
        offset = (number - (len(others) - 1) / 2) * thickness
        # With two groups, each side has its own colour.
        colors = [f"C{number + 1}" if len(others) > 1 or ratio > 0 else "C0" for ratio in ratios]
        bars = axes.barh(positions + offset, ratios, thickness, color=colors, label=name, zorder=2)
        labels = [f"{round(ratio, 2) + 0.0:+.2f}" for ratio in ratios]  # + 0.0: no -0.00
        axes.bar_label(bars, labels, padding=3, fontsize=8, color="0.3")
    largest = max(abs(ratio) for word in words for ratio in word.log_ratios.values()) or 1.0
    axes.set_xlim(-1.2 * largest, 1.2 * largest)
    axes.axvline(0, color="0.3", linewidth=0.8)
    axes.grid(axis="x", color="0.9", zorder=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(words) - 0.5, -0.5)
    # parse_math=False: a $ in a word, name or template is a dollar sign.
    axes.set_yticks(positions, [printable(word.token_str.strip()) for word in words], parse_math=False)
    figure.suptitle(textwrap.fill(printable(comparison.template), 80), parse_math=False)
    other = others[0] if len(others) == 1 else "the other group"
    style: dict[str, Any] = {"fontsize": 9, "color": "0.3", "parse_math": False}
    axes.set_title(f"\N{LEFTWARDS ARROW} more likely for {comparison.baseline}", loc="left", **style)
    axes.set_title(f"more likely for {other} \N{RIGHTWARDS ARROW}", loc="right", **style)
    omitted = f" (the largest {len(words)} of {len(comparison.words)})" if len(words) < len(comparison.words) else ""
    axes.set_xlabel(f"log2 of p(word | group) / p(word | {comparison.baseline}){omitted}", parse_math=False)
    if len(others) > 1:
        for text in figure.legend(loc="outside right upper", frameon=False).get_texts():
            text.set_parse_math(False)
    with atomic_write(picture) as file:
        figure.savefig(file, format="png", dpi=120)
    return picture
