"""Negative samples without collisions: items that a user has never touched, each as likely as the next.

Implicit data has no negatives, only items nobody knows about. Drawing any item calls some of the user's own items negative; drawing
again until it fits costs a look-up per draw. Here nothing is drawn twice: a rank among the untouched is drawn, and the item of that
rank is found by bisection in the sorted list of the touched.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy import sparse


@njit(cache=True, inline="always")
def untouched(touched, start, end, rank):
    """The untouched item of this rank, 0 for the first, of a user whose touched items are ``touched[start:end]``, sorted.

    Before the j-th touched item lie ``touched[j] - j`` untouched ones; every touched item with at most ``rank`` of them before it
    moves the answer up by one.
    """
    low, high = start, end
    while low < high:
        middle = (low + high) >> 1
        if touched[middle] - (middle - start) <= rank:
            low = middle + 1
        else:
            high = middle
    return rank + low - start


@njit(cache=True)
def _draw(indptr, touched, n_items, users, uniform):
    items = np.empty(uniform.shape, np.int64)
    for place, user in enumerate(users):
        start, end = indptr[user], indptr[user + 1]
        for column in range(uniform.shape[1]):
            items[place, column] = untouched(touched, start, end, np.int64(uniform[place, column] * (n_items - (end - start))))
    return items


def lists(matrix: sparse.csr_array) -> tuple[np.ndarray, np.ndarray, int]:
    """A users x items matrix as the lists of touched items, sorted: starts (users + 1,), items, and the number of all items."""
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    return matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), matrix.shape[1]


def draw(touched: tuple[np.ndarray, np.ndarray, int], users: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """An untouched item per number of ``uniform`` (len(users), count) in [0, 1): equal numbers for a user give equal items."""
    return _draw(*touched, users, uniform)


def negatives(matrix: sparse.csr_array, users, count: int, *, rng=None) -> np.ndarray:
    """``count`` items per entry of ``users`` that this user never touched, uniform, with replacement: int (len(users), count).

    matrix : users x items; every stored entry is a touched item. users : row numbers, in any order, repeats allowed.
    rng : None, int or Generator. Raises ValueError for a user who has touched every item, and for an unknown row.

    >>> touched = sparse.csr_array(np.array([[1, 1, 0, 1], [0, 1, 0, 0]]))
    >>> negatives(touched, [0, 1, 0], 2, rng=0).tolist()
    [[2, 2], [0, 0], [2, 2]]
    """
    touched = lists(matrix)
    users = np.asarray(users, dtype=np.int64)
    if len(users) and not (0 <= users.min() and users.max() < matrix.shape[0]):
        raise ValueError(f"negatives: users are row numbers from 0 to {matrix.shape[0] - 1}")
    full = np.diff(touched[0])[users] >= matrix.shape[1]
    if full.any():
        raise ValueError(f"negatives: user {users[full][0]} has touched all {matrix.shape[1]} items; leave such users out")
    return draw(touched, users, np.random.default_rng(rng).random((len(users), count)))
