"""Features against counts made by hand on three users, and sums that must hold on the whole market."""

import numpy as np
import pandas as pd
import pytest

from recsys_kit.features import activity, category_shares, price_level, user_features
from recsys_kit.schema import SchemaError

EVENTS = pd.DataFrame([
    ("a", "x", "view", "2024-01-01 09:00", np.nan), ("a", "x", "purchase", "2024-01-01 09:10", 2),  # a Monday
    ("a", "y", "view", "2024-01-02 21:00", np.nan), ("b", "z", "view", "2024-01-06 21:30", np.nan),  # a Saturday
    ("c", "x", "purchase", "2024-01-06 22:00", 1), ("c", "x", "return", "2024-01-07 22:00", 1)],
    columns=["user_id", "item_id", "behaviour", "timestamp", "quantity"]).assign(
    timestamp=lambda t: pd.to_datetime(t["timestamp"]), price=[3.0, 3.0, 5.0, 9.0, 3.0, 3.0])
ITEMS = pd.DataFrame({"item_id": ["x", "y", "z", "w"], "category": ["toy/car", "toy/doll", "tea", "toy/car"],
                      "price": [3.0, 5.0, 9.0, 1.0]})


def test_activity_is_recency_events_sessions_and_spend():
    table = activity(EVENTS, at="2024-01-08")
    assert table["recency_days"].round(3).to_dict() == {"a": 5.125, "b": 1.104, "c": 0.083}
    assert table["events"].to_dict() == {"a": 3, "b": 1, "c": 2}
    assert table["frequency"].to_dict() == {"a": 2, "b": 1, "c": 2} and table["session_length"]["a"] == 1.5
    assert table["spend"].to_dict() == {"a": 6.0, "b": 0.0, "c": 3.0}


def test_a_missing_quantity_is_one_and_a_missing_price_spends_nothing():
    table = EVENTS.assign(quantity=np.nan, price=[3.0, 3.0, 5.0, 9.0, np.nan, 3.0])
    assert activity(table)["spend"].to_dict() == {"a": 3.0, "b": 0.0, "c": 0.0}


def test_without_prices_there_is_no_spend_and_no_price_level():
    columns = user_features(EVENTS.drop(columns="price")).columns
    assert "spend" not in columns and "price_level" not in columns


def test_shares_by_hand():
    table = user_features(EVENTS, items=ITEMS)
    assert table.loc["a", ["behaviour_view", "behaviour_purchase", "behaviour_return"]].tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    assert table.loc["a", ["hour_09", "hour_21"]].tolist() == pytest.approx([2 / 3, 1 / 3])
    assert table.loc["b", ["weekday_sat", "weekday_mon"]].tolist() == [1, 0]
    assert table.loc["b", ["category_tea", "category_toy"]].tolist() == [1, 0]


def test_the_category_level_says_how_deep_the_path_is_read():
    deep = category_shares(EVENTS, ITEMS, level=2)
    assert deep.loc["a"].to_dict() == pytest.approx({"category_tea": 0, "category_toy/car": 2 / 3, "category_toy/doll": 1 / 3})


def test_items_outside_the_table_are_of_unknown_category():
    shares = category_shares(EVENTS, ITEMS[ITEMS["item_id"] != "z"])
    assert shares.loc["b", "category_unknown"] == 1


def test_the_price_level_is_the_percentile_within_the_category():
    # of the two cars w is the cheaper (1/4) and x the dearer (3/4); y and z are alone in theirs: the middle
    assert price_level(EVENTS, ITEMS)["price_level"].to_dict() == {"a": pytest.approx(2 / 3), "b": 0.5, "c": 0.75}
    cheap = EVENTS.assign(item_id=["w", "w", "w", "z", "x", "w"])
    assert price_level(cheap, ITEMS)["price_level"].to_dict() == {"a": 0.25, "b": 0.5, "c": 0.5}


def test_an_item_without_a_price_of_its_own_takes_the_median_of_its_events():
    prices = ITEMS.assign(price=[3.0, None, None, 1.0], category="all")
    assert price_level(EVENTS, prices)["price_level"]["b"] == 7 / 8  # z at 9.0 is the dearest of four


def test_items_are_met_whatever_type_their_ids_have():
    events = EVENTS.assign(item_id=[10, 10, 9, 2, 10, 10])
    items = pd.DataFrame({"item_id": [2, 9, 10], "category": ["a", "b", None]})
    assert user_features(events, items=items).loc["a", ["category_b", "category_unknown"]].tolist() == pytest.approx([1 / 3, 2 / 3])
    with pytest.raises(SchemaError, match="the same item twice"):
        user_features(EVENTS, items=pd.concat([ITEMS, ITEMS]))


def test_a_user_who_only_returned_things_has_no_category_share():
    shares = category_shares(EVENTS.assign(behaviour=["view"] * 4 + ["return"] * 2), ITEMS)
    assert shares.loc["c"].sum() == 0 and shares.loc["a"].sum() == pytest.approx(1)


def test_a_user_without_any_priced_item_is_in_the_middle():
    assert price_level(EVENTS.drop(columns="price"), ITEMS.assign(price=[3.0, 5.0, None, 1.0]))["price_level"]["b"] == 0.5


def test_a_moment_with_a_zone_is_understood():
    features = user_features(EVENTS, at="2024-01-09T01:00+01:00")
    assert features["recency_days"].equals(user_features(EVENTS, at="2024-01-09")["recency_days"])


def test_a_feature_knows_nothing_of_the_future():
    with pytest.raises(SchemaError, match="2 of 6 events are not before"):
        user_features(EVENTS, at="2024-01-06 22:00")


def test_recency_counts_from_the_moment_asked_for():
    later, sooner = (user_features(EVENTS, at=day)["recency_days"] for day in ("2024-01-09", "2024-01-08"))
    assert (later - sooner).tolist() == pytest.approx([1, 1, 1])


def test_a_session_across_users_or_missing_ids_is_refused():
    with pytest.raises(SchemaError, match="user_id"):
        user_features(EVENTS.assign(user_id=["a", "a", None, "b", "c", "c"]))


def test_on_the_market_every_group_of_shares_sums_to_one_and_every_user_has_a_row(market):
    table = user_features(market.events, items=market.items)
    for group in ("behaviour_", "hour_", "weekday_", "category_"):
        assert np.allclose(table.filter(regex=f"^{group}").sum(axis=1), 1)
    assert table.index.tolist() == sorted(market.events["user_id"].unique()) and table.notna().all().all()
    assert table["events"].sum() == len(market.events) and table["price_level"].between(0, 1).all()


def test_on_the_market_spend_is_what_a_groupby_gives(market):
    bought = market.events.query("behaviour == 'purchase'")
    expected = (bought["price"] * bought["quantity"].fillna(1)).groupby(bought["user_id"]).sum()
    spend = user_features(market.events, items=market.items)["spend"]
    assert np.allclose(spend[spend > 0], expected[expected > 0].sort_index())
