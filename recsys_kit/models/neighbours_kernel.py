"""The inner loop of all neighbour models: the n most similar rows of each vector, without a rows x rows matrix."""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy import sparse

PRODUCT, COSINE, JACCARD, ADJUSTED = range(4)


def most_similar(vectors: sparse.csr_array, back: sparse.csr_array, own: np.ndarray, *, kind: int, n: int, shrinkage: float = 0.0,
                 scale: np.ndarray | None = None) -> sparse.csr_array:
    """For each vector its ``n`` largest similarities above zero; of equal ones those of the lower columns.

    vectors : (r, q), what is asked for. back : (q, p), those to compare with, as columns. own : (r,) the column that is the
    vector itself and is left out, -1 where there is none. scale : (p,) for `PRODUCT`.
    kind : with ``dot = sum_q vectors[i, q] back[q, j]`` and ``both`` the number of its terms: `COSINE` is dot over both lengths,
    `JACCARD` ``both / (n_i + n_j - both)``, `ADJUSTED` dot over the lengths of the terms both have, `PRODUCT` ``dot scale_j``.
    Each times ``both / (both + shrinkage)``, to 12 decimals but for `PRODUCT`. An entry of 0 that is stored is a term like others.

    Returns (r, p), columns ascending. Memory beside it: some numbers per column, and ``r n`` for the result.
    """
    n = int(min(n, back.shape[1]))
    if kind == COSINE:
        mine, theirs = (np.sqrt(matrix.power(2).sum(axis=axis)) for matrix, axis in ((vectors, 1), (back, 0)))
    elif kind == JACCARD:
        mine, theirs = np.diff(vectors.indptr).astype(float), np.bincount(back.indices, minlength=back.shape[1]).astype(float)
    else:
        mine, theirs = np.ones(vectors.shape[0]), np.ones(back.shape[1]) if scale is None else scale
    counts, columns, values = _most_similar(*_plain(vectors), *_plain(back), np.asarray(own, dtype=np.int64),
                                            np.asarray(mine, float), np.asarray(theirs, float), kind, n, float(shrinkage),
                                            bool((vectors.data == 1).all() and (back.data == 1).all()))
    kept = np.arange(n) < counts[:, None]
    return sparse.csr_array((values[kept], columns[kept], np.append(0, np.cumsum(counts))), shape=(vectors.shape[0], back.shape[1]))


def _plain(matrix: sparse.csr_array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One type for each array, so that the loop below is compiled once."""
    return matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data.astype(np.float64)


@njit(cache=True)
def _most_similar(ptr, index, value, back_ptr, back_index, back_value, own, mine, theirs, kind, n, shrinkage, ones):
    p = len(theirs)
    dot, length, other = np.zeros(p), np.zeros(p), np.zeros(p)
    both, touched, similar = np.zeros(p, np.int32), np.empty(p, np.int32), np.empty(p)
    counts = np.zeros(len(own), np.int64)
    columns, values = np.empty((len(own), n), np.int64), np.empty((len(own), n))
    for i in range(len(own)):
        reached = 0
        for at in range(ptr[i], ptr[i + 1]):
            weight, start, end = value[at], back_ptr[index[at]], back_ptr[index[at] + 1]
            if ones:  # the case that matters most: counting is all there is to do
                for back_at in range(start, end):
                    j = back_index[back_at]
                    if both[j] == 0:
                        touched[reached] = j
                        reached += 1
                    both[j] += 1
                continue
            for back_at in range(start, end):
                j = back_index[back_at]
                if both[j] == 0:
                    touched[reached] = j
                    reached += 1
                both[j] += 1
                dot[j] += weight * back_value[back_at]
                if kind == ADJUSTED:
                    length[j] += weight * weight
                    other[j] += back_value[back_at] * back_value[back_at]
        found = 0
        for at in range(reached):
            j = touched[at]
            if kind == JACCARD:
                s = both[j] / (mine[i] + theirs[j] - both[j])
            elif kind == COSINE:
                s = (both[j] if ones else dot[j]) / (mine[i] * theirs[j])
            elif kind == PRODUCT:
                s = (both[j] if ones else dot[j]) * theirs[j]
            elif ones:
                s = 1.0
            else:
                s = dot[j] / np.sqrt(length[j] * other[j]) if length[j] * other[j] > 0 else 0.0
            s *= both[j] / (both[j] + shrinkage)
            if kind != PRODUCT:
                s = np.round(s * 1e12) / 1e12  # what is equal by the formula is equal here, and goes by the column
            dot[j], length[j], other[j], both[j] = 0.0, 0.0, 0.0, 0
            if j != own[i] and s > 0:
                touched[found], similar[found] = j, s
                found += 1
        bar = np.partition(similar[:found], found - n)[found - n] if found > n else 0.0
        ties, candidates = n, 0
        for at in range(found):
            ties -= similar[at] > bar
            if similar[at] >= bar:
                touched[candidates], similar[candidates] = touched[at], similar[at]
                candidates += 1
        kept = 0
        for at in np.argsort(touched[:candidates]):
            if similar[at] > bar or ties > 0:
                ties -= similar[at] == bar
                columns[i, kept], values[i, kept] = touched[at], similar[at]
                kept += 1
        counts[i] = kept
    return counts, columns, values
