"""The one way to measure: unseen items only, everybody counts."""

import numpy as np
import pandas as pd
import pytest

from recsys_kit.evaluate.protocol import evaluate_ranking, relevant_pairs
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


def test_popularity_ranks_the_unseen():
    result = evaluate_ranking(Popularity().fit(TRAIN), SPLIT, k=1)
    assert result["hit_rate"].to_dict() == {"a": 1.0, "d": 1.0}  # a has x and y: only z is left; d is new: x is the best


def test_what_is_owned_is_said_by_the_split_and_not_by_what_the_model_was_fitted_on():
    """A model that has seen purchases only is not punished with lists full of things the user has viewed."""
    views = events([("a", "z", "view", 1), ("a", "w", "view", 1), ("b", "z", "purchase", 1), ("b", "w", "purchase", 2)])
    parts = Split(views, events([("a", "q", "view", 4)]), "by hand", pd.Timestamp("2024-01-03"))
    catalogue = pd.DataFrame({"item_id": ["q"]})
    model = Popularity().fit(views[views["behaviour"] == "purchase"], items=catalogue)
    assert evaluate_ranking(model, parts, k=1)["hit_rate"].to_dict() == {"a": 1.0}


def test_relevant_and_owned_name_the_behaviours_that_count():
    assert relevant_pairs(SPLIT, relevant=["purchase"]).to_numpy().tolist() == [["a", "z"]]
    assert relevant_pairs(SPLIT, owned=[]).to_numpy().tolist() == [["a", "x"], ["a", "z"], ["d", "x"]]
    assert relevant_pairs(SPLIT, owned=["view"], relevant=["purchase"]).to_numpy().tolist() == [["a", "x"], ["a", "z"]]
    repeats = evaluate_ranking(Popularity().fit(TRAIN), SPLIT, k=1, owned=[])
    assert repeats["hit_rate"].to_dict() == {"a": 1.0, "d": 1.0}  # with repeats allowed x stays on top for a


def test_the_model_is_asked_for_its_list_as_of_the_cut():
    late = pd.concat([TRAIN, events([("b", "z", "purchase", 5)] * 9)])  # a model that learned too much
    fitted = Popularity().fit(late)
    parts = Split(TRAIN, events([("d", "x", "view", 4)]), "by hand", pd.Timestamp("2024-01-03"))
    assert evaluate_ranking(fitted, parts, k=1)["hit_rate"].to_dict() == {"d": 1.0}  # as of the cut x leads, later z


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
