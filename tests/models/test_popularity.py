"""Popularity counts, fades with age, and never looks beyond the moment it is asked for."""

import numpy as np
import pandas as pd
import pytest

from recsys_kit.models.popularity import Popularity
from tests.models.conformance import RankerConformance, history


class TestOverall(RankerConformance):
    def make(self):
        return Popularity()


class TestRecent(RankerConformance):
    def make(self):
        return Popularity(half_life_days=7)


def events(*rows) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["item_id", "behaviour", "day"])
    return table.assign(user_id="u", timestamp=pd.Timestamp("2024-01-01") + pd.to_timedelta(table["day"], unit="D"))


SALES = events(("old", "purchase", 0), ("old", "purchase", 0), ("old", "purchase", 0), ("new", "purchase", 10))


def scores(model, **asked) -> dict:
    return dict(zip(model.items_, model.score(["anybody"], **asked)[0], strict=True))


def test_overall_counts_events_and_leaves_returns_out():
    assert scores(Popularity().fit(pd.concat([SALES, events(("old", "return", 11))]))) == {"new": 1.0, "old": 3.0}


def test_recent_halves_with_each_half_life():
    assert scores(Popularity(half_life_days=5).fit(SALES)) == {"new": 1.0, "old": 0.75}
    assert scores(Popularity(half_life_days=5).fit(SALES), at="2024-01-16") == {"new": 0.5, "old": 0.375}


def test_asked_for_an_earlier_time_it_knows_only_what_came_before():
    assert scores(Popularity(half_life_days=5).fit(SALES), at="2024-01-06") == {"new": 0.0, "old": 1.5}
    assert scores(Popularity().fit(SALES), at="2024-01-11") == {"new": 0.0, "old": 3.0}


def test_a_moment_with_a_zone_is_read_in_utc():
    model = Popularity(half_life_days=5).fit(SALES)
    assert scores(model, at="2024-01-16T02:00+02:00") == scores(model, at="2024-01-16")


def test_short_half_lives_over_long_times_do_not_overflow():
    table = events(*[("old" if day < 900 else "new", "purchase", day) for day in range(0, 1000, 10)])
    one_by_one = Popularity(half_life_days=0.5).fit(table.head(1), items=table[["item_id"]].drop_duplicates())
    for n in range(1, len(table)):
        one_by_one.update(table.iloc[n:n + 1])
    assert scores(one_by_one)["new"] == pytest.approx(scores(Popularity(half_life_days=0.5).fit(table))["new"])
    assert scores(one_by_one)["new"] == pytest.approx(1, rel=1e-5) and scores(one_by_one)["old"] < 1e-50


def test_weights_say_what_an_event_is_worth():
    table = events(("a", "view", 0), ("a", "view", 0), ("b", "purchase", 0), ("c", "cart", 0))
    assert scores(Popularity(weights={"view": 1, "purchase": 5}).fit(table)) == {"a": 2.0, "b": 5.0, "c": 0.0}
    later = pd.concat([table, events(("c", "purchase", 9))])
    assert scores(Popularity(weights={"view": 1, "purchase": 5}).fit(later), at="2024-01-05") == {"a": 2.0, "b": 5.0, "c": 0.0}


@pytest.mark.parametrize("half_life", [None, 3.0])
def test_learning_on_event_by_event_ends_where_one_fit_does(half_life):
    table = history()
    catalogue = table[["item_id"]].drop_duplicates()
    model = Popularity(half_life_days=half_life).fit(table.iloc[:1], items=catalogue)
    for n in range(1, len(table)):
        model.update(table.iloc[n:n + 1])
    assert np.allclose(model.score(["x"]), Popularity(half_life_days=half_life).fit(table).score(["x"]), rtol=1e-9)


def test_an_update_with_older_events_counts_them_at_their_age():
    model = Popularity(half_life_days=5).fit(SALES.tail(1), items=SALES[["item_id"]].drop_duplicates()).update(SALES.head(3))
    assert scores(model) == {"new": 1.0, "old": 0.75}


@pytest.mark.parametrize("half_life", [0, -1, float("nan")])
def test_a_half_life_is_above_zero(half_life):
    with pytest.raises(ValueError, match="above zero"):
        Popularity(half_life_days=half_life)
