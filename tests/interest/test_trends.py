"""The layers of what the shop wants say what their formulas say, summed event by event over a small log."""

import numpy as np
import pytest

from recsys_kit.interest.past import DAY, Past
from recsys_kit.interest.trends import RARE, Kindred, Overall, Space, Stratum, shares
from tests.interest.logs import ITEMS, USERS, by_hand_space, cosines, faded, lived, log, visits

GIVEN = visits(log())
CUT = len(GIVEN) - 40  # where the layers learn anew
LAST = GIVEN[-1][2]


def share(counts) -> np.ndarray:
    return np.log(counts / counts.sum() + 1e-5)


def test_a_share_is_never_below_the_rare_one_and_nothing_is_no_nan():
    assert np.exp(shares(np.array([3.0, 1.0, 0.0]))) == pytest.approx([0.75 + RARE, 0.25 + RARE, RARE])
    assert shares(np.zeros(4)) == pytest.approx(np.log(RARE))


def test_overall_is_the_long_trend_and_how_much_more_of_it_is_recent():
    layer, now = Overall(ITEMS, short_days=3, long_days=40), LAST + 2 * DAY
    past = lived(GIVEN, layer)
    short, long = (faded(GIVEN, now, days, last=False).sum(axis=0) for days in (3, 40))
    popular, rising = layer.say(past, 0, now)
    assert popular == pytest.approx(share(long)) and rising == pytest.approx(np.log((short + 0.3) / (long + 3)))
    assert layer.names == ("popular", "rising") and np.ptp(popular) > 1 < np.ptp(rising)


# Space --------------------------------------------------------------------------------------------------------------------

def test_vectors_learned_anew_are_the_main_directions_of_who_touched_what():
    space = Space(ITEMS, factors=5)
    space.refresh(lived(GIVEN), LAST)
    right, users = by_hand_space(GIVEN, 5)
    assert space.items @ space.items.T == pytest.approx(right @ right.T, abs=1e-5)
    assert space.users.values[:USERS] @ space.items.T == pytest.approx(users @ right.T, abs=1e-5)


def test_between_two_refreshes_a_user_is_the_sum_of_vectors_each_item_once():
    space = Space(ITEMS, factors=5)
    lived(GIVEN, space, refresh=[CUT])
    touched = faded(GIVEN, 0.0, np.inf) > 0
    before = faded(GIVEN[:CUT], 0.0, np.inf) > 0
    assert (touched & ~before).sum() > 5
    assert space.users.values[:USERS] == pytest.approx(touched @ space.items, abs=1e-5) and np.abs(space.items).max() > 0.3
    direction = (touched @ space.items)[4] / np.linalg.norm((touched @ space.items)[4])
    assert space.of(4) == pytest.approx(direction, abs=1e-5)


def test_a_newcomer_has_no_direction_however_often_it_is_learned_anew():
    space = Space(ITEMS, factors=5)
    past = lived(GIVEN, space, refresh=[CUT])
    for _ in range(2):
        assert space.of(USERS).tolist() == space.of(500).tolist() == [0] * 5
        space.refresh(past, LAST)


def test_there_are_no_more_directions_than_the_log_has():
    """Two hundred users with twelve histories among them: noise is no direction, and would count in a new history."""
    rng = np.random.default_rng(0)
    baskets = [np.flatnonzero(rng.random(100) < 0.1) for _ in range(12)]
    space = Space(100, factors=32)
    space.refresh(lived([(user, baskets[user % 12], float(user)) for user in range(200)]), 200.0)
    assert (np.linalg.norm(space.items, axis=0) > 0).sum() == 12


# Kindred ------------------------------------------------------------------------------------------------------------------

def kindred_by_hand(given, user, now, days, directions) -> np.ndarray:
    """``directions``: of each visit's user, as they were then, and last of the one who asks."""
    votes = np.zeros(ITEMS)
    for (visitor, items, time), cosine in zip(given, directions[:-1] @ directions[-1], strict=True):
        if visitor != user and now - time <= 8 * DAY * days:
            for item in items:
                votes[item] += 2 ** ((time - now) / DAY / days) * np.exp(8 * (cosine - 1))
    return votes


@pytest.mark.parametrize("user", [0, 4, USERS + 5])
def test_every_recent_visit_of_others_votes_by_its_age_and_by_likeness_as_it_was_then(user):
    days, now = 3.0, LAST + DAY
    space = Space(ITEMS, factors=5)
    layer = Kindred(space, days=days)
    past = lived(GIVEN, space, layer, refresh=[CUT])
    touched, directions = faded(GIVEN[:CUT], 0.0, np.inf) > 0, []
    for place, (visitor, items, _) in enumerate(GIVEN):
        touched[visitor, items] |= place >= CUT
        one = touched[visitor] @ space.items
        directions.append(one / np.linalg.norm(one))
    asks = touched[user] @ space.items if user < USERS else np.zeros(5)
    expected = kindred_by_hand(GIVEN, user, now, days, np.array([*directions, asks / max(np.linalg.norm(asks), 1e-12)]))
    assert layer.say(past, user, now)[0] == pytest.approx(share(expected), rel=1e-4)
    assert np.ptp(share(expected)) > 1


def test_visits_older_than_eight_half_lives_and_ones_own_have_no_vote():
    space = Space(ITEMS, factors=2)
    layer = Kindred(space, days=1.0)
    past = lived([(0, np.array([1]), 0.0), (1, np.array([2]), 0.1 * DAY), (0, np.array([3]), 2 * DAY)], space, layer)
    first, votes = layer.votes(past, 1, 8 * DAY)
    assert first == 0 and votes == pytest.approx(np.exp(-8) * np.array([1 / 256, 0, 1 / 64]))
    first, votes = layer.votes(past, 5, 8.05 * DAY)
    assert first == 1 and votes == pytest.approx(np.exp(-8) * 2 ** (np.array([0.1, 2.0]) - 8.05))
    assert layer.say(past, 0, 30 * DAY)[0] == pytest.approx(np.log(RARE)) == layer.say(Past(), 0, 5.0)[0]


# Stratum ------------------------------------------------------------------------------------------------------------------

def test_membership_is_the_softmax_of_likeness_to_the_centres():
    space = Space(ITEMS, factors=5)
    layer = Stratum(space, strata=4, days=6)
    lived(GIVEN, space, layer, refresh=[CUT])
    shares = layer.membership(np.arange(USERS + 3))
    directions = faded(GIVEN, 0.0, np.inf) > 0
    directions = directions @ space.items
    power = np.exp(12 * (directions / np.linalg.norm(directions, axis=1, keepdims=True)) @ layer.centres.T)
    assert shares.shape == (USERS + 3, 4) and shares.sum(axis=1) == pytest.approx(1)
    assert shares[:USERS] == pytest.approx(power / power.sum(axis=1, keepdims=True), rel=1e-4)
    assert (shares[USERS:] == 0.25).all() and shares[:USERS].max() > 0.5
    assert np.linalg.norm(layer.centres, axis=1) == pytest.approx(1)


def test_centres_are_where_the_users_are():
    """Two tastes that share no item: two strata, and everyone belongs to the one of their own taste."""
    space = Space(8, factors=4)
    layer = Stratum(space, strata=2, days=6)
    rng = np.random.default_rng(0)
    tastes = [(user, rng.choice(4, 3, replace=False) + 4 * (user % 2), float(user)) for user in range(30)]
    lived([*tastes, (0, np.array([1]), 40.0)], space, layer, refresh=[30])
    members = layer.membership(np.arange(30))
    own = members.argmax(axis=1)
    assert (members.max(axis=1) > 0.95).all() and own[0] != own[1] and own.tolist() == [own[0], own[1]] * 15


def test_counts_after_a_refresh_and_after_it_are_those_summed_visit_by_visit():
    space, now = Space(ITEMS, factors=5), LAST + 3 * DAY
    layer = Stratum(space, strata=4, days=30)
    at_cut = {}

    class Remember:
        def refresh(self, past, now):
            at_cut.update(members=layer.membership(np.arange(USERS)))

        def see(self, past, user, items, now):
            at_cut.setdefault("later", []).append(layer.membership([user])[0])

    past = lived(GIVEN, space, layer, Remember(), refresh=[CUT])
    expected = np.zeros((4, ITEMS))
    for place, (user, items, time) in enumerate(GIVEN):
        member = at_cut["members"][user] if place < CUT else at_cut["later"][place]
        for item in items:
            expected[:, item] += member * 2 ** ((time - now) / DAY / 30)
    assert layer.counts.at(now) == pytest.approx(expected, rel=1e-5)
    for user in (3, USERS + 1):
        assert layer.say(past, user, now)[0] == pytest.approx(share(layer.membership([user])[0] @ expected), rel=1e-5)


def test_before_the_first_refresh_there_is_one_stratum_and_it_is_the_shop():
    space = Space(ITEMS, factors=5)
    stratum, overall = Stratum(space, strata=4, days=6), Overall(ITEMS, short_days=1, long_days=6)
    past = lived(GIVEN, space, stratum, overall)
    assert stratum.say(past, 2, LAST)[0] == pytest.approx(overall.say(past, 2, LAST)[0])


@pytest.mark.filterwarnings("error")
def test_no_more_strata_are_asked_for_than_there_are_tastes():
    space = Space(ITEMS, factors=5)
    layer = Stratum(space, strata=4, days=6)
    past = lived([(user, np.array([user % 3]), float(user)) for user in range(30)], space, layer)
    for part in (space, layer):
        part.refresh(past, 30.0)
    assert layer.say(past, 0, 30.0)[0][:4] == pytest.approx(np.log([1 / 3 + RARE] * 3 + [RARE]), rel=1e-4)


def test_likeness_is_measured_as_the_tests_do():
    """Users who are alike by hand are alike in the space."""
    space = Space(ITEMS, factors=5)
    space.refresh(lived(GIVEN), LAST)
    found = np.array([space.of(user) for user in range(USERS)])
    assert found @ found.T == pytest.approx(cosines(by_hand_space(GIVEN, 5)[1]), abs=1e-4)
