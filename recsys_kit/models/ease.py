"""EASE: the linear auto-encoder with a closed form. One inverse, no vector per user, no epochs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
from scipy import linalg, sparse

from recsys_kit.models.history import FromHistory

STRIP = 1_000


class EASE(FromHistory):
    """Each item as a weighted sum of the others: score of item j for history x is ``sum_i x_i B_ij``.

    Minimises ``||X - X B||_F^2 + l2 ||B||_F^2`` with ``diag(B) = 0`` for the binary users x items matrix X. With
    ``P = (X^T X + l2 I)^-1`` the answer is ``B_ij = -P_ij / P_jj`` off the diagonal (Steck 2019, "Embarrassingly shallow
    autoencoders for sparse data").

    l2 : above zero; more pulls towards plain co-occurrence. Typical are 10 to 2,000; choose it on held-back training data.
    weights : ``beta`` per behaviour; a pair whose sum is above zero is a 1. None: any event but a return.

    Where users are fewer than items, the n x n matrix ``C = (X X^T + l2 I)^-1`` is inverted instead, and nothing of size
    items x items is ever made: since ``l2 P = I - X^T C X`` (Woodbury), the same scores are
    ``x - (x - x X^T C X) / (1 - d)`` with ``d_j = x_j^T C x_j`` over the columns of X. Memory: 8 bytes times
    min(users, items)^2, twice over while the inverse is made.

    Whoever has a history gets a list; a user without one has a row of NaN. Raises ValueError for an l2 that is not above zero, and
    when fitting for one so small that double precision cannot invert the matrix.

    >>> import pandas as pd
    >>> events = pd.DataFrame({"user_id": ["a", "a", "b", "b", "c"], "item_id": ["x", "y", "x", "y", "x"],
    ...                        "behaviour": "view", "timestamp": pd.Timestamp("2024-01-01")})
    >>> EASE(l2=1).fit(events).recommend(["c"], 1)["item_id"].tolist()
    ['y']
    """

    def __init__(self, l2: float = 500.0, *, weights: Mapping[str, float] | None = None):
        if not (l2 > 0 and np.isfinite(l2)):
            raise ValueError(f"l2={l2!r}: without a penalty above zero each item only explains itself; try 100")
        self.l2 = l2
        self.weights = weights

    def _learn(self, matrix: sparse.csr_array) -> None:
        # The inverse is made in double precision: in single, scores are wrong in the fourth digit for a small l2. What is kept
        # of the item side is single: scores then differ by 1e-6, at half the memory.
        self.item_weights_ = self.user_inverse_ = self.explained_ = None
        if not _by_users(*matrix.shape):
            inverse = self._inverse(matrix.T.tocsr())
            inverse /= -np.diag(inverse).copy()
            np.fill_diagonal(inverse, 0)
            self.item_weights_ = inverse.astype(np.float32)
        else:
            self.user_inverse_ = self._inverse(matrix)
            self.explained_ = _quadratic(self.user_inverse_, matrix)

    def _inverse(self, rows: sparse.csr_array) -> np.ndarray:
        """``(rows rows^T + l2 I)^-1``. The products are made in strips: as one sparse array they could take more than as dense."""
        dense = np.empty((rows.shape[0], rows.shape[0]))
        for start in range(0, len(dense), STRIP):
            dense[:, start:start + STRIP] = (rows @ rows[start:start + STRIP].T).toarray()
        dense[np.diag_indices_from(dense)] += self.l2
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", linalg.LinAlgWarning)  # no digit of such an inverse is right
                return linalg.inv(dense, assume_a="pos", overwrite_a=True, check_finite=False)
        except (linalg.LinAlgError, linalg.LinAlgWarning):
            raise ValueError(f"l2={self.l2!r} is too small for these events, the matrix cannot be inverted; try 1") from None

    def _score_rows(self, rows: sparse.csr_array) -> np.ndarray:
        if self.item_weights_ is not None:
            return rows @ self.item_weights_
        matrix = self._cleaned(self.history_.matrix).astype(np.float64)
        through = (rows @ matrix.T) @ self.user_inverse_ @ matrix
        own = rows.toarray()
        return own - (own - through) / (1 - self.explained_)


def _by_users(users: int, items: int) -> bool:
    return users < items


def _quadratic(inner: np.ndarray, matrix: sparse.csr_array) -> np.ndarray:
    """``x_j^T C x_j`` for every column x_j of the binary matrix: the sum of C over the pairs of users who share the item."""
    columns = matrix.tocsc()
    sums = np.zeros(matrix.shape[1])
    for item, (start, end) in enumerate(zip(columns.indptr[:-1], columns.indptr[1:], strict=True)):
        who = columns.indices[start:end]
        sums[item] = inner[np.ix_(who, who)].sum()
    return sums
