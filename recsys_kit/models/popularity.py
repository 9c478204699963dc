"""Popularity, overall and recent: the list everybody gets, and the baseline every model has to beat."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from recsys_kit.data.interactions import encode, event_weights
from recsys_kit.models.base import Ranker
from recsys_kit.schema import ITEM, TIME

DAY = np.timedelta64(1, "D") / np.timedelta64(1, "s")


class Popularity(Ranker):
    """Score of an item: its events, each fading with age, ``s_i(at) = sum_e beta_e 2^(-(at - t_e) / half-life)``.

    half_life_days : after so many days an event counts half; None: it counts for ever (overall popularity).
    weights : ``beta`` per behaviour, behaviours not named count nothing; None: every event counts 1, returns nothing.

    Every user, known or not, has the same scores. Events from ``at`` on are not looked at; without ``at`` the list is as
    of the latest event, included. Raises ValueError for a half-life that is not above zero.
    """

    def __init__(self, half_life_days: float | None = None, *, weights: Mapping[str, float] | None = None):
        if half_life_days is not None and not half_life_days > 0:
            raise ValueError(f"half_life_days={half_life_days!r}: give a number of days above zero, or None for no fading")
        self.half_life_days = half_life_days
        self.weights = weights

    def _fit(self, events: pd.DataFrame, items, users) -> None:
        self.history_: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self.totals_, self.latest_ = np.zeros(len(self.items_)), -np.inf
        self.zero_ = float(events[TIME].max().timestamp())  # totals count an event of this moment as beta
        self._add(events)

    def _add(self, events: pd.DataFrame) -> None:
        """Keep the events (a list may be asked for an earlier time), and add them to the totals.

        Instead of letting all totals fade with every event, a later event counts for more; fading is left to the question.
        """
        beta = event_weights(events, self.weights)
        item, seconds = encode(events[ITEM], self.items_), events[TIME].to_numpy().astype(np.int64).astype(float)
        self.history_.append((item, seconds, beta))
        self.latest_ = max(self.latest_, seconds.max())
        if self.half_life_days and self.latest_ - self.zero_ > 500 * DAY * self.half_life_days:  # 2^1024 would overflow
            self.totals_ *= self._fade(self.latest_ - self.zero_)
            self.zero_ = self.latest_
        np.add.at(self.totals_, item, beta * self._fade(self.zero_ - seconds))

    def _fade(self, seconds):
        return 1.0 if self.half_life_days is None else 2.0 ** (-seconds / (DAY * self.half_life_days))

    def _score(self, users: pd.Index, at: pd.Timestamp | None) -> np.ndarray:
        asked = self.latest_ if at is None else at.timestamp()
        if at is None or asked > self.latest_:
            totals = self.totals_ * self._fade(asked - self.zero_)
        else:
            item, seconds, beta = (np.concatenate(parts) for parts in zip(*self.history_, strict=True))
            past = seconds < asked
            totals = np.bincount(item[past], beta[past] * self._fade(asked - seconds[past]), minlength=len(self.totals_))
        return np.broadcast_to(totals, (len(users), len(totals)))
