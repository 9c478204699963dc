"""RP3beta is the walk it says it is, step by step."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recsys_kit.data.interactions import Interactions
from recsys_kit.models.walk import RP3beta, _largest_per_row
from tests.models.conformance import RankerConformance, history


class TestRP3beta(RankerConformance):
    def make(self):
        return RP3beta(0.8, 0.4, 7)


def literal(table, alpha, beta, n, normalise=True):
    """W by the formula, in loops over items and users; then the n largest of each row, then of each column."""
    x = Interactions.from_events(table).matrix.toarray() > 0
    items, walk = x.shape[1], np.zeros((x.shape[1],) * 2)
    for i in range(items):
        for j in range(items):
            if i != j:
                both = np.flatnonzero(x[:, i] & x[:, j])
                walk[i, j] = sum((1 / x[:, i].sum()) ** alpha * (1 / x[v].sum()) ** alpha for v in both)
                walk[i, j] /= x[:, j].sum() ** beta
    for i in range(items):
        walk[i, np.argsort(-walk[i].round(14), kind="stable")[n:]] = 0
        if normalise:
            walk[i] /= walk[i].sum()
    for j in range(items):
        walk[np.argsort(-walk[:, j].round(14), kind="stable")[n:], j] = 0
    return x @ walk


@pytest.mark.parametrize(("alpha", "beta", "n", "normalise"), [(1, 0, 100, False), (0.7, 0.3, 6, True), (1.5, 1, 3, True),
                                                               (0.7, 0.3, 6, False)])
def test_scores_are_those_of_a_literal_loop(alpha, beta, n, normalise):
    table = history(2)
    expected = literal(table, alpha, beta, n, normalise)
    assert np.allclose(RP3beta(alpha, beta, n, normalise=normalise).fit(table).score(sorted(table["user_id"].unique())), expected)
    assert expected.max() > 0


def test_of_equal_entries_of_a_row_those_of_the_lower_columns_are_kept():
    rows = sparse.csr_array(np.array([[0.5, 0.5, 0.25, 0.5], [0.1, 0.0, 0.2, 0.2]]))
    assert _largest_per_row(rows, 2).toarray().tolist() == [[0.5, 0.5, 0, 0], [0, 0, 0.2, 0.2]]
    assert _largest_per_row(rows, 1).toarray().tolist() == [[0.5, 0, 0, 0], [0, 0, 0.2, 0]]


def test_with_a_discount_rarer_items_come_first():
    table = history()
    counts = table.groupby("item_id")["user_id"].nunique()
    def mean_popularity(beta):
        return counts[RP3beta(1, beta).fit(table).recommend(sorted(table["user_id"].unique()), 3)["item_id"]].mean()
    assert mean_popularity(0) > mean_popularity(0.8) > mean_popularity(1.6)


def test_unknown_users_get_no_list_and_an_earlier_moment_only_what_came_before_it():
    table = history()
    model = RP3beta().fit(table)
    assert model.recommend(["nobody"], 5).empty
    moment = table["timestamp"].iloc[200]
    assert np.allclose(model.score(["u05"], at=moment), ((model.history_.rows(["u05"], before=moment) > 0) @ model.walk_).toarray())
    assert not np.allclose(model.score(["u05"], at=moment), model.score(["u05"]))


def test_what_was_bought_and_given_back_was_not_touched():
    """With a weight for returns that takes back the purchase, the pair is as if it had never been."""
    weights = {"view": 1, "purchase": 1, "return": -1}
    table = history()
    bought = table.head(1).assign(user_id="u01", item_id="i19", behaviour="purchase")
    back = pd.concat([table[(table["user_id"] != "u01") | (table["item_id"] != "i19")], bought, bought.assign(behaviour="return")])
    with_it, without = (RP3beta(weights=weights).fit(events).score(["u01", "u02"]) for events in (back, back.iloc[:-2]))
    assert np.array_equal(with_it, without)


@pytest.mark.parametrize("wrong", [{"alpha": -1}, {"beta": float("nan")}, {"neighbours": 0}], ids=str)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RP3beta(**wrong)
