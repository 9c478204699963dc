"""Strata by a similarity threshold: the components of the graph, exactly, in whatever blocks it was made."""

from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.pairwise import cosine_similarity

from recsys_kit import Interactions, load, strata
from recsys_kit.strata import NOISE

MODULE = import_module("recsys_kit.strata.threshold")  # strata.threshold is the function
RNG = np.random.default_rng(11)
USERS = pd.DataFrame(RNG.normal(size=(250, 4)) + 2 * RNG.normal(size=(12, 4))[RNG.integers(12, size=250)], columns=list("pqrs"))


def expected(values, tau: float, least: int) -> np.ndarray:
    """Components of the whole matrix of similarities, smaller ones as noise."""
    similarity = cosine_similarity(values)
    group = connected_components(sparse.csr_array(similarity >= tau), directed=False)[1]
    lost = (np.bincount(group)[group] < least) | (np.asarray(abs(values).sum(axis=1)).ravel() == 0)
    return np.where(lost, NOISE, group)


def same(ours: pd.Series, theirs: np.ndarray) -> bool:
    return adjusted_rand_score(theirs, ours) == 1 and np.array_equal(theirs == NOISE, ours == NOISE)


@pytest.mark.parametrize("tau", [0.3, 0.8, 0.95, 0.99, 0.999])
@pytest.mark.parametrize("least", [1, 2, 6])
def test_the_strata_are_the_connected_components(tau, least):
    assert same(strata.threshold(USERS, tau, least=least).labels, expected(USERS.to_numpy(), tau, least))


def test_blocks_change_nothing(monkeypatch):
    whole = strata.threshold(USERS, 0.97)
    assert whole.k > 3
    thin = Interactions(pd.Index([f"u{n}" for n in range(250)]), USERS.columns, sparse.csr_array(USERS.clip(lower=0).to_numpy()),
                        np.zeros(0))
    sparse_whole = strata.threshold(thin, 0.97)
    for block in (1, 700, 5000):
        monkeypatch.setattr(MODULE, "BLOCK", block)
        again = strata.threshold(USERS, 0.97)
        assert again.labels.equals(whole.labels) and again.assign(USERS).equals(whole.labels)
        assert strata.threshold(thin, 0.97).labels.equals(sparse_whole.labels)
        assert sparse_whole.assign(thin).equals(sparse_whole.labels)


def test_a_chain_of_alike_users_is_one_stratum_though_its_ends_are_unlike():
    angle = np.deg2rad(np.arange(0, 91, 10))
    users = pd.DataFrame({"x": np.cos(angle), "y": np.sin(angle)})
    assert strata.threshold(users, 0.98).sizes.tolist() == [10]  # cos 10 degrees = 0.985, cos 90 degrees = 0
    assert strata.threshold(users, 0.99).labels.tolist() == [NOISE] * 10


def test_what_counts_is_direction_and_opposites_are_unlike():
    users = pd.DataFrame({"x": [1.0, 300.0, -1.0, -5.0], "y": [2.0, 600.0, -2.0, -10.0]})
    assert strata.threshold(users, 1.0).labels.tolist() == [0, 0, 1, 1]


def test_at_tau_one_multiples_are_equal_in_spite_of_rounding():
    base = np.random.default_rng(0).normal(size=(50, 7))
    users = pd.DataFrame(np.vstack([base, base * 0.1, base * 7.3])).add_prefix("f")
    thin = Interactions(users.index, users.columns, sparse.csr_array(users.to_numpy()), np.zeros(0))
    for data in (users, thin):
        made = strata.threshold(data, 1.0)
        assert made.sizes.tolist() == [3] * 50 and made.assign(users * 11).equals(made.labels)


@pytest.mark.parametrize("least", [1, 2])
def test_a_user_of_zeros_is_like_nobody(least):
    users = pd.DataFrame({"x": [0.0, 0.0, 1.0, 2.0], "y": 0.0})
    assert strata.threshold(users, 0.1, least=least).labels.tolist() == [NOISE, NOISE, 0, 0]
    nobody = strata.threshold(users * 0, 0.5, least=least)
    assert nobody.k == 0 and nobody.assign(users).tolist() == [NOISE] * 4 and nobody.centres.shape == (0, 2)


def test_new_users_join_the_most_similar_member_or_nobody():
    users = pd.DataFrame([[1.0, 0.0], [1.0, 0.05], [0.0, 1.0], [0.05, 1.0], [1.0, 1.0]], columns=["x", "y"])
    made = strata.threshold(users, 0.95)
    assert made.labels.tolist() == [0, 0, 1, 1, NOISE]
    angle = np.deg2rad([15.0, 80.0, 22.0, 45.0, 180.0])  # a stratum ends at 2.9 degrees; 0.95 are 18.2 degrees
    new = pd.DataFrame({"x": np.cos(angle), "y": np.sin(angle)})
    assert made.assign(new).tolist() == [0, 1, NOISE, NOISE, NOISE]
    wide = strata.threshold(users.head(4), 0.7)  # a new user in the middle has members of both strata in reach
    assert wide.k == 2 and wide.assign(pd.DataFrame({"x": [1.0, 0.9], "y": [0.9, 1.0]})).tolist() == [0, 1]


def test_one_user_is_noise_unless_one_is_enough():
    assert strata.threshold(USERS.head(1), 0.5).labels.tolist() == [NOISE]
    assert strata.threshold(USERS.head(1), 0.5, least=1).labels.tolist() == [0]


@pytest.mark.parametrize(("arguments", "words"), [
    ({"tau": 0}, "tau must lie above 0 and not above 1, not 0"), ({"tau": -0.5}, "tau"), ({"tau": 1.01}, "tau"),
    ({"tau": "a"}, "tau must be a number, not 'a'"),
    ({"tau": np.nan}, "tau"), ({"tau": 0.5, "least": 0}, "least must be at least 1, not 0"),
])
def test_arguments_outside_their_range_are_refused(arguments, words):
    with pytest.raises(ValueError, match=f"^threshold: {words}"):
        strata.threshold(USERS, **arguments)


def test_more_centres_than_memory_holds_are_refused(monkeypatch):
    monkeypatch.setattr(MODULE, "CENTRES", 100)
    with pytest.raises(ValueError, match="groups, each with a centre of 4 numbers, do not fit .* take a larger least, now 1"):
        strata.threshold(USERS, 0.999, least=1)


def test_on_the_purchases_of_retailrocket_the_components_are_those_of_the_whole_matrix(real_data):
    thin = Interactions.from_events(load("retailrocket-bench").events)
    made = strata.threshold(thin, 0.4)
    assert same(made.labels, expected(thin.matrix.astype(np.float64), 0.4, 2)) and made.k > 20
    assert made.assign(thin).equals(made.labels)
