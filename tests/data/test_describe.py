"""Sessions, funnel and long tail on cases small enough to count by hand, and on the market."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from recsys_kit import plots
from recsys_kit.data.describe import funnel, gini, sessions, top_share

COUNTS = st.lists(st.integers(0, 1000), min_size=1, max_size=40).filter(any)


@given(COUNTS)
def test_gini_is_half_the_mean_difference_over_the_mean(counts):
    x = np.array(counts, float)
    assert gini(x) == pytest.approx(np.abs(x[:, None] - x[None, :]).mean() / (2 * x.mean()), abs=1e-12)


@given(COUNTS)
def test_gini_is_twice_the_area_between_lorenz_curve_and_diagonal(counts):
    share, of_all = plots.concentration(Figure().subplots(), counts)  # the Lorenz curve, busiest first
    assert gini(counts) == pytest.approx(2 * np.trapezoid(of_all, share) - 1, abs=1e-12)


def test_gini_refuses_nothing_and_negative_counts():
    for bad in ([], [1, -1], [np.nan, 1]):
        with pytest.raises(ValueError, match="gini"):
            gini(bad)


def test_the_top_share_takes_at_least_one_item():
    assert top_share([3, 1], share=0.01) == 0.75


def times(*minutes) -> pd.Series:
    return pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(minutes, unit="min"))


def test_a_session_ends_after_more_than_thirty_minutes_and_never_spans_users():
    table = pd.DataFrame({"user_id": list("abaab"), "timestamp": times(0, 1, 30, 61, 2)})
    assert sessions(table).tolist() == [0, 1, 0, 2, 1]


def test_the_sources_own_sessions_come_first_but_belong_to_one_user():
    table = pd.DataFrame({"user_id": list("aab"), "timestamp": times(0, 500, 1), "session_id": ["s", "s", "s"]})
    assert sessions(table).tolist() == [0, 0, 1]


def test_events_without_the_sources_number_fall_back_on_the_pause():
    table = pd.DataFrame({"user_id": list("aaaa"), "timestamp": times(0, 1, 2, 99), "session_id": ["s", None, None, None]})
    assert sessions(table).tolist() == [0, 1, 1, 2]


def test_an_event_without_a_user_joins_nobodys_session():
    table = pd.DataFrame({"user_id": ["b", None], "timestamp": times(0, 9999), "session_id": ["s", "t"]})
    assert sessions(table).nunique() == 2


def test_the_funnel_counts_pairs_once():
    table = pd.DataFrame({"user_id": list("aaab"), "item_id": list("xxxx"), "timestamp": times(0, 1, 2, 3),
                          "behaviour": ["view", "view", "purchase", "view"]})
    result = funnel(table)
    assert result["events"].tolist() == [3, 1] and result["pairs"].tolist() == [2, 1]
    assert result["conversion"].tolist() == [1.0, 0.5] and result.index.tolist() == ["view", "purchase"]
