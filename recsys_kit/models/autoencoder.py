"""An auto-encoder with a closed form: EASE that must rebuild a history from parts of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import linalg, sparse

from recsys_kit.models.ease import _by_users, _quadratic
from recsys_kit.models.history import FromHistory


class EDLAE(FromHistory):
    """The emphasised denoising linear auto-encoder, full rank: score of item j for history x is ``sum_i x_i B_ij``.

    An auto-encoder may learn to copy. Denoising takes entries out of the input, each with chance ``dropout`` (what is kept is
    divided by 1 - dropout), and asks for the whole history back; emphasis puts all weight on what was taken out, so that copying
    is of no use. For linear layers the expectation over all ways to drop has a minimum in closed form: EASE whose penalty grows
    with the item's popularity,

    ``P = (X^T X + diag(l))^-1``, ``l_i = l2 + n_i p / (1 - p)``, ``B_ij = -P_ij / P_jj`` off the diagonal, 0 on it,

    X the binary users x items matrix, n_i the users of item i, p = ``dropout`` (Steck 2020, "Autoencoders that don't overfit
    towards the identity"). ``dropout=0`` is EASE.

    l2 : 0 or above (above zero where dropout is 0). dropout : from 0 on, below 1; choose both on held-back training data.
    weights : ``beta`` per behaviour; a pair whose sum is above zero is a 1. None: any event but a return.

    Where users are fewer than items a matrix of users x users is inverted instead. Whoever has a history gets a list; a user
    without one has a row of NaN. Raises ValueError for settings that cannot be meant.

    >>> import pandas as pd
    >>> events = pd.DataFrame({"user_id": ["a", "a", "b", "b", "c"], "item_id": ["x", "y", "x", "y", "x"],
    ...                        "behaviour": "view", "timestamp": pd.Timestamp("2024-01-01")})
    >>> EDLAE(l2=1, dropout=0.3).fit(events).recommend(["c"], 1)["item_id"].tolist()
    ['y']
    """

    def __init__(self, l2: float = 10.0, dropout: float = 0.3, *, weights: Mapping[str, float] | None = None):
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout={dropout!r} is the chance that an entry is taken out: from 0 on, below 1")
        if not (np.isfinite(l2) and l2 >= 0 and l2 + dropout > 0):
            raise ValueError(f"l2={l2!r}: a penalty is not below zero, and above it where nothing is dropped; try 100")
        self.l2, self.dropout, self.weights = l2, dropout, weights

    def _learn(self, matrix: sparse.csr_array) -> None:
        touched = np.bincount(matrix.indices, minlength=matrix.shape[1])
        # an item nobody touched explains nothing whatever its penalty; without this its row could not be inverted
        self.penalty_ = np.maximum(self.l2 + touched * self.dropout / (1 - self.dropout), 1e-9)
        self.item_weights_ = self.user_inverse_ = self.own_ = None
        x = matrix.astype(np.float64)
        if not _by_users(*matrix.shape):
            inverse = (x.T @ x).toarray()
            inverse[np.diag_indices_from(inverse)] += self.penalty_
            inverse = linalg.inv(inverse, assume_a="pos", overwrite_a=True, check_finite=False)
            inverse /= -np.diag(inverse).copy()
            np.fill_diagonal(inverse, 0)
            self.item_weights_ = inverse.astype(np.float32)
        else:  # Woodbury: P = L^-1 - L^-1 X^T C X L^-1 with C = (I + X L^-1 X^T)^-1 and L = diag(penalty)
            inner = ((x / self.penalty_) @ x.T).toarray()
            inner[np.diag_indices_from(inner)] += 1
            self.user_inverse_ = linalg.inv(inner, assume_a="pos", overwrite_a=True, check_finite=False)
            self.own_ = 1 - _quadratic(self.user_inverse_, matrix) / self.penalty_  # P_jj times the penalty

    def _score_rows(self, rows: sparse.csr_array) -> np.ndarray:
        if self.item_weights_ is not None:
            return rows @ self.item_weights_
        matrix = self._cleaned(self.history_.matrix).astype(np.float64)
        weighed = sparse.csr_array(rows.astype(np.float64) / self.penalty_)
        through = (weighed @ matrix.T) @ self.user_inverse_ @ matrix
        own = rows.toarray()
        return own - (weighed.toarray() * self.penalty_ - through) / self.own_
