"""Implicit alternating least squares: vectors of users and items for 'touched or not', by exact steps in turn."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import linalg, sparse

from recsys_kit.models.history import FromHistory

CONFIDENCE = {"binary": np.ones_like, "linear": lambda r: r, "log": np.log1p}
BLOCK = 2_000_000  # numbers of gathered vectors held at once


class IALS(FromHistory):
    """Factorises who touched what, and doubts what nobody touched: score of item i for user u is ``x_u . y_i``.

    Minimises, over all pairs, the touched (u, i) with weight ``unobserved + a_ui`` and target 1, all others with weight
    ``unobserved`` and target 0 (Hu, Koren, Volinsky 2008, "Collaborative filtering for implicit feedback datasets")::

        sum_touched (unobserved + a_ui) (1 - x_u.y_i)^2 + unobserved sum_others (x_u.y_i)^2
            + l2 (sum_u f_u ||x_u||^2 + sum_i f_i ||y_i||^2)

    factors, epochs : length of the vectors; passes over users, then items. Each half of a pass is the exact minimum.
    l2, frequency : ``f_u = (n_u + unobserved m)^frequency`` with n_u items touched of m, and the same for items. 1 makes the
        penalty grow with the evidence, 0 is the classical equal penalty (Rendle et al. 2021, "Revisiting the performance
        of iALS"). With 1, l2 of .001 to .1 is usual; with 0, of 1 to 100.
    unobserved : weight of a pair nobody touched, above zero; Hu et al. have 1.
    alpha, confidence : ``a_ui = alpha`` (``"binary"``), ``alpha r`` (``"linear"``) or ``alpha log(1 + r)`` (``"log"``), where r is
        the pair's summed ``weights``: the more often, or the dearer, the surer.
    weights : ``beta`` per behaviour; None: every event counts 1, returns nothing.
    rng : int, or None for another start every time.

    A user's vector is always the exact minimum for their history, given the items: ``vectors(users)``. So whoever has a history
    has a vector. Learned: ``item_vectors_`` (items, factors) float64, ``objective_`` after every half pass; it never rises.

    Rendle et al. write the same loss with target 1 in a touched term and ``unobserved`` on all pairs: in binary form that is
    this one with their l2 times (1 + unobserved). Raises ValueError for settings that cannot be meant.
    """

    binary = False

    def __init__(self, factors: int = 64, *, epochs: int = 12, l2: float = 0.01, unobserved: float = 0.1, alpha: float = 1.0,
                 confidence: str = "binary", frequency: float = 1.0, weights: Mapping[str, float] | None = None,
                 rng: int | None = 0):
        for name, value in {"factors": factors, "epochs": epochs}.items():
            if value < 1 or int(value) != value:
                raise ValueError(f"{name}={value!r}: give a whole number from 1 on")
        for name, value in {"l2": l2, "unobserved": unobserved, "alpha": alpha}.items():
            if not (value > 0 and np.isfinite(value)):
                raise ValueError(f"{name}={value!r}: give a number above zero; without it the minimum is not one point")
        if not 0 <= frequency < np.inf:
            raise ValueError(f"frequency={frequency!r}: give a number from 0 (equal penalty) on; 1 lets it grow with the evidence")
        if confidence not in CONFIDENCE:
            raise ValueError(f"confidence={confidence!r}: there are {', '.join(CONFIDENCE)}")
        self.factors, self.epochs, self.l2, self.unobserved, self.alpha = factors, epochs, l2, unobserved, alpha
        self.confidence, self.frequency, self.weights, self.rng = confidence, frequency, weights, rng

    def _learn(self, matrix: sparse.csr_array) -> None:
        items = np.random.default_rng(self.rng).normal(0, 0.1 / np.sqrt(self.factors), (matrix.shape[1], self.factors))
        by_user = self._extra(matrix)
        by_item = by_user.T.tocsr()
        of_users, of_items = self._penalty(by_user), self._penalty(by_item)
        self.objective_ = []
        for _ in range(self.epochs):
            users, value = minimise(by_user, items, self.unobserved, of_users)
            self.objective_.append(value + float(of_items @ (items ** 2).sum(axis=1)))
            items, value = minimise(by_item, users, self.unobserved, of_items)
            self.objective_.append(value + float(of_users @ (users ** 2).sum(axis=1)))
        self.item_vectors_ = items

    def _extra(self, matrix: sparse.csr_array) -> sparse.csr_array:
        values = self.alpha * CONFIDENCE[self.confidence](matrix.data.astype(np.float64))
        return sparse.csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape)

    def _penalty(self, rows: sparse.csr_array) -> np.ndarray:
        return self.l2 * (np.diff(rows.indptr) + self.unobserved * rows.shape[1]) ** self.frequency

    def vectors(self, users, *, at=None) -> np.ndarray:
        """The users' vectors (len(users), factors), from what they touched (before ``at``); zeros for an empty history."""
        self._check_fitted()
        return self._fold_in(self._cleaned(self.history_.rows(pd.Index(users), before=at)))

    def _fold_in(self, rows: sparse.csr_array) -> np.ndarray:
        extra = self._extra(rows)
        return minimise(extra, self.item_vectors_, self.unobserved, self._penalty(extra))[0]

    def _score_rows(self, rows: sparse.csr_array) -> np.ndarray:
        return self._fold_in(rows) @ self.item_vectors_.T


def minimise(extra: sparse.csr_array, fixed: np.ndarray, unobserved: float, penalty: np.ndarray) -> tuple[np.ndarray, float]:
    """The vectors x that minimise the loss of each row, given the vectors ``fixed`` of the columns; and the sum of the minima.

    extra : (n, m) sparse, ``a`` of the touched pairs, above zero. fixed : (m, d). penalty : (n,), above zero.

    The d x d system of row u is ``(unobserved Y^T Y + Y_u^T A_u Y_u + penalty_u I) x = Y_u^T c_u`` with c = unobserved + a.
    Two things make it cheap and leave it exact (to single precision). In the basis of the eigenvectors of ``Y^T Y`` all but the
    middle term is a diagonal D; and where fewer than d columns are touched, ``x = D^-1 Y_u^T s`` with
    ``(A_u^-1 + Y_u D^-1 Y_u^T) s = A_u^-1 c_u``, a system as small as the history (Woodbury). Rows of similar length are
    gathered and multiplied together.
    """
    (n, m), d = extra.shape, fixed.shape[1]
    sizes, basis = np.linalg.eigh(fixed.T @ fixed)
    turned = np.vstack([fixed @ basis, np.zeros(d)]).astype(np.float32)  # the last row stands where a shorter history ends
    diagonal = unobserved * np.maximum(sizes, 0) + penalty[:, None]
    lengths = np.diff(extra.indptr)
    order = np.argsort(-lengths, kind="stable")
    order = order[:np.count_nonzero(lengths)]
    solved, total, done = np.zeros((n, d)), 0.0, 0
    while done < len(order):
        longest = int(lengths[order[done]])
        rows = order[done:done + max(1, BLOCK // (longest * d + min(longest, d) ** 2))]
        done += len(rows)
        place = np.arange(longest)
        inside = place < lengths[rows, None]
        where = np.where(inside, extra.indptr[rows, None] + place, 0)
        y = turned[np.where(inside, extra.indices[where], m)]  # (rows, longest, d)
        a = np.where(inside, extra.data[where], 1.0)
        c = np.where(inside, unobserved + a, 0.0)
        total += c.sum()
        # z @ z.T, the same array twice, is half the work of a product of two
        if longest < d:
            root = np.sqrt(diagonal[rows])
            z = y / root[:, None].astype(y.dtype)
            s = _solve(z @ z.transpose(0, 2, 1), 1 / a, c / a)
            solved[rows] = (s[:, None] @ z)[:, 0] / root
            total -= (c * (c - s) / a).sum()  # at the minimum the loss of a row is sum of c - c.(Y x)
        else:
            root = np.sqrt(a)
            z = y * root[..., None].astype(y.dtype)
            right = ((c / root).astype(y.dtype)[:, None] @ z)[:, 0]
            solved[rows] = _solve(z.transpose(0, 2, 1) @ z, diagonal[rows], right)
            total -= (right * solved[rows]).sum()
    return solved @ basis.T, total


def _solve(systems: np.ndarray, diagonal: np.ndarray, right: np.ndarray) -> np.ndarray:
    """x of ``(system + diag(diagonal)) x = right`` in every row: symmetric, positive definite, by Cholesky."""
    place = np.arange(systems.shape[1])
    systems[:, place, place] += diagonal
    posv, = linalg.get_lapack_funcs(("posv",), (systems,))
    solved = []
    for matrix, side in zip(systems, right, strict=True):
        _, x, failed = posv(matrix.T, side, overwrite_a=True)
        if failed:
            raise ValueError("IALS: the loss is so flat that single precision cannot find its minimum; raise l2 or unobserved, "
                             "or lower alpha")
        solved.append(x)
    return np.array(solved)
