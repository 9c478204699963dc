"""How many strata? Every index says what it thinks, and the table shows where they disagree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from recsys_kit.strata.indices import qualities
from recsys_kit.strata.partition import kmeans
from recsys_kit.strata.stability import agreement, seeds, shuffled
from recsys_kit.strata.table import as_table, require_k, whole

# column -> (name, how it votes, what the axis shows)
PANELS = {
    "within": ("Within strata", "knee", "mean squared distance\nto the own centre"),
    "between": ("Between strata", "", "mean squared distance of\ncentres to the overall mean"),
    "silhouette": ("Silhouette", "highest", "mean silhouette\n(-1 to 1)"),
    "calinski_harabasz": ("Calinski-Harabasz", "highest", "between / within\nper degree of freedom"),
    "davies_bouldin": ("Davies-Bouldin", "lowest", "overlap of the strata\nmost alike (mean)"),
    "stability": ("Stability", "above shuffled", "adjusted Rand index\nbetween two halves"),
}


@dataclass(frozen=True, eq=False)
class Choice:
    """What the indices say about the number of strata.

    table : one row per k; columns within, between, silhouette, silhouette_error, calinski_harabasz, davies_bouldin (see
        `indices.quality`), stability and stability_error (mean and standard error over the resamples), and stability_shuffled:
        the mean stability of strata of the same table with every column shuffled on its own, anew for each resample.
        stability_error is the error of drawing halves of the same users; that of meeting other users is somewhat larger.
    votes : index -> the k it votes for; an index that has nothing to say does not vote.
    """

    table: pd.DataFrame
    votes: dict[str, int]

    @property
    def k(self) -> int:
        """The k with most votes; of equally many the one stability likes best, then the smallest. The smallest if nothing voted."""
        if not self.votes:
            return int(self.table.index[0])
        count = Counter(self.votes.values())
        steady = _above_shuffled(self.table).fillna(-np.inf)
        return max(sorted(count), key=lambda k: (count[k], steady[k]))

    def picture(self):
        """A matplotlib Figure: one panel per index against k, its vote ringed and in the title; bars are two standard errors."""
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        figure = Figure(figsize=(11, 6), layout="constrained")
        panels = figure.subplots(2, 3, sharex=True)
        ks = self.table.index
        for ax, (column, (name, how, unit)) in zip(panels.flat, PANELS.items(), strict=True):
            values, vote = self.table[column], self.votes.get(column)
            error = 2 * self.table.get(f"{column}_error", pd.Series(0.0, self.table.index)).fillna(0)
            ax.errorbar(ks, values, yerr=error if error.any() else None, fmt="o-", color="C0", markersize=4, capsize=3)
            if column == "within" and vote:
                ax.plot(ks[[0, -1]], values.iloc[[0, -1]], color="grey", linestyle=":", linewidth=1)  # the chord
            if column == "stability":
                ax.plot(values.index, self.table["stability_shuffled"], "s--", color="grey", markersize=3, linewidth=1,
                        label="columns shuffled")
                ax.legend(fontsize=8)
            if vote:
                ax.axvline(vote, color="black", linestyle="--", linewidth=1, zorder=0)
                ax.plot(vote, values[vote], "o", markersize=13, markerfacecolor="none", markeredgecolor="black")
            title = f"{name} votes for k = {vote} ({how})" if vote else f"{name}: {'no vote' if how else 'shown, no vote'}"
            ax.set_title(title, fontsize=10)
            ax.set_ylabel(unit, fontsize=9)
            ax.tick_params(labelsize=9)
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        for ax in panels[1]:
            ax.set_xlabel("number of strata k", fontsize=9)
        agree = sum(k == self.k for k in self.votes.values())
        figure.suptitle(f"{agree} of {len(self.votes)} votes are for k = {self.k}" if self.votes else "No index votes",
                        fontsize=13, fontweight="bold")
        return figure


def choose(data, ks=range(2, 11), *, method: Callable = kmeans, resamples: int = 10, rng=None, progress=None) -> Choice:
    """Strata for every k of ``ks``, all indices of them, and their votes.

    ========================  =================================================================================
    ``within``                votes for the knee of the curve, see `knee`
    ``silhouette``            for its highest value
    ``calinski_harabasz``     for its highest value
    ``davies_bouldin``        for its lowest value
    ``stability``             for its largest mean above that of shuffled columns
    ========================  =================================================================================

    ``between`` does not vote: it is the total variance less ``within``, and would say the same twice. No index can vote for
    k = 1 (there nothing is defined but ``within``, whose knee is never an end), so votes alone cannot tell that there are no
    strata at all; ``stability_shuffled`` can: strata are worth a name where ``stability`` is clearly above it. Stability itself
    prefers few strata whatever the data, since two halves of any long cloud agree where to cut it in two; what is left after
    subtracting that of shuffled columns (half as many resamples) is owed to how columns go together. The gap statistic
    (Tibshirani, Walther and Hastie, 2001) is left out: on five simulated markets with five strata its 1-standard-error rule
    found five once and nothing four times (the gap rises on, as clouds of users are no uniform boxes), in as much time as all
    the rest together takes (``benchmarks/bench_choose.py``).

    data : DataFrame users x numbers, or `Interactions`. method : called as ``method(data, k, rng=generator)``, returns `Strata`;
    options by ``functools.partial(kmeans, starts=3)``. Above 10,000 users silhouette and stability are sampled (see there), the
    rest always uses all. progress : called as ``progress(done, total)`` after every set of strata learned; Ctrl-C stops
    between two. Where a half of some resample has fewer different users than k, stability is nan and does not vote for this k.
    Methods by density (`dbscan`, `hdbscan`, `threshold`) have no k to choose; ways to begin K-Means are compared in chapter 3.
    Raises ValueError where half the users, or all different ones, are fewer than the largest k, and `SchemaError` (see `as_table`).
    """
    table = as_table(data)
    if not isinstance(ks, Iterable):
        raise ValueError(f"choose: ks must name the numbers of strata to try, such as range(2, 11), not {ks!r}")
    ks = sorted({whole(k, 1, "choose: each of ks") for k in ks})
    if not ks:
        raise ValueError("choose: ks names no number of strata to try")
    resamples = whole(resamples, 1, "choose: resamples")
    if len(table) < 2 * ks[-1]:
        raise ValueError(f"choose: {ks[-1]} strata are too many for {len(table):,} users: stability learns them from one half.\n"
                         f"To mend it: ks up to {len(table) // 2}" if len(table) > 1 else
                         "choose: there is only one user, and nothing to choose")
    require_k(table, ks[-1], "choose")
    rng = np.random.default_rng(rng)
    seed, nulls = int(rng.integers(2**31 - 1)), max(1, resamples // 2)
    each = 1 + resamples + nulls
    partitions, steady, null = [], {}, {}

    def judge(null: bool, times: int, k: int, done: int) -> np.ndarray:
        if k == 1:  # one stratum agrees with itself always: that says nothing
            return np.full(times, np.nan)
        found = []
        for one in seeds(seed, times):  # the same seed: every k is judged on the same halves and shuffles
            found.append(agreement(shuffled(data, [one, 1]) if null else data, k, method, one))
            if progress:
                progress(done + len(found), each * len(ks))
        return np.array(found)

    for k in ks:
        done = len(partitions) * each + 1
        partitions.append(method(data, k, rng=rng).labels)
        if progress:
            progress(done, each * len(ks))
        steady[k] = judge(False, resamples, k, done)
        null[k] = judge(True, nulls, k, done + resamples)
    found = qualities(table, partitions, rng=rng).set_axis(pd.Index(ks, name="k"), axis=0)
    found["stability"] = pd.Series({k: values.mean() for k, values in steady.items()})
    found["stability_error"] = pd.Series({k: pd.Series(values).sem(skipna=False) for k, values in steady.items()})
    found["stability_shuffled"] = pd.Series({k: values.mean() for k, values in null.items()})
    return Choice(found, votes(found))


def votes(table: pd.DataFrame) -> dict[str, int]:
    """The k every index of the table votes for. Undefined values never win; of equal ones the smallest k does."""
    found = {"within": knee(table["within"])}
    for column, (_, how, _) in PANELS.items():
        values = (_above_shuffled(table) if column == "stability" else table[column]).dropna()
        if how not in ("knee", "") and len(values):
            found[column] = values.idxmin() if how == "lowest" else values.idxmax()
    return {column: int(k) for column, k in found.items() if k is not None}


def _above_shuffled(table: pd.DataFrame) -> pd.Series:
    return table["stability"] - table["stability_shuffled"]


def knee(curve: pd.Series):
    """Where a falling curve bends: the index label of the point farthest below the chord from its first point to its last.

    Both axes are scaled to 0 .. 1 first, so units do not matter: the point that maximises ``1 - x - y`` (Kneedle; Satopaa,
    Albrecht, Irwin and Raghavan, 2011, without their smoothing). The chord has ends, so the answer depends on the range of k
    that was tried. None where nothing lies below it: fewer than three points, a straight, rising or bulging curve.

    >>> print(knee(pd.Series([10.0, 6.0, 2.0, 1.5, 1.0], index=[2, 3, 4, 5, 6])))
    4
    """
    curve = curve.dropna().sort_index()
    if len(curve) < 3 or not curve.iloc[0] > curve.iloc[-1]:
        return None
    x = (curve.index - curve.index[0]) / (curve.index[-1] - curve.index[0])
    y = (curve - curve.iloc[-1]) / (curve.iloc[0] - curve.iloc[-1])
    below = 1 - x - y
    return below.idxmax() if below.max() > 1e-9 else None  # a straight line lies on its chord but for rounding
