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


SCORES = st.sampled_from([-np.inf, np.nan, -1.0, 0.0, 0.0, 1.0, np.inf])


@given(st.lists(st.lists(st.tuples(SCORES, st.booleans()), min_size=9, max_size=9), min_size=1, max_size=4), st.integers(1, 11),
       st.sampled_from([np.float64, np.float32]), st.booleans())
def test_top_k_is_a_literal_sort_of_what_may_be_recommended(rows, k, kind, by_column):
    scores = np.array([[score for score, _ in row] for row in rows], dtype=kind, order="F" if by_column else "C")
    hidden = np.nonzero(np.array([[out for _, out in row] for row in rows]))
    if by_column:  # in any order
        hidden = hidden[0][::-1], hidden[1][::-1]
    scores.setflags(write=False)
    columns, values = top_k(scores, k, hidden)
    for row, listed, value in zip(rows, columns, values, strict=True):
        ranked = sorted((-score, column) for column, (score, out) in enumerate(row) if score > -np.inf and not out)[:k]
        empty = min(k, 9) - len(ranked)
        assert listed.tolist() == [column for _, column in ranked] + [-1] * empty
        assert value.tolist() == [-cost for cost, _ in ranked] + [-np.inf] * empty


def test_top_k_of_many_equal_and_many_different_scores_is_the_stable_sort():
    """Long rows: heaps of every shape."""
    rng = np.random.default_rng(8)
    for scores in (rng.random((50, 300)), rng.integers(0, 12, (50, 300)).astype(float), np.tile(np.arange(300.0), (3, 1))):
        for k in (1, 2, 7, 40, 300):
            assert (top_k(scores, k)[0] == np.argsort(-scores, axis=1, kind="stable")[:, :k]).all()


def test_one_row_of_scores_for_everybody_needs_no_copy_and_whole_numbers_do():
    assert top_k(np.broadcast_to(np.array([1.0, 3.0, 2.0]), (4, 3)), 2)[0].tolist() == [[1, 2]] * 4
    assert top_k(np.array([[1, 3, 2]]), 2)[1].tolist() == [[3.0, 2.0]]


def test_choosing_changes_no_score():
    scores = np.array([[1.0, 3.0, 2.0]])
    top_k(scores, 2, (np.array([0]), np.array([1])))
    assert scores.tolist() == [[1.0, 3.0, 2.0]]


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


def test_an_update_hides_an_item_from_the_moment_after_it_was_first_touched():
    touch = history().head(1).assign(user_id="late", item_id="i00")
    model = Popularity().fit(history())
    for day in ("2024-06-02", "2024-06-01", "2024-06-03"):
        model.update(touch.assign(timestamp=pd.Timestamp(day)))
    for moment, hidden in (("2024-05-31", False), ("2024-06-01", False), ("2024-06-02", True), ("2024-06-04", True)):
        assert ("i00" not in model.recommend(["late"], 100, at=moment)["item_id"].tolist()) == hidden


def test_the_list_for_a_moment_is_ranked_by_the_scores_of_that_moment():
    table = history()
    rush = table.tail(1).assign(item_id="i19", timestamp=pd.Timestamp("2024-06-01"))
    model = Popularity().fit(pd.concat([table, *[rush] * 200]))
    assert model.recommend(["nobody"], 1)["item_id"].tolist() == ["i19"]
    assert model.recommend(["nobody"], 1, at="2024-06-01")["item_id"].tolist() == ["i00"]


def test_an_update_with_an_item_outside_the_catalogue_is_refused_and_changes_nothing():
    model = Popularity().fit(history())
    before = model.recommend(["u01"], 5)
    with pytest.raises(ValueError, match="not in the catalogue, such as 'strange'"):
        model.update(history().head(1).assign(item_id="strange"))
    pd.testing.assert_frame_equal(model.recommend(["u01"], 5), before)
