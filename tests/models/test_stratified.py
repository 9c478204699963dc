"""Popularity per stratum: the stratum's shares, shrunk to the shop's; whoever has no stratum gets the shop's."""

import numpy as np
import pandas as pd
import pytest

from recsys_kit import strata
from recsys_kit.models.popularity import Popularity
from recsys_kit.models.stratified import StratumPopularity
from recsys_kit.schema import SchemaError
from tests.models.conformance import RankerConformance, history

LABELS = pd.Series({f"u{n:02d}": n % 3 - (n == 7) * 2 for n in range(28)})  # u07 is noise, u28 and u29 have no label


class TestStratumPopularity(RankerConformance):
    def make(self):
        return StratumPopularity(LABELS, prior=10)


def literal(table, user, prior):
    items = sorted(table["item_id"].unique())
    share = {item: (table["item_id"] == item).mean() for item in items}
    if LABELS.get(user, -1) < 0:
        return [share[item] for item in items]
    mine = table[table["user_id"].map(LABELS) == LABELS[user]]
    return [((mine["item_id"] == item).sum() + prior * share[item]) / (len(mine) + prior) for item in items]


@pytest.mark.parametrize("prior", [0, 10, 1e6])
def test_scores_are_those_of_the_formula(prior):
    table = history()
    model = StratumPopularity(LABELS, prior=prior).fit(table)
    for user in ("u00", "u01", "u07", "u29", "nobody"):
        assert np.allclose(model.score([user])[0], literal(table, user, prior), rtol=1e-9)


def test_whoever_has_no_stratum_gets_the_overall_list_and_a_label_without_events_that_of_the_stratum():
    table = history()
    model = StratumPopularity(pd.concat([LABELS, pd.Series({"fresh": 1})]), prior=0).fit(table)
    overall = Popularity().fit(table)
    for user in ("u07", "u29", "nobody"):
        assert model.recommend([user], 9, exclude_seen=False)["item_id"].tolist() == overall.recommend(
            [user], 9, exclude_seen=False)["item_id"].tolist()
    assert np.array_equal(model.score(["fresh"]), model.score(["u01"]))
    assert not np.allclose(model.score(["fresh"]), model.score(["u29"]))


def test_a_stratum_without_events_and_without_a_prior_gets_the_overall_list():
    model = StratumPopularity(pd.Series({"u01": 0, "fresh": 1}), prior=0).fit(history())
    assert np.array_equal(model.score(["fresh"]), model.score(["nobody"]))


def test_strata_can_be_given_as_they_were_found():
    table = history()
    counts = pd.crosstab(table["user_id"], table["item_id"])
    found = strata.kmeans(counts, 3, rng=0)
    whole, labels = (StratumPopularity(given).fit(table).score(["u01", "u02"]) for given in (found, found.labels))
    assert np.array_equal(whole, labels)


def test_it_learns_on_and_weights_count():
    table = history()
    catalogue = table[["item_id"]].drop_duplicates()
    model = StratumPopularity(LABELS, prior=5, weights={"purchase": 2}).fit(table.head(200), items=catalogue)
    whole = StratumPopularity(LABELS, prior=5, weights={"purchase": 1}).fit(table)  # doubled weights: half the prior
    model.update(table.tail(200))
    assert np.allclose(model.counts_, 2 * whole.counts_) and whole.counts_.sum() == (table["behaviour"] == "purchase").sum()


def test_labels_that_are_none_are_refused():
    with pytest.raises(ValueError, match="no labels"):
        StratumPopularity().fit(history())
    with pytest.raises(SchemaError, match="labels by user id"):
        StratumPopularity([0, 1]).fit(history())
    with pytest.raises(ValueError, match="prior"):
        StratumPopularity(LABELS, prior=-1)


def test_a_weight_below_zero_is_refused_for_a_share_is_made_of_counts():
    with pytest.raises(ValueError, match="'return' is below zero"):
        StratumPopularity(LABELS, weights={"purchase": 1, "return": -1})
