"""Ids become indices once, and come back unchanged."""

import pandas as pd
import pytest

from recsys_kit.data.interactions import Interactions, encode
from recsys_kit.schema import SchemaError


def events() -> pd.DataFrame:
    return pd.DataFrame({"user_id": ["b", "a", "a", "a", "b"], "item_id": ["y", "x", "x", "z", "z"],
                         "behaviour": ["view", "view", "purchase", "view", "return"], "timestamp": pd.Timestamp("2024-01-01")})


def test_every_event_counts_one_and_returns_count_nothing():
    table = Interactions.from_events(events())
    assert table.users.tolist() == ["a", "b"] and table.items.tolist() == ["x", "y", "z"]
    assert table.matrix.toarray().tolist() == [[2, 0, 1], [0, 1, 0]]


def test_weights_name_the_behaviours_that_count():
    table = Interactions.from_events(events(), weights={"purchase": 5, "return": -1})
    assert table.matrix.toarray().tolist() == [[5, 0, 0], [0, 0, -1]]


def test_the_catalogue_may_be_larger_than_what_was_touched():
    table = Interactions.from_events(events(), items=["w", "x"], users=["c"])
    assert table.items.tolist() == ["w", "x", "y", "z"] and table.users.tolist() == ["a", "b", "c"]
    assert table.matrix.toarray()[:, 0].tolist() == [0, 0, 0] and table.matrix.toarray()[2].tolist() == [0, 0, 0, 0]


def test_pairs_can_be_asked_as_of_a_moment():
    table = events().assign(timestamp=pd.to_datetime(["2024-01-01", "2024-01-05", "2024-01-02", "2024-01-03", "2024-01-04"]))
    found = Interactions.from_events(table)
    row, column = found.pairs(["a", "nobody", "b"], before="2024-01-03")
    assert [(int(r), found.items[c]) for r, c in zip(row, column, strict=True)] == [(0, "x"), (2, "y")]


def test_unknown_and_missing_ids_have_no_index():
    assert encode(["b", "nobody", None, "a", "b"], pd.Index(["a", "b"])).tolist() == [1, -1, -1, 0, 1]


def test_rows_come_in_the_order_asked_and_are_empty_for_an_unknown_user():
    rows = Interactions.from_events(events()).rows(["b", "nobody", "a"]).toarray()
    assert rows.tolist() == [[0, 1, 0], [0, 0, 0], [2, 0, 1]]


def test_integer_ids_meet_their_text():
    table = events().assign(user_id=[1, 2, 2, 2, 1])
    assert Interactions.from_events(table).rows([2]).toarray().tolist() == [[2, 0, 1]]


def test_events_without_a_user_are_refused():
    with pytest.raises(SchemaError, match="user_id"):
        Interactions.from_events(events().assign(user_id=["b", "a", None, "a", "b"]))


def test_a_weight_for_something_that_is_no_behaviour_is_refused():
    with pytest.raises(ValueError, match="'buy' is no behaviour"):
        Interactions.from_events(events(), weights={"buy": 1})


@pytest.mark.parametrize("weight", [float("nan"), float("inf")])
def test_a_weight_that_is_no_number_is_refused(weight):
    with pytest.raises(ValueError, match="'view' weighs (nan|inf); give a number"):
        Interactions.from_events(events(), weights={"view": weight})


def test_rows_can_be_asked_as_of_a_moment():
    table = events().assign(timestamp=pd.to_datetime(["2024-01-01", "2024-01-05", "2024-01-02", "2024-01-03", "2024-01-04"]))
    found = Interactions.from_events(table)
    assert found.rows(["a", "nobody", "b"], before="2024-01-03").toarray().tolist() == [[2, 0, 0], [0, 0, 0], [0, 1, 0]]
