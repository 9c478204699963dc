"""An interest state that plays a replay: vectors and strata are learned from what came before, then it learns at every visit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from recsys_kit.data.interactions import event_weights
from recsys_kit.interest.state import DAY, InterestState
from recsys_kit.models.puresvd import PureSVD
from recsys_kit.strata import kmeans


class Live:
    """A player for `evaluate.replay`: an `InterestState` in a shop that is open.

    Items get PureSVD's vectors (Cremonesi et al., 2010) at length 1, users soft strata by K-Means on the directions of theirs;
    who is new is in none. After that the state sees visit after visit.

    factors, strata : length of the vectors; how many strata, 0 for none. least : a membership below it counts as none, but
    for the largest; where fewer users differ than there are to be strata, these are fewer.
    refresh_days : vectors and strata are learned anew so often, None: never. settings : of the `InterestState`, such as
    ``half_lives``, what its layers are ``asked``, or ``weights`` of behaviours.

    After ``begin``: ``state``, ``numbers`` (of the visits' users in it) and ``beta`` (of each event).
    """

    def __init__(self, *, factors: int = 32, strata: int = 8, least: float = 0.01, refresh_days: float | None = None,
                 rng: int | None = 0, **settings: Any):
        if refresh_days is not None and not refresh_days > 0:
            raise ValueError(f"refresh_days={refresh_days!r}: give a number above zero, or None to learn vectors and strata once")
        self.factors, self.strata, self.least = factors, strata, least
        self.refresh_days, self.rng, self.settings = refresh_days, rng, settings

    def begin(self, visits, first: int) -> None:
        before = visits.before(first)
        model = PureSVD(self.factors).fit(before, items=visits.catalogue)
        users = pd.Index(before["user_id"].unique())
        places = pd.DataFrame(_of_length_1(model.vectors(users)), index=users)
        membership, strata = None, min(self.strata, len(places.drop_duplicates()))
        if strata > 1:
            membership = kmeans(places, strata, rng=self.rng).membership(places)
            largest = membership.max(axis=1).clip(upper=self.least)  # stays, however small
            membership = membership.where(membership.ge(largest, axis=0), 0.0)
            membership = membership.div(membership.sum(axis=1), axis=0)
        self.state = InterestState(**self.settings).start(visits.catalogue, _of_length_1(model.item_vectors_), membership)
        self.numbers = self.state.numbers(visits.users, new=True)
        self.beta = event_weights(visits.events, self.state.weights)
        self._since = visits.time[min(first, len(visits) - 1)]  # after the last visit nothing comes that could ask for more
        self._learn(visits, 0, first)

    def scores(self, visits, visit: int) -> np.ndarray:
        if self.refresh_days and visits.time[visit] >= self._since + self.refresh_days * DAY:
            self.begin(visits, visit)
        return self.state.scores(visits.users[visits.user[visit]], visits.time[visit])

    def learn(self, visits, visit: int) -> None:
        self._learn(visits, visit, visit + 1)

    def _learn(self, visits, first: int, until: int) -> None:
        lines = slice(visits.starts[first], visits.starts[until])
        whose = np.repeat(np.arange(first, until), np.diff(visits.starts[first:until + 1]))
        self.state.learn(self.numbers[visits.user[whose]], visits.item[lines], self.beta[lines], visits.time[whose])


def _of_length_1(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)
