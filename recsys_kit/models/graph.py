"""GF-CF: a filter on the graph of users and items, without any training."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from recsys_kit.models.history import FromHistory
from recsys_kit.models.puresvd import right_singular


class GFCF(FromHistory):
    """Smooths a history over the graph: a step to neighbours and back, plus the slow waves of the whole graph.

    With the binary matrix R, degrees D_u of users and D_i of items, and ``N = D_u^(-1/2) R D_i^(-1/2)``, the scores of history r
    are ``r N^T N + alpha (r D_i^(-1/2) V V^T D_i^(1/2))`` where V holds the first ``factors`` right singular vectors of N
    (Shen et al. 2021, "How powerful is graph convolution for recommendation?").

    factors, alpha : number of the slow waves and the weight they have; the paper takes 256 and .3.
    weights : ``beta`` per behaviour; a pair whose sum is above zero is a 1. None: any event but a return.

    ``N^T N`` is never made: a history is multiplied by N^T, then by N. Learned: ``normalised_`` (N, sparse), ``item_vectors_``
    (V, single precision), ``item_degrees_``. An item nobody touched scores zero. The same fit gives the same numbers. Raises
    ValueError for fewer than one factor or a negative alpha.
    """

    def __init__(self, factors: int = 256, *, alpha: float = 0.3, weights: Mapping[str, float] | None = None):
        if factors < 1 or int(factors) != factors:
            raise ValueError(f"factors={factors!r}: give a whole number from 1 on")
        if not (alpha >= 0 and np.isfinite(alpha)):
            raise ValueError(f"alpha={alpha!r}: the slow waves have a weight of zero or more")
        self.factors, self.alpha, self.weights = factors, alpha, weights

    def _learn(self, matrix: sparse.csr_array) -> None:
        of_users, of_items = np.diff(matrix.indptr), np.bincount(matrix.indices, minlength=matrix.shape[1])
        normalised = sparse.diags_array(_inverse_root(of_users)) @ matrix @ sparse.diags_array(_inverse_root(of_items))
        normalised = sparse.csr_array(normalised)
        # Values to 1e-5 and single precision from here on: scores differ from those of full precision in the sixth digit, and a
        # block of them takes half the time.
        self.item_vectors_ = right_singular(normalised, self.factors, tol=1e-5)[0].astype(np.float32)
        self.normalised_, self.item_degrees_ = normalised.astype(np.float32), of_items

    def _score_rows(self, rows: sparse.csr_array) -> np.ndarray:
        scores = ((rows * _inverse_root(self.item_degrees_).astype(np.float32)) @ self.item_vectors_) @ self.item_vectors_.T
        scores *= self.alpha * np.sqrt(self.item_degrees_, dtype=np.float32)
        near = (self.normalised_ @ rows.T.tocsr()).T.tocsr() @ self.normalised_  # to the users who share an item, and back
        scores[np.repeat(np.arange(len(scores)), np.diff(near.indptr)), near.indices] += near.data  # each place stands once
        return scores


def _inverse_root(degrees: np.ndarray) -> np.ndarray:
    return np.where(degrees > 0, 1 / np.sqrt(np.maximum(degrees, 1)), 0.0)
