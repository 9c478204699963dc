"""Models that score a user by what stands in their history, and need nothing else of them: no vector, no row of a table."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import sparse

from recsys_kit.data.interactions import Interactions
from recsys_kit.models.base import Ranker


class FromHistory(Ranker):
    """A ranker whose scores are a function of the user's row of the users x items matrix.

    ``at`` takes from the history what the user first touched before it, each entry whole (where it is a sum of weights, with those
    of later events too; to keep them out, fit on the events before ``at``); what was learned of the items stays. A user with no
    history gets a row of NaN. Subclasses implement `_learn` and `_score_rows`; ``binary`` says whether the entries are 0 and 1
    or sums of ``weights`` (None: every event counts 1, returns nothing). An entry that is not above zero is no interest.
    """

    binary = True
    weights: Mapping[str, float] | None

    def _fit(self, events: pd.DataFrame, items, users) -> None:
        self.history_ = Interactions.from_events(events, items=self.items_, weights=self.weights)
        self._learn(self._cleaned(self.history_.matrix))

    def _score(self, users: pd.Index, at: pd.Timestamp | None) -> np.ndarray:
        rows = self._cleaned(self.history_.rows(users, before=at))
        scores = np.asarray(self._score_rows(rows))
        scores[np.diff(rows.indptr) == 0] = np.nan
        return scores

    def score_histories(self, rows: sparse.csr_array) -> np.ndarray:
        """Scores (n, items) of n histories that need not be of the training: rows over ``items_``, an entry how much it counts.

        Entries that are not above zero count nothing; they may lie between 0 and 1 where an old one is to count less. A history
        that is empty has a row of NaN. Raises `NotFittedError`.
        """
        self._check_fitted()
        rows = sparse.csr_array(rows, dtype=np.float32)
        rows.data[~(rows.data > 0)] = 0
        rows.eliminate_zeros()
        scores = np.array(self._score_rows(rows))
        scores[np.diff(rows.indptr) == 0] = np.nan
        return scores

    def _cleaned(self, matrix: sparse.csr_array) -> sparse.csr_array:
        wanted = matrix.data > 0
        values = np.ones(wanted.sum(), dtype=np.float32) if self.binary else matrix.data[wanted]
        starts = np.append(0, np.cumsum(wanted))[matrix.indptr]
        return sparse.csr_array((values, matrix.indices[wanted], starts), shape=matrix.shape)

    @abstractmethod
    def _learn(self, matrix: sparse.csr_array) -> None:
        """Learn from the (users, items) matrix, float32; what is learned ends in ``_``."""

    @abstractmethod
    def _score_rows(self, rows: sparse.csr_array) -> np.ndarray:
        """Scores (n, items) of n histories, as rows of the same kind; what stands in an empty row does not matter."""
