"""The interface of models that predict a rating, and what counts as rated."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

import numpy as np
import pandas as pd

from recsys_kit.data.interactions import EVERYTHING, Interactions, encode
from recsys_kit.models.store import Stored
from recsys_kit.schema import ITEM, RATING, USER, SchemaError, coerce_ids, refuse, require_columns, validate_events


class RatingPredictor(Stored, ABC):
    """A model that predicts the rating a user would give an item.

    What every rating predictor promises (and `tests/models/rating_conformance.py` checks):

    * it learns from the events that have a rating, each as it stands: an item rated twice counts twice;
    * predictions lie on the scale and are never missing: of an unknown user or item it says what it can (a bias, the mean);
    * the order of the rows may matter (it is the order of learning), the order of the pairs asked for does not.
    """

    scale: tuple[float, float] | None = None

    def fit(self, events: pd.DataFrame, *, items: pd.DataFrame | None = None, users: pd.DataFrame | None = None) -> Self:
        """Learn from the events with a ``rating``; those without are left out.

        Raises `SchemaError`, also for a rating off the scale; ValueError for a scale that is none.
        """
        events = validate_events(events)
        require_columns(events, (RATING,), "events")
        for table, column, kind in ((items, ITEM, "items"), (users, USER, "users")):
            if table is not None:
                require_columns(table, (column,), kind)
        rated = events[events[RATING].notna()]
        if rated.empty:
            raise SchemaError("column 'rating': no event has a rating.\nTo mend it: fit on rate events, or take a ranker")
        ratings = rated[RATING].to_numpy(dtype=float)
        low, high = self.scale or (ratings.min(), ratings.max())
        if not -np.inf < low <= high < np.inf:
            raise ValueError(f"scale={self.scale!r}: give (lowest, highest), such as (1, 5)")
        refuse(rated, (rated[RATING] < low) | (rated[RATING] > high), RATING, f"off the scale from {low:g} to {high:g}",
               "correct the rating, or give the model the scale it is on")
        self.__dict__.pop("seen_", None)
        seen = Interactions.from_events(rated, items=None if items is None else items[ITEM],
                                        users=None if users is None else users[USER], weights=EVERYTHING)
        self.users_, self.items_, self.low_, self.high_ = seen.users, seen.items, float(low), float(high)
        self._fit(encode(rated[USER], seen.users), encode(rated[ITEM], seen.items), ratings)
        self.seen_ = seen  # last: a fit that failed half-way leaves no model that looks fitted
        return self

    @abstractmethod
    def _fit(self, user: np.ndarray, item: np.ndarray, rating: np.ndarray) -> None:
        """Learn from n ratings, in the order of the events: positions in ``users_`` and ``items_`` (int64), ratings (float64)."""

    @abstractmethod
    def _predict(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Predictions (n,) for positions, -1 where unknown; finite, not yet held to the scale."""

    def predict(self, pairs: pd.DataFrame) -> np.ndarray:
        """Predicted ratings (len(pairs),) of the rows ``user_id, item_id``, held to the scale. Raises `NotFittedError`."""
        self._check_fitted()
        require_columns(pairs, (USER, ITEM), "pairs")
        if not len(pairs):
            return np.empty(0)
        raw = self._predict(encode(coerce_ids(pairs[USER]), self.users_), encode(coerce_ids(pairs[ITEM]), self.items_))
        return np.clip(raw, self.low_, self.high_)
