"""Errors of rating prediction: by hand, against scikit-learn, and over everybody."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from recsys_kit.evaluate.rating import evaluate_ratings, mae, prequential_ratings, rmse
from recsys_kit.models.rating import RatingPredictor
from recsys_kit.schema import SchemaError


def rated(rows) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "rating"])
    return table.assign(behaviour="rate", timestamp=pd.Timestamp("2024-01-01"))


class Mean(RatingPredictor):
    def _fit(self, user, item, rating):
        self.mean_ = rating.mean()

    def _predict(self, user, item):
        return np.full(len(user), self.mean_)


TRAIN = rated([("a", "x", 2.0), ("b", "x", 4.0)])


@given(st.lists(st.tuples(st.floats(1, 5), st.floats(1, 5)), min_size=1, max_size=20))
def test_rmse_and_mae_agree_with_scikit_learn(pairs):
    truth, said = zip(*pairs, strict=True)
    assert rmse(truth, said) == pytest.approx(root_mean_squared_error(truth, said))
    assert mae(truth, said) == pytest.approx(mean_absolute_error(truth, said))


def test_every_rating_counts_once_and_every_user_once_in_the_table_by_user():
    test = rated([("a", "x", 3.0), ("a", "y", 5.0), ("new", "new", 1.0), ("b", "z", 4.0)])
    result = evaluate_ratings(Mean().fit(TRAIN), test)
    assert result.errors["error"].tolist() == [0, -2, 2, -1] and result.errors["predicted"].tolist() == [3] * 4
    assert result.rmse == pytest.approx((9 / 4) ** 0.5) and result.mae == 5 / 4
    assert result.by_user["rmse"].to_dict() == pytest.approx({"a": 2 ** 0.5, "b": 1, "new": 2})
    assert result.by_user["mae"].to_dict() == {"a": 1, "b": 1, "new": 2}
    assert "RMSE 1.5000, MAE 1.2500" in repr(result)


def test_events_without_a_rating_are_left_out_and_a_test_of_such_alone_is_refused():
    test = rated([("a", "x", 3.0), ("a", "y", np.nan)])
    assert len(evaluate_ratings(Mean().fit(TRAIN), test).errors) == 1
    with pytest.raises(SchemaError, match="no test event has a rating"):
        evaluate_ratings(Mean().fit(TRAIN), test.iloc[1:])
    with pytest.raises(SchemaError, match="rating"):
        evaluate_ratings(Mean().fit(TRAIN), test.drop(columns="rating"))


def test_nothing_unequal_lengths_and_missing_predictions_are_refused():
    for truth, said in (([], []), ([1.0], [1.0, 2.0])):
        with pytest.raises(ValueError, match="one each"):
            rmse(truth, said)
    for metric in (rmse, mae):
        with pytest.raises(ValueError, match="missing or infinite"):
            metric([1.0, 2.0], [1.0, np.nan])


# Predict, then learn -----------------------------------------------------------------------------------------------------

class Diary:
    """Predicts the last rating it learned, and writes down what it was asked for and told."""

    def __init__(self, last=9.0):
        self.last, self.heard = last, []

    def predict_one(self, user, item):
        self.heard.append(("asked", user, item))
        return self.last

    def learn_one(self, user, item, rating):
        self.heard.append(("told", user, item, rating))
        self.last = rating


def timed(rows):
    return rated([row[1:] for row in rows]).assign(timestamp=[pd.Timestamp(2024, 1, 1, row[0]) for row in rows])


STREAM = timed([(3, "a", "x", 2.0), (1, "b", "x", 4.0), (1, "a", "y", 5.0), (2, "a", "z", np.nan)])


def test_every_rating_is_predicted_and_then_learned_in_the_order_of_time_and_of_the_rows():
    model = Diary()
    result = prequential_ratings(model, STREAM)
    assert model.heard == [("asked", "b", "x"), ("told", "b", "x", 4.0), ("asked", "a", "y"), ("told", "a", "y", 5.0),
                           ("asked", "a", "x"), ("told", "a", "x", 2.0)]
    assert result.errors["predicted"].tolist() == [9, 4, 5] and result.errors["error"].tolist() == [5, -1, 3]
    assert result.errors["user_id"].tolist() == ["b", "a", "a"] and result.mae == 3


def test_predictions_are_held_to_the_scale_and_what_is_learned_is_not():
    result = prequential_ratings(Diary(), STREAM, scale=(4.2, 4.8))
    assert result.errors["predicted"].tolist() == [4.8, 4.2, 4.8] and result.errors["rating"].tolist() == [4, 5, 2]


def test_a_stream_without_ratings_a_prediction_that_is_none_and_a_scale_that_is_none_are_refused():
    with pytest.raises(SchemaError, match="no event has a rating"):
        prequential_ratings(Diary(), STREAM.iloc[3:])
    with pytest.raises(ValueError, match="missing or infinite"):
        prequential_ratings(Diary(np.nan), STREAM)
    for scale in ((5, 1), (np.nan, 5), (1, np.inf)):
        with pytest.raises(ValueError, match="give .lowest, highest"):
            prequential_ratings(Diary(), STREAM, scale=scale)
