"""Choosing the k best, and what counts as seen after an update."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_kit.models.base import Ranker, top_k
from recsys_kit.models.popularity import Popularity
from tests.models.conformance import history


@given(st.lists(st.lists(st.integers(0, 4), min_size=6, max_size=6), min_size=1, max_size=5), st.integers(1, 8))
def test_top_k_is_a_stable_sort_cut_at_k(rows, k):
    scores = np.array(rows, float)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    columns, values = top_k(scores, k)
    assert columns.tolist() == expected.tolist() and values.tolist() == np.take_along_axis(scores, expected, 1).tolist()


def test_nan_and_minus_infinity_come_last():
    columns, values = top_k(np.array([[np.nan, 1.0, -np.inf, 2.0]]), 3)
    assert columns[0, :2].tolist() == [3, 1] and values[0, 2] == -np.inf


class Fixed(Ranker):
    """Scores as given, the same for everybody."""

    def __init__(self, scores):
        self.scores = scores

    def _fit(self, events, items, users):
        pass

    def _score(self, users, at):
        return np.tile(self.scores, (len(users), 1))


def test_negative_scores_are_scores_and_only_minus_infinity_and_nan_are_not():
    table = pd.DataFrame({"user_id": "u", "item_id": list("abcd"), "behaviour": "view", "timestamp": pd.Timestamp("2024-01-01")})
    model = Fixed([-5.0, -np.inf, np.nan, -1.0]).fit(table)
    assert model.recommend(["other"], 9)["item_id"].tolist() == ["d", "a"]


def test_large_requests_are_answered_in_blocks_with_the_same_lists(monkeypatch):
    model, users = Popularity().fit(history()), sorted(history()["user_id"].unique())
    whole = model.recommend(users, 5)
    monkeypatch.setattr("recsys_kit.models.base.BLOCK", 3 * len(model.items_))
    pd.testing.assert_frame_equal(model.recommend(users, 5), whole)


def test_what_an_update_brings_counts_as_seen_also_for_a_new_user():
    model = Popularity().fit(history())
    later = history().head(1).assign(user_id="late", item_id="i00", timestamp=pd.Timestamp("2024-06-01"))
    assert "i00" in model.recommend(["late"], 3)["item_id"].tolist()
    assert "i00" not in model.update(later).recommend(["late"], 3)["item_id"].tolist()


def test_an_update_with_an_item_outside_the_catalogue_is_refused_and_changes_nothing():
    model = Popularity().fit(history())
    before = model.recommend(["u01"], 5)
    with pytest.raises(ValueError, match="not in the catalogue, such as 'strange'"):
        model.update(history().head(1).assign(item_id="strange"))
    pd.testing.assert_frame_equal(model.recommend(["u01"], 5), before)
