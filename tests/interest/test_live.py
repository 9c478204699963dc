"""The state in an open shop: what it says at a visit follows from the visits before, and from nothing else."""

import numpy as np
import pandas as pd
import pytest

from recsys_kit.evaluate.replay import replay
from recsys_kit.evaluate.visits import Visits
from recsys_kit.interest.live import Live
from tests.interest.logs import catalogue, log

SETTINGS = {"factors": 4, "strata": 3, "asked": {"overall": 10.0, "stratum": 20.0, "domain": 1.0, "short": 2.0}}


def played(player, visits, first, last):
    """The scores at a visit, after all before it were seen."""
    player.begin(visits, first)
    for visit in range(first, last):
        player.learn(visits, visit)
    return player.scores(visits, last)


def test_what_is_said_is_that_of_a_state_with_the_same_vectors_that_saw_all_before():
    visits, player = Visits.from_events(log(), items=catalogue()), Live(**SETTINGS, regression=1.0)
    shown = played(player, visits, 100, 150)
    user, state = visits.users[visits.user[150]], player.state
    again = type(state)(regression=1.0, asked=SETTINGS["asked"]).start(visits.catalogue, state.item_vectors_, pd.DataFrame(
        state.people_[:, state._member], index=list(state._number), columns=state.strata_))
    again.update(visits.before(150))
    assert shown == pytest.approx(again.scores(user, visits.time[150]), rel=1e-5)
    assert state.active == ("overall", "stratum", "domain", "long", "short")


def test_later_visits_change_nothing():
    table = log()
    visits = Visits.from_events(table, items=catalogue())
    until = visits.before(151)
    cut = Visits.from_events(until, items=catalogue())
    left, right = (played(Live(**SETTINGS), part, 100, 150) for part in (visits, cut))
    assert len(cut) == 151 and left == pytest.approx(right, rel=1e-5)


def test_small_memberships_count_as_none_and_shares_still_add_up():
    visits, player = Visits.from_events(log(), items=catalogue()), Live(strata=3, factors=4, least=0.2)
    player.begin(visits, 150)
    member = player.state.people_[player.numbers, player.state._member]
    assert member.sum(axis=1)[member.any(axis=1)] == pytest.approx(1) and member[member > 0].min() >= 0.2


def test_vectors_learned_anew_are_those_of_a_player_that_begins_then():
    visits = Visits.from_events(log(), items=catalogue())
    days = (visits.time[150] - visits.time[100]) / 86_400
    anew, fresh = Live(**SETTINGS, refresh_days=days), Live(**SETTINGS)
    shown = played(anew, visits, 100, 150)
    fresh.begin(visits, 150)
    assert np.array_equal(shown, fresh.scores(visits, 150))
    assert not np.allclose(shown, played(Live(**SETTINGS), visits, 100, 150))
    with pytest.raises(ValueError, match="above zero"):
        Live(refresh_days=0)


@pytest.mark.parametrize(("items", "settings"), [
    ("i01", {}), ("i01", {"factors": 4, "refresh_days": 5.0}), (["i01", "i02"], {"strata": 9}), (None, {"strata": 50})],
                         ids=str)
def test_users_who_are_all_alike_or_fewer_than_strata_are_no_obstacle(items, settings):
    table = log().drop_duplicates(["user_id", "timestamp"])
    if items is not None:
        table = table.assign(item_id=np.resize(items, len(table)))
    visits, player = Visits.from_events(table), Live(**settings)
    shown = played(player, visits, 100, 150)
    member = player.state.people_[player.numbers, player.state._member]
    assert np.isfinite(shown).all() and member[member.any(axis=1)].sum(axis=1) == pytest.approx(1)
    assert (len(player.state.strata_) == 0) is (items == "i01")


def test_who_stands_between_two_strata_keeps_the_nearer_one_however_much_the_least_is():
    """Two kinds of users, each with a taste of their own beside, and one who is of both kinds."""
    rows = [(f"{kind}{n}", f"{kind}{item}") for kind in "ab" for n in range(5) for item in (0, 1, 2 + n)]
    table = pd.DataFrame([*rows, ("c", "a0"), ("c", "b0")], columns=["user_id", "item_id"])
    table = table.assign(behaviour="view", timestamp=pd.date_range("2024-01-01", periods=len(table)))
    visits, member = Visits.from_events(table), {}
    for least in (0.01, 0.99):
        player = Live(strata=2, factors=2, least=least)
        player.begin(visits, len(visits))
        member[least] = dict(zip(visits.users, player.state.people_[player.numbers, player.state._member], strict=True))
    assert 0.01 < min(member[0.01]["c"]) < 0.5 and sorted(member[0.99]["c"]) == [0, 1]
    assert member[0.99]["c"].argmax() == member[0.01]["c"].argmax() and max(member[0.99]["a1"]) == 1


def test_it_takes_part_in_a_replay_also_without_strata_and_hears_the_behaviours_it_is_told_to():
    visits = Visits.from_events(log(), items=catalogue().drop(columns="category"))
    players = {"all": Live(strata=0, factors=4), "purchases": Live(strata=0, factors=4, weights={"purchase": 1.0})}
    table = replay(players, visits, first=100)
    assert len(table) and table.filter(like="ndcg").stack().between(0, 1).all()
    heard = [player.state.trend()[0].sum() for player in players.values()]
    assert 0 < heard[1] < heard[0]
