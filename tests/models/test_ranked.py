"""Ranking by predicted rating: the order is that of the raw predictions, and nobody without a rating gets a list."""

import numpy as np
import pandas as pd
import pytest

from recsys_kit.models.ranked import RankedByRating, implied_ratings
from recsys_kit.models.svd import SVD
from recsys_kit.schema import SchemaError
from tests.models.conformance import RankerConformance, history
from tests.models.rating_conformance import ratings


class TestRankedByRating(RankerConformance):
    def make(self):  # `history` has no ratings
        return RankedByRating("SVD", {"factors": 4}, implied={"view": 2, "purchase": 5})


class TestRankedByBaseline(RankerConformance):
    def make(self):
        return RankedByRating("SurpriseRating", {"algorithm": "BaselineOnly"}, implied={"view": 2, "purchase": 5})


def test_the_scores_are_the_raw_predictions_so_that_the_ends_of_the_scale_make_no_ties():
    events = ratings().sort_values(["user_id", "timestamp", "item_id"])
    model = RankedByRating("SVD", {"epochs": 60, "lr": 0.05}).fit(events)
    plain = SVD(epochs=60, lr=0.05).fit(events)
    raw = model.score(["u05"])[0]
    assert np.allclose(np.clip(raw, 1, 5), plain.predict(pd.DataFrame({"user_id": "u05", "item_id": model.items_})), rtol=1e-12)
    everyone = model.score(events["user_id"].unique())
    assert (everyone > 5).any() and all(len(np.unique(row)) == len(row) for row in everyone)


def test_each_history_is_learned_in_the_order_of_its_time_however_the_rows_stand():
    events = ratings()
    one, other = (RankedByRating("SVD").fit(events.sample(frac=1, random_state=seed)).score(["u01", "u05"]) for seed in (1, 2))
    assert np.array_equal(one, other)


def test_who_rated_nothing_gets_no_list_and_an_unrated_item_only_the_rest():
    events = pd.concat([ratings(), ratings().head(1).assign(user_id="viewer", item_id="seen", behaviour="view", rating=np.nan)])
    model = RankedByRating("SVD").fit(events)
    assert "seen" in model.items_ and np.isnan(model.score(["viewer"])).all() and len(model.recommend(["viewer", "u01"], 3)) == 3


def test_without_ratings_it_says_so_and_names_are_looked_at():
    with pytest.raises(SchemaError, match="rating"):
        RankedByRating("SVD").fit(history())
    for name in ("Popularity", "nothing"):
        with pytest.raises(ValueError, match=f"predictor='{name}'"):
            RankedByRating(name)


def test_implied_ratings_keep_the_strongest_behaviour_and_leave_out_what_is_not_named():
    events = pd.DataFrame({"user_id": ["b", "b", "a", "a", "a"], "item_id": ["y", "y", "x", "x", "z"],
                           "behaviour": ["view", "view", "purchase", "view", "click"],
                           "timestamp": [9.9e8, 9.8e8, 9.7e8, 9.6e8, 9.5e8]})
    made = implied_ratings(events, {"view": 1, "purchase": 5})
    assert made[["user_id", "item_id", "rating"]].to_numpy().tolist() == [["a", "x", 5.0], ["b", "y", 1.0]]
    assert made["timestamp"].astype("int64").tolist() == [970000000, 980000000]
    with pytest.raises(ValueError, match="'look' is no behaviour"):
        implied_ratings(events, {"look": 1})
    with pytest.raises(ValueError, match="'view' is nan"):
        implied_ratings(events, {"view": np.nan})
