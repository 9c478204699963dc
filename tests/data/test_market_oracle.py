"""The strata oracle is a ceiling, and an honest one."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

from recsys_kit import schema
from recsys_kit.data.market import DEFAULT, generate


@pytest.fixture(scope="module")
def truth(market):
    return market.truth


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_oracle_finds_most_strata_and_not_all(market, seed):
    data = market if seed == 0 else generate(rng=seed)
    found = data.truth.oracle_strata(data.events)
    assert found.index.equals(pd.Index(data.users[schema.USER]))
    assert 0.80 < adjusted_rand_score(data.truth.users["stratum"], found) < 0.95


def features(market) -> np.ndarray:
    """What a good analyst would count per user: categories, hours, prices, behaviours; shares and logs of counts."""
    events = market.events.merge(market.items[[schema.ITEM, schema.CATEGORY]], on=schema.ITEM)
    visits = events.dropna(subset=[schema.SESSION]).drop_duplicates(schema.SESSION)
    clicks = events[events[schema.BEHAVIOUR] == "click"]

    def count(rows, by):
        return pd.crosstab(rows[schema.USER], by).reindex(market.users[schema.USER], fill_value=0).to_numpy(float)

    tables = [count(events, events[schema.CATEGORY]), count(visits, visits[schema.CATEGORY]),
              count(clicks, clicks[schema.CATEGORY]), count(visits, visits[schema.TIME].dt.hour),
              count(events, events[schema.BEHAVIOUR].astype("str"))]
    level = np.log(clicks[schema.PRICE]) - np.log(clicks[schema.PRICE]).groupby(clicks[schema.CATEGORY]).transform("mean")
    price = level.groupby(clicks[schema.USER]).agg(["mean", "sum"]).reindex(market.users[schema.USER]).fillna(0).to_numpy()
    shares = [np.sqrt((t + t.mean(0) / t.sum(1).mean()) / (t.sum(1, keepdims=True) + 1)) for t in tables]
    return np.column_stack([*shares, *map(np.log1p, tables), price])


def test_a_classifier_that_knows_half_of_the_strata_does_not_beat_the_oracle(market, truth):
    stratum = truth.users["stratum"].to_numpy()
    x = StandardScaler().fit_transform(features(market))
    half = np.random.default_rng(0).random(len(x)) < 0.5
    model = LogisticRegression(C=0.02, max_iter=500).fit(x[half], stratum[half])
    classifier = model.score(x[~half], stratum[~half])
    oracle = (truth.oracle_strata(market.events).to_numpy() == stratum)[~half].mean()
    assert classifier > 0.85  # it is a worthy opponent
    assert oracle > classifier


def test_the_posterior_means_what_it_says(market, truth):
    posterior = truth.stratum_posterior(market.events)
    assert np.allclose(posterior.sum(axis=1), 1)
    right = posterior.to_numpy().argmax(1) == truth.users["stratum"].to_numpy()
    sure = posterior.max(axis=1).to_numpy()
    assert abs(sure.mean() - right.mean()) < 0.02  # as often right as it believes
    assert right[sure > 0.99].mean() > 0.98
    assert right[sure < 0.7].mean() < 0.7


def test_shuffled_events_tell_the_oracle_nothing(market, truth):
    ids = market.users[schema.USER]
    other = dict(zip(ids, ids.sample(frac=1, random_state=0), strict=True))
    found = truth.oracle_strata(market.events.assign(user_id=market.events[schema.USER].map(other)))
    assert abs(adjusted_rand_score(truth.users["stratum"], found)) < 0.02


def test_the_oracle_asks_for_sessions(market, truth):
    with pytest.raises(schema.SchemaError, match="session_id"):
        truth.oracle_strata(market.events.drop(columns=schema.SESSION))


def test_clicks_alone_still_tell_strata_apart():
    data = generate(replace(DEFAULT, logged=("click",), events=40_000, exposures=False, groups=2), rng=0)
    found = data.truth.oracle_strata(data.events)
    assert adjusted_rand_score(data.truth.users["stratum"], found) > 0.6
    assert data.truth.strata["group"].nunique() == 2
