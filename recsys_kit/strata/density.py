"""Strata by density: wherever many users lie close together is one, of whatever form; users far from all others are noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse
from scipy.spatial.distance import cdist

from recsys_kit.strata.result import NOISE, Strata, build
from recsys_kit.strata.table import as_table, number, whole

PAIRS = 100_000_000  # pairs of close users that scikit-learn may hold at once: 0.8 GB


def dbscan(data, radius: float, least: int = 5) -> Strata:
    """DBSCAN (基于密度的聚类): users with crowded surroundings, joined where they are close (Ester, Kriegel, Sander and Xu, 1996).

    A user is core if at least ``least`` users, the user counted, lie within ``radius``. Core users within ``radius`` of each other
    share a stratum. Any other user takes that of the nearest core user within ``radius``; where there is none, the user is noise.

    data : DataFrame (n users x p numbers). radius : Euclidean, in the units of the columns; see `knee_radius`. least : 1 or more.

    New users follow the same rule, and the core users stay as they are: ``assign(data)`` gives ``labels``. Noise keeps the label
    `NOISE`; where all are noise there are no strata. Raises `SchemaError` for a broken table or a sparse one, ValueError for a
    radius or ``least`` outside its range, and for a radius that holds more pairs of users than memory does.

    >>> import pandas as pd
    >>> users = pd.DataFrame({"spend": [1.0, 1.2, 1.4, 9.0, 9.1, 9.3, 50.0]}, index=list("abcdefg"))
    >>> dbscan(users, radius=0.5, least=2).labels.tolist()
    [0, 0, 0, 1, 1, 1, -1]
    """
    from sklearn.cluster import DBSCAN

    table = as_table(data)
    values = table.dense("dbscan")
    if not 0 < number(radius, "dbscan: radius") < np.inf:
        raise ValueError(f"dbscan: radius must be a number above zero, not {radius}")
    least = whole(least, 1, "dbscan: least")
    some = values[:: max(len(values) // 100, 1)]
    close = (cdist(some, values) <= radius).sum(axis=1).mean()
    if close * len(values) > PAIRS:
        raise ValueError(f"dbscan: within {radius:g} a user has {close:,.0f} neighbours on average, too many for {len(values):,} "
                         f"users to be held in memory; take a smaller radius (strata.knee_radius suggests one), or fewer users")
    model = DBSCAN(eps=radius, min_samples=least).fit(values)
    core = model.core_sample_indices_
    rule = _by_nearest(values[core], model.labels_[core], np.full(len(core), radius))
    return build(f"DBSCAN, radius {radius:g}", table, rule(values), rule=rule)


def hdbscan(data, least: int = 20) -> Strata:
    """HDBSCAN: DBSCAN at every radius at once, and the strata that last longest (Campello, Moulavi and Sander, 2013).

    data : DataFrame (n users x p numbers). least : 2 or more; a stratum has at least so many users, and a user's core distance is
    that to the ``least``-th nearest, the user counted. Time grows with the square of n.

    New users take the label, noise too, of the nearest user known, if not farther than that one's core distance; else they are
    noise. ``assign(data)`` gives ``labels``. With fewer than ``least`` users all are noise. Raises `SchemaError` for a broken table
    or a sparse one, ValueError for ``least`` below 2.
    """
    from sklearn.cluster import HDBSCAN
    from sklearn.neighbors import NearestNeighbors

    table = as_table(data)
    values = table.dense("hdbscan")
    least = whole(least, 2, "hdbscan: least")
    if len(values) < least:
        raw, reach = np.full(len(values), NOISE), np.zeros(len(values))
    else:
        raw = HDBSCAN(min_cluster_size=least, copy=True).fit(values).labels_
        reach = NearestNeighbors(n_neighbors=least).fit(values).kneighbors(values)[0][:, -1]
    rule = _by_nearest(values, raw, reach)
    return build(f"HDBSCAN, at least {least}", table, rule(values), rule=rule)


def knee_radius(data, least: int = 5) -> float:
    """A radius to begin with for `dbscan`: where the sorted distances to the ``least``-th nearest user bend most.

    Users in crowded places have small distances, noise has large ones; the bend is the point farthest below the straight line from
    the smallest to the largest (Satopaa and others, 2011). Users with ``least`` equals have the distance zero and are left out.
    Raises as `dbscan` does, and ValueError where no user is left.
    """
    from sklearn.neighbors import NearestNeighbors

    values = as_table(data).dense("knee_radius")
    least = whole(least, 2, "knee_radius: least")
    if least > len(values):
        raise ValueError(f"knee_radius: least={least:,} is more than there are users, {len(values):,}")
    distance = np.sort(NearestNeighbors(n_neighbors=least).fit(values).kneighbors(values)[0][:, -1])
    distance = distance[distance > 0]
    if not len(distance):
        raise ValueError(f"knee_radius: every user has {least} equals or more; there are no distances to find a bend in")
    rise = distance - distance[0]
    return float(distance[(np.linspace(0, 1, len(rise)) * rise[-1] - rise).argmax()])


def _by_nearest(known: np.ndarray, labels: np.ndarray, reach: np.ndarray) -> Callable:
    """The rule: the label of the nearest known user, if not farther than that user's reach; else noise."""
    if not len(known):
        return lambda values: np.full(values.shape[0], NOISE)
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=1).fit(known)

    def rule(values):
        values = values.toarray() if sparse.issparse(values) else values
        nearest = search.kneighbors(values, return_distance=False)[:, 0]
        distance = np.linalg.norm(values - known[nearest], axis=1)  # anew: a user's distance to itself must be exactly zero
        return np.where(distance <= reach[nearest], labels[nearest], NOISE)

    return rule
