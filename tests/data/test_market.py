"""What `generate` promises about the tables it gives."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recsys_kit import schema
from recsys_kit.data.market import CASE_1, CASE_2, DEFAULT, MarketSettings, generate
from recsys_kit.prepare import clean

SMALL = replace(DEFAULT, users=300, events=9_000)


def test_one_seed_gives_one_market_and_another_seed_another():
    first = generate(SMALL, rng=5)
    assert first.fingerprint == generate(SMALL, rng=5).fingerprint
    assert first.fingerprint == generate(SMALL, rng=np.random.default_rng(5)).fingerprint
    assert first.fingerprint != generate(SMALL, rng=6).fingerprint
    pd.testing.assert_frame_equal(first.exposures, generate(SMALL, rng=5).exposures)


def test_without_rng_the_seed_of_the_settings_counts():
    assert generate(replace(SMALL, seed=5)).fingerprint == generate(SMALL, rng=5).fingerprint


def test_leaving_exposures_out_changes_no_event():
    assert generate(replace(SMALL, exposures=False), rng=5).fingerprint == generate(SMALL, rng=5).fingerprint


@pytest.mark.parametrize("part", ["events", "exposures", "items"])
def test_the_tables_keep_the_contract_without_any_change(market, part):
    table = getattr(market, part)
    coerced = getattr(schema, f"coerce_{part}")(table)
    pd.testing.assert_frame_equal(coerced, table, check_exact=True)


def test_the_events_are_fit_for_a_model_and_hold_every_optional_column(market):
    schema.validate_events(market.events)
    assert {*schema.EVENT_COLUMNS, *schema.EVENT_OPTIONAL} == set(market.events.columns)
    assert market.name == "market"


def test_sizes_are_those_asked_for(market):
    assert len(market.users) == 2_000 and len(market.items) == 600
    assert len(market.events) == pytest.approx(150_000, rel=0.05)
    assert market.events[schema.TIME].between("2024-01-01", "2024-06-28 23:59:59").all()
    assert market.events[schema.TIME].is_monotonic_increasing


def test_every_user_and_item_of_the_events_stands_in_its_table(market):
    assert set(market.events[schema.USER]) <= set(market.users[schema.USER])
    assert set(market.events[schema.ITEM]) <= set(market.items[schema.ITEM])
    assert set(market.exposures[schema.ITEM]) <= set(market.items[schema.ITEM])


def test_nothing_happens_to_an_item_before_its_launch(market):
    launched = market.items.set_index(schema.ITEM)["launched"]
    assert (launched > launched.min()).mean() > 0.1  # some really are new
    for table in (market.events, market.exposures):
        assert (table[schema.TIME] >= launched.loc[table[schema.ITEM]].to_numpy()).all()


def test_nobody_acts_before_joining(market):
    joined = market.users.set_index(schema.USER)["joined"].loc[market.events[schema.USER]]
    assert (market.events[schema.TIME].to_numpy() >= joined.to_numpy()).all()


@pytest.mark.parametrize("later, earlier", [("click", "view"), ("favourite", "click"), ("cart", "click"),
                                            ("purchase", "click"), ("rate", "purchase"), ("return", "purchase")])
def test_the_funnel_keeps_its_order(market, later, earlier):
    events = market.events.reset_index(names="place")
    key = [schema.USER, schema.ITEM]
    first = events[events[schema.BEHAVIOUR] == earlier].groupby(key)["place"].min().rename("first").reset_index()
    after = events[events[schema.BEHAVIOUR] == later].merge(first, on=key, how="left")
    assert len(after) > 10
    assert (after["place"] > after["first"]).all()


def test_optional_columns_are_filled_where_they_mean_something(market):
    events = market.events
    what = events[schema.BEHAVIOUR]
    assert events[schema.RATING].notna().equals(what == "rate")
    assert events[schema.RATING].dropna().isin([1, 2, 3, 4, 5]).all()
    assert events[schema.QUANTITY].notna().equals(what.isin(["cart", "purchase", "return"]))
    assert events[schema.SESSION].isna().equals(what.isin(["rate", "return"]))
    price = market.items.set_index(schema.ITEM)[schema.PRICE].loc[events[schema.ITEM]]
    assert (events[schema.PRICE].to_numpy() == price.to_numpy()).all()


@pytest.fixture(scope="module")
def busy():
    """A small shop that sells a lot: with many returns, and items that a session puts into the cart more than once."""
    return generate(replace(DEFAULT, users=500, events=60_000, cart_rate=0.5, purchase_rate=0.3), rng=0)


@pytest.mark.parametrize("shop", ["market", "busy"])
def test_every_return_gives_back_what_an_earlier_purchase_took(shop, request):
    events = request.getfixturevalue(shop).events
    returns = events[events[schema.BEHAVIOUR] == "return"]
    assert len(returns) > 20 and returns[schema.QUANTITY].nunique() > 1
    key = [schema.USER, schema.ITEM, schema.QUANTITY]
    first = events[events[schema.BEHAVIOUR] == "purchase"].groupby(key)[schema.TIME].min().rename("bought").reset_index()
    assert (returns.merge(first, on=key, how="left")["bought"] < returns[schema.TIME].to_numpy()).all()
    assert clean(events).report.loc["cancelled purchase", "rows"] == len(returns)  # a purchase of its own for each


def test_returns_know_their_purchase_where_carts_are_not_logged():
    settings = replace(DEFAULT, users=500, events=9_000, cart_rate=0.5, purchase_rate=0.3, exposures=False,
                       logged=("click", "purchase", "return"))
    events = generate(settings, rng=0).events
    returns = (events[schema.BEHAVIOUR] == "return").sum()
    assert returns > 20
    assert clean(events).report.loc["cancelled purchase", "rows"] == returns


@pytest.mark.parametrize("shop", ["market", "busy"])
def test_carts_and_purchases_of_an_item_in_one_session_have_one_quantity(shop, request):
    events = request.getfixturevalue(shop).events
    key = [schema.USER, schema.ITEM, schema.SESSION]
    carts, purchases = (events[events[schema.BEHAVIOUR] == what] for what in ("cart", "purchase"))
    pairs = carts.merge(purchases, on=key, suffixes=("_cart", ""))
    assert len(pairs) > 0.5 * len(purchases) and pairs[schema.QUANTITY].nunique() > 1
    assert (pairs[schema.QUANTITY] == pairs["quantity_cart"]).all()


def test_seq_numbers_the_events_of_a_session(market):
    visits = market.events.dropna(subset=[schema.SESSION])
    assert (visits.groupby(schema.SESSION).cumcount() + 1 == visits[schema.SEQ]).all()
    assert (visits.groupby(schema.SESSION)[schema.USER].nunique() == 1).all()


def test_a_click_in_the_exposures_is_a_click_in_the_events(market):
    key = [schema.USER, schema.ITEM]
    clicks = market.events[market.events[schema.BEHAVIOUR] == "click"]
    clicked = market.exposures[market.exposures[schema.CLICKED]]
    pd.testing.assert_series_equal(clicks.groupby(key).size(), clicked.groupby(key).size())


def test_activity_and_popularity_have_long_tails(market):
    user = market.events[schema.USER].value_counts()
    item = market.events[schema.ITEM].value_counts()
    assert user.quantile(0.9) > 3.5 * user.median()
    assert user.max() > 20 * user.median()
    assert item.iloc[:60].sum() > 0.3 * item.sum()  # a tenth of the items


def test_the_top_of_a_list_gets_most_clicks(market):
    rate = market.exposures.groupby(schema.POSITION)[schema.CLICKED].mean()
    assert rate.is_monotonic_decreasing
    assert rate.loc[1] > 4 * rate.loc[8]


def test_weekends_are_busier_and_nights_are_quiet(market):
    visits = market.events.drop_duplicates(schema.SESSION)[schema.TIME]
    per_day = visits.dt.normalize().value_counts()
    weekend = per_day.index.day_of_week >= 5
    assert per_day[weekend].mean() > 1.1 * per_day[~weekend].mean()
    assert visits.dt.hour.between(1, 4).mean() < 0.5 * visits.dt.hour.between(13, 16).mean()


def test_categories_have_their_season(market):
    """Months differ in what is sought by more than chance allows."""
    visits = market.events.drop_duplicates(schema.SESSION).merge(market.items[[schema.ITEM, schema.CATEGORY]], on=schema.ITEM)
    table = pd.crosstab(visits[schema.TIME].dt.month, visits[schema.CATEGORY]).to_numpy()
    expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
    assert ((table - expected) ** 2 / expected).sum() > freedom + 5 * np.sqrt(2 * freedom)


def test_some_users_come_late(market):
    assert 0.3 < (market.users["joined"] > pd.Timestamp("2024-01-01")).mean() < 0.5


def test_ids_say_nothing_about_people_or_items(market):
    truth = market.truth
    number = np.arange(2_000)
    assert abs(np.corrcoef(number, truth.users["activity"].rank())[0, 1]) < 0.08
    assert abs(np.corrcoef(number, truth.users["stratum"])[0, 1]) < 0.08
    place = np.arange(600)
    for column in (truth.items["quality"], truth.items["launched"].rank(), pd.factorize(truth.items["category"], sort=True)[0]):
        assert abs(np.corrcoef(place, column)[0, 1]) < 0.15


def test_attributes_of_users_say_nothing_about_strata(market):
    users = market.users.merge(market.truth.users[[schema.USER, "stratum"]], on=schema.USER)
    for column in ("region", "device"):
        table = pd.crosstab(users["stratum"], users[column]).to_numpy()
        expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
        freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
        assert ((table - expected) ** 2 / expected).sum() < freedom + 4 * np.sqrt(2 * freedom)


def test_titles_carry_the_category(market):
    noun = market.items[schema.TITLE].str.split(" ", n=3).str[3]
    assert (market.items.groupby(noun)[schema.CATEGORY].nunique() == 1).all()


def test_only_the_logged_behaviours_are_logged():
    data = generate(replace(SMALL, logged=("click",), exposures=False), rng=1)
    assert set(data.events[schema.BEHAVIOUR]) == {"click"}
    assert data.exposures is None
    assert len(data.events) == pytest.approx(9_000, rel=0.1)


def test_cases_have_the_sizes_of_the_course():
    assert (CASE_1.users, CASE_1.items, CASE_1.strata, CASE_1.dimensions) == (10_000, 1_000, 5, 10)
    assert (CASE_2.users, CASE_2.items, CASE_2.strata, CASE_2.dimensions) == (100_000, 5_000, 10, 5)
    assert CASE_2.groups > 0 and CASE_2.logged == ("click",)


@pytest.mark.parametrize("change, words", [
    ({"users": 0}, "users must be at least 1"),
    ({"users": 3}, "5 strata need at least as many users, not 3"),
    ({"strata": 11}, "two categories each"),
    ({"groups": 6}, "groups must lie between"),
    ({"items": 100}, "need at least 320 items, not 100"),
    ({"drifting": 1.5}, "drifting is a share"),
    ({"click_rate": 0.0}, "click_rate must be above zero"),
    ({"purchase_rate": 0.5}, "below cart_rate"),
    ({"departments": 40}, "words for 8 departments"),
    ({"logged": ("click", "glance")}, "unknown behaviour in logged"),
    ({"logged": ("view",)}, "must hold 'click'"),
    ({"start": "soon"}, "start must be a date"),
    ({"taste_concentration": 0.0}, "taste_concentration must be at least 0.1"),
    ({"days": -3}, "days must be at least 1"),
    ({"position_bias": -1.0}, "position_bias"),
    ({"activity_spread": -1.0}, "activity_spread"),
])
def test_settings_without_sense_are_refused_in_words(change, words):
    with pytest.raises(ValueError, match=words):
        MarketSettings(**change)


def test_too_few_events_for_the_users_is_said_with_the_number_needed():
    with pytest.raises(ValueError, match="too few for 2,000 users; ask for at least [0-9,]+ events"):
        generate(replace(DEFAULT, events=5_000))
