"""Which features tell strata apart, beyond what chance does among so many features."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import sparse

from recsys_kit.strata.labels import labels_of, numbered
from recsys_kit.strata.result import NOISE
from recsys_kit.strata.table import as_table, whole

LEVEL = 0.05     # of the family-wise error: one false alarm in twenty tables
BINS = 10        # quantile bins of a feature for its mutual information
CONSTANT = 1e-12  # a column that varies by less than this share of its largest value is constant


def separating(features: pd.DataFrame, labels, *, score: str = "f", permutations: int = 99, rng=None) -> pd.DataFrame:
    """Score every feature by how well it tells the strata apart, with a threshold that holds for all features at once.

    features : users x numbers. labels : Series user id -> stratum (rows in any order), or one label per row; users labelled
        noise (any negative number) are left out.
    score : ``"f"``: F of the one-way analysis of variance (Fisher, 1925), between-strata over within-strata mean square;
        ``"mutual_information"``: ``sum p(b, c) log(p(b, c) / (p(b) p(c)))`` in nats over ten quantile bins b of the feature (fewer
        where values are equal) and strata c, counted (Cover and Thomas, 2006): it also sees what does not move the
        mean. In bits: divide by ``log(2)``.
    permutations : how often the labels are shuffled; at least 19. rng : None, int or Generator.

    Returns a DataFrame, index feature, highest score first: ``score``; ``null``, what the best of **all** features reaches in 95 %
    of the shuffles, one number; ``p_value = (1 + shuffles whose best feature scores at least as high) / (1 + shuffles)``, so that
    the chance of even one false alarm in the table is what it says (Westfall and Young, 1993); ``separates``: p_value at most .05.
    A constant feature scores 0 and never separates.

    Features that the strata were made from separate them nearly always, whatever the strata are worth: that is how they were made,
    and no finding; test on features, or on a time, that had no part in it.

    Raises `SchemaError` for features that are no finite numbers or users without a label, ValueError for an unknown score, fewer
    than two strata, no more users than strata, or too few permutations.

    >>> table = pd.DataFrame({"age": [1.0, 2, 3, 11, 12, 13], "luck": [5.0, 1, 4, 2, 6, 3]})
    >>> separating(table, [0, 0, 0, 1, 1, 1], rng=0)["score"].tolist()
    [150.0, 0.038461538461538464]
    """
    if score not in SCORES:
        raise ValueError(f"no score {score!r}; there are {', '.join(map(repr, SCORES))}")
    whole(permutations, 19, f"separating: permutations (for a p-value of {LEVEL} to be possible)")
    table = as_table(features)
    values = table.dense("separating")
    codes, strata = numbered(labels_of(table.users, labels, "separating"))
    values, codes = values[codes != NOISE], codes[codes != NOISE]
    if len(strata) < 2 or len(values) <= len(strata):
        raise ValueError(f"separating: {len(strata)} strata of {len(values):,} users (noise left out); at least two strata are "
                         f"needed, and more users than strata")
    constant = np.ptp(values, axis=0) <= CONSTANT * np.abs(values).max(axis=0)
    rng = np.random.default_rng(rng)
    measure = SCORES[score](values, len(strata))
    scores = np.where(constant, 0.0, measure(codes))
    best = np.array([np.where(constant, 0.0, measure(rng.permutation(codes))).max() for _ in range(permutations)])
    reached = best[:, None] >= scores * (1 - 1e-9)  # the same division of the users may come again, with another rounding
    p_value = (1 + reached.sum(axis=0)) / (1 + permutations)
    allowed = int(LEVEL * (1 + permutations)) - 1  # so many of the shuffles may reach a score that still separates
    result = pd.DataFrame({"score": scores, "null": np.sort(best)[permutations - 1 - allowed], "p_value": p_value,
                           "separates": p_value <= LEVEL}, index=table.columns.rename("feature"))
    return result.sort_values("score", ascending=False, kind="stable")


def _f(values: np.ndarray, k: int) -> Callable[[np.ndarray], np.ndarray]:
    """F of every column for given labels. A shuffle costs one product."""
    n = len(values)
    centred = values - values.mean(axis=0)
    total = np.einsum("ij,ij->j", centred, centred)

    def measure(codes: np.ndarray) -> np.ndarray:
        sums = sparse.csr_array((np.ones(n), (codes, np.arange(n))), shape=(k, n)) @ centred
        between = (sums**2 / np.bincount(codes, minlength=k)[:, None]).sum(axis=0)
        within = np.maximum(total - between, 0.0)
        within[within <= CONSTANT * total] = 0.0  # what is left of a perfect separation is rounding
        with np.errstate(divide="ignore", invalid="ignore"):
            return (between / (k - 1)) / (within / (n - k))
    return measure


def _mutual_information(values: np.ndarray, k: int) -> Callable[[np.ndarray], np.ndarray]:
    """Mutual information of every column, cut at its quantiles, with given labels."""
    n, width = values.shape
    edges = np.quantile(values, np.arange(1, BINS) / BINS, axis=0)
    bins = np.column_stack([np.searchsorted(np.unique(edges[:, j]), values[:, j], side="left") for j in range(width)])
    cell = (bins + BINS * np.arange(width)) * k

    def measure(codes: np.ndarray) -> np.ndarray:
        together = np.bincount((cell + codes[:, None]).ravel(), minlength=width * BINS * k).reshape(width, BINS, k) / n
        apart = together.sum(axis=2, keepdims=True) * together.sum(axis=1, keepdims=True)
        return np.sum(together * np.log(np.where(together > 0, together / np.where(apart > 0, apart, 1), 1)), axis=(1, 2))
    return measure


SCORES = {"f": _f, "mutual_information": _mutual_information}
