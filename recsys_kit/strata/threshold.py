"""Strata by a similarity threshold: users at least so alike are linked, and linked users share a stratum."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from recsys_kit.strata.result import NOISE, Strata, build
from recsys_kit.strata.table import as_table, number, whole

BLOCK = 4_000_000  # similarities held at a time
CENTRES = 250_000_000  # numbers in all centres together: 2 GB
ROUNDING = 1e-12


def threshold(data, tau: float, *, least: int = 2) -> Strata:
    """Strata of the users linked by ``sigma(u, v) >= tau``, with ``sigma(u, v) = u.v / (||u|| ||v||)``, the cosine (余弦相似度).

    The strata are the connected components of that graph, exactly, as single-link clustering cuts them (Sneath, 1957): two users of
    one stratum may be quite unlike if a chain of alike ones leads from one to the other.

    data : DataFrame (n users x p numbers), or `Interactions` (the sparse matrix users x items). tau : above 0, up to 1.
    least : smaller groups are noise. A user with nothing but zeros is like nobody, and always noise.

    Similarities are made in blocks, so memory stays bounded; time grows with the square of n (for a sparse matrix with the pairs of
    users that share an item). New users go to the stratum of the most similar user in any, if ``sigma >= tau``; else they are
    noise: ``assign(data)`` gives ``labels``. Raises `SchemaError` for a broken table, ValueError for a tau or ``least`` outside
    its range.

    >>> import pandas as pd
    >>> users = pd.DataFrame([[1, 0], [5, 1], [0, 2], [0, 1], [1, 1]], index=list("abcde"), columns=["tea", "toys"])
    >>> threshold(users, 0.9).labels.tolist()
    [0, 0, 1, 1, -1]
    """
    table = as_table(data)
    if not 0 < number(tau, "threshold: tau") <= 1:
        raise ValueError(f"threshold: tau must lie above 0 and not above 1, not {tau}")
    least = whole(least, 1, "threshold: least")
    unit, length = _unit(table.values)
    group = _components(unit, tau)
    group[(np.bincount(group)[group] < least) | (length == 0)] = NOISE
    groups = len(np.unique(group[group >= 0]))
    if groups * len(table.columns) > CENTRES:
        raise ValueError(f"threshold: {groups:,} groups, each with a centre of {len(table.columns):,} numbers, do not fit into "
                         f"memory; take a larger least, now {least}")
    members = np.flatnonzero(group >= 0)
    known, of = unit[members], group[members]

    def rule(values):
        best = np.full(values.shape[0], NOISE)
        for rows, columns, similarity in _alike(_unit(values)[0], known, tau):
            order = similarity.argsort(kind="stable")  # written in this order, the most similar stays
            best[rows[order]] = of[columns[order]]
        return best

    return build(f"cosine at least {tau:g}", table, group, rule=rule)


def _unit(values) -> tuple[np.ndarray | sparse.csr_array, np.ndarray]:
    """Rows brought to length 1 (zeros stay zeros), and the lengths they had."""
    if sparse.issparse(values):
        length = np.sqrt(np.asarray(values.multiply(values).sum(axis=1)).ravel())
        return sparse.csr_array(sparse.diags_array(1 / np.where(length, length, 1)) @ values), length
    length = np.linalg.norm(values, axis=1)
    return values / np.where(length, length, 1)[:, None], length


def _components(unit, tau: float) -> np.ndarray:
    """The component of every user; blocks of links are merged as they come, and never kept."""
    group = np.arange(unit.shape[0])
    for rows, columns, _ in _alike(unit, unit, tau):
        links = sparse.coo_array((np.ones(len(rows), dtype=bool), (group[rows], group[columns])), shape=(len(group),) * 2)
        group = connected_components(links, directed=False)[1][group]
    return group


def _alike(left, right, tau: float) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """All pairs of rows (left, right) at least tau alike, and how alike; a left row's pairs come in one block.

    Among the rows of one table a pair is looked at only once, save within a block.
    """
    for start, end in _blocks(left, right):
        first = start if left is right else 0
        similarity = left[start:end] @ right[first:].T
        if sparse.issparse(similarity):
            similarity = sparse.coo_array(similarity)
            near = similarity.data >= tau - ROUNDING
            rows, columns, value = similarity.row[near], similarity.col[near], similarity.data[near]
        else:
            rows, columns = np.nonzero(similarity >= tau - ROUNDING)
            value = similarity[rows, columns]
        yield rows + start, columns + first, value


def _blocks(left, right) -> Iterator[tuple[int, int]]:
    """Runs of left rows whose similarities to all right rows fit into one block."""
    work = np.full(left.shape[0], right.shape[0])
    if sparse.issparse(left) and sparse.issparse(right):  # only right rows that share a column count
        shared = sparse.csr_array((np.ones(left.nnz), left.indices, left.indptr), shape=left.shape)
        work = np.minimum(work, shared @ np.bincount(right.indices, minlength=right.shape[1]))
    block = (np.cumsum(work) // BLOCK).astype(np.int64)
    ends = np.append(np.flatnonzero(np.diff(block)) + 1, len(block))
    yield from zip(np.append(0, ends[:-1]), ends, strict=True)
