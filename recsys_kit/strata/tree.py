"""Ward's tree: join the two strata whose union costs least, again and again; every cut of the tree is a set of strata."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from recsys_kit.strata.result import Strata, build, totals
from recsys_kit.strata.table import Table, as_table, require_k, whole


def ward(data, k: int, *, exact: int = 5_000, micro: int = 2_000, rng=None) -> Strata:
    """Hierarchical strata (层次聚类) by Ward's rule (Ward, 1963): join the two whose union costs least, until k are left.

    Every user begins alone. A union raises the sum of squared distances to the centres by
    ``n_a n_b / (n_a + n_b) ||mu_a - mu_b||^2``.

    data : DataFrame (n users x p numbers). k : number of strata, from 1 to the number of different users.
    exact : up to so many users the tree is exact (see `ward_tree`); the time grows with the square of n: about 1 s for 5,000 users
        of 10 columns.
    micro : at least k. With more users, mini-batch K-Means first makes so many micro-strata, and Ward goes on from these, each with
        the weight of its users (two steps, as in BIRCH; Zhang, Ramakrishnan and Livny, 1996): the time then grows with n, not with
        its square. With no more than ``micro`` different users nothing is lost: these are the micro-strata.
    rng : None, int or numpy Generator, for the micro-strata; the exact tree uses no chance.

    ``tree`` of the result holds the merges as `scipy.cluster.hierarchy.linkage` writes them, of users or of micro-strata (the last
    column counts these); `cut` cuts it elsewhere. New users go to the nearest centre. That is an approximation: Ward never takes a
    user back out of a stratum, so a member may lie nearer to another centre and ``assign(data)`` differ from ``labels``.
    Raises `SchemaError` for a broken table or a sparse one, ValueError for a k or another argument outside its range.

    >>> import pandas as pd
    >>> ward(pd.DataFrame({"spend": [1.0, 2.0, 9.0, 10.0, 11.0]}, index=list("abcde")), 2).labels.tolist()
    [1, 1, 0, 0, 0]
    """
    table = as_table(data)
    values = table.dense("ward")
    k = require_k(table, k, "ward")
    if len(table) <= whole(exact, 0, "ward: exact"):
        return _strata("Ward", table, np.arange(len(table)), ward_tree(values), k)
    micro = whole(micro, k, "ward: micro, which k cannot exceed,")
    leaf, centres, sizes = _micro_strata(values, micro, np.random.default_rng(rng))
    return _strata(f"Ward on {len(sizes):,} micro-strata", table, leaf, ward_tree(centres, sizes), k)


def cut(strata: Strata, k: int) -> Strata:
    """The strata of the same tree at another level: k of them, nested in (or holding) those at every other level.

    strata : what `ward` (or `cut`) gave. k : from 1 to the number of different users, or of micro-strata.
    Raises ValueError for strata without a tree, and for a k outside its range.
    """
    if strata.grown_on is None:
        raise ValueError(f"cut: strata made by {strata.method} have no tree; make them with strata.ward")
    table, leaf = strata.grown_on
    return _strata(strata.method, table, leaf, strata.tree, require_k(table, k, "cut"))


def _strata(method: str, table: Table, leaf: np.ndarray, merges: np.ndarray, k: int) -> Strata:
    leaves = len(merges) + 1
    if k > leaves:
        raise ValueError(f"cut: {k:,} strata asked for, but the tree begins with {leaves:,} micro-strata; "
                         f"give ward a larger micro=")
    made = leaves - k  # the merges come in order of height: the first of them stay, the others are undone
    joined = np.arange(leaves, leaves + made)
    edges = sparse.coo_array((np.ones(2 * made), (merges[:made, :2].T.astype(np.int64).ravel(), np.tile(joined, 2))),
                             shape=(leaves + made, leaves + made))
    return build(method, table, connected_components(edges, directed=False)[1][leaf], tree=merges, grown_on=(table, leaf))


def _micro_strata(values: np.ndarray, micro: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The micro-stratum of every user, the centres, and the sizes."""
    from sklearn.cluster import MiniBatchKMeans

    different, leaf, sizes = np.unique(values, axis=0, return_inverse=True, return_counts=True)
    if len(different) > micro:
        model = MiniBatchKMeans(micro, n_init=1, batch_size=min(2048, len(values)), random_state=int(rng.integers(2**31 - 1)))
        leaf = np.unique(model.fit(values).labels_, return_inverse=True)[1]  # one without users is none
        sums, sizes = totals(values, leaf, int(leaf.max()) + 1)
        different = sums / sizes[:, None]
    return leaf, different, sizes


def ward_tree(points: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Ward's merges of points (m x p) with weights (None: 1 each), as `scipy.cluster.hierarchy.linkage` writes them.

    A point of weight 3 is three equal points already joined. The heights are scipy's: ``sqrt(2 n_a n_b / (n_a + n_b))`` times the
    distance of the centres. The last column counts points, not weight, as scipy's own tools ask. Memory grows with m: no table of
    distances is held. Found by chains of nearest neighbours (Murtagh, 1983): go from any stratum to its nearest, from there to its
    nearest, until two are each other's nearest; these will be joined in the end whatever happens elsewhere, so join them at once
    and go on from what is left of the chain.
    """
    centres = np.array(points, dtype=np.float64)
    weights = np.ones(len(centres)) if weights is None else np.array(weights, dtype=np.float64)
    member = np.arange(len(centres))  # one point of each stratum, by which it is known
    gone = np.zeros(len(centres))  # infinity where a stratum was joined to another
    chain, pairs, heights = [], [], []
    left = len(centres)
    while left > 1:
        if 2 * left < len(centres):  # the joined ones are no longer looked at
            stay = np.flatnonzero(gone == 0)
            place = np.cumsum(gone == 0) - 1
            chain = [place[stratum] for stratum in chain]
            centres, weights, member, gone = centres[stay], weights[stay], member[stay], gone[stay]
        if not chain:
            chain.append(int((gone == 0).argmax()))
        tip = chain[-1]
        apart = centres - centres[tip]
        cost = np.einsum("ij,ij->i", apart, apart) * (weights * weights[tip] / (weights + weights[tip])) + gone
        cost[tip] = np.inf
        to = int(cost.argmin())
        if len(chain) < 2 or cost[to] < cost[chain[-2]]:
            chain.append(to)
            continue
        to = chain[-2]  # of equally near ones the one we came from, or the chain would never end
        pairs.append((member[tip], member[to]))
        heights.append(np.sqrt(2 * cost[to]))
        both = weights[tip] + weights[to]
        centres[to] += (weights[tip] / both) * (centres[tip] - centres[to])
        weights[to], gone[tip] = both, np.inf
        del chain[-2:]
        left -= 1
    return _in_order(np.array(pairs, dtype=np.int64).reshape(-1, 2), np.array(heights))


def _in_order(pairs: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Merges sorted by height; a stratum, known by one of its points so far, gets scipy's number: m + the row that made it."""
    m = len(pairs) + 1
    parent, size = np.arange(2 * m - 1), np.ones(2 * m - 1)
    merges = np.empty((m - 1, 4))
    order = np.argsort(heights, kind="stable")

    def top(node: int) -> int:
        path = []
        while parent[node] != node:
            path.append(node)
            node = parent[node]
        parent[path] = node
        return node

    for row, merge in enumerate(order):
        a, b = sorted(top(point) for point in pairs[merge])
        parent[[a, b]] = m + row
        size[m + row] = size[a] + size[b]
        merges[row] = a, b, heights[merge], size[m + row]
    return merges
