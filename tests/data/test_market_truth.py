"""The truth agrees with what happened: changes of taste, propensities, values of policies, the next click."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recsys_kit import load, schema
from recsys_kit.data.market import DEFAULT, generate


@pytest.fixture(scope="module")
def truth(market):
    return market.truth


@pytest.fixture(scope="module")
def lists(market, truth):
    """The logged lists: contexts, items, propensities and clicks, one row per list."""
    shape = (-1, DEFAULT.list_length)
    shown = market.exposures
    return (truth.logged_contexts(shown), shown[schema.ITEM].to_numpy().reshape(shape),
            shown[schema.PROPENSITY].to_numpy().reshape(shape), shown[schema.CLICKED].to_numpy().reshape(shape))


@pytest.fixture(scope="module")
def items_there(market, lists):
    """How many items each list could have shown: counted from the public launch dates, not from the truth's arrays."""
    contexts = lists[0]
    sizes = np.zeros(len(contexts))
    for category, part in market.items.groupby(schema.CATEGORY):
        here = (contexts[schema.CATEGORY] == category).to_numpy()
        days = contexts.loc[here, schema.TIME].dt.normalize()
        sizes[here] = np.searchsorted(np.sort(part["launched"].to_numpy()), days.to_numpy(), side="right")
    return sizes


def within(estimates: np.ndarray, true: float, errors: float = 4.0) -> bool:
    """Whether the mean of independent estimates lies within so many standard errors of the true value."""
    return abs(estimates.mean() - true) < errors * estimates.std(ddof=1) / np.sqrt(len(estimates))


def test_the_truth_of_the_users_that_were_kept_is_found_by_their_ids(truth):
    few = load("market", max_users=50)
    assert len(few.users) == 50 and len(few.truth.users) == 2_000  # the truth stays whole
    kept = few.truth.users.loc[few.users[schema.USER]]
    assert kept[schema.USER].tolist() == few.users[schema.USER].tolist()
    assert (kept["joined"].to_numpy() == few.users["joined"].to_numpy()).all()
    assert few.truth.users["drift"].dropna().to_dict() == truth.drifts.set_index(schema.USER)["date"].to_dict()
    assert few.users.merge(few.truth.users, on=schema.USER)["stratum"].tolist() == kept["stratum"].tolist()


# -- changes of taste ------------------------------------------------------------------------------------------


def visits_with_dates(market, users):
    visits = market.events.dropna(subset=[schema.SESSION]).drop_duplicates(schema.SESSION)
    visits = visits.merge(market.items[[schema.ITEM, schema.CATEGORY]], on=schema.ITEM)
    visits = visits.merge(users, on=schema.USER)
    return visits, visits[schema.TIME] >= visits["date"]


def test_a_change_of_taste_shows_in_the_categories(market, truth):
    drifts = truth.drifts
    assert len(drifts) == pytest.approx(0.15 * 2_000, rel=0.25)
    visits, after = visits_with_dates(market, drifts)
    left, found = visits[schema.CATEGORY] == visits["from"], visits[schema.CATEGORY] == visits["to"]
    assert left[~after].mean() > 3 * left[after].mean()
    assert found[after].mean() > 3 * found[~after].mean()


def test_the_others_keep_their_taste(market, truth):
    users = truth.users[truth.users["drift"].isna()]
    favourite = truth.interest("2024-03-31").idxmax(axis=1).loc[users[schema.USER]].to_numpy()
    visits, after = visits_with_dates(market, pd.DataFrame(
        {schema.USER: users[schema.USER], "date": pd.Timestamp("2024-04-01"), "favourite": favourite}))
    share = (visits[schema.CATEGORY] == visits["favourite"]).groupby(after).mean()
    assert share[True] == pytest.approx(share[False], rel=0.05)


def test_interest_changes_on_the_day_it_should(truth):
    drift = truth.drifts.iloc[0]
    before = truth.interest(drift["date"] - pd.Timedelta(days=1)).loc[drift[schema.USER]]
    after = truth.interest(drift["date"]).loc[drift[schema.USER]]
    assert after[drift["to"]] - before[drift["to"]] == pytest.approx(drift["moved"])
    assert before[drift["from"]] - after[drift["from"]] == pytest.approx(drift["moved"])
    assert (truth.interest("2024-06-01").sum(axis=1) - 1).abs().max() < 1e-9


# -- lists -----------------------------------------------------------------------------------------------------


def test_propensities_of_all_items_sum_to_one_at_every_position(truth):
    from recsys_kit.data.market.log import propensity
    item = np.arange(DEFAULT.items)[None, :]
    day = np.array([0, 60, 179])[:, None]
    for position in range(DEFAULT.list_length):
        chance = propensity(truth.world, item, day, position)
        per_category = np.stack([np.bincount(truth.world.leaf, row) for row in chance])
        assert np.allclose(per_category, 1)
        assert (chance > 0).sum() == (truth.world.launch[None, :] <= day).sum()


def test_items_are_shown_as_often_as_the_propensities_say(lists, items_there):
    """Every shown item counts 1/propensity: per position this estimates the number of items in the list's category."""
    contexts, _, propensity, _ = lists
    assert len(contexts) > 10_000
    for position in range(DEFAULT.list_length):
        assert within(1 / propensity[:, position] - items_there, 0.0)


def test_weighted_clicks_estimate_the_value_of_another_policy(truth, lists, items_there):
    """Inverse propensity weighting (Horvitz and Thompson 1952) against the true value, for an even policy."""
    contexts, _, propensity, clicked = lists
    even = 1 / items_there[:, None]
    estimate = (clicked * even / propensity).sum(1)
    assert within(estimate, even_value(truth, contexts))


def even_value(truth, contexts) -> float:
    """The even policy's value, straight from the definition: every launched item equally likely at every position."""
    w, total = truth.world, 0.0
    for category, part in contexts.groupby(schema.CATEGORY):
        items = truth.items.loc[truth.items[schema.CATEGORY] == category]
        chance = truth.click_probability(part, np.tile(items[schema.ITEM], (len(part), 1)))
        there = items["launched"].to_numpy()[None, :] <= part[schema.TIME].to_numpy()[:, None]
        total += (chance.sum(1) / there.sum(1)).sum() * w.examination.sum()
    return total / len(contexts)


def test_the_logging_policy_is_worth_what_its_log_shows(market, truth, lists):
    contexts, _, _, clicked = lists
    value = truth.policy_value("logging", contexts)
    assert within(clicked.sum(1).astype(float), value.clicks)
    bought = (market.events[schema.BEHAVIOUR] == "purchase").sum()
    expected = value.purchases * len(contexts)
    assert abs(bought - expected) < 4 * np.sqrt(expected)


def test_purchases_of_a_shop_that_sells_well_agree_with_their_value():
    data = generate(replace(DEFAULT, users=500, events=60_000, cart_rate=0.5, purchase_rate=0.3), rng=0)
    contexts = data.truth.logged_contexts(data.exposures)
    expected = data.truth.policy_value("logging", contexts).purchases * len(contexts)
    bought = (data.events[schema.BEHAVIOUR] == "purchase").sum()
    assert expected > 2_000
    assert abs(bought - expected) < 4 * np.sqrt(expected)


def test_a_simulation_agrees_with_the_value_of_a_policy(truth):
    contexts = truth.contexts(20_000, rng=1)
    best = truth.best_lists(contexts)
    value = truth.policy_value(best, contexts)
    clicked, bought = truth.respond(contexts, best, rng=2)
    assert within(clicked.sum(1).astype(float), value.clicks)
    assert within(bought.sum(1).astype(float), value.purchases)


def test_lists_functions_and_distributions_are_valued_alike(truth):
    contexts = truth.contexts(200, rng=3)
    ranked = truth.best_lists(contexts, k=3)
    distribution = np.zeros((200, 3, DEFAULT.items))
    np.put_along_axis(distribution, truth.item_numbers(ranked)[:, :, None], 1.0, axis=2)
    value = truth.policy_value(ranked, contexts)
    assert truth.policy_value(lambda c: truth.best_lists(c, k=3), contexts) == value
    assert truth.policy_value(distribution, contexts).clicks == pytest.approx(value.clicks)
    assert truth.policy_value(distribution, contexts).purchases == pytest.approx(value.purchases)


def test_the_best_lists_are_best(truth, lists):
    contexts, shown, _, _ = lists
    best = truth.best_lists(contexts)
    clicks = truth.policy_value(best, contexts).clicks
    assert clicks > 1.3 * truth.policy_value("logging", contexts).clicks
    assert clicks > truth.policy_value(best[:, ::-1], contexts).clicks  # the order matters too
    assert clicks > truth.policy_value(shown, contexts).clicks


def test_an_item_of_another_category_is_never_opened(truth):
    contexts = truth.contexts(50, rng=4).assign(category="home/lamps")
    lamps = truth.items.loc[truth.items[schema.CATEGORY] == "home/lamps", schema.ITEM].iloc[0]
    pans = truth.items.loc[truth.items[schema.CATEGORY] == "kitchen/pans", schema.ITEM].iloc[0]
    chance = truth.click_probability(contexts, np.tile([lamps, pans], (50, 1)))
    assert (chance[:, 1] == 0).all() and (chance[:, 0] > 0).any()


def test_questions_without_an_answer_are_refused_in_words(truth):
    contexts = truth.contexts(5, rng=0)
    with pytest.raises(ValueError, match="no policy 'best'"):
        truth.policy_value("best", contexts)
    with pytest.raises(ValueError, match="do not fit 5 contexts with up to 8 positions"):
        truth.policy_value(truth.best_lists(contexts, k=9), contexts)
    with pytest.raises(KeyError, match="no item 'i9999'"):
        truth.policy_value(np.full((5, 2), "i9999"), contexts)
    with pytest.raises(KeyError, match="no user 'nobody'"):
        truth.oracle_scores(["nobody"], "2024-02-01")
    with pytest.raises(ValueError, match="knows its truth from 2024-01-01"):
        truth.interest("2025-01-01")


# -- the next click --------------------------------------------------------------------------------------------


def test_expected_clicks_agree_with_the_clicks_of_a_week(market, truth):
    """For every list of the week the scores say how many clicks each item gets; summed, they must be the log's."""
    expected, found = np.zeros(DEFAULT.items), np.zeros(DEFAULT.items)
    for day in pd.date_range("2024-05-01", periods=7):
        shown = market.exposures[market.exposures[schema.TIME].dt.normalize() == day]
        users = shown.loc[shown[schema.POSITION] == 1, schema.USER]
        expected += truth.oracle_scores(users, day).sum(0)
        found += np.bincount(truth.item_numbers(shown.loc[shown[schema.CLICKED], schema.ITEM]), minlength=DEFAULT.items)
    assert found.sum() > 1_000
    assert abs(found.sum() - expected.sum()) < 5 * np.sqrt(expected.sum())
    often = expected > 3
    assert ((found - expected)[often] ** 2 / expected[often]).mean() < 1.6
    assert np.corrcoef(expected, found)[0, 1] > 0.8


def test_items_that_are_not_yet_there_score_nothing(truth):
    score = truth.oracle_scores(truth.user_ids[:50], "2024-02-01")
    launched = (truth.items["launched"] <= pd.Timestamp("2024-02-01")).to_numpy()
    assert (score[:, ~launched] == 0).all() and (score[:, launched] > 0).all()


def test_a_span_of_days_is_the_mean_of_its_days(truth):
    users = truth.user_ids[:20]
    both = truth.oracle_scores(users, "2024-03-01", days=2)
    assert np.allclose(both, (truth.oracle_scores(users, "2024-03-01") + truth.oracle_scores(users, "2024-03-02")) / 2)


def test_nobody_ranks_the_next_clicks_better_than_the_oracle(market, truth):
    clicks = market.events[market.events[schema.BEHAVIOUR] == "click"]
    cut = pd.Timestamp("2024-05-15")
    seen, future = clicks[clicks[schema.TIME] < cut], clicks[clicks[schema.TIME] >= cut]
    oracle = truth.oracle_ndcg(seen, future)
    assert oracle.between(0, 1).all()

    most_clicked = np.bincount(truth.item_numbers(seen[schema.ITEM]), minlength=DEFAULT.items).astype(float)
    rival = replace(truth)  # the same evaluation with another ranking: everybody gets the most clicked items
    object.__setattr__(rival, "oracle_scores", lambda users, at, days: np.tile(most_clicked, (len(users), 1)))
    assert oracle.mean() > 2 * rival.oracle_ndcg(seen, future).mean()


def test_ndcg_by_hand(truth):
    """One user, best and third best item of the oracle's ranking clicked: (1 + 1/2) / (1 + 1/log2(3))."""
    user, at = truth.user_ids[0], pd.Timestamp("2024-05-01")
    rank = np.argsort(-truth.oracle_scores([user], at)[0], kind="stable")
    future = pd.DataFrame({schema.USER: user, schema.ITEM: truth.item_ids[rank[[0, 2]]], schema.TIME: at})
    seen = future.iloc[:0]
    assert truth.oracle_ndcg(seen, future)[user] == pytest.approx(1.5 / (1 + 1 / np.log2(3)))
    seen = future.assign(item_id=truth.item_ids[rank[1]]).iloc[:1]  # with the second out of the way both lead
    assert truth.oracle_ndcg(seen, future)[user] == pytest.approx(1.0)
