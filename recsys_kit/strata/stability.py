"""Would other users of the same shop have given the same strata? And what do strata found in noise look like?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import sparse

from recsys_kit.data.interactions import Interactions
from recsys_kit.strata.partition import kmeans
from recsys_kit.strata.table import Table, as_table, distinct, require_k, whole

MOST = 10_000  # users per resample; enough to tell, and a hundred thousand take no longer


def stability(data, k: int, *, method: Callable = kmeans, resamples: int = 10, rng=None, progress=None) -> np.ndarray:
    """Stability (稳定性) of ``k`` strata: adjusted Rand indices, shape (resamples,). 1: the same strata every time, 0: chance.

    For each resample the users are cut at random into two halves, ``method`` learns strata from each, both sets of strata
    `assign` all the users, and the two assignments are compared by the adjusted Rand index (Hubert and Arabie, 1985), noise
    being a group of its own. The halves share no user, so nothing but what is in the shop can make them agree (Lange, Roth,
    Braun and Buhmann, 2004). Of more than 10,000 users each resample draws 10,000.

    A half with fewer different users than ``k`` cannot be cut into ``k`` strata: that resample is nan.

    Stable is not true: the marginals alone can make strata stable. Compare with ``stability(shuffled(data, rng), k)``.

    data : DataFrame users x numbers, or `Interactions`. method : called as ``method(data, k, rng=generator)``, returns `Strata`.
    progress : called as ``progress(done, resamples)``. The same ``rng`` cuts the same halves for every ``k``.
    Methods by density find their own number of strata and know no k. Raises ValueError for fewer than ``2 k`` users, fewer than
    ``k`` different ones or no resample, and `SchemaError` (see `as_table`).
    """
    table = as_table(data)
    users = len(table)
    k, resamples = whole(k, 1, "stability: k"), whole(resamples, 1, "stability: resamples")
    if users < 2 * k:
        raise ValueError(f"stability: {k} strata are learned from half of {users:,} users; that needs {2 * k}.\nTo mend it: fewer "
                         f"strata, or more users")
    require_k(table, k, "stability")
    found = []
    for seed in seeds(rng, resamples):
        found.append(agreement(data, k, method, seed))
        if progress:
            progress(len(found), resamples)
    return np.array(found)


def seeds(rng, resamples: int) -> np.ndarray:
    """One seed per resample."""
    return np.random.default_rng(rng).integers(2**31 - 1, size=resamples)


def agreement(data, k: int, method: Callable, seed: int) -> float:
    """One resample of `stability`; nan where a half has fewer different users than ``k``."""
    from sklearn.metrics import adjusted_rand_score

    own = np.random.default_rng(seed)
    rows = own.permutation(len(data.users) if isinstance(data, Interactions) else len(data))[:MOST]
    half = len(rows) // 2
    halves = [take(data, part) for part in (rows[:half], rows[half:])]
    if any(distinct(as_table(part).values, k) < k for part in halves):
        return np.nan
    asked = take(data, rows)
    one, other = (method(part, k, rng=own).assign(asked) for part in halves)
    return float(adjusted_rand_score(one, other))


def shuffled(data, rng=None):
    """The same columns with no joint structure: each column's values are dealt to the users anew, column by column.

    What strata, indices or stability show on it is due to the marginals (sizes, tails, zeros) alone: a null to compare with.
    data : DataFrame or `Interactions`; the same type comes back. An interest matrix keeps every item's entries (and their
    `since`), so every item stays as popular as it is; who is heavy is lost like all else that is joint.
    """
    table, rng = as_table(data), np.random.default_rng(rng)
    if not isinstance(data, Interactions):
        values = rng.permuted(table.dense("shuffled"), axis=0)
        return pd.DataFrame(values, index=table.users, columns=table.columns)
    users = len(table)
    by_item = _places(data.matrix).tocsc()
    rows = [rng.choice(users, count, replace=False) for count in np.diff(by_item.indptr)]
    rows = np.concatenate(rows) if rows else np.empty(0, dtype=np.int64)
    return _interactions(data, data.users, sparse.csc_array((by_item.data, rows, by_item.indptr), shape=by_item.shape).tocsr())


def take(data, rows: np.ndarray):
    """Some of the users, by position, as the type that came in."""
    if isinstance(data, Table):
        return data.take(rows)
    if isinstance(data, Interactions):
        return _interactions(data, data.users[rows], _places(data.matrix)[rows])
    return data.iloc[rows]


def _places(matrix: sparse.csr_array) -> sparse.csr_array:
    """The matrix with the place of every stored entry instead of its value: what moves it moves weight and time alike."""
    return sparse.csr_array((np.arange(1, matrix.nnz + 1), matrix.indices, matrix.indptr), shape=matrix.shape)


def _interactions(data: Interactions, users: pd.Index, places: sparse.csr_array) -> Interactions:
    place = places.data - 1
    matrix = sparse.csr_array((data.matrix.data[place], places.indices, places.indptr), shape=places.shape)
    return replace(data, users=users, matrix=matrix, since=data.since[place])
