"""A rating predictor made to rank, so that it can be seen what its ranking is worth."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd

from recsys_kit.data.interactions import encode
from recsys_kit.models.base import Ranker
from recsys_kit.models.rating import RatingPredictor
from recsys_kit.schema import BEHAVIOUR, BEHAVIOURS, ITEM, RATING, TIME, USER, validate_events


def implied_ratings(events: pd.DataFrame, values: Mapping[str, float]) -> pd.DataFrame:
    """One rating per user and item out of what they did: the largest of the ``values`` of their behaviours.

    values : rating per behaviour, such as ``{"view": 1, "cart": 3, "purchase": 5}``; events of behaviours not named are left out.
    Returns events with ``rating``, sorted by user, time and item. A pair that nothing happened to has no rating: it is unknown and
    not zero, and 'viewed only' is the lowest there is. Raises ValueError for a name that is no behaviour, or a value that is no
    finite number.

    >>> events = pd.DataFrame({"user_id": ["a", "a", "a"], "item_id": ["x", "x", "y"],
    ...                        "behaviour": ["view", "purchase", "view"], "timestamp": [1e9, 1.1e9, 1.2e9]})
    >>> implied_ratings(events, {"view": 1, "purchase": 5})["rating"].tolist()
    [5.0, 1.0]
    """
    for name, value in values.items():
        if name not in BEHAVIOURS:
            raise ValueError(f"values: {name!r} is no behaviour; there are {', '.join(BEHAVIOURS)}")
        if not np.isfinite(value):
            raise ValueError(f"values: {name!r} is {value!r}; give a number")
    events = validate_events(events)
    rated = events.assign(**{RATING: events[BEHAVIOUR].astype(str).map({k: float(v) for k, v in values.items()})})
    rated = rated.dropna(subset=RATING).sort_values([USER, ITEM, RATING, TIME], ascending=[True, True, False, True], kind="stable")
    return rated.drop_duplicates([USER, ITEM]).sort_values([USER, TIME, ITEM], kind="stable", ignore_index=True)


class RankedByRating(Ranker):
    """Ranks all items by the rating that a predictor expects the user to give them, before it is held to the scale.

    It is asked 'how would you rate it if you had taken it?', which is not 'what will you take?': whoever is ranked well here is
    liked by the few who know it. Ratings are missing not at random (Marlin et al. 2007; Cremonesi, Koren, Turrin 2010,
    "Performance of recommender algorithms on top-N recommendation tasks"). So say what was ranked beside any number from here.

    predictor : the name of a rating predictor of the kit, such as ``"SVD"``; options : its settings, by name.
    implied : None: learn from the ratings there are, in each user's order of time; or the values for `implied_ratings`, to
        learn from ratings made of behaviour.

    A user without a rating has no list (NaN). Items without one are scored by what the predictor says of an unknown item.
    ``at`` only changes what counts as seen. Raises ValueError for a name that is no rating predictor, `SchemaError` where no
    event has a rating.

    >>> from recsys_kit import load
    >>> rated = load("market", max_users=200).events.dropna(subset="rating")
    >>> RankedByRating("SVD", {"factors": 8}).fit(rated).recommend(rated["user_id"].head(1), 2)["rank"].tolist()
    [1, 2]
    """

    def __init__(self, predictor: str = "SVD", options: Mapping[str, Any] | None = None, *,
                 implied: Mapping[str, float] | None = None):
        self.implied = None if implied is None else dict(implied)
        self.predictor, self.options = predictor, None if options is None else dict(options)
        self._make()

    def _make(self) -> RatingPredictor:
        from recsys_kit.models import MODELS

        kind = getattr(import_module(MODELS[self.predictor]), self.predictor) if self.predictor in MODELS else None
        if not (isinstance(kind, type) and issubclass(kind, RatingPredictor)):
            raise ValueError(f"predictor={self.predictor!r}: give the name of a rating predictor, such as 'SVD'")
        return kind(**self.options or {})

    def _fit(self, events: pd.DataFrame, items, users) -> None:
        if self.implied is not None:
            rated = implied_ratings(events, self.implied)
        else:  # the rows of a history have no order but their time
            rated = events.sort_values([USER, TIME, ITEM, *([RATING] if RATING in events else [])], kind="stable")
        self._predictor = self._make().fit(rated, items=pd.DataFrame({ITEM: self.items_}))

    def _score(self, users: pd.Index, at: pd.Timestamp | None) -> np.ndarray:
        scores = np.full((len(users), len(self.items_)), np.nan)
        who, what = encode(users, self._predictor.users_), encode(self.items_, self._predictor.items_)
        for row in np.flatnonzero(who >= 0):
            scores[row] = self._predictor._predict(np.full(len(what), who[row]), what)
        return scores

    def _kept(self) -> dict[str, Any]:
        return super()._kept() | {"predictor_": self._predictor._kept()}

    def _take(self, kept: dict[str, Any]) -> None:
        kept = dict(kept)
        inner = kept.pop("predictor_")
        super()._take(kept)
        self._predictor = self._make()
        self._predictor._take(inner)
