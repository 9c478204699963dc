"""A planted separation is found, random strata are not, and random strata get every p-value equally often."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recsys_kit.data.interactions import Interactions
from recsys_kit.schema import SchemaError
from recsys_kit.strata.separation import random_like, separation

USERS = pd.Index([f"u{number:03d}" for number in range(300)])


def planted(shift: float, seed: int = 0) -> tuple[pd.Series, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    labels = pd.Series(rng.choice(3, len(USERS), p=[0.6, 0.3, 0.1]), index=USERS)
    return labels, pd.DataFrame(rng.normal(size=(len(USERS), 4)) + shift * labels.to_numpy()[:, None], index=USERS)


def test_the_share_is_the_textbook_one():
    labels, profiles = planted(0.5)
    centres = profiles.groupby(labels).transform("mean")
    total = ((profiles - profiles.mean()) ** 2).sum().sum()
    between = ((centres - profiles.mean()) ** 2).sum().sum()
    assert separation(labels, profiles, permutations=1).share == pytest.approx(between / total)


def test_a_planted_separation_is_found_and_random_strata_of_the_same_sizes_show_none():
    labels, profiles = planted(0.5)
    found = separation(labels, profiles, permutations=199, rng=0)
    assert found.p_value == 1 / 200 and found.share > 5 * found.null.max()
    lost = separation(random_like(labels, 1), profiles, permutations=199, rng=0)
    assert lost.p_value > 0.05 and lost.share < 5 * lost.expected


def test_without_separation_every_p_value_is_equally_likely():
    p = np.array([separation(*planted(0.0, seed), permutations=39, rng=seed).p_value for seed in range(200)])
    assert abs(p.mean() - 0.5) < 4 / np.sqrt(12 * 200)
    assert 0 < np.mean(p <= 0.1) < 0.2 and p.min() >= 1 / 40 and p.max() <= 1


def test_random_groups_are_expected_to_take_k_minus_1_of_n_minus_1():
    labels, profiles = planted(0.5)
    found = separation(labels, profiles, permutations=400, rng=0)
    assert found.expected == pytest.approx(2 / 299, rel=0.1) and len(found.null) == 400


def test_a_sparse_matrix_gives_what_its_dense_table_gives():
    labels, _ = planted(0)
    counts = np.random.default_rng(1).poisson(0.1 + 0.1 * labels.to_numpy()[:, None], (len(USERS), 50)).astype(np.float32)
    matrix = sparse.csr_array(counts)
    thin = Interactions(USERS, pd.Index(map(str, range(50))), matrix, np.zeros(matrix.nnz, dtype=np.int64))
    dense = separation(labels, pd.DataFrame(counts, index=USERS), permutations=50, rng=0)
    sparse_found = separation(labels, thin, permutations=50, rng=0)
    assert sparse_found.share == pytest.approx(dense.share) and np.allclose(sparse_found.null, dense.null, rtol=1e-9, atol=0)
    assert sparse_found.p_value == dense.p_value


def test_users_are_matched_by_id_and_noise_is_left_out():
    labels, profiles = planted(0.5)
    some = profiles.iloc[::-1].iloc[:200]
    found = separation(labels, some, permutations=19, rng=0)
    assert found.users == 200 and found.share == pytest.approx(separation(labels[some.index], some, permutations=1).share)
    noisy = labels.where(labels != 2, -1)
    kept = labels[labels != 2]
    assert separation(noisy, profiles, permutations=1).share == pytest.approx(
        separation(kept, profiles.loc[kept.index], permutations=1).share)


def test_far_from_the_origin_nothing_changes():
    labels, profiles = planted(0.5)
    near, far = (separation(labels, profiles + shift, permutations=30, rng=0) for shift in (0, 1e7))
    assert far.share == pytest.approx(near.share) and far.p_value == near.p_value


def test_a_permutation_that_gives_the_same_partition_counts_as_as_high():
    labels = pd.Series([0, 1], index=["a", "b"])
    assert separation(labels, pd.DataFrame({"x": [0.1, 0.7]}, index=["a", "b"]), permutations=9).p_value == 1


def test_random_strata_have_the_same_sizes_and_the_same_users():
    labels = pd.Series([0, 0, 0, 1, 1, -1] * 20, index=[f"u{n}" for n in range(120)], name="stratum")
    dealt = random_like(labels, 0)
    assert dealt.value_counts().equals(labels.value_counts()) and dealt.index.equals(labels.index) and dealt.name == "stratum"
    assert not dealt.equals(labels) and dealt.equals(random_like(labels, 0))


def test_what_cannot_be_compared_is_refused_in_words():
    labels, profiles = planted(0.5)
    with pytest.raises(ValueError, match="all 300 users with a profile are in one stratum"):
        separation(labels * 0, profiles)
    with pytest.raises(SchemaError, match="none of the 300 users with a stratum has a profile.*ids like 'u000'.*'x000'"):
        separation(labels, profiles.rename(index=lambda user: user.replace("u", "x")))
    with pytest.raises(ValueError, match="all users are noise: there are no strata to compare"):
        separation(labels * 0 - 1, profiles)
    for same in (0.0, 0.1, 1e9 + 0.1):
        with pytest.raises(ValueError, match="are all equal"):
            separation(labels, profiles * 0 + same)
    alike = sparse.csr_array(np.full((len(USERS), 3), 0.7))
    with pytest.raises(ValueError, match="are all equal"):
        separation(labels, Interactions(USERS, pd.Index(list("abc")), alike, np.zeros(alike.nnz, dtype=np.int64)))
    with pytest.raises(SchemaError, match="missing or infinite"):
        separation(labels, profiles.mask(profiles > 2))
    with pytest.raises(ValueError, match="permutations must be at least 1"):
        separation(labels, profiles, permutations=0)


def test_on_the_market_true_strata_differ_in_what_is_touched_and_random_ones_do_not(market):
    touched = Interactions.from_events(market.events)
    true = market.truth.users["stratum"]
    assert separation(true, touched, permutations=39, rng=0).p_value == 1 / 40
    assert separation(random_like(true, 5), touched, permutations=39, rng=0).p_value > 1 / 40
