"""One look for every picture, with colours that colour-blind readers and grey printers tell apart.

The chapters' rule: the title is the finding ("A tenth of the items draws half of the events"), the axes carry
names and units, and a picture with a legend has few enough lines to read it. `notebook.setup` calls `style`.
"""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.ticker
import numpy as np
import pandas as pd
from cycler import cycler

# Okabe and Ito (2008), "Color universal design". The order is ours: neighbours differ in lightness by 10
# (CIE L*) or more, so they differ on grey paper too. Their yellow is left out: it vanishes on white.
BLUE, ORANGE, VERMILION, SKY, GREEN, BLACK, PURPLE = COLOURS = (
    "#0072B2", "#E69F00", "#D55E00", "#56B4E9", "#009E73", "#000000", "#CC79A7")
GREY = "#7F7F7F"  # for what is only context: a baseline, a chance level, a cut in time
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))

STYLE = {
    "figure.figsize": (8, 4.5), "figure.dpi": 100, "figure.constrained_layout.use": True, "savefig.dpi": 100,
    "font.size": 11, "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters on every machine
    "axes.titlelocation": "left", "axes.titlesize": 13, "axes.titleweight": "bold", "axes.titlepad": 10,
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
    "axes.grid": True, "grid.color": "#D9D9D9", "grid.linewidth": 0.6,
    "axes.prop_cycle": cycler(color=COLOURS) + cycler(linestyle=LINES),
    "lines.linewidth": 2, "legend.frameon": False, "image.cmap": "cividis",
}


def style() -> None:
    """Use the kit's style for every figure from now on."""
    mpl.rcParams.update(STYLE)


def finding(ax, title: str, xlabel: str = "", ylabel: str = ""):
    """Give the axes their finding as title and their names (with units), and return them."""
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    return ax


def rank_frequency(ax, counts, label: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Draw how often the 1st, 2nd, 3rd ... most frequent one occurs, on log scales; return ranks and counts.

    ``counts``: events per item (or user); zeros are left out. A power law is a straight line.
    """
    counts = np.sort(np.asarray(counts))[::-1]
    counts = counts[counts > 0]
    ranks = np.arange(1, len(counts) + 1)
    ax.loglog(ranks, counts, label=label)
    return ranks, counts


def concentration(ax, counts, label: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Draw the share of events against the share of items, busiest items first; return items, events.

    A Lorenz curve read from the top. ``counts``: events per item (or user), zeros too. The diagonal is
    equality, and the area between it and the curve half the Gini coefficient (Lorenz, 1905).
    """
    counts = np.sort(np.asarray(counts, dtype=float))[::-1]
    if counts.sum() <= 0:
        raise ValueError("concentration: there are no events to share out; all counts are zero.")
    items = np.arange(len(counts) + 1) / len(counts)
    events = np.concatenate([[0], np.cumsum(counts)]) / counts.sum()
    ax.plot(items, events, label=label)
    ax.axline((0, 0), slope=1, color=GREY, linewidth=1, linestyle=":")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(mpl.ticker.PercentFormatter(xmax=1))
    return items, events


def funnel(ax, steps) -> None:
    """Draw one bar per step of a funnel (漏斗), each with its count and its share of the first step.

    ``steps``: a dict or Series, step -> count, in order; the first is drawn on top.
    """
    steps = pd.Series(steps)
    if steps.iloc[0] <= 0:
        raise ValueError(f"funnel: the first step, {steps.index[0]!r}, has no events to take shares of.")
    bars = ax.barh(steps.index.astype(str), steps.to_numpy(), color=BLUE)
    ax.bar_label(bars, [f"{count:,} ({count / steps.iloc[0]:.1%})" for count in steps], padding=4)
    ax.invert_yaxis()
    ax.margins(x=0.3)
    ax.grid(False, axis="y")
