"""The interface every model shares, and the part of ranking that no model should write again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

import numpy as np
import pandas as pd

from recsys_kit.data.interactions import EVERYTHING, Interactions, encode
from recsys_kit.models.store import Stored, NotFittedError
from recsys_kit.schema import ITEM, TIME, USER, coerce_ids, coerce_items, moment, require_columns, validate_events

__all__ = ["BLOCK", "NotFittedError", "Ranker", "top_k"]

BLOCK = 4_000_000  # scores held at once: a block of users x all items stays near 32 MB


def top_k(scores: np.ndarray, k: int, hidden: tuple[np.ndarray, np.ndarray] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The k best columns of each row, best first; of equal scores the lower column wins, so the answer never varies.

    scores : (n, m) numbers; -inf and NaN mean 'not to be recommended'. hidden : (rows, columns) of entries to leave out, too.
    Returns ``columns`` and ``values``, both (n, min(k, m)); where a row has fewer to recommend, -1 and -inf fill its end.
    Takes about one pass over the scores, which are neither copied nor changed.

    >>> top_k(np.array([[0.1, 0.7, 0.7]]), 2)[0]
    array([[1, 2]])
    """
    from recsys_kit.models.best import choose  # numba takes its time to be imported: only who ranks waits for it

    scores = np.asarray(scores)
    if scores.dtype not in (np.float32, np.float64):
        scores = scores.astype(float)
    n, m = scores.shape
    row, column = (np.empty(0, np.int64),) * 2 if hidden is None else hidden
    if len(row) and (np.diff(row) < 0).any():
        order = np.argsort(row, kind="stable")
        row, column = row[order], column[order]
    columns, values = np.full((n, min(k, m)), -1), np.full((n, min(k, m)), -np.inf)
    choose(scores, np.searchsorted(row, np.arange(n + 1)), np.ascontiguousarray(column, dtype=np.int64), columns, values)
    return columns, values


class Ranker(Stored, ABC):
    """A model that ranks items for users.

    What every ranker promises (and `tests/models/conformance.py` checks):

    * the catalogue is every item of the training events and of ``items=``, sorted by id; scores have one column per item of it;
    * an unknown user is a user with an empty history; a model with nothing to say about somebody gives no rows, not an error;
    * duplicate events count as often as they stand there; with k beyond the catalogue the list is just shorter;
    * equal scores are ordered by item id, so the same fit gives the same list;
    * ``at`` is the time at which the list is asked for; a model that looks at time uses nothing from ``at`` on, and only what
      the user touched before it counts as seen.
    """

    def fit(self, events: pd.DataFrame, *, items: pd.DataFrame | None = None, users: pd.DataFrame | None = None) -> Self:
        """Learn from events; ``items`` and ``users`` are the optional tables about them. Raises `SchemaError`."""
        events = validate_events(events)
        items = None if items is None else coerce_items(items)
        if users is not None:
            require_columns(users, (USER,), "users")
        self.__dict__.pop("seen_", None)
        seen = Interactions.from_events(events, items=None if items is None else items[ITEM],
                                        users=None if users is None else users[USER], weights=EVERYTHING)
        self.items_, self.learned_ = seen.items, {}
        self._fit(events, items, users)
        self.seen_ = seen  # last: a fit that failed half-way leaves no model that looks fitted
        return self

    @abstractmethod
    def _fit(self, events: pd.DataFrame, items: pd.DataFrame | None, users: pd.DataFrame | None) -> None:
        """Learn; the catalogue ``self.items_`` (ids in the order of the score columns) is already there."""

    @abstractmethod
    def _score(self, users: pd.Index, at: pd.Timestamp | None) -> np.ndarray:
        """Scores (len(users), len(items_)), float; higher is better, -inf is 'never', a row of NaN is 'nothing to say'."""

    def score(self, users, *, at=None) -> np.ndarray:
        """Scores of all items for these users: float array (len(users), len(self.items_)). Raises `NotFittedError`."""
        self._check_fitted()
        return self._score(pd.Index(coerce_ids(pd.Series(users))), moment(at))

    def recommend(self, users, k: int, *, exclude_seen: bool | Interactions = True, at=None) -> pd.DataFrame:
        """The k best items per user: ``user_id, item_id, score, rank`` (1 = best), users in the given order.

        exclude_seen : True leaves out what the user touched in training or in an update (before ``at``, where it is given);
            an `Interactions` leaves out what the user touched there, whatever the model was fitted on; False leaves out nothing.
        Raises `NotFittedError`; ValueError for k < 1 or a user named twice.
        """
        users = pd.Index(coerce_ids(pd.Series(users)))
        columns, values = self.top(users, k, exclude_seen=exclude_seen, at=at)
        row, place = np.nonzero(columns >= 0)
        return pd.DataFrame({USER: users[row], ITEM: self.items_[columns[row, place]],
                             "score": values[row, place], "rank": place + 1})

    def top(self, users, k: int, *, exclude_seen: bool | Interactions = True, at=None) -> tuple[np.ndarray, np.ndarray]:
        """The same lists as arrays: positions in ``items_`` and scores, both (len(users), min(k, catalogue)), best first; where a
        list is shorter, -1 and -inf. No more than a bounded block of scores is held at a time.
        """
        self._check_fitted()
        if k < 1:
            raise ValueError(f"k={k}: ask for at least one item")
        users = pd.Index(coerce_ids(pd.Series(users)))
        if users.has_duplicates:
            raise ValueError(f"recommend: user {users[users.duplicated()][0]!r} is named twice; ask once per user")
        width = min(k, len(self.items_))
        columns, values = np.full((len(users), width), -1), np.full((len(users), width), -np.inf)
        block = max(1, BLOCK // max(len(self.items_), 1))
        for start in range(0, len(users), block):
            part = users[start:start + block]
            hidden = None if exclude_seen is False else (self._seen(part, at) if exclude_seen is True
                                                         else self._translated(part, exclude_seen))
            columns[start:start + block], values[start:start + block] = top_k(self.score(part, at=at), width, hidden)
        return columns, values

    def update(self, events: pd.DataFrame) -> Self:
        """Learn on from later events, O(1) each, where the model can (it has `_add`); NotImplementedError where it cannot.

        Items must be of the catalogue (ValueError), users may be new.
        """
        self._check_fitted()
        if not hasattr(self, "_add"):
            raise NotImplementedError(f"{type(self).__name__} cannot learn on from new events; fit it again on all events")
        events = validate_events(events)
        self._learn_seen(events)
        self._add(events)
        return self

    def _seen(self, users: pd.Index, at) -> tuple[np.ndarray, np.ndarray]:
        """Row in ``users`` and score column of everything they touched before ``at``: in training, and in updates."""
        row, column = self.seen_.pairs(users, before=at)
        limit = np.inf if at is None else moment(at).timestamp()
        more = [(place, item) for place, user in enumerate(users)
                for item, since in self.learned_.get(user, {}).items() if since < limit]
        return np.append(row, [place for place, _ in more]).astype(int), np.append(column, [item for _, item in more]).astype(int)

    def _translated(self, users: pd.Index, seen: Interactions) -> tuple[np.ndarray, np.ndarray]:
        """The same for another table of interactions, whose items may stand in other columns or be unknown here."""
        row, column = seen.pairs(users)
        column = encode(seen.items, self.items_)[column]
        return row[column >= 0], column[column >= 0]

    def _learn_seen(self, events: pd.DataFrame) -> None:
        """Add events to what counts as seen, O(1) each. Users may be new; an item must be of the catalogue."""
        item = encode(events[ITEM], self.items_)
        if (item < 0).any():
            new = events.loc[item < 0, ITEM].unique()
            raise ValueError(f"update: {len(new)} items are not in the catalogue, such as {new[0]!r}; "
                             f"fit with items= that names the whole catalogue, or fit again")
        for user, column, since in zip(events[USER], item, events[TIME].to_numpy().astype(np.int64), strict=True):
            mine = self.learned_.setdefault(user, {})
            mine[column] = min(since, mine.get(column, since))

    def _kept(self) -> dict:
        learned = [(user, column, since) for user, mine in self.learned_.items() for column, since in mine.items()]
        users, columns, since = zip(*learned, strict=True) if learned else ((), (), ())
        return super()._kept() | {"learned_": [list(users), np.array(columns, dtype=np.int64), np.array(since, dtype=np.int64)]}

    def _take(self, kept: dict) -> None:
        super()._take(kept)
        self.learned_ = {}
        for user, column, since in zip(*kept["learned_"], strict=True):
            self.learned_.setdefault(user, {})[int(column)] = int(since)
