"""DBSCAN and HDBSCAN: the definition by brute force, scikit-learn's result, noise that stays noise."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist
from sklearn.cluster import DBSCAN, HDBSCAN
from sklearn.metrics import adjusted_rand_score

from recsys_kit import strata
from recsys_kit.strata import NOISE

RNG = np.random.default_rng(7)
RINGS = np.repeat([1.0, 4.0], [120, 240])[:, None] * np.stack(
    [np.cos(np.linspace(0, 50, 360)), np.sin(np.linspace(0, 50, 360))], axis=1) + 0.08 * RNG.normal(size=(360, 2))
USERS = pd.DataFrame(np.vstack([RINGS, RNG.uniform(-9, 9, size=(40, 2))]), columns=["x", "y"], index=[f"u{n}" for n in range(400)])


def test_the_definition_by_brute_force():
    radius, least = 0.6, 5
    apart = cdist(USERS, USERS)
    core = (apart <= radius).sum(axis=1) >= least
    made = strata.dbscan(USERS, radius, least)
    labels = made.labels.to_numpy()
    joined = (apart <= radius) & core & core[:, None]
    assert core.any() and not core.all() and (labels[core] != NOISE).all()
    assert (labels[np.nonzero(joined)[0]] == labels[np.nonzero(joined)[1]]).all()  # core users in reach share a stratum
    assert made.k == number_of_groups(joined, core)
    for user in np.flatnonzero(~core):
        nearest = np.where(core, apart[user], np.inf).argmin()
        assert labels[user] == (labels[nearest] if apart[user, nearest] <= radius else NOISE)


def number_of_groups(joined: np.ndarray, core: np.ndarray) -> int:
    """Number of connected groups of core users, by plain search."""
    left, groups = set(np.flatnonzero(core)), 0
    while left:
        groups, open_ = groups + 1, [left.pop()]
        while open_:
            near = left & set(np.flatnonzero(joined[open_.pop()]))
            left -= near
            open_ += near
    return groups


def test_it_is_scikit_learns_dbscan_for_core_users_and_noise():
    for radius, least in ((0.4, 3), (0.6, 5), (2.0, 20)):
        theirs = DBSCAN(eps=radius, min_samples=least).fit(USERS)
        ours = strata.dbscan(USERS, radius, least).labels.to_numpy()
        core = theirs.core_sample_indices_
        assert adjusted_rand_score(theirs.labels_[core], ours[core]) == 1 and np.array_equal(theirs.labels_ == -1, ours == NOISE)


def test_rings_are_found_where_k_means_cuts_them():
    truth = np.repeat([0, 1], [120, 240])
    found = strata.dbscan(USERS, 0.6).labels[:360]
    assert adjusted_rand_score(truth, found) > 0.95 > 0.5 > adjusted_rand_score(truth, strata.kmeans(USERS, 2, rng=0).labels[:360])


def test_a_user_between_two_strata_joins_the_nearer_core_user():
    line = pd.DataFrame({"x": [0.0, 0, 0, 0.2, 1.15, 2.0, 2.5, 2.5, 2.5]})  # 1.15 is no core user, and in reach of 0.2 and 2.0
    made = strata.dbscan(line, 1.0, 4)
    assert made.labels.tolist() == [1, 1, 1, 1, 0, 0, 0, 0, 0] and made.assign(line).equals(made.labels)


def test_new_users_join_a_core_user_in_reach_and_are_noise_elsewhere():
    line = pd.DataFrame({"x": [0.0, 1, 2, 3, 10, 11, 12, 50]})
    made = strata.dbscan(line, 1.0, 3)  # core: 1, 2 and 11
    assert made.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, NOISE]
    new = pd.DataFrame({"x": [3.0, 3.01, 11.9, 12.1, 1.5, 50.0, -1.0]})
    assert made.assign(new).tolist() == [0, NOISE, 1, NOISE, 0, NOISE, NOISE]


def test_hdbscan_is_scikit_learns():
    for least in (5, 20):
        theirs = HDBSCAN(min_cluster_size=least, copy=True).fit(USERS).labels_
        ours = strata.hdbscan(USERS, least).labels.to_numpy()
        assert adjusted_rand_score(theirs, ours) == 1 and np.array_equal(theirs == -1, ours == NOISE) and (ours >= 0).any()


def test_new_users_of_hdbscan_join_the_nearest_user_within_that_ones_core_distance():
    made = strata.hdbscan(USERS, 10)
    apart = cdist(USERS, USERS)
    core = np.sort(apart, axis=1)[:, 9]  # the user counted
    new = pd.DataFrame(np.random.default_rng(1).uniform(-6, 6, size=(300, 2)), columns=["x", "y"])
    to_known = cdist(new, USERS)
    nearest = to_known.argmin(axis=1)
    expected = np.where(to_known.min(axis=1) <= core[nearest], made.labels.to_numpy()[nearest], NOISE)
    assert made.assign(new).tolist() == expected.tolist() and 0 < (expected == NOISE).sum() < 300


@pytest.mark.parametrize("make", [lambda users: strata.dbscan(users, 1e-6), lambda users: strata.hdbscan(users, 300)])
def test_where_all_are_noise_there_are_no_strata(make, recwarn):
    made = make(USERS)
    assert made.k == 0 and made.sizes.to_dict() == {NOISE: 400} and made.centres.shape == (0, 2) and made.nearest().empty
    assert made.assign(USERS).equals(made.labels) and made.distances(USERS).shape == (400, 0) and not recwarn.list


def test_fewer_users_than_least_are_noise():
    for count in (1, 4):
        assert strata.dbscan(USERS.head(count), 1.0, 5).labels.tolist() == [NOISE] * count
        assert strata.hdbscan(USERS.head(count), 5).labels.tolist() == [NOISE] * count
    assert strata.dbscan(USERS.head(1), 1.0, 1).sizes.tolist() == [1]


def test_many_equal_users_are_one_crowded_place(recwarn):
    users = pd.DataFrame({"x": [0.1] * 30 + [5.3] * 20 + [9.0]})
    made = strata.dbscan(users, 0.5)
    assert made.sizes.to_dict() == {0: 30, 1: 20, NOISE: 1} and made.inertia == pytest.approx(0, abs=1e-12)
    made = strata.hdbscan(users, 5)
    assert made.assign(users).equals(made.labels) and made.labels.groupby(users["x"]).nunique().max() == 1 and not recwarn.list


def test_many_columns_are_searched_as_exactly_as_few():
    wide = pd.DataFrame(np.hstack([USERS, np.zeros((400, 38))])).add_prefix("f")
    assert strata.dbscan(wide, 0.6).labels.tolist() == strata.dbscan(USERS, 0.6).labels.tolist()
    made = strata.hdbscan(pd.concat([wide, wide], ignore_index=True), 8)
    assert made.k > 0 and made.assign(pd.concat([wide, wide], ignore_index=True)).equals(made.labels)


def test_the_radius_at_the_knee_separates_crowds_from_noise():
    rng = np.random.default_rng(3)
    truth = np.repeat([0, 1, 2], 120)
    crowds = np.array([[0, 0], [8, 0], [0, 8]])[truth] + rng.normal(size=(360, 2))
    users = pd.DataFrame(np.vstack([crowds, rng.uniform(-20, 20, size=(40, 2))]))
    radius = strata.knee_radius(users)
    distance = np.sort(np.sort(cdist(users, users), axis=1)[:, 4])
    fall = (distance - distance[0]) / (distance[-1] - distance[0]) - np.linspace(0, 1, 400)
    assert radius == pytest.approx(distance[fall.argmin()])
    found = strata.dbscan(users, radius).labels
    assert adjusted_rand_score(truth, found[:360]) > 0.9 and (found[360:] == NOISE).mean() > 0.5
    half = pd.concat([USERS, pd.DataFrame(np.zeros((400, 2)), columns=["x", "y"])], ignore_index=True)
    assert strata.knee_radius(half) > 0.1  # 400 equal users have no distances of their own


@pytest.mark.parametrize(("call", "words"), [
    (lambda: strata.dbscan(USERS, 0), "^dbscan: radius must be a number above zero, not 0"),
    (lambda: strata.dbscan(USERS, np.nan), "radius"), (lambda: strata.dbscan(USERS, np.inf), "radius"),
    (lambda: strata.dbscan(USERS, 1.0, 0), "^dbscan: least must be at least 1, not 0"),
    (lambda: strata.dbscan(USERS, 1.0, 2.5), "^dbscan: least must be a whole number"),
    (lambda: strata.hdbscan(USERS, 1), "^hdbscan: least must be at least 2, not 1"),
    (lambda: strata.knee_radius(USERS, 1), "^knee_radius: least must be at least 2"),
    (lambda: strata.knee_radius(USERS, 401), "least=401 is more than there are users, 400"),
    (lambda: strata.knee_radius(pd.DataFrame({"x": [1.0] * 9}), 5), "every user has 5 equals or more"),
])
def test_arguments_outside_their_range_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_radius_that_holds_too_many_pairs_is_refused_before_memory_is_gone():
    with pytest.raises(ValueError, match="within 100 a user has 11,000 neighbours on average, too many for 11,000 users"):
        strata.dbscan(pd.DataFrame(np.random.default_rng(0).normal(size=(11_000, 2)), columns=["x", "y"]), 100.0)


def test_a_radius_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="^dbscan: radius must be a number, not None"):
        strata.dbscan(USERS, None)
