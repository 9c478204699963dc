"""EDLAE: its closed form is the minimum of the denoising loss, from either side, and without dropout it is EASE."""

import numpy as np
import pandas as pd
import pytest

from recsys_kit.models.autoencoder import EDLAE
from recsys_kit.models.ease import EASE
from tests.models.conformance import RankerConformance, history


class TestEDLAE(RankerConformance):
    def make(self):
        return EDLAE(1.0, 0.3)


class TestEDLAEWithFewUsers(RankerConformance):
    def make(self):
        return EDLAE(0.0, 0.5)


def dense(users, items, seed=0):
    return (np.random.default_rng(seed).random((users, items)) < np.linspace(0.6, 0.15, items)).astype(float)


def events(x):
    user, item = np.nonzero(x)
    return pd.DataFrame({"user_id": [f"u{u:02}" for u in user], "item_id": [f"i{i:02}" for i in item], "behaviour": "view",
                         "timestamp": pd.Timestamp("2024-01-01")})


def test_it_is_the_minimum_of_the_denoising_loss():
    x, p, l2 = dense(30, 4), 0.4, 2.0
    model = EDLAE(l2, p).fit(events(x))
    masks = np.array([[code >> j & 1 for j in range(4)] for code in range(16)], dtype=float)  # all ways to drop; 1: kept
    chance = ((1 - p) ** masks * p ** (1 - masks)).prod(axis=1)
    for j in range(4):
        gram, right = np.zeros((4, 4)), np.zeros(4)
        for mask, share in zip(masks, chance, strict=True):
            if mask[j] == 0:  # emphasis: only what was taken out is asked for
                kept = x * mask / (1 - p)  # as large as before on average
                gram += share / p * kept.T @ kept
                right += share / p * kept.T @ x[:, j]
        others = [i for i in range(4) if i != j]
        expected = np.linalg.solve(gram[np.ix_(others, others)] + l2 * np.eye(3), right[others])
        assert np.allclose(model.item_weights_[others, j], expected, atol=1e-5) and np.abs(expected).max() > 0.05


def test_without_dropout_it_is_ease():
    for shape in [(40, 12), (12, 40)]:
        table = events(dense(*shape))
        users = sorted(table["user_id"].unique())
        assert np.allclose(EDLAE(3.0, 0.0).fit(table).score(users), EASE(3.0).fit(table).score(users), atol=1e-5)


def test_from_the_side_of_the_users_the_scores_are_the_same():
    x = dense(12, 40)
    x = x[:, x.any(axis=0)]
    wide = EDLAE(1.5, 0.4).fit(events(x))
    assert wide.item_weights_ is None
    inverse = np.linalg.inv(x.T @ x + np.diag(1.5 + x.sum(axis=0) * 0.4 / 0.6))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    assert np.allclose(wide.score(wide.history_.users), x @ weights, atol=1e-8) and np.abs(x @ weights).max() > 0.1


def test_more_dropout_leans_less_on_the_popular():
    table = events(dense(60, 10))
    little, much = (np.abs(EDLAE(1.0, p).fit(table).item_weights_) for p in (0.05, 0.8))
    assert (much.sum(axis=1) / little.sum(axis=1)).max() < 0.8


@pytest.mark.parametrize("wrong", [dict(dropout=1), dict(dropout=-0.1), dict(l2=-1), dict(l2=0, dropout=0), dict(l2=float("nan"))],
                         ids=str)
def test_settings_that_cannot_be_meant_are_refused(wrong):
    with pytest.raises(ValueError, match="dropout=|l2="):
        EDLAE(**wrong)


def test_an_unknown_user_has_nothing_and_a_new_item_scores_nothing():
    model = EDLAE(0.0, 0.5).fit(history(), items=pd.DataFrame({"item_id": ["new"]}))
    assert np.isnan(model.score(["nobody"])).all()
    assert model.score(["u01"])[0, model.items_.get_loc("new")] == pytest.approx(0, abs=1e-6)
