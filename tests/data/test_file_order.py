"""MovieLens 100K in the order of u.data."""

import pandas as pd

from recsys_kit import load
from recsys_kit.data.file_order import in_file_order


def test_movielens_comes_in_the_order_of_its_file(real_data):
    data = load("movielens-100k")
    ordered = in_file_order(data)
    assert ordered[["user_id", "item_id", "rating"]].head(2).to_numpy().tolist() == [["196", "242", 3.0], ["186", "302", 3.0]]
    assert ordered["timestamp"].iloc[0] == pd.Timestamp(881250949, unit="s")
    again = ordered.sort_values(["user_id", "item_id"], ignore_index=True)
    pd.testing.assert_frame_equal(again, data.events.sort_values(["user_id", "item_id"], ignore_index=True))


def test_some_users_keep_their_rows_in_that_order(real_data):
    some = in_file_order(load("movielens-100k", max_users=50))
    whole = in_file_order(load("movielens-100k"))
    assert some["user_id"].nunique() == 50
    assert some.to_numpy().tolist() == whole[whole["user_id"].isin(some["user_id"])].to_numpy().tolist()


def test_another_set_stands_as_it_is():
    data = load("market", max_users=20)
    assert in_file_order(data) is data.events
