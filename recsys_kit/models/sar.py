"""SAR, the Simple Algorithm for Recommendation of Microsoft's Recommenders: fading affinities times item similarities."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import sparse

from recsys_kit.data.interactions import encode, event_weights
from recsys_kit.models.base import Ranker
from recsys_kit.models.neighbours import spoken_for
from recsys_kit.models.popularity import DAY
from recsys_kit.schema import ITEM, RATING, TIME, USER


class SAR(Ranker):
    """``s_ui = sum_j a_uj sim(j, i)`` with affinities that fade, ``a_uj = sum_e beta_e r_e 2^(-(now - t_e) / half-life)``.

    ``r_e`` is the event's rating, 1 where it has none; ``now`` the latest event. Items are as similar as their users are the
    same, ``sim(i, j) = c_ij / (c_ii + c_jj - c_ij)`` with ``c_ij`` the users who touched both (Jaccard). All neighbours count, and
    every item is its own with similarity 1. Source: Microsoft, Recommenders (2018), "SAR Single Node".

    half_life_days : above zero; None: no fading. weights : ``beta`` per behaviour (None: 1, returns 0); an
    event whose ``beta r`` is not above zero is left out. at_least : pairs of items
    with fewer common users are not similar. Raises ValueError for other settings.

    Asked for an earlier moment than the last event, all of it is learned anew from the events before that moment.
    A user without a history gets no list.
    """

    def __init__(self, half_life_days: float | None = 30, *, weights: Mapping[str, float] | None = None, at_least: int = 1):
        if half_life_days is not None and not half_life_days > 0:
            raise ValueError(f"half_life_days={half_life_days!r}: give a number of days above zero, or None for no fading")
        if not at_least >= 1:
            raise ValueError(f"at_least={at_least!r}: give a number of common users from 1 on")
        self.half_life_days, self.weights, self.at_least = half_life_days, weights, at_least

    def _fit(self, events: pd.DataFrame, items, users) -> None:
        worth = event_weights(events, self.weights)
        if RATING in events:
            worth = worth * events[RATING].fillna(1).to_numpy()
        kept = worth > 0
        self.users_ = pd.Index(events[USER].unique()).sort_values().astype("str")
        user, item = encode(events[USER], self.users_)[kept], encode(events[ITEM], self.items_)[kept]
        seconds = events[TIME].to_numpy().astype(np.int64)[kept]
        order = np.lexsort((worth[kept], seconds, item, user))  # sums to the last bit, whatever the order of the rows
        self.events_ = [user[order], item[order], seconds[order], worth[kept][order]]
        self.affinity_, self.similarity_ = self._learned(*self.events_)

    def _learned(self, user, item, seconds, worth) -> tuple[sparse.csr_array, sparse.csr_array]:
        shape = len(self.users_), len(self.items_)
        if self.half_life_days is not None and len(seconds):
            worth = worth * 2.0 ** (-(seconds.max() - seconds) / (DAY * self.half_life_days))
        affinity = sparse.coo_array((worth, (user, item)), shape=shape).tocsr()
        touched = affinity.copy()
        touched.data[:] = 1.0
        common = (touched.T @ touched).tocoo()
        count, kept = touched.sum(axis=0), common.data >= self.at_least
        row, column, both = common.row[kept], common.col[kept], common.data[kept]
        return affinity, sparse.coo_array((both / (count[row] + count[column] - both), (row, column)), shape=common.shape).tocsr()

    def _score(self, users: pd.Index, at: pd.Timestamp | None) -> np.ndarray:
        affinity, similarity = self.affinity_, self.similarity_
        early = self.events_[2] < (np.inf if at is None else at.timestamp())
        if not early.all():
            affinity, similarity = self._learned(*(column[early] for column in self.events_))
        position = encode(users, self.users_)
        mine = sparse.csr_array(affinity[np.maximum(position, 0)].multiply(position[:, None] >= 0))
        return spoken_for(mine @ similarity)
