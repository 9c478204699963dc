"""A replay never shows a player what it is asked about, judges what is new, and goes on where it stopped."""

import json

import numpy as np
import pandas as pd
import pytest

from recsys_kit.data.sources import DataError
from recsys_kit.evaluate.players import FoldedIn, Refitted, Static, Taught, WithFallback
from recsys_kit.evaluate.replay import best, compare_visits, replay
from recsys_kit.evaluate.visits import Visits
from recsys_kit.models import EASE, Popularity
from tests.models.conformance import history


@pytest.fixture(scope="module")
def visits():
    return Visits.from_events(history(users=25, items=20, events=500))


class Seer:
    """Knows every visit, and can only be right if it is asked about what comes; remembers the order of its calls."""

    def __init__(self):
        self.calls = []

    def begin(self, visits, first):
        self.calls.append(("begin", first))

    def scores(self, visits, visit):
        self.calls.append(("scores", visit))
        return np.isin(np.arange(len(visits.items)), visits.items_of(visit)).astype(float)

    def learn(self, visits, visit):
        self.calls.append(("learn", visit))


class Backwards(Seer):
    def scores(self, visits, visit):
        return -super().scores(visits, visit)


def literal(scores, wanted, owned, k):
    """nDCG and recall of one visit, word by word; equal scores in the order of the catalogue."""
    ranked = sorted((item for item in range(len(scores)) if item not in owned), key=lambda item: (-scores[item], item))[:k]
    gain = sum(1 / np.log2(place + 2) for place, item in enumerate(ranked) if item in wanted)
    return (gain / sum(1 / np.log2(place + 2) for place in range(min(k, len(wanted)))),
            sum(item in wanted for item in ranked) / min(k, len(wanted)))


def test_who_knows_the_future_has_one_and_who_turns_it_round_next_to_nothing(visits):
    table = replay({"seer": Seer(), "backwards": Backwards()}, visits, first=100, k=3)
    assert (table[["seer/ndcg", "seer/recall"]] == 1).all(axis=None) and table["backwards/ndcg"].mean() < 0.1


def test_each_visit_is_asked_before_it_is_seen_and_every_one_is_seen_once(visits):
    seer = Seer()
    table = replay({"seer": seer}, visits, first=100, judged_from=150)
    assert seer.calls[0] == ("begin", 100) and [v for what, v in seer.calls if what == "learn"] == list(range(100, len(visits)))
    asked = [v for what, v in seer.calls if what == "scores"]
    assert asked == list(table.index) and min(asked) >= 150
    assert all(seer.calls.index(("scores", v)) < seer.calls.index(("learn", v)) for v in asked)


@pytest.mark.parametrize("repeats", [False, True])
def test_metrics_are_those_of_a_literal_count_over_what_is_new(visits, repeats):
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 5, (len(visits), len(visits.items))).astype(float)  # many ties

    class Given(Seer):
        def scores(self, visits, visit):
            return drawn[visit]

    table = replay({"given": Given()}, visits, first=100, k=4, repeats=repeats)
    owned, expected = {}, {}
    for visit in range(len(visits)):
        user, items = visits.user[visit], set(visits.items_of(visit))
        had = set() if repeats else owned.get(user, set())
        if visit >= 100 and items - had:
            expected[visit] = literal(drawn[visit], items - had, had, 4)
        owned.setdefault(user, set()).update(items)
    assert list(table.index) == list(expected)
    assert np.allclose(table[["given/ndcg", "given/recall"]], list(expected.values())) and 0.05 < table["given/ndcg"].mean() < 0.95


def test_a_newcomer_is_who_was_never_there_before(visits):
    table = replay({"seer": Seer()}, visits, first=1)
    for visit, row in table.iterrows():
        assert row["newcomer"] == (visits.user[visit] not in visits.user[:visit])
        assert row["user_id"] == visits.users[visits.user[visit]] and row["timestamp"].timestamp() == visits.time[visit]


def test_only_wanted_behaviours_are_judged():
    events = history(users=25, items=20, events=500).assign(behaviour=lambda table: ["view", "purchase"] * (len(table) // 2))
    visits = Visits.from_events(events, wanted=["purchase"])
    table = replay({"seer": Seer()}, visits, first=50)
    bought = [visit for visit in range(50, len(visits)) if visits.wanted[visits.starts[visit]:visits.starts[visit + 1]].any()]
    assert 0 < len(table) < len(visits) - 50 and set(table.index) <= set(bought)


# Going on ----------------------------------------------------------------------------------------------------------------

class Stops(Taught):
    def __init__(self, model, at):
        super().__init__(model)
        self.at = at

    def learn(self, visits, visit):
        if visit == self.at:
            raise KeyboardInterrupt
        super().learn(visits, visit)


def test_an_interrupted_replay_goes_on_and_ends_as_if_it_had_not_been(visits, tmp_path, monkeypatch):
    monkeypatch.setattr("recsys_kit.evaluate.replay.EVERY", 50)
    path = tmp_path / "replay.json"
    whole = replay({"recent": Taught(Popularity(2))}, visits, first=100)
    with pytest.raises(KeyboardInterrupt):
        replay({"recent": Stops(Popularity(2), 330)}, visits, first=100, checkpoint=path)
    assert json.loads(path.read_text())["done"] == 300
    asked = Taught(Popularity(2))
    seen = []
    asked.scores = lambda visits, visit: (seen.append(visit), Taught.scores(asked, visits, visit))[1]
    again = replay({"recent": asked}, visits, first=100, checkpoint=path)
    pd.testing.assert_frame_equal(whole, again)
    assert min(seen) >= 300
    assert list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_of_something_else_is_refused(visits, tmp_path):
    path = tmp_path / "replay.json"
    replay({"seer": Seer()}, visits, first=100, checkpoint=path)
    for change in (dict(k=3), dict(first=120)):
        with pytest.raises(DataError, match="other players, visits or cuts"):
            replay({"seer": Seer()}, visits, **{"first": 100, "checkpoint": path} | change)
    with pytest.raises(DataError, match="other players"):
        replay({"seer": Seer()}, Visits.from_events(visits.events, wanted=["purchase"]), first=100, checkpoint=path)
    with pytest.raises(DataError, match="other players"):
        replay({"other": Seer()}, visits, first=100, checkpoint=path)
    events = visits.events
    for other in (events.assign(item_id=events["item_id"].to_numpy()[np.random.default_rng(0).permutation(len(events))]),
                  events.assign(user_id=events["user_id"].replace({"u01": "u02", "u02": "u01"}))):
        other = Visits.from_events(other)
        assert len(other.events) == len(events)
        with pytest.raises(DataError, match="other players, visits or cuts"):
            replay({"seer": Seer()}, other, first=100, checkpoint=path)
    more = Visits.from_events(events, items=pd.DataFrame({"item_id": ["one more"]}))
    with pytest.raises(DataError, match="other players, visits or cuts"):
        replay({"seer": Seer()}, more, first=100, checkpoint=path)
    path.write_text("{")
    with pytest.raises(DataError, match="no checkpoint"):
        replay({"seer": Seer()}, visits, first=100, checkpoint=path)


def test_cuts_that_leave_nothing_are_refused(visits):
    for cut in (dict(first=0), dict(first=len(visits)), dict(first=100, judged_from=50), dict(first=100, until=100)):
        with pytest.raises(ValueError, match="give a first visit"):
            replay({"seer": Seer()}, visits, **cut)
    with pytest.raises(ValueError, match="at least one item"):
        replay({"seer": Seer()}, visits, first=100, k=0)


# Players -----------------------------------------------------------------------------------------------------------------

def test_players_learn_as_their_names_say(visits):
    """Each against a model fitted by hand on exactly what the player may know."""
    visit, first = 300, 100
    who, when = [visits.users[visits.user[visit]]], pd.Timestamp(visits.time[visit], unit="s")

    def asked(player):
        player.begin(visits, first)
        for earlier in range(first, visit):
            player.learn(visits, earlier)
        return player.scores(visits, visit)

    def fitted(model, until):
        return model.fit(visits.before(until), items=visits.catalogue)

    assert np.allclose(asked(Static(Popularity())), fitted(Popularity(), first).score(who)[0])
    assert np.allclose(asked(Taught(Popularity(3))), fitted(Popularity(3), visit).score(who, at=when)[0])
    assert np.allclose(asked(Refitted(lambda: EASE(10), days=1e-9)), fitted(EASE(10), visit).score(who)[0], equal_nan=True)
    now = Visits.from_events(visits.before(visit))
    history = fitted(EASE(10), visit).history_.rows(who) > 0
    assert np.allclose(asked(FoldedIn(lambda: EASE(10))), fitted(EASE(10), first).score_histories(history)[0], equal_nan=True)
    assert len(now) == visit


def test_a_folded_in_history_fades_with_the_age_of_the_last_touch(visits):
    player = FoldedIn(lambda: EASE(10), half_life_days=2)
    player.begin(visits, 300)
    visit = next(v for v in range(300, len(visits)) if len(player._last[visits.user[v]]) > 2)
    user = visits.user[visit]
    row = np.zeros((1, len(visits.items)))
    for earlier in range(300):
        if visits.user[earlier] == user:
            row[0, visits.items_of(earlier)] = 2 ** ((visits.time[earlier] - visits.time[visit]) / 86_400 / 2)
    assert np.allclose(player.scores(visits, visit), player.model.score_histories(row)[0], rtol=1e-4) and row.any()


def test_a_refit_waits_its_days(visits):
    fits = []

    class Counted(Popularity):
        def _fit(self, *given):
            fits.append(len(given[0]))
            super()._fit(*given)

    days = (visits.time[-1] - visits.time[100]) / 86_400 / 4.5
    replay({"refitted": Refitted(Counted, days)}, visits, first=100)
    assert 3 <= len(fits) <= 5 and fits == sorted(fits)


def test_who_has_nothing_to_say_is_filled_by_the_fallback_and_nobody_else(visits):
    player = WithFallback(FoldedIn(lambda: EASE(10)), Static(Popularity()))
    player.begin(visits, 1)
    popular = player.fallback.scores(visits, 1)
    newcomer = next(v for v in range(2, 50) if visits.user[v] not in visits.user[:v])
    assert np.array_equal(player.scores(visits, newcomer), popular)
    for visit in range(1, newcomer + 1):
        player.learn(visits, visit)
    again = next(v for v in range(newcomer + 1, len(visits)) if visits.user[v] == visits.user[newcomer])
    assert not np.array_equal(player.scores(visits, again), popular)


# Lists and intervals -----------------------------------------------------------------------------------------------------

def test_the_best_are_the_best_with_ties_in_order_and_nothing_that_cannot_be_listed():
    assert best(np.array([1.0, np.nan, 3.0, 3.0, -np.inf, 2.0]), 3).tolist() == [2, 3, 5]
    assert best(np.array([1.0, np.nan, -np.inf]), 3).tolist() == [0]
    assert best(np.array([1.0, 5.0, 5.0, 5.0]), 2, hidden=np.array([False, True, False, False])).tolist() == [2, 3]
    assert best(np.full(30, np.nan), 5).tolist() == []


def test_intervals_come_from_drawing_users_with_all_their_visits():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"user_id": np.repeat([f"u{n}" for n in range(40)], 25)})
    table["a/ndcg"] = rng.random(1000)
    lead = rng.normal(0.1, 0.2, 40)  # of a user, the same at every visit
    table["b/ndcg"] = table["a/ndcg"] + np.repeat(lead, 25)
    found = compare_visits(table, baseline="a")
    width = found.loc["b", "high"] - found.loc["b", "low"]
    by_user = 2 * 1.96 * lead.std() / np.sqrt(40)
    assert found.loc["b", "difference"] == pytest.approx(lead.mean()) and width == pytest.approx(by_user, rel=0.15)
    assert found.loc["a"].isna().tolist() == [False, True, True, True]
    with pytest.raises(ValueError, match="'c' is none of the players"):
        compare_visits(table, baseline="c")
    with pytest.raises(ValueError, match="two users"):
        compare_visits(table.head(3), baseline="a")
