"""GF-CF is its formula in dense matrices."""

import numpy as np
import pandas as pd
import pytest

from recsys_kit.data.interactions import Interactions
from recsys_kit.models.graph import GFCF
from tests.models.conformance import RankerConformance, history


class TestGFCF(RankerConformance):
    def make(self):
        return GFCF(4)


def by_the_paper(R: np.ndarray, factors: int, alpha: float) -> np.ndarray:
    """Scores of all users with every matrix written out."""
    users, items = (np.diag(1 / np.sqrt(R.sum(axis))) for axis in (1, 0))
    N = users @ R @ items
    V = np.linalg.svd(N)[2][:factors].T
    return R @ N.T @ N + alpha * R @ items @ V @ V.T @ np.linalg.inv(items)


@pytest.mark.parametrize("users, items", [(30, 20), (150, 90)])  # the dense way to V, and the sparse
@pytest.mark.parametrize("factors, alpha", [(3, 0.3), (3, 0.0), (8, 2.0)])
def test_scores_are_the_formula_of_the_paper(users, items, factors, alpha):
    table = history(users=users, items=items, events=1500)
    R = (Interactions.from_events(table).matrix.toarray() > 0).astype(float)
    found = GFCF(factors, alpha=alpha).fit(table).score(sorted(table["user_id"].unique()))
    assert np.allclose(found, by_the_paper(R, factors, alpha), rtol=1e-4, atol=1e-5)


def test_asked_for_an_earlier_moment_it_filters_the_history_until_then():
    table = history()
    early = table["timestamp"].iloc[200]
    model = GFCF(4, alpha=0).fit(table)
    before = table[table["timestamp"] < early]
    r = Interactions.from_events(before, items=model.items_).rows(["u05"]).toarray() > 0
    assert np.allclose(model.score(["u05"], at=early), r @ (model.normalised_.T @ model.normalised_).toarray())


def test_an_item_nobody_touched_scores_zero_and_where_nothing_counts_nobody_gets_a_list():
    model = GFCF(4).fit(history(), items=pd.DataFrame({"item_id": ["new"]}))
    assert model.score(["u01"])[0, model.items_.get_loc("new")] == 0
    assert np.isnan(model.score(["nobody"])).all()
    assert GFCF(4, weights={"return": 1}).fit(history()).recommend(["u01"], 3).empty


@pytest.mark.parametrize("wrong", [dict(factors=0), dict(factors=1.5), dict(alpha=-1), dict(alpha=float("nan"))])
def test_settings_that_cannot_be_meant_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        GFCF(**wrong)
