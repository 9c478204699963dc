"""Ids to indices and back, and the sparse users x items matrix: encoded once, shared by models and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from recsys_kit.schema import BEHAVIOUR, BEHAVIOURS, ITEM, RETURN, TIME, USER, coerce_ids, moment, validate_events

EVERYTHING = dict.fromkeys(BEHAVIOURS, 1.0)


def encode(ids, index: pd.Index) -> np.ndarray:
    """Position of each id in ``index``, -1 where it is unknown. Shape (len(ids),), int64."""
    codes, uniques = pd.factorize(coerce_ids(pd.Series(ids)))
    positions = np.append(index.get_indexer(pd.Index(uniques)), -1)  # factorize marks a missing id with -1: the last place
    return positions[codes]


def event_weights(events: pd.DataFrame, weights: Mapping[str, float] | None) -> np.ndarray:
    """Weight ``beta`` of each event by its behaviour, float64. ``None``: every event counts 1, a return 0.

    Behaviours that ``weights`` does not name count 0. Raises ValueError for a name that is no behaviour, and for no finite number.
    """
    if weights is None:
        weights = EVERYTHING | {RETURN: 0.0}
    unknown = set(weights) - set(BEHAVIOURS)
    if unknown:
        raise ValueError(f"weights: {sorted(unknown)[0]!r} is no behaviour; there are {', '.join(BEHAVIOURS)}")
    endless = [name for name, weight in weights.items() if not np.isfinite(weight)]
    if endless:
        raise ValueError(f"weights: {endless[0]!r} weighs {weights[endless[0]]!r}; give a number, 0 to leave the behaviour out")
    return np.array([weights.get(behaviour, 0.0) for behaviour in BEHAVIOURS])[events[BEHAVIOUR].cat.codes.to_numpy()]


@dataclass(frozen=True, eq=False)
class Interactions:
    """Who touched what, as a sparse matrix with the ids of its rows and columns.

    Attributes
    ----------
    users : pd.Index of n user ids (text), sorted.
    items : pd.Index of m item ids (text), sorted.
    matrix : scipy csr_array (n, m), float32; entry (u, i) is the summed weight of the events of user u with item i.
    since : int64, one per stored entry of ``matrix``: the earliest of its events, in unix seconds.

    >>> events = pd.DataFrame({"user_id": ["a", "a", "b"], "item_id": ["x", "x", "y"],
    ...                        "behaviour": ["view", "purchase", "view"], "timestamp": [1e9, 1e9, 1e9]})
    >>> Interactions.from_events(events).matrix.toarray().tolist()
    [[2.0, 0.0], [0.0, 1.0]]
    """

    users: pd.Index
    items: pd.Index
    matrix: sparse.csr_array
    since: np.ndarray

    @classmethod
    def from_events(cls, events: pd.DataFrame, *, users=None, items=None,
                    weights: Mapping[str, float] | None = None) -> Interactions:
        """Sum the events of every (user, item) pair.

        users, items : ids to have a row (column) even without an event, such as the whole catalogue.
        weights : weight per behaviour; behaviours not named are left out. None: every event counts 1, returns are left out.
        Raises `SchemaError` for events a model cannot learn from (see `schema.validate_events`).
        """
        events = validate_events(events)
        row_ids, column_ids = _index(events[USER], users), _index(events[ITEM], items)
        values = event_weights(events, weights)
        kept = values != 0
        shape = len(row_ids), len(column_ids)
        code = encode(events[USER], row_ids)[kept] * shape[1] + encode(events[ITEM], column_ids)[kept]
        pairs, place = np.unique(code, return_inverse=True)
        since = np.full(len(pairs), np.iinfo(np.int64).max)
        np.minimum.at(since, place, events[TIME].to_numpy()[kept].astype(np.int64))
        sums = np.bincount(place, values[kept], minlength=len(pairs)).astype(np.float32)
        starts = np.searchsorted(pairs, np.arange(shape[0] + 1) * shape[1])
        return cls(row_ids, column_ids, sparse.csr_array((sums, pairs % shape[1], starts), shape=shape), since)

    def rows(self, users, *, before=None) -> sparse.csr_array:
        """The matrix rows of these users, shape (len(users), m); an unknown user has an empty row.

        before : a moment; only pairs first touched before it are given, each with its whole weight.
        """
        row, place = self._places(users, before)
        counts = np.bincount(row, minlength=len(users))
        return sparse.csr_array((self.matrix.data[place], self.matrix.indices[place], np.append(0, np.cumsum(counts))),
                                shape=(len(users), len(self.items)))

    def pairs(self, users, *, before=None) -> tuple[np.ndarray, np.ndarray]:
        """Row in ``users`` and column in ``items`` of everything these users touched (before the moment ``before``)."""
        row, place = self._places(users, before)
        return row, self.matrix.indices[place]

    def _places(self, users, before) -> tuple[np.ndarray, np.ndarray]:
        """For every stored entry of these users (first touched before that moment): the row in ``users``, its place in the data."""
        position = encode(users, self.users)
        known = position >= 0
        starts = np.where(known, self.matrix.indptr[position], 0)
        counts = np.where(known, self.matrix.indptr[position + 1] - self.matrix.indptr[position], 0)
        row = np.repeat(np.arange(len(position)), counts)
        place = np.arange(len(row)) + np.repeat(starts - np.append(0, np.cumsum(counts)[:-1]), counts)
        if before is not None:
            early = self.since[place] < moment(before).timestamp()
            row, place = row[early], place[early]
        return row, place

    def __repr__(self) -> str:
        n, m = self.matrix.shape
        return f"Interactions({n:,} users x {m:,} items, {self.matrix.nnz:,} pairs, density {self.matrix.nnz / max(n * m, 1):.2%})"


def _index(ids: pd.Series, more) -> pd.Index:
    found = pd.Index(ids.unique())
    if more is not None:
        found = found.union(pd.Index(coerce_ids(pd.Series(more)).dropna().unique()))
    return found.sort_values().astype("str")
