"""The loss curve of a run as a picture."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from ..files import atomic_write

_WINDOW = 50  # updates in the moving average


def draw_losses(path: Path) -> Path | None:
    """Draw losses.csv as a .png next to it, if matplotlib is installed (the `plot` extra).

    `path` is that of the .csv, with the columns update, loss and learning_rate.

    Returns the path of the picture; None without matplotlib, or with fewer than two updates.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if len(rows) < 2:
        return None
    updates = [int(row["update"]) for row in rows]
    losses = np.array([float(row["loss"]) for row in rows])
    window = min(_WINDOW, len(losses))
    means = np.convolve(losses, np.full(window, 1 / window), mode="valid")

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(updates, losses, color="0.8", linewidth=0.7, label="loss per update")
    axes.plot(updates[window - 1 :], means, color="tab:blue", label=f"mean of {window}")
    axes.set(xlabel="update", ylabel="loss (nats)", xlim=(updates[0], updates[-1]))
    rates = axes.twinx()
    rates.plot(updates, [float(row["learning_rate"]) for row in rows], color="tab:orange", linewidth=1)
    rates.set_ylabel("learning rate", color="tab:orange")
    rates.set_ylim(bottom=0)
    axes.legend(loc="upper right")
    picture = path.with_suffix(".png")
    with atomic_write(picture) as file:
        figure.savefig(file, format="png", dpi=120)
    return picture
