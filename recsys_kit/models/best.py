"""Choosing the k best of each row, compiled: one pass over the scores, which are neither copied nor sorted."""

from __future__ import annotations

import numba as nb
import numpy as np

# Scores of any layout, and such as must not be written to (a broadcast row): one compiled form for each of the two precisions.
_FORMS = [nb.void(nb.types.Array(number, 2, "A", readonly=True), nb.i8[::1], nb.i8[::1], nb.i8[:, ::1], nb.f8[:, ::1])
          for number in (nb.f8, nb.f4)]


@nb.njit(cache=True, nogil=True, inline="always")
def _sift_down(heap, at, size, score, column):  # pragma: no cover - compiled
    """Put (score, column) on top in place of what stands there, and let it sink among the first ``size``."""
    parent = 0
    while True:
        child = 2 * parent + 1
        if child >= size:
            break
        other = child + 1
        if other < size and (heap[other] < heap[child] or (heap[other] == heap[child] and at[other] > at[child])):
            child = other
        if heap[child] > score or (heap[child] == score and at[child] < column):
            break
        heap[parent], at[parent] = heap[child], at[child]
        parent = child
    heap[parent], at[parent] = score, column


@nb.njit(_FORMS, cache=True, nogil=True)
def choose(scores, starts, hidden, columns, values):  # pragma: no cover - compiled
    """Write the best columns and scores of every row, best first; of equal scores the lower column wins.

    scores : (n, m). starts, hidden : what is hidden in row r are the columns ``hidden[starts[r]:starts[r + 1]]``.
    columns, values : (n, k) to be written; places that stay empty keep what they hold. NaN and -inf are never chosen.
    """
    n, m = scores.shape
    k = columns.shape[1]
    mask = np.zeros(m, dtype=np.bool_)
    heap, at = np.empty(k), np.empty(k, dtype=np.int64)  # the worst of the best on top: lowest score, of equals the last column
    for row in range(n):
        for place in range(starts[row], starts[row + 1]):
            mask[hidden[place]] = True
        size, bar = 0, -np.inf
        for column in range(m):
            score = scores[row, column]
            if not score > bar or mask[column]:  # equal to the worst that is kept: it came first, it stays (and NaN is never above)
                continue
            if size < k:  # sift up
                child = size
                size += 1
                while child > 0:
                    parent = (child - 1) // 2
                    if heap[parent] < score:  # equal scores: the later column must be nearer to the top
                        break
                    heap[child], at[child] = heap[parent], at[parent]
                    child = parent
                heap[child], at[child] = score, column
                if size == k:
                    bar = heap[0]
            else:
                _sift_down(heap, at, size, score, column)
                bar = heap[0]
        for place in range(starts[row], starts[row + 1]):
            mask[hidden[place]] = False
        while size > 0:  # the worst leaves first
            size -= 1
            columns[row, size], values[row, size] = at[0], heap[0]
            _sift_down(heap, at, size, heap[size], at[size])
