"""Candidate ranking: what the protocols of papers do, candidate by candidate."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_kit.data.interactions import Interactions
from recsys_kit.evaluate.metrics import per_user
from recsys_kit.evaluate.sampled import evaluate_candidates, sample_candidates
from recsys_kit.models.popularity import Popularity
from tests.evaluate.test_protocol import TABLE, Given, events

CATALOGUE = events([("a", item, "view", 1) for item in "uvwxyz"])
LISTS = st.dictionaries(st.sampled_from("abcd"), st.dictionaries(st.sampled_from("uvwxyz!"), st.booleans(), min_size=1), min_size=1)


def frame(lists) -> pd.DataFrame:
    rows = [(user, item, yes) for user, candidates in lists.items() for item, yes in candidates.items()]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "positive"])


@given(LISTS, TABLE, st.integers(1, 5))
def test_candidate_metrics_are_what_a_literal_reading_gives(lists, table, k):
    table = {(user, item): score + ord(item) / 1000 for (user, item), score in table.items()}  # no two equal: no draw decides
    lists = {user: candidates | {"x": True} for user, candidates in lists.items()}
    result = evaluate_candidates(Given(table).fit(CATALOGUE), frame(lists), k=k)
    hits, n_relevant = np.zeros((len(lists), k), dtype=bool), np.zeros(len(lists), dtype=int)
    for row, user in enumerate(sorted(lists)):
        said = [(table.get((user, item), np.nan), yes) for item, yes in lists[user].items() if item != "!"]
        ranked = sorted((pair for pair in said if pair[0] > -np.inf), key=lambda pair: -pair[0])[:k]
        hits[row, :len(ranked)] = [yes for _, yes in ranked]
        n_relevant[row] = sum(lists[user].values())
    assert result.index.tolist() == sorted(lists)
    pd.testing.assert_frame_equal(result.reset_index(drop=True), pd.DataFrame(per_user(hits, n_relevant)))


def test_equal_scores_stand_in_random_order_whatever_the_order_of_the_table():
    users = [f"u{n:03d}" for n in range(400)]
    table = pd.DataFrame([(user, item, item == "x") for user in users for item in "xuvwyz"],
                         columns=["user_id", "item_id", "positive"])
    model = Given({(user, item): 1.0 for user in users for item in "uvwxyz"}).fit(CATALOGUE)
    result = evaluate_candidates(model, table, k=1)
    assert 0.1 < result["hit_rate"].mean() < 0.23  # one in six, not always and not never
    pd.testing.assert_frame_equal(evaluate_candidates(model, table.sample(frac=1, random_state=0), k=1), result)
    assert not evaluate_candidates(model, table, k=1, rng=1).equals(result)


def test_seen_candidates_are_ranked_unless_left_out():
    model = Given({("a", "x"): 1.0, ("a", "u"): 2.0, ("b", "x"): 1.0, ("b", "u"): 2.0})
    model.fit(events([("a", "u", "view", 1), ("c", "x", "view", 1)]))
    lists = frame({user: {"u": False, "x": True} for user in "ab"})
    assert evaluate_candidates(model, lists, k=1)["hit_rate"].to_dict() == {"a": 0, "b": 0}
    assert evaluate_candidates(model, lists, k=1, exclude_seen=True)["hit_rate"].to_dict() == {"a": 1, "b": 0}
    other = Interactions.from_events(events([("b", "u", "view", 1), ("b", "other", "view", 1)]))
    assert evaluate_candidates(model, lists, k=1, exclude_seen=other)["hit_rate"].to_dict() == {"a": 0, "b": 1}


def test_candidates_are_ranked_as_of_the_moment_asked_for():
    model = Popularity().fit(events([("c", "x", "view", 1), ("d", "u", "view", 3), ("e", "u", "view", 3)]))
    lists = frame({"a": {"u": False, "x": True}})
    early, late = (evaluate_candidates(model, lists, k=1, at=at)["hit_rate"].to_dict() for at in ("2024-01-02", None))
    assert early == {"a": 1} and late == {"a": 0}


def test_users_are_scored_in_blocks_with_the_same_result(monkeypatch):
    rng = np.random.default_rng(0)
    users = [f"u{n}" for n in range(20)]
    model = Given({(user, item): rng.random() for user in users for item in "uvwxyz"}).fit(CATALOGUE)
    lists = frame({user: {item: item == "x" for item in "uvwxyz"} for user in users})
    whole, asked = evaluate_candidates(model, lists, k=2), []
    monkeypatch.setattr("recsys_kit.evaluate.sampled.BLOCK", 18)
    inside = model.score
    model.score = lambda some, at=None: asked.append(len(some)) or inside(some, at=at)
    pd.testing.assert_frame_equal(evaluate_candidates(model, lists, k=2), whole)
    assert asked == [3] * 6 + [2]


def test_candidates_that_break_the_rules_are_refused():
    model = Given({}).fit(CATALOGUE)
    with pytest.raises(ValueError, match="'b' has no positive"):
        evaluate_candidates(model, frame({"a": {"x": True}, "b": {"x": False}}))
    with pytest.raises(ValueError, match="same item twice"):
        evaluate_candidates(model, pd.concat([frame({"a": {"x": True}})] * 2))
    with pytest.raises(ValueError, match="missing"):
        evaluate_candidates(model, frame({"a": {"x": True}}).assign(item_id=None))
    with pytest.raises(ValueError, match="at least one item"):
        evaluate_candidates(model, frame({"a": {"x": True}}), k=0)
    with pytest.raises(ValueError, match="'positive' is missing in 1 rows"):
        evaluate_candidates(model, frame({"a": {"x": True, "u": False}}).assign(positive=[True, np.nan]))


def test_drawn_candidates_are_different_unseen_and_hold_the_positive_once():
    seen = Interactions.from_events(events([("a", "u", "view", 1), ("b", "v", "view", 1), ("a", "far", "view", 1)]))
    pairs = pd.DataFrame({"user_id": ["b", "a", "c"], "item_id": ["x", "z", "gone"]})
    drawn = sample_candidates(pairs, list("uvwxyz"), 3, seen=seen, rng=0)
    assert not drawn.duplicated(["user_id", "item_id"]).any()
    assert drawn.groupby("user_id")["positive"].agg(["sum", "size"]).to_numpy().tolist() == [[1, 4]] * 3
    assert drawn.query("positive").set_index("user_id")["item_id"].to_dict() == {"b": "x", "a": "z", "c": "gone"}
    every = sample_candidates(pairs, list("uvwxyz"), 99, seen=seen, rng=0).query("not positive").groupby("user_id")["item_id"]
    assert every.apply(set).to_dict() == {"a": set("vwxy"), "b": set("uwyz"), "c": set("uvwxyz")}
    assert sample_candidates(pairs, list("uvwxyz"), 9).query("user_id == 'a' and not positive")["item_id"].nunique() == 5
    with pytest.raises(ValueError, match="no pairs"):
        sample_candidates(pairs.head(0), list("uvwxyz"), 3)
    with pytest.raises(ValueError, match="one relevant item per user"):
        sample_candidates(pd.concat([pairs, pairs]), list("uvwxyz"), 3)


def test_items_that_are_numbers_or_named_twice_are_drawn_once_and_never_the_positive():
    drawn = sample_candidates(pd.DataFrame({"user_id": [1], "item_id": [6]}), [5, 6, 7, 7], 9)
    assert sorted(drawn["item_id"]) == ["5", "6", "7"] and drawn.query("positive")["item_id"].tolist() == ["6"]
