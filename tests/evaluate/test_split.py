"""Splits part the events without loss, keep an instant whole, and leak exactly what their docstrings say."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_kit.evaluate import split
from recsys_kit.schema import SchemaError

HISTORIES = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("wxyz"), st.integers(0, 12)), min_size=8, max_size=60)
SPLITS = [lambda e: split.by_time(e, test=0.3), split.leave_last_out, lambda e: split.random(e, test=0.3, rng=0)]


def events(rows) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "hour"])
    return table.assign(behaviour="purchase", timestamp=pd.Timestamp("2024-01-01") + pd.to_timedelta(table["hour"], unit="h"))


@pytest.mark.parametrize("make", SPLITS)
@given(rows=HISTORIES)
def test_the_two_sides_are_the_input_and_no_instant_of_a_user_is_parted(make, rows):
    try:
        parts = make(events(rows))
    except SchemaError as error:
        assert "would be empty" in str(error)
        return
    assert sorted([*parts.train.index, *parts.test.index]) == list(range(len(rows)))
    baskets = [set(map(tuple, side[["user_id", "hour"]].to_numpy())) for side in (parts.train, parts.test)]
    assert not baskets[0] & baskets[1]


@given(rows=HISTORIES)
def test_by_time_knows_nothing_of_the_future(rows):
    try:
        parts = split.by_time(events(rows), test=0.3)
    except SchemaError:
        return
    assert parts.train["timestamp"].max() < parts.cut == parts.test["timestamp"].min()


def test_by_time_at_a_given_instant_puts_that_instant_into_the_test():
    parts = split.by_time(events([("a", "x", 1), ("b", "y", 2), ("a", "z", 2), ("a", "w", 3)]), at="2024-01-01 02:00")
    assert parts.train["item_id"].tolist() == ["x"] and parts.test["item_id"].tolist() == ["y", "z", "w"]
    assert split.by_time(parts.test, at="2024-01-01T05:00+02:00").test["item_id"].tolist() == ["w"]


@pytest.mark.parametrize(("hours", "share", "in_test"), [([1] * 9 + [2], 0.2, 1), ([1] + [2] * 7 + [3] * 2, 0.25, 2),
                                                         (range(10), 0.9, 9), ([1, 2], 0.01, 1)])
def test_by_time_cuts_between_the_two_instants_that_meet_the_share_best(hours, share, in_test):
    assert len(split.by_time(events([("a", "x", hour) for hour in hours]), test=share).test) == in_test


def test_by_time_holds_back_about_the_share_asked_for(market):
    parts = split.by_time(market.events, test=0.25)
    assert len(parts.test) / len(market.events) == pytest.approx(0.25, rel=0.02)


def test_leave_last_out_takes_the_whole_last_basket_and_spares_one_basket_users():
    parts = split.leave_last_out(events([("a", "x", 1), ("a", "y", 5), ("a", "z", 5), ("b", "x", 9), ("b", "y", 9)]))
    assert parts.test["item_id"].tolist() == ["y", "z"] and len(parts.train) == 3


def test_random_repeats_with_its_seed_and_only_then():
    table = events([("abcd"[n % 4], "x", n) for n in range(40)])
    first, again, other = (split.random(table, test=0.5, rng=seed) for seed in (1, 1, 2))
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert len(first.test) == 20


def test_random_holds_back_baskets_of_single_users_and_not_whole_moments_of_the_shop():
    parts = split.random(events([(user, item, 1) for user in "abcdefghij" for item in "xy"]), test=0.3, rng=0)
    assert parts.test["user_id"].nunique() == 3 and len(parts.test) == 6


def test_random_learns_from_the_future_and_by_time_does_not(market):
    future = {}
    for how in ("random", "by_time"):
        parts = getattr(split, how)(market.events, test=0.2)
        future[how] = (parts.train["timestamp"] >= parts.test["timestamp"].min()).mean()
    assert future["by_time"] == 0 and future["random"] > 0.9


def test_an_empty_side_is_refused():
    with pytest.raises(SchemaError, match="training side would be empty"):
        split.by_time(events([("a", "x", 1), ("b", "y", 1)]))
    with pytest.raises(SchemaError, match="test side would be empty"):
        split.leave_last_out(events([("a", "x", 1), ("b", "y", 1)]))
    with pytest.raises(SchemaError, match="test side would be empty"):
        split.by_time(events([("a", "x", 1), ("b", "y", 2)]), at="2025-01-01")


@pytest.mark.parametrize("share", [0, 1, -0.1, 20])
def test_a_share_lies_between_0_and_1(share):
    for make in (split.by_time, split.random):
        with pytest.raises(ValueError, match="no share"):
            make(events([("a", "x", 1), ("b", "y", 2)]), test=share)
