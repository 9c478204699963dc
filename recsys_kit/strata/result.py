"""What every stratifier returns: who belongs where, how big the strata are, where their middles lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.special import softmax

from recsys_kit.schema import USER
from recsys_kit.strata.table import Table, as_table, whole

NOISE = -1
STRATUM = "stratum"
BLOCK = 500_000  # distances held at a time: 4 MB, which a processor keeps at hand


@dataclass(frozen=True, eq=False)
class Strata:
    """Strata of users (分层). They are numbered by size: 0 is the largest.

    Attributes
    ----------
    method : how they were made, in words.
    labels : int64 Series, user id -> stratum; `NOISE` (-1) for users that belong to none.
    centres : DataFrame, strata x columns: the mean of the members (K-Means with a penalty or in mini-batches: see there).
    distance : float64 Series, user id -> Euclidean distance to the own centre (nan for noise).
    rule : how values (n x p) of users become labels; `assign` uses it.
    tree : for hierarchical strata the merges, as `scipy.cluster.hierarchy.linkage` writes them; else None.
    grown_on : for hierarchical strata the table, and for each of its users the leaf of the tree; `cut` needs them; else None.
    """

    method: str
    labels: pd.Series
    centres: pd.DataFrame
    distance: pd.Series
    rule: Callable
    tree: np.ndarray | None = None
    grown_on: tuple[Table, np.ndarray] | None = field(default=None, repr=False)

    @property
    def k(self) -> int:
        """Number of strata; noise is none."""
        return len(self.centres)

    @property
    def sizes(self) -> pd.Series:
        """Number of users per stratum, noise (-1) last if there is any."""
        counts = self.labels.value_counts()
        return counts.reindex([*range(self.k), *([NOISE] if NOISE in counts.index else [])]).rename("users")

    @property
    def inertia(self) -> float:
        """Sum of squared distances to the own centre, ``sum_i ||x_i - mu_(c_i)||^2``: what K-Means minimises. Noise is left out."""
        return float((self.distance**2).sum())

    def assign(self, data) -> pd.Series:
        """Strata of other users, without learning anew: by the nearest centre, or as the method's docstring says.

        ``data`` has the columns that the strata were learned from (any order). Raises `SchemaError` (see `as_table`).
        """
        table = as_table(data, self.centres.columns)
        return pd.Series(self.rule(table.values), index=table.users.rename(USER), name=STRATUM)

    def distances(self, data) -> pd.DataFrame:
        """Euclidean distance of users to every centre, users x strata."""
        table = as_table(data, self.centres.columns)
        squared = squared_distances(table.values, self.centres.to_numpy())
        return pd.DataFrame(np.sqrt(squared), index=table.users.rename(USER), columns=self.centres.index)

    def membership(self, data, *, softness: float = 1.0) -> pd.DataFrame:
        """Soft membership (软分层): users x strata, every row sums to 1.

        ``p(c | x) = n_c exp(-||x - mu_c||^2 / (2 softness s^2)) / sum of the same over all strata``, with ``n_c`` the stratum's
        size and ``s^2`` the mean squared distance to the own centre per dimension: the posterior of a mixture of equal round
        Gaussians (Bishop, 2006, section 9.3). ``softness`` above 1 spreads it; towards 0 it becomes the hard assignment. Users of
        whom nothing sets a stratum apart get the strata's shares. Raises ValueError for softness not above zero or no strata.
        """
        if not softness > 0:
            raise ValueError(f"membership: softness must be above zero, not {softness}")
        if not self.k:
            raise ValueError("membership: there are no strata; all users are noise")
        squared = self.distances(data) ** 2
        members = self.sizes.drop(NOISE, errors="ignore")
        variance = self.inertia / (members.sum() * self.centres.shape[1])
        if variance == 0:  # every member sits on its centre: the limit is the hard assignment
            return squared.eq(squared.min(axis=1), axis=0).pipe(lambda hit: hit.div(hit.sum(axis=1), axis=0))
        further = squared.sub(squared.min(axis=1), axis=0).to_numpy()  # the same weights, and the nearest stratum never vanishes
        log_weight = np.log(members.to_numpy()) - further / (2 * softness * variance)
        return pd.DataFrame(softmax(log_weight, axis=1), index=squared.index, columns=squared.columns)

    def nearest(self, n: int = 3) -> pd.DataFrame:
        """The ``n`` members nearest to each centre: stratum, user_id, distance; the stratum's most typical users."""
        n = whole(n, 1, "nearest: n")
        table = pd.DataFrame({STRATUM: self.labels, "distance": self.distance}).rename_axis(USER).reset_index()
        table = table[table[STRATUM] != NOISE].sort_values([STRATUM, "distance"], kind="stable")
        return table.groupby(STRATUM).head(n)[[STRATUM, USER, "distance"]].reset_index(drop=True)

    def __repr__(self) -> str:
        noise = int((self.labels == NOISE).sum())
        return f"Strata({self.method}: {self.k} strata of {len(self.labels):,} users" + (f", {noise:,} noise)" if noise else ")")


def squared_distances(values, centres: np.ndarray) -> np.ndarray:
    """(n, k) squared Euclidean distances ``||x||^2 - 2 x.mu + ||mu||^2`` of rows (dense or sparse) to centres; never below zero."""
    own, rest = _parts(values, centres)
    rest += own[:, None]
    return np.maximum(rest, 0.0, out=rest)


def nearest(values, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For every row the nearest centre (of equally near ones the first) and the squared distance to it. Memory stays bounded."""
    rows = max(BLOCK // max(len(centres), 1), 1)
    labels, squared = np.empty(values.shape[0], dtype=np.int64), np.empty(values.shape[0])
    for start in range(0, len(labels), rows):
        own, rest = _parts(values[start:start + rows], centres)
        best = rest.argmin(axis=1)
        labels[start:start + rows], squared[start:start + rows] = best, own + rest[np.arange(len(best)), best]
    return labels, np.maximum(squared, 0.0, out=squared)


def _parts(values, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``||x||^2`` (n,) and ``||mu||^2 - 2 x.mu`` (n, k), from the middle of the centres where rows are dense."""
    if isinstance(values, np.ndarray) and len(centres):  # a column of large numbers would swallow the digits of small differences
        middle = centres.mean(axis=0)
        values, centres = values - middle, centres - middle
    own = values.multiply(values).sum(axis=1) if sparse.issparse(values) else np.einsum("ij,ij->i", values, values)
    rest = values @ (-2 * centres.T)
    rest += np.einsum("ij,ij->i", centres, centres)
    return np.asarray(own).ravel(), rest


def nearest_centre(centres: np.ndarray) -> Callable:
    """The rule of centre-based strata: the nearest centre."""
    return lambda values: nearest(values, centres)[0]


def totals(values, labels: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Sum (k x p) and number (k,) of the rows of each label; rows with a negative label are left out."""
    members = np.flatnonzero(labels >= 0)
    onehot = sparse.csr_array((np.ones(len(members)), (labels[members], members)), shape=(k, len(labels)))
    sums = onehot @ values
    return sums.toarray() if sparse.issparse(sums) else sums, np.bincount(labels[members], minlength=k)


def own_squared(values, labels: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Squared distance of every row to the centre of its label; n numbers however many centres there are."""
    if not sparse.issparse(values):
        apart = values - centres[labels]
        return np.einsum("ij,ij->i", apart, apart)
    rows = np.repeat(np.arange(len(labels)), np.diff(values.indptr))  # ||x||^2 - 2 x.mu over the stored entries only
    entries = values.data * (values.data - 2 * centres[labels[rows], values.indices])
    return np.maximum(np.bincount(rows, entries, minlength=len(labels)) + np.einsum("ij,ij->i", centres, centres)[labels], 0.0)


def build(method: str, table: Table, raw_labels: np.ndarray, *, rule: Callable | None = None, centres: np.ndarray | None = None,
          **more) -> Strata:
    """Make the result from labels in any numbering (negative: noise). Strata are renumbered by size, ties by their first user.

    rule : raw rule in the numbering of ``raw_labels``; None: nearest centre. centres : in that numbering; None: the members' means.
    more : further fields of `Strata`.
    """
    raw_labels = np.asarray(raw_labels, dtype=np.int64)
    found, first, counts = np.unique(raw_labels[raw_labels >= 0], return_index=True, return_counts=True)
    order = found[np.lexsort((first, -counts))]  # position: new number, value: raw one
    number = np.full(int(found.max(initial=-1)) + 2, NOISE)  # the last place answers for every negative raw label
    number[order] = np.arange(len(order))
    labels = number[np.maximum(raw_labels, -1)]
    if centres is None:
        sums, members = totals(table.values, labels, len(order))
        centres = sums / members[:, None]
    else:
        centres = np.asarray(centres, dtype=np.float64)[order]
    distance = np.full(len(table), np.nan)
    kept = np.flatnonzero(labels >= 0)
    distance[kept] = np.sqrt(own_squared(table.values[kept], labels[kept], centres))
    users = table.users.rename(USER)
    return Strata(
        method=method, **more,
        labels=pd.Series(labels, index=users, name=STRATUM), distance=pd.Series(distance, index=users, name="distance"),
        centres=pd.DataFrame(centres, index=pd.RangeIndex(len(order), name=STRATUM), columns=table.columns),
        rule=nearest_centre(centres) if rule is None else lambda values: number[np.maximum(rule(values), -1)])
