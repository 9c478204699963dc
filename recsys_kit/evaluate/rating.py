"""Metrics of rating prediction. A rating predictor gets these; a ranker never does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from recsys_kit.schema import ITEM, RATING, TIME, USER, SchemaError, require_columns, validate_events


def rmse(ratings, predictions) -> float:
    """Root of the mean squared error, ``sqrt(mean (r - r^)^2)``, in the unit of the ratings: large errors weigh more.

    Over all ratings, as in Surprise, LibRec and the Netflix Prize. Raises ValueError for nothing, unequal lengths, or a NaN.

    >>> rmse([1.0, 5.0], [2.0, 2.0]) == 5 ** 0.5
    True
    """
    return float(np.sqrt((_errors(ratings, predictions) ** 2).mean()))


def mae(ratings, predictions) -> float:
    """Mean absolute error, ``mean |r - r^|``, in the unit of the ratings. Raises as `rmse`.

    >>> mae([1.0, 5.0], [2.0, 2.0])
    2.0
    """
    return float(np.abs(_errors(ratings, predictions)).mean())


def _errors(ratings, predictions) -> np.ndarray:
    ratings, predictions = np.asarray(ratings, dtype=float), np.asarray(predictions, dtype=float)
    if ratings.shape != predictions.shape or not ratings.size:
        raise ValueError(f"{ratings.size} ratings, {predictions.size} predictions: give one each, and at least one")
    if not np.isfinite(ratings).all() or not np.isfinite(predictions).all():
        raise ValueError("a rating or a prediction is missing or infinite; leave such rows out by name, never silently")
    return predictions - ratings


@dataclass(frozen=True, eq=False)
class RatingErrors:
    """What a rating predictor got wrong.

    errors : one row per rating: ``user_id, item_id, rating, predicted, error`` (predicted - rating), in the order of the test.
    """

    errors: pd.DataFrame

    @property
    def rmse(self) -> float:
        """Over all ratings: a user with many counts often (the number that papers print)."""
        return rmse(self.errors[RATING], self.errors["predicted"])

    @property
    def mae(self) -> float:
        """Over all ratings."""
        return mae(self.errors[RATING], self.errors["predicted"])

    @property
    def by_user(self) -> pd.DataFrame:
        """``rmse, mae`` per user (index ``user_id``): every user counts once; what a paired comparison over users wants."""
        error = self.errors["error"]
        means = pd.DataFrame({"rmse": error ** 2, "mae": error.abs()}).groupby(self.errors[USER]).mean()
        return means.assign(rmse=np.sqrt(means["rmse"]))

    def __repr__(self) -> str:
        return f"RatingErrors({len(self.errors):,} ratings, RMSE {self.rmse:.4f}, MAE {self.mae:.4f})"


def evaluate_ratings(model, test: pd.DataFrame) -> RatingErrors:
    """Predict every rating of the test events, and compare.

    model : a fitted `models.rating.RatingPredictor`. test : events; those without a rating are left out, as in ``fit``.
    Every rating counts, of new users and items too. Raises `SchemaError` if none has a rating.
    """
    rated = _rated(validate_events(test), "test event")
    predicted = model.predict(rated[[USER, ITEM]])
    return RatingErrors(rated.assign(predicted=predicted, error=_errors(rated[RATING], predicted)))


def prequential_ratings(model, events: pd.DataFrame, *, scale: tuple[float, float] | None = None) -> RatingErrors:
    """Play the ratings in the order of time: predict each, then learn it (Dawid 1984). Every rating is a test, and then training.

    model : anything with ``predict_one(user, item)`` and ``learn_one(user, item, rating)``, which goes on from what it knows;
        `models.online_rating` has some, and river's predictors can be asked so, too.
    events : those without a rating are left out; of equal times, the order of the rows counts.
    scale : (lowest, highest) rating that predictions are held to; None: as the model says them. What it learns is never held.
    Returns the errors in the order played. Raises `SchemaError` if no event has a rating.

    >>> from recsys_kit import load
    >>> from recsys_kit.models.online_rating import OnlineMean
    >>> result = prequential_ratings(OnlineMean(), load("market", max_users=200).events)
    >>> result.errors["predicted"].tolist()[:2] == [0.0, result.errors["rating"].iloc[0]]
    True
    """
    if scale is not None and not -np.inf < scale[0] <= scale[1] < np.inf:
        raise ValueError(f"scale={scale!r}: give (lowest, highest), such as (1, 5)")
    rated = _rated(validate_events(events).sort_values(TIME, kind="stable"), "event")
    predicted = np.empty(len(rated))
    for n, (user, item, rating) in enumerate(zip(rated[USER], rated[ITEM], rated[RATING].tolist(), strict=True)):
        predicted[n] = model.predict_one(user, item)
        model.learn_one(user, item, rating)
    if scale is not None:
        predicted = np.clip(predicted, *scale)
    return RatingErrors(rated.assign(predicted=predicted, error=_errors(rated[RATING], predicted)))


def _rated(events: pd.DataFrame, kind: str) -> pd.DataFrame:
    require_columns(events, (RATING,), f"{kind}s")
    rated = events.loc[events[RATING].notna(), [USER, ITEM, RATING]].reset_index(drop=True)
    if rated.empty:
        raise SchemaError(f"column 'rating': no {kind} has a rating.\nTo mend it: choose another cut, or measure a ranking")
    return rated
