"""A log becomes visits: one user, one instant, in the order of time, and nothing is counted twice."""

import numpy as np
import pandas as pd
import pytest

from recsys_kit.evaluate.visits import Visits
from recsys_kit.schema import SchemaError
from tests.models.conformance import history

LOG = pd.DataFrame([("b", "y", "purchase", 2), ("a", "x", "purchase", 1), ("a", "y", "purchase", 2), ("b", "x", "view", 2),
                    ("a", "z", "purchase", 2), ("a", "z", "purchase", 2), ("a", "x", "return", 3)],
                   columns=["user_id", "item_id", "behaviour", "timestamp"])
LOG["timestamp"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(LOG["timestamp"], unit="h")


def told(visits):
    return [(visits.users[visits.user[v]], list(visits.items[visits.items_of(v)])) for v in range(len(visits))]


def test_a_visit_is_what_one_user_does_at_one_instant_in_the_order_they_came():
    assert told(Visits.from_events(LOG)) == [("a", ["x"]), ("b", ["y", "x"]), ("a", ["y", "z"])]


def test_returns_are_no_visits_and_a_line_twice_is_there_once():
    visits = Visits.from_events(LOG)
    assert len(visits.events) == 5 and visits.starts.tolist() == [0, 1, 3, 5]
    assert visits.of(2)["item_id"].tolist() == ["y", "z"] and visits.before(1)["item_id"].tolist() == ["x"]


def test_what_a_list_is_judged_by_can_be_named_and_the_catalogue_can_be_larger():
    visits = Visits.from_events(LOG, wanted=["purchase"], items=pd.DataFrame({"item_id": ["w", "x"], "title": ["W", "X"]}))
    assert visits.wanted.tolist() == [True, True, False, True, True] and list(visits.items) == ["w", "x", "y", "z"]
    assert visits.catalogue["title"].fillna("?").tolist() == ["W", "X", "?", "?"]


def test_the_order_of_the_rows_does_not_matter_where_times_differ():
    events = history(events=300).drop_duplicates("timestamp")
    one, other = Visits.from_events(events), Visits.from_events(events.sample(frac=1, random_state=0))
    assert told(one) == told(other) and np.array_equal(one.time, other.time) and (np.diff(one.time) >= 0).all()


def test_a_share_is_of_events_and_falls_between_visits():
    visits = Visits.from_events(LOG)
    assert [visits.at_share(share) for share in (0, 0.1, 0.2, 0.5, 0.6, 1)] == [0, 1, 1, 2, 2, 3]
    with pytest.raises(ValueError, match="from 0 to 1"):
        visits.at_share(1.2)


def test_a_log_that_breaks_the_contract_is_refused():
    with pytest.raises(SchemaError, match="timestamp"):
        Visits.from_events(LOG.drop(columns="timestamp"))
    for wanted in (["bought"], "purchase"):
        with pytest.raises(ValueError, match="wanted: .* is no list of behaviours"):
            Visits.from_events(LOG, wanted=wanted)
