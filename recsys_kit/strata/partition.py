"""K-Means: k centres, every user with the nearest; also in mini-batches, and with a penalty on the size of the centres."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cache

import numpy as np
import pandas as pd
from scipy import sparse

from recsys_kit.schema import SchemaError
from recsys_kit.strata.result import Strata, build, nearest, nearest_centre, own_squared, totals
from recsys_kit.strata.table import Table, as_table, number, require_k, whole

ROUNDS = 300
SMALL = 200_000  # users times strata
INITS = ("k-means++", "random")


def kmeans(data, k: int, *, init="k-means++", starts: int = 10, penalty: float = 0.0, batch: int | None = None, rng=None) -> Strata:
    """K-Means (K均值): the k centres with the least sum of squared distances (Lloyd, 1982).

    ``minimise  sum_i ||x_i - mu_c(i)||^2 + penalty * sum_c ||mu_c||^2``. For given strata the derivative by a centre,
    ``-2 sum_(i in c) (x_i - mu_c) + 2 penalty mu_c``, is zero at ``mu_c = sum_(i in c) x_i / (n_c + penalty)``; for given centres
    the nearest one is best. The two steps in turn never raise the objective, and end where no user moves.

    data : DataFrame (n users x p numbers), or `Interactions` (the sparse matrix users x items).
    k : number of strata, from 1 to the number of different users.
    init : "k-means++" (Arthur and Vassilvitskii, 2007), "random" users, or k centres (array or DataFrame k x p), used once.
    starts : how many times to begin anew; the best end is kept.
    penalty : 0 or more; as many invented users at the origin does every centre feel. It pulls centres towards the origin, small
        strata most, so scale the columns first. A stratum that is not worth its penalty stays empty: where all users lie on one
        side of the origin, one stratum is best in the end, and a large penalty may leave fewer than k. On centred columns users on
        different sides of the origin stay apart however large it is, and only their centres shrink. Five to seven times slower
        than without a penalty.
    batch : users per step (Sculley, 2010): faster on many users, a little worse; centres then are running means, not the members'
        exact ones, and a stratum can end without users. None: all users in every step.
    rng : None, int or numpy Generator; one seed gives one result.

    New users go to the nearest centre, and so did the users learned from: ``assign(data)`` gives ``labels``.
    Raises `SchemaError` for a broken table (`as_table`), ValueError for a k or another argument outside its range.

    >>> users = pd.DataFrame({"spend": [1.0, 2.0, 9.0, 10.0, 11.0]}, index=list("abcde"))
    >>> kmeans(users, 2, rng=0).labels.tolist()
    [1, 1, 0, 0, 0]
    """
    table = as_table(data)
    k = require_k(table, k, "kmeans")
    if not 0 <= number(penalty, "kmeans: penalty") < np.inf:
        raise ValueError(f"kmeans: penalty must be a number from zero on, not {penalty}")
    if batch is not None and penalty:
        raise ValueError("kmeans: mini-batches know no penalty; leave out batch= or penalty=")
    batch = None if batch is None else whole(batch, 1, "kmeans: batch")
    starts = whole(starts, 1, "kmeans: starts")
    rng = np.random.default_rng(rng)
    init = _given(init, k, table)
    if batch is not None:
        centres = _learn(table.values, k, init, starts, batch, rng)
        labels = nearest(table.values, centres)[0]
    elif penalty:
        begins = [init] if isinstance(init, np.ndarray) else (_begin(table.values, k, init, rng) for _ in range(starts))
        centres, labels, _ = min((_descend(table.values, begin, penalty) for begin in begins), key=lambda end: end[2])
    else:  # scikit-learn stops a little early; a few more rounds bring every centre to its members' mean
        centres, labels, _ = _descend(table.values, _learn(table.values, k, init, starts, None, rng))
    kept, labels = np.unique(labels, return_inverse=True)  # an empty stratum is none
    name = "K-Means" + (f", penalty {penalty:g}" if penalty else f", batches of {batch:,}" if batch is not None else "")
    return build(name, table, labels, centres=centres[kept], rule=nearest_centre(centres[kept]))


def objective(values, labels: np.ndarray, centres: np.ndarray, penalty: float = 0.0) -> float:
    """``sum_i ||x_i - mu_(labels_i)||^2 + penalty * sum_c ||mu_c||^2`` for rows, dense or sparse, and centres."""
    return float(own_squared(values, labels, centres).sum() + penalty * (centres**2).sum())


def best_centres(values, labels: np.ndarray, k: int, penalty: float = 0.0) -> np.ndarray:
    """The centres (k x p) that minimise the objective for given labels: ``sum of members / (n_c + penalty)``; without members zero.

    >>> best_centres(np.array([[2.0], [4.0], [9.0]]), np.array([0, 0, 1]), 2, penalty=1.0).ravel().tolist()
    [2.0, 4.5]
    """
    sums, counts = totals(values, labels, k)
    return sums / np.where(counts, counts + penalty, 1.0)[:, None]


def lloyd(values, centres: np.ndarray, penalty: float = 0.0) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
    """The rounds of K-Means from given centres: after each, centres, the label of every row by them, and the objective.

    Ends with the first round that gains nothing, or after 300.
    """
    labels, squared = nearest(values, centres)
    before = np.inf
    for _ in range(ROUNDS):
        centres = _reseed(values, labels, best_centres(values, labels, len(centres), penalty), penalty)
        labels, squared = nearest(values, centres)
        value = float(squared.sum() + penalty * (centres**2).sum())
        yield centres, labels, value
        if not value < before:
            return
        before = value


def _descend(values, centres: np.ndarray, penalty: float = 0.0) -> tuple[np.ndarray, np.ndarray, float]:
    *_, end = lloyd(values, centres, penalty)
    return end


def _reseed(values, labels: np.ndarray, centres: np.ndarray, penalty: float) -> np.ndarray:
    """Give each stratum without members the user whose leaving gains most, if it gains at all.

    Alone in a stratum, at ``x / (1 + penalty)``, a user costs ``penalty / (1 + penalty) ||x||^2``: without a penalty nothing, and
    the user farthest from the own centre is taken.
    """
    empty = np.flatnonzero(np.bincount(labels, minlength=len(centres)) == 0)
    if not len(empty):
        return centres
    squares = values.multiply(values).sum(axis=1) if sparse.issparse(values) else np.einsum("ij,ij->i", values, values)
    gain = own_squared(values, labels, centres) - penalty / (1 + penalty) * squares
    for stratum in empty:
        user = int(gain.argmax())
        if gain[user] <= 0:
            break
        row = values[[user]]
        centres[stratum] = (row.toarray() if sparse.issparse(row) else row)[0] / (1 + penalty)
        gain = np.minimum(gain, own_squared(values, np.full(len(gain), stratum), centres) - penalty / (1 + penalty) * squares)
    return centres


def _given(init, k: int, table: Table) -> str | np.ndarray:
    if isinstance(init, str):
        if init not in INITS:
            raise ValueError(f"kmeans: init={init!r} is not known; there are {', '.join(map(repr, INITS))}, or an array of centres")
        return init
    try:
        centres = as_table(init, table.columns).values if isinstance(init, pd.DataFrame) else np.asarray(init, dtype=np.float64)
    except SchemaError:
        raise
    except (TypeError, ValueError):  # rows of different lengths, or text
        raise ValueError(f"kmeans: init must hold {k} centres of {len(table.columns):,} finite numbers, one row each") from None
    if centres.shape != (k, len(table.columns)) or not np.isfinite(centres).all():
        raise ValueError(f"kmeans: init must hold {k} centres of {len(table.columns):,} finite numbers, one row each; "
                         f"its shape is {centres.shape}")
    return centres


@cache
def _threads():
    from sklearn.cluster import KMeans  # noqa: F401  (its OpenMP has to be loaded to be found)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _begin(values, k: int, init: str, rng: np.random.Generator) -> np.ndarray:
    from sklearn.cluster import kmeans_plusplus

    if init == "random":
        rows = rng.choice(values.shape[0], k, replace=False)
    else:
        rows = kmeans_plusplus(values, k, random_state=int(rng.integers(2**31 - 1)))[1]
    return values[rows].toarray() if sparse.issparse(values) else values[rows]


def _learn(values, k: int, init, starts: int, batch: int | None, rng: np.random.Generator) -> np.ndarray:
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    shared = {"init": init, "n_init": starts if isinstance(init, str) else 1, "random_state": int(rng.integers(2**31 - 1))}
    model = (KMeans(k, max_iter=ROUNDS, **shared) if batch is None else
             MiniBatchKMeans(k, batch_size=min(batch, values.shape[0]), compute_labels=False, **shared))
    # On small tables threads cost more than they bring, and on a busy machine, waiting for each other, twenty times as much.
    threads = 1 if values.shape[0] * k < SMALL else None
    with warnings.catch_warnings(), _threads().limit(limits=threads, user_api="openmp"):
        warnings.simplefilter("ignore", ConvergenceWarning)  # equal users among the starts: an empty stratum is seeded anew
        return np.asarray(model.fit(values).cluster_centers_, dtype=np.float64)
