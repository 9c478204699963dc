"""EASE is its closed form, from whichever side it is solved, and gives an item nothing of itself."""

import numpy as np
import pandas as pd
import pytest

from recsys_kit.data.interactions import Interactions
from recsys_kit.models import ease
from recsys_kit.models.ease import EASE
from tests.models.conformance import RankerConformance, history


class TestByItems(RankerConformance):
    def make(self):
        return EASE(l2=20)


class TestByUsers(RankerConformance):
    @pytest.fixture(autouse=True)
    def always_by_users(self, monkeypatch):
        monkeypatch.setattr(ease, "_by_users", lambda users, items: True)

    def make(self):
        return EASE(l2=20)


def binary(events: pd.DataFrame, **how) -> np.ndarray:
    return (Interactions.from_events(events, **how).matrix.toarray() > 0).astype(float)


def closed_form(X: np.ndarray, l2: float) -> np.ndarray:
    """B by the textbook: a ridge regression of each item's column on all other columns."""
    B = np.zeros((X.shape[1], X.shape[1]))
    for j in range(X.shape[1]):
        others = np.delete(np.arange(X.shape[1]), j)
        A = X[:, others]
        B[others, j] = np.linalg.solve(A.T @ A + l2 * np.eye(len(others)), A.T @ X[:, j])
    return B


@pytest.mark.parametrize("l2", [0.5, 30.0])
@pytest.mark.parametrize("users, items", [(30, 20), (12, 60)])
def test_scores_are_a_ridge_regression_of_each_item_on_all_others(users, items, l2):
    table = history(users=users, items=items)
    X = binary(table)
    model = EASE(l2).fit(table)
    assert (model.item_weights_ is None) == (users < X.shape[1])
    assert np.allclose(model.score(sorted(table["user_id"].unique())), X @ closed_form(X, l2), rtol=1e-5, atol=1e-6)


def test_both_sides_give_the_same_scores_and_lists(monkeypatch):
    table = history(rng=3, users=40, items=40, events=700)
    users = sorted(table["user_id"].unique())
    models = []
    for by_users in (False, True):
        monkeypatch.setattr(ease, "_by_users", lambda users, items, answer=by_users: answer)
        models.append(EASE(5).fit(table))
    items, people = models
    assert items.user_inverse_ is None and people.item_weights_ is None
    assert np.allclose(items.score(users), people.score(users), rtol=1e-4, atol=1e-6)
    assert items.recommend(users, 10)["item_id"].tolist() == people.recommend(users, 10)["item_id"].tolist()
    early = table["timestamp"].iloc[300]
    assert np.allclose(items.score(users, at=early), people.score(users, at=early), rtol=1e-4, atol=1e-6, equal_nan=True)


def test_products_made_in_strips_are_the_whole(monkeypatch):
    whole = EASE(20).fit(history()).item_weights_
    monkeypatch.setattr(ease, "STRIP", 7)
    assert np.array_equal(EASE(20).fit(history()).item_weights_, whole)


def test_nothing_explains_itself():
    assert (np.diag(EASE(20).fit(history()).item_weights_) == 0).all()


def test_fitting_again_by_the_other_side_forgets_the_first():
    wide, tall = history(users=12, items=60), history()
    for first, second in ((wide, tall), (tall, wide)):
        assert np.array_equal(EASE(20).fit(first).fit(second).score(["u01"]), EASE(20).fit(second).score(["u01"]))


def test_what_was_given_back_is_no_interest():
    """Bought once and returned: the weights sum to zero, or below where it came back twice."""
    back = [history().iloc[[n]].assign(behaviour="return") for n in (0, 1, 1)]
    table = pd.concat([history().drop_duplicates(["user_id", "item_id"]), *back])
    left = table[~table.duplicated(["user_id", "item_id"], keep=False)]
    weights = {"view": 1, "purchase": 1, "return": -1}
    catalogue, people = history()[["item_id"]].drop_duplicates(), sorted(left["user_id"].unique())
    assert np.array_equal(EASE(20, weights=weights).fit(table, items=catalogue).score(people),
                          EASE(20).fit(left, items=catalogue).score(people))


def test_repeats_count_once_and_weights_say_what_counts():
    table = history()
    assert np.array_equal(EASE().fit(pd.concat([table, table])).score(["u01"]), EASE().fit(table).score(["u01"]))
    bought = EASE(20, weights={"purchase": 3}).fit(table)
    X = binary(table[table["behaviour"] == "purchase"], items=table["item_id"].unique())
    only = table.loc[table["behaviour"] == "purchase", "user_id"].sort_values().unique()
    assert np.allclose(bought.score(only), X @ closed_form(X, 20), atol=1e-6)


@pytest.mark.parametrize("by_users", [False, True])
def test_an_item_nobody_touched_scores_zero_and_a_user_without_history_gets_no_list(monkeypatch, by_users):
    monkeypatch.setattr(ease, "_by_users", lambda users, items: by_users)
    model = EASE(20).fit(history(), items=pd.DataFrame({"item_id": ["new"]}), users=pd.DataFrame({"user_id": ["quiet"]}))
    assert model.score(["u01"])[0, model.items_.get_loc("new")] == 0
    assert np.isnan(model.score(["quiet", "nobody"])).all() and model.recommend(["quiet", "nobody"], 3).empty


def test_asked_for_an_earlier_moment_it_looks_at_what_was_touched_before():
    table = history()
    early = table["timestamp"].iloc[200]
    model = EASE(20).fit(table)
    before = table[table["timestamp"] < early]
    x = binary(before, items=model.items_)[Interactions.from_events(before).users.get_loc("u05")]
    assert np.allclose(model.score(["u05"], at=early)[0], x @ model.item_weights_, atol=1e-6)
    assert np.isnan(model.score(["u05"], at=table["timestamp"].iloc[0])).all()


@pytest.mark.parametrize("l2", [0, -1, float("nan"), float("inf")])
def test_the_penalty_is_above_zero(l2):
    with pytest.raises(ValueError, match="above zero"):
        EASE(l2)


@pytest.mark.parametrize("by_users", [False, True])
def test_a_penalty_too_small_to_invert_the_matrix_is_named(monkeypatch, by_users):
    monkeypatch.setattr(ease, "_by_users", lambda users, items: by_users)
    twins = pd.DataFrame({"user_id": list("aabb"), "item_id": list("xyxy"), "behaviour": "view",
                          "timestamp": pd.Timestamp("2024-01-01")})
    with pytest.raises(ValueError, match="l2=1e-300 is too small"):
        EASE(1e-300).fit(twins)
