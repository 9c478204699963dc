"""RP3beta: where a walk of three steps from a user ends, with less for what is popular."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from recsys_kit.models.history import FromHistory
from recsys_kit.models.neighbours import spoken_for
from recsys_kit.models.neighbours_kernel import PRODUCT, most_similar


class RP3beta(FromHistory):
    """A walk user -> item -> user -> item, its steps to the power ``alpha``, its end discounted by popularity.

    ``w_ij = d_j^(-beta) sum_v (1 / d_i)^alpha (1 / d_v)^alpha`` over the users v who touched both i and j, with ``d`` the number of
    users of an item, of items of a user; the first step is the user's own history: ``s_uj = sum_(i touched by u) w_ij``. Of each
    item the ``neighbours`` largest ``w_ij`` are kept and made to sum to 1 (``normalise``), then the ``neighbours`` largest in each
    column. Source: Paudel, Christoffel, Newell and Bernstein (2017), "Updatable, accurate, diverse, and scalable recommendations";
    the form with neighbours is that of Ferrari Dacrema et al. (2021).

    alpha : 1 is the plain walk; more keeps to the surest steps. beta : 0 is the walk alone (P3alpha), more prefers rare items.
    weights : ``beta`` per behaviour; a pair whose sum is above zero was touched. None: any event but a return.
    Raises ValueError for settings that are not at least 0 (neighbours: 1). A user without a history gets no list. With ``at``, what
    the user touched from then on does not speak.
    """

    def __init__(self, alpha: float = 1.0, beta: float = 0.6, neighbours: int = 100, *, normalise: bool = True,
                 weights: Mapping[str, float] | None = None):
        for name, value, least in (("alpha", alpha, 0), ("beta", beta, 0), ("neighbours", neighbours, 1)):
            if not least <= value < np.inf:
                raise ValueError(f"{name}={value!r}: give a number from {least} on")
        self.alpha, self.beta, self.neighbours, self.normalise, self.weights = alpha, beta, int(neighbours), normalise, weights

    def _learn(self, matrix: sparse.csr_array) -> None:
        touched = matrix.astype(float)
        from_user = _steps(touched, self.alpha)
        from_item = _steps(touched.T.tocsr(), self.alpha)
        count = touched.sum(axis=0)
        discount = np.where(count > 0, np.maximum(count, 1) ** -self.beta, 0.0)
        walk = most_similar(from_item, from_user, np.arange(len(self.items_)), kind=PRODUCT, n=self.neighbours, scale=discount)
        if self.normalise:
            walk.data /= np.repeat(np.maximum(walk.sum(axis=1), 1e-300), np.diff(walk.indptr))
        self.walk_ = _largest_per_row(walk.T.tocsr(), self.neighbours).T.tocsr()

    def _score_rows(self, rows: sparse.csr_array) -> np.ndarray:
        return spoken_for(rows @ self.walk_)


def _steps(touched: sparse.csr_array, alpha: float) -> sparse.csr_array:
    """The chance of each step, to the power alpha."""
    degree = np.diff(touched.indptr)
    chance = np.repeat(np.maximum(degree, 1.0) ** -alpha, degree)
    return sparse.csr_array((chance, touched.indices, touched.indptr), shape=touched.shape)


def _largest_per_row(matrix: sparse.csr_array, n: int) -> sparse.csr_array:
    """Each row's n largest entries; of equal ones the lower column."""
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((matrix.indices, -matrix.data, row))
    kept = np.sort(order[np.arange(len(order)) - matrix.indptr[row] < n])
    counts = np.bincount(row[kept], minlength=matrix.shape[0])
    return sparse.csr_array((matrix.data[kept], matrix.indices[kept], np.append(0, np.cumsum(counts))), shape=matrix.shape)
