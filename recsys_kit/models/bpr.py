"""BPR: vectors learned from comparisons, what a user touched before what the user did not, by the library implicit."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import sparse

from recsys_kit.data.interactions import Interactions, encode
from recsys_kit.models.base import Ranker


class BPR(Ranker):
    """Bayesian personalised ranking: score of item i for user u is ``x_u . y_i + b_i`` (Rendle et al. 2009).

    Climbs ``sum log sigma(s_ui - s_uj) - l2 ||all||^2`` by stochastic gradient, one touched item i and one untouched j at a time
    (library implicit, ``implicit.cpu.bpr``). That is, up to the constants, the area under the curve per user.

    factors, epochs, learning_rate, l2 : length of the vectors; passes; size and shrinkage of a step.
    threads : several threads write to the same vectors without waiting for each other, so the numbers differ with every fit.
        Only with 1, the default, does a seed give one model.
    weights : ``beta`` per behaviour; a pair whose sum is above zero was touched. None: any event but a return.
    rng : int, or None for another start every time.

    A user is a learned vector here: who was not in the training, or touched nothing that counts, has a row of NaN, and ``at``
    changes only what counts as seen. Learned: ``users_``, ``user_vectors_`` and ``item_vectors_`` (.., factors) and ``item_bias_``,
    single precision. Raises ValueError for settings that cannot be meant.
    """

    def __init__(self, factors: int = 64, *, epochs: int = 100, learning_rate: float = 0.05, l2: float = 0.01, threads: int = 1,
                 weights: Mapping[str, float] | None = None, rng: int | None = 0):
        for name, value in {"factors": factors, "epochs": epochs, "threads": threads}.items():
            if value < 1 or int(value) != value:
                raise ValueError(f"{name}={value!r}: give a whole number from 1 on")
        if not (learning_rate > 0 and l2 >= 0 and np.isfinite([learning_rate, l2]).all()):
            raise ValueError(f"learning_rate={learning_rate!r}, l2={l2!r}: a step is above zero, a shrinkage not below")
        self.factors, self.epochs, self.learning_rate, self.l2, self.threads = factors, epochs, learning_rate, l2, threads
        self.weights, self.rng = weights, rng

    def _fit(self, events: pd.DataFrame, items, users) -> None:
        from implicit.cpu.bpr import BayesianPersonalizedRanking
        from implicit.recommender_base import ModelFitError

        known = Interactions.from_events(events, items=self.items_, weights=self.weights)
        touched = sparse.csr_matrix((known.matrix > 0).astype(np.float32))
        touched.sort_indices()
        active = np.flatnonzero(np.diff(touched.indptr))
        self.users_ = known.users[active]
        vectors = np.zeros((len(active), self.factors + 1), np.float32), np.zeros((touched.shape[1], self.factors + 1), np.float32)
        if len(active):
            library = BayesianPersonalizedRanking(
                factors=self.factors, learning_rate=self.learning_rate, regularization=self.l2, iterations=self.epochs,
                num_threads=self.threads, random_state=self.rng)
            try:
                library.fit(touched[active], show_progress=False)
            except ModelFitError:
                raise ValueError(f"BPR: the vectors ran off to infinity; lower learning_rate={self.learning_rate} or "
                                 f"l2={self.l2}") from None
            vectors = library.user_factors, library.item_factors
        self.user_vectors_ = np.array(vectors[0][:, :-1])  # the last column is the bias: ones for users
        self.item_vectors_, self.item_bias_ = np.array(vectors[1][:, :-1]), np.array(vectors[1][:, -1])

    def _score(self, users: pd.Index, at: pd.Timestamp | None) -> np.ndarray:
        position = encode(users, self.users_)
        scores = np.full((len(users), len(self.items_)), np.nan, dtype=np.float32)
        known = position >= 0
        scores[known] = self.user_vectors_[position[known]] @ self.item_vectors_.T + self.item_bias_
        return scores
