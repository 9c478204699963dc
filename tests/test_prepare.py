"""Cleaning accounts for every row; scaling learns from the first table alone."""

import numpy as np
import pandas as pd
import pytest

from recsys_kit.prepare import clean, fences, scale
from recsys_kit.schema import SchemaError


def shop(*rows) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "behaviour", "hour", "quantity", "price"])
    return table.assign(timestamp=pd.Timestamp("2024-01-01") + pd.to_timedelta(table["hour"], unit="h")).drop(columns="hour")


def reasons(result) -> dict:
    return result.removed["reason"].to_dict()


def test_each_row_is_kept_or_removed_with_a_reason():
    table = shop(("a", "x", "purchase", 1, 1, 2.0), (None, "x", "purchase", 1, 1, 2.0), ("a", None, "purchase", 1, 1, 2.0),
                 ("a", "x", "purchase", 1, 1, 2.0), ("b", "POST", "purchase", 2, 1, 18.0), ("b", "x", "purchase", 3, -5, 2.0),
                 ("b", "y", "purchase", 3, 5, 0.0), ("b", "z", "purchase", 4, 1, None))
    result = clean(table, not_products=["POST"])
    assert reasons(result) == {1: "no user id", 2: "no item id", 3: "duplicate", 4: "no product",
                               5: "quantity not above zero", 6: "price not above zero"}
    assert result.events.index.tolist() == [0, 7]  # an unknown price is not a price of zero
    assert result.report["left"].tolist()[-1] == 2 and result.report["rows"].sum() == 6


def test_a_cancellation_goes_with_the_latest_purchase_it_cancels():
    table = shop(("a", "x", "purchase", 1, 3, 2.0), ("a", "x", "purchase", 2, 3, 2.0), ("a", "x", "purchase", 3, 9, 2.0),
                 ("b", "x", "purchase", 2, 3, 2.0), ("a", "x", "return", 4, 3, 2.0), ("a", "x", "purchase", 5, 3, 2.0))
    assert reasons(clean(table)) == {1: "cancelled purchase", 4: "return"}


def test_two_returns_cancel_two_purchases_and_a_third_goes_alone():
    table = shop(("a", "x", "purchase", 1, 3, 2.0), ("a", "x", "purchase", 2, 3, 2.0), ("a", "x", "return", 3, 3, 2.0),
                 ("a", "x", "return", 4, 3, 2.0), ("a", "x", "return", 5, 3, 2.0))
    assert list(reasons(clean(table)).values()).count("cancelled purchase") == 2 and clean(table).events.empty


def test_a_return_in_another_quantity_or_before_the_purchase_takes_no_purchase_with_it():
    table = shop(("a", "x", "return", 1, 3, 2.0), ("a", "x", "purchase", 2, 3, 2.0), ("a", "x", "return", 3, 2, 2.0))
    assert reasons(clean(table)) == {0: "return", 2: "return"}


def test_a_purchase_and_its_return_in_one_instant_cancel_each_other_in_whatever_order_they_stand():
    table = shop(("a", "x", "return", 1, 3, 2.0), ("a", "x", "purchase", 1, 3, 2.0))
    assert reasons(clean(table)) == {0: "return", 1: "cancelled purchase"}


def test_a_view_is_never_cancelled():
    table = shop(("a", "x", "view", 1, 1, 2.0), ("a", "x", "return", 2, 1, 2.0))
    assert reasons(clean(table)) == {1: "return"}


def test_the_duplicate_key_can_be_named():
    table = shop(("a", "x", "purchase", 1, 1, 2.0), ("a", "x", "purchase", 1, 7, 2.0))
    assert len(clean(table).events) == 2
    assert clean(table, duplicate_key=["user_id", "item_id", "timestamp"]).events["quantity"].tolist() == [1]


def test_outliers_go_by_the_named_rule_and_only_among_purchases():
    rng = np.random.default_rng(0)
    quantities = np.round(np.exp(rng.normal(2, 0.5, 200))) + 1
    rows = [("a", f"i{n}", "purchase", n, quantity, 2.0 + n % 5) for n, quantity in enumerate(quantities)]
    table = shop(*rows, ("a", "huge", "purchase", 999, 74215.0, 2.0), ("a", "looked", "view", 999, 74215.0, 2.0))
    for rule in ("tukey", "mad"):
        assert clean(table, outliers=rule).removed["item_id"].tolist() == ["huge"]
    assert clean(table).removed.empty


def test_where_most_values_are_equal_the_report_says_that_the_rule_cannot_tell():
    table = shop(*[("a", f"i{n}", "purchase", n, 1.0, 2.0 + n) for n in range(9)], ("a", "z", "purchase", 9, 1e6, 5.0))
    report = clean(table, outliers="mad").report
    assert "quantity outlier (mad: cannot tell, most values are equal)" in report.index and "price outlier (mad)" in report.index


def test_outliers_are_judged_on_the_log_scale():
    prices = [float(2 ** n) for n in range(12)]  # evenly spread in the logarithm, far out without it
    table = shop(*[("a", f"i{n}", "purchase", n, 1.0, price) for n, price in enumerate(prices)])
    assert clean(table, outliers="tukey").removed.empty
    assert fences(prices, "tukey")[1] < max(prices)


def test_the_three_rules_by_hand():
    assert fences([0, 1, 2, 3, 4], "tukey") == (1 - 3 * 2, 3 + 3 * 2)
    assert fences([0, 1, 2, 3, 4], "mad") == pytest.approx((2 - 3.5 / 0.6745, 2 + 3.5 / 0.6745))
    assert fences([0, 1, 2, 3, 4], "zscore") == pytest.approx((2 - 3 * np.sqrt(2), 2 + 3 * np.sqrt(2)))


@pytest.mark.parametrize("rule", ["tukey", "mad"])
def test_a_robust_rule_sees_ten_outliers_that_hide_each_other_from_the_z_score(rule):
    values = np.r_[np.random.default_rng(0).normal(10, 1, 90), np.full(10, 1000.0)]
    assert fences(values, rule)[1] < 1000 < fences(values, "zscore")[1]


def test_fences_where_most_values_are_equal_are_open():
    assert fences([5, 5, 5, 5, 900], "tukey") == (-np.inf, np.inf) == fences([5, 5, 5, 5, 900], "mad")


def test_fences_refuse_an_unknown_rule_and_no_values():
    with pytest.raises(ValueError, match="'iqr'"):
        fences([1, 2], "iqr")
    with pytest.raises(ValueError, match="no values"):
        fences([np.nan], "mad")


@pytest.mark.parametrize(("key", "lines"), [("session_id", 387_841), ("timestamp", 387_763)])
def test_cleaning_online_retail_gives_the_counts_that_its_raw_file_gives(real_data, key, lines):
    """Purchases with customer, positive quantity and price: 4,338 customers, 3,665 items; one line per customer, invoice and item
    (session_id) or per customer, minute and item (timestamp): 78 items stand on two invoices of one minute."""
    from recsys_kit import load

    events = load("online-retail").events
    bought = clean(events[events["behaviour"] == "purchase"], duplicate_key=["user_id", key, "item_id"]).events
    assert (len(bought), bought["user_id"].nunique(), bought["item_id"].nunique()) == (lines, 4_338, 3_665)


def test_cleaning_online_retail_accounts_for_every_row(real_data):
    from recsys_kit import load

    events = load("online-retail").events
    result = clean(events)
    assert len(result.events) + len(result.removed) == len(events) == 541_909
    assert result.report.loc["no user id", "rows"] == 135_080
    assert 0 < result.report.loc["cancelled purchase", "rows"] <= result.report.loc["return", "rows"]
    assert set(result.events["behaviour"].unique()) == {"purchase"} and (result.events["quantity"] > 0).all()


TRAIN = pd.DataFrame({"x": [0.0, 10.0, 20.0], "c": [7.0, 7.0, 7.0]})
TEST = pd.DataFrame({"x": [30.0, np.nan], "c": [8.0, 7.0]}, index=["p", "q"])


def test_the_z_score_uses_mean_and_deviation_of_the_training_table():
    train, test = scale(TRAIN, TEST)
    assert train["x"].tolist() == pytest.approx([-np.sqrt(1.5), 0, np.sqrt(1.5)])
    assert test["x"]["p"] == pytest.approx(2 * np.sqrt(1.5))
    assert train["c"].tolist() == [0, 0, 0] and np.isnan(test["x"]["q"]) and test.index.tolist() == ["p", "q"]


def test_min_max_may_leave_the_unit_interval_outside_training():
    train, test = scale(TRAIN, TEST, method="minmax")
    assert train["x"].tolist() == [0, 0.5, 1] and test["x"]["p"] == 1.5


def test_the_other_tables_never_change_the_numbers():
    assert scale(TRAIN, TEST)[0].equals(scale(TRAIN)[0])
    assert scale(TRAIN, TEST.assign(x=-1e9))[0].equals(scale(TRAIN)[0])


def test_columns_are_taken_by_name():
    assert scale(TRAIN, TRAIN[["c", "x"]])[1].equals(scale(TRAIN)[0])
    with pytest.raises(SchemaError, match="no column 'c'"):
        scale(TRAIN, TRAIN[["x"]])
    with pytest.raises(SchemaError, match="no rows"):
        scale(TRAIN, TRAIN.head(0))


@pytest.mark.parametrize(("column", "words"), [(["a", "b", "c"], "cannot be scaled"), ([1.0, np.inf, 2.0], "infinite"),
                                               (pd.to_datetime(["2024"] * 3), "cannot be scaled")])
def test_what_has_no_mean_is_not_scaled(column, words):
    with pytest.raises(SchemaError, match=words):
        scale(TRAIN.assign(x=column))


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="'robust'"):
        scale(TRAIN, method="robust")
