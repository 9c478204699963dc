"""A broken table gets one clear error; a sound one comes out in the common types with every row still there."""

import numpy as np
import pandas as pd
import pytest

from recsys_kit.schema import (
    BEHAVIOURS, SchemaError, coerce_events, coerce_exposures, coerce_ids, coerce_items, moment, require_size, validate_events)


def events(**columns) -> pd.DataFrame:
    table = {"user_id": ["7", "7", "8", "9"], "item_id": ["a", "b", "a", "c"],
             "behaviour": ["view", "purchase", "view", "return"], "timestamp": ["2024-01-01 10:00"] * 4}
    return pd.DataFrame({**table, **columns})


def test_the_common_types():
    given = events(user_id=[7.0, 7.0, None, 9.0], quantity=["1", "2", None, "4"], seq=[1, 2, 3, 4], extra=list("wxyz"))
    table = coerce_events(given)
    assert table["user_id"].dtype == "str" and table["user_id"].tolist()[:2] == ["7", "7"] and table["user_id"].isna().sum() == 1
    assert table["behaviour"].cat.categories.tolist() == list(BEHAVIOURS)
    assert table["timestamp"].dtype == "datetime64[s]"
    assert table["quantity"].dtype == "float64" and table["seq"].dtype == "int64"
    assert table["extra"].tolist() == list("wxyz") and len(table) == 4


def test_ids_keep_their_leading_zeros_and_whole_numbers_lose_their_point():
    assert coerce_ids(pd.Series(["007", "7"])).tolist() == ["007", "7"]
    assert coerce_ids(pd.Series([17850.0, 3.0])).tolist() == ["17850", "3"]
    assert coerce_ids(pd.Series([1, 2])).tolist() == ["1", "2"]


def test_times_are_read_as_utc():
    given = ["2024-01-01T10:00:00+02:00", "2024-01-01 08:00:00", "2024-01-01", "2024-01-01T08:00:00Z"]
    hours = coerce_events(events(timestamp=given))["timestamp"].dt.hour.tolist()
    assert hours == [8, 8, 0, 8]
    seconds = coerce_events(events(timestamp=[1704096000] * 4))["timestamp"]
    assert (seconds == pd.Timestamp("2024-01-01 08:00")).all()


@pytest.mark.parametrize(("columns", "words"), [
    ({"timestamp": [1704096000000] * 4}, ["timestamp", "milliseconds", "4 of 4", "//= 1000"]),
    ({"timestamp": ["2024-01-01", "2999-01-01", "2024-01-01", "2024-01-01"]}, ["timestamp", "future", "1 of 4", "2999"]),
    ({"timestamp": ["2024-01-01", "yesterday", "2024-01-01", "2024-01-01"]}, ["no readable time", "yesterday", "1 of 4"]),
    ({"timestamp": [17, 18, 19, 20]}, ["before 1990", "4 of 4"]),
    ({"timestamp": [1704096000, None, 1704096000, 1704096000]}, ["missing time", "1 of 4"]),
    ({"behaviour": ["view", "glance", "view", "view"]}, ["behaviour", "glance", "1 of 4", "purchase"]),
    ({"quantity": ["1", "two", "3", "4"]}, ["quantity", "not a number", "two"]),
    ({"price": [1.0, float("inf"), 3.0, 4.0]}, ["price", "infinite", "1 of 4"]),
])
def test_a_wrong_shape_is_refused_with_column_count_example_and_mend(columns, words):
    with pytest.raises(SchemaError) as error:
        coerce_events(events(**columns))
    assert all(word in str(error.value) for word in [*words, "To mend it"])


def test_a_missing_column_is_named_beside_those_there():
    with pytest.raises(SchemaError, match="no column 'behaviour'; the table has 'user_id', 'item_id', 'timestamp'"):
        coerce_events(events().drop(columns="behaviour"))


@pytest.mark.parametrize(("columns", "words"), [
    ({"user_id": ["7", None, None, "9"]}, ["user_id", "missing id", "2 of 4", "prepare.clean"]),
    ({"item_id": ["a", "b", None, "c"]}, ["item_id", "1 of 4"]),
    ({"quantity": [1, -2, 0, 4]}, ["quantity", "2 of 4", "-2", "return"]),
    ({"price": [1, -0.5, 0, 4]}, ["price", "1 of 4"]),
])
def test_values_no_model_can_learn_from_are_refused(columns, words):
    table = coerce_events(events(**columns))
    with pytest.raises(SchemaError) as error:
        validate_events(table)
    assert all(word in str(error.value) for word in words)


def test_an_empty_table_is_refused():
    with pytest.raises(SchemaError, match="no rows"):
        validate_events(events().head(0))


@pytest.mark.parametrize(("least", "words"), [({"users": 4}, "3 users"), ({"items": 4}, "3 items"),
                                              ({"instants": 2}, "1 different times")])
def test_a_log_too_small_for_its_use_is_refused(least, words):
    enough = {"users": 3, "items": 3, "instants": 1}
    require_size(coerce_events(events()), **enough)
    with pytest.raises(SchemaError, match=words):
        require_size(coerce_events(events()), **enough | least)


def test_only_the_first_three_bad_rows_are_shown():
    with pytest.raises(SchemaError) as error:
        coerce_events(events(behaviour=["w1", "w2", "w3", "w4"]))
    assert "w3" in str(error.value) and "w4" not in str(error.value)


@pytest.mark.parametrize("behaviour", [pd.Categorical, list])
@pytest.mark.parametrize("users", [["7", "7", "8", "9"], [7, 7, 8, 9], pd.Categorical([7.0, 7.0, 8.0, 9.0]), [7, 7.0, "8", 9]])
def test_whatever_form_ids_and_behaviours_come_in_a_model_sees_the_common_one(behaviour, users):
    given = events(user_id=users, behaviour=behaviour(["view", "purchase", "view", "return"]))
    table = validate_events(given.assign(timestamp=pd.Timestamp("2024-01-01")))
    assert table["behaviour"].cat.categories.tolist() == list(BEHAVIOURS)
    assert table["user_id"].tolist() == ["7", "7", "8", "9"] and table["timestamp"].dtype == "datetime64[s]"


def test_missing_times_and_behaviours_are_refused():
    table = coerce_events(events())
    for column, gap in (("timestamp", pd.NaT), ("behaviour", None)):
        broken = table.copy()
        broken.loc[0, column] = gap
        with pytest.raises(SchemaError, match=f"{column}.*missing"):
            validate_events(broken)


def test_a_decimal_id_too_large_to_be_exact_is_refused():
    with pytest.raises(SchemaError, match="last digits are lost"):
        coerce_ids(pd.Series([1e20, None]))


def test_a_moment_with_a_zone_is_read_in_utc():
    assert moment("2024-01-01T02:00+02:00") == moment("2024-01-01") == pd.Timestamp("2024-01-01") and moment(None) is None


@pytest.mark.parametrize("at", [1704067200, 1704067200.0, np.int64(1704067200), np.float32(1704067200)], ids=repr)
def test_a_plain_number_is_a_moment_in_unix_seconds_as_it_is_in_a_column_of_times(at):
    assert moment(at) == pd.Timestamp("2024-01-01")


@pytest.mark.parametrize("at", [np.nan, pd.NaT, "NaT"], ids=repr)
def test_a_moment_that_is_none_is_refused(at):
    with pytest.raises(ValueError, match="is no time; give a time such as"):
        moment(at)


@pytest.mark.parametrize("seq", [[1.5, 2, 3, 4], [1, None, 3, 4]])
def test_an_order_is_whole_numbers(seq):
    with pytest.raises(SchemaError, match="seq.*no whole number"):
        coerce_events(events(seq=seq))


def test_items_are_unique():
    with pytest.raises(SchemaError, match="the same item twice in 1 of 2 rows"):
        coerce_items(pd.DataFrame({"item_id": ["a", "a"]}))


def test_a_propensity_is_a_probability_above_zero():
    table = pd.DataFrame({"user_id": ["a"], "item_id": ["x"], "list_id": ["l"], "position": [1], "propensity": [0.0],
                          "clicked": [0], "timestamp": ["2024-01-01"]})
    with pytest.raises(SchemaError, match="propensity"):
        coerce_exposures(table)
    assert coerce_exposures(table.assign(propensity=0.2))["clicked"].tolist() == [False]
    assert coerce_exposures(table.assign(propensity=0.2, clicked="False"))["clicked"].tolist() == [False]
    for column, bad, words in (("clicked", "perhaps", "neither yes nor no"), ("position", 0, "below 1")):
        with pytest.raises(SchemaError, match=words):
            coerce_exposures(table.assign(propensity=0.2, **{column: [bad]}))
