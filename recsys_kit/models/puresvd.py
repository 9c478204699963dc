"""PureSVD: the best low-rank picture of the matrix with zeros where nothing is known."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import svds

from recsys_kit.fusion.signs import fixed_signs
from recsys_kit.models.history import FromHistory


class PureSVD(FromHistory):
    """Projects a history on the main directions of all histories: score of item j for history x is ``(x V V^T)_j``.

    ``X = U S V^T``, cut after ``factors`` singular values, is the closest matrix of that rank to the binary users x items
    matrix X (Cremonesi, Koren, Turrin 2010, "Performance of recommender algorithms on top-n recommendation tasks"; they take
    ratings where here stands a 1). For users of the training ``x V V^T`` is their row of ``U S V^T``.

    factors : above the rank of the matrix, all there are are taken.
    weights : ``beta`` per behaviour; a pair whose sum is above zero is a 1. None: any event but a return.

    Learned: ``item_vectors_`` (items, factors), columns of V, strongest first, each with its largest entry positive;
    ``singular_values_``. The same fit gives the same numbers. Raises ValueError for fewer than one factor.
    """

    def __init__(self, factors: int = 50, *, weights: Mapping[str, float] | None = None):
        if factors < 1 or int(factors) != factors:
            raise ValueError(f"factors={factors!r}: give a whole number from 1 on")
        self.factors, self.weights = factors, weights

    def _learn(self, matrix: sparse.csr_array) -> None:
        self.item_vectors_, self.singular_values_ = right_singular(matrix.astype(np.float64), self.factors)

    def vectors(self, users, *, at=None) -> np.ndarray:
        """The users' places ``x V`` (len(users), factors), from what they touched (before ``at``); zeros for an empty history."""
        self._check_fitted()
        return self._cleaned(self.history_.rows(users, before=at)) @ self.item_vectors_

    def _score_rows(self, rows: sparse.csr_array) -> np.ndarray:
        return (rows @ self.item_vectors_) @ self.item_vectors_.T


def right_singular(matrix: sparse.csr_array, count: int, *, tol: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """The first right singular vectors (m, count) and singular values of a sparse (n, m) matrix, strongest first.

    Fewer where the rank of the matrix is lower. tol : relative accuracy of the values, 0 for machine precision. Lanczos from a
    fixed start; of a vector and its mirror image the one with its largest entry positive.
    """
    n, m = matrix.shape
    if not matrix.nnz:
        return np.empty((m, 0)), np.empty(0)
    if count >= min(n, m) - 1 or min(n, m) <= 64:
        values, right = np.linalg.svd(matrix.toarray(), full_matrices=False)[1:]
        return _that_are_there(values[:count], right[:count])
    start = np.random.default_rng(0).uniform(0.5, 1.5, min(n, m))
    values, right = svds(matrix, k=count, tol=tol, v0=start, return_singular_vectors="vh" if n >= m else True)[-2:]
    order = np.argsort(-values, kind="stable")
    return _that_are_there(values[order], right[order])


def _that_are_there(values: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Without those of singular value zero: any direction at all would do for them, and it would count in a new history."""
    kept = values > values[0] * 1e-10
    return fixed_signs(right[kept].T), values[kept]
