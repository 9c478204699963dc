"""The one way to measure: unseen items only, everybody counts."""

import numpy as np
import pandas as pd
import pytest

from recsys_kit.evaluate.protocol import evaluate_ranking, relevant_pairs, share_of_new_users
from recsys_kit.evaluate.split import Split, by_time
from recsys_kit.models.base import Ranker
from recsys_kit.models.popularity import Popularity


def events(rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["user_id", "item_id", "behaviour", "timestamp"]).assign(
        timestamp=lambda t: pd.to_datetime("2024-01-0" + t["timestamp"].astype(str)))


TRAIN = events([("a", "x", "purchase", 1), ("a", "y", "purchase", 1), ("b", "x", "purchase", 2), ("c", "z", "purchase", 2)])
TEST = events([("a", "x", "purchase", 3), ("a", "z", "purchase", 3), ("a", "z", "view", 4), ("b", "y", "return", 4),
               ("d", "x", "view", 4)])
SPLIT = Split(TRAIN, TEST, "by hand", pd.Timestamp("2024-01-03"))


def test_relevant_is_what_is_touched_for_the_first_time_and_not_given_back():
    assert relevant_pairs(SPLIT).to_numpy().tolist() == [["a", "z"], ["d", "x"]]


def test_new_users_are_counted():
    assert share_of_new_users(SPLIT) == 0.5


def test_popularity_ranks_the_unseen():
    result = evaluate_ranking(Popularity().fit(TRAIN), SPLIT, k=1)
    assert result["hit_rate"].to_dict() == {"a": 1.0, "d": 1.0}  # a has x and y: only z is left; d is new: x is the best


class Silent(Ranker):
    """Has nothing to say about anybody."""

    def _fit(self, events, items, users):
        pass

    def _score(self, users, at):
        return np.full((len(users), len(self.items_)), np.nan)


def test_users_without_a_recommendation_count_as_zero():
    result = evaluate_ranking(Silent().fit(TRAIN), SPLIT)
    assert result.index.tolist() == ["a", "d"] and (result == 0).all().all()


class Clairvoyant(Ranker):
    """Scores the test's own pairs: the upper end of the measure."""

    def __init__(self, parts):
        self.parts = parts

    def _fit(self, events, items, users):
        pairs = relevant_pairs(self.parts)
        self.table = pd.crosstab(pairs["user_id"], pairs["item_id"]).reindex(columns=self.items_, fill_value=0)

    def _score(self, users, at):
        return self.table.reindex(users, fill_value=0).to_numpy(float)


def test_popularity_stands_between_nothing_and_the_perfect_list(market):
    parts = by_time(market.events, test=0.2)
    known = parts.test["item_id"].isin(parts.train["item_id"])  # a perfect list needs the items in its catalogue
    parts = Split(parts.train, parts.test[known], parts.how, parts.cut)
    models = Popularity(), Clairvoyant(parts)
    popular, perfect = (evaluate_ranking(model.fit(parts.train), parts)["ndcg"].mean() for model in models)
    assert perfect == pytest.approx(1) and 0.01 < popular < 0.9
