"""Strata that are there come back from other users; strata of noise do not; and what is shuffled keeps its columns only."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recsys_kit.data.interactions import Interactions
from recsys_kit.schema import SchemaError
from recsys_kit.strata import kmeans, shuffled, stability
from recsys_kit.strata.stability import take


def crowds(users: int = 200, apart: float = 6.0) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(users, 3)) + apart * np.eye(3)[np.arange(users) % 3]
    return pd.DataFrame(values, index=[f"u{number:05d}" for number in range(users)], columns=list("xyz"))


@pytest.fixture(scope="module")
def touched() -> Interactions:
    rng = np.random.default_rng(0)
    events = pd.DataFrame({"user_id": rng.integers(0, 60, 900).astype(str), "item_id": (rng.geometric(0.1, 900)).astype(str),
                           "behaviour": "view", "timestamp": 1_700_000_000 + rng.permutation(900)})
    return Interactions.from_events(events)


def test_planted_strata_are_stable_at_their_number_and_less_so_beyond():
    three, five = (stability(crowds(), k, resamples=5, rng=0) for k in (3, 5))
    assert three.shape == (5,) and three.min() > 0.95 and five.mean() < 0.9


def test_strata_of_noise_are_not_stable():
    assert stability(crowds(apart=0), 4, resamples=5, rng=0).mean() < 0.6


def test_the_halves_share_no_user_and_both_assign_all():
    data, learned, asked = crowds(), [], []

    def spy(part, k, rng):
        found = kmeans(part, k, rng=rng)
        learned.append(list(part.index))

        def watched(values):
            asked.append(len(values))
            return found.rule(values)

        return replace(found, rule=watched)

    stability(data, 3, method=spy, resamples=4, rng=0)
    assert len(learned) == 8 and asked == [200] * 8
    for one, other in zip(learned[::2], learned[1::2], strict=True):
        assert not set(one) & set(other) and set(one) | set(other) == set(data.index)
    assert learned[0] != learned[2]


def test_one_seed_cuts_the_same_halves_for_every_k():
    cuts = {2: [], 3: []}

    def spy(part, k, rng):
        cuts[k].append(list(part.index))
        return kmeans(part, k, rng=rng)

    for k in cuts:
        stability(crowds(), k, method=spy, resamples=2, rng=7)
    assert cuts[2] == cuts[3]
    assert (stability(crowds(), 5, resamples=3, rng=7) == stability(crowds(), 5, resamples=3, rng=7)).all()


def test_of_many_users_ten_thousand_are_drawn_anew_for_each_resample():
    seen = []

    def spy(part, k, rng):
        seen.append(set(part.index))
        return kmeans(part, k, starts=1, rng=rng)

    stability(crowds(12_000), 3, method=spy, resamples=2, rng=0)
    assert [len(half) for half in seen] == [5_000] * 4 and seen[0] | seen[1] != seen[2] | seen[3]


def test_progress_is_told_after_every_resample_and_the_method_gets_what_came_in(touched):
    told, types = [], set()

    def spy(part, k, rng):
        types.add(type(part))
        return kmeans(part, k, rng=rng)

    stability(touched, 2, method=spy, resamples=3, rng=0, progress=lambda *at: told.append(at))
    stability(crowds(), 2, method=spy, resamples=1, rng=0)
    assert told == [(1, 3), (2, 3), (3, 3)] and types == {Interactions, pd.DataFrame}


def test_too_few_users_or_resamples_are_refused():
    with pytest.raises(ValueError, match="4 strata are learned from half of 7 users; that needs 8"):
        stability(crowds(7), 4)
    with pytest.raises(ValueError, match="resamples must be at least 1, not 0"):
        stability(crowds(), 3, resamples=0)
    with pytest.raises(SchemaError, match="nothing to make strata of"):
        stability(crowds().head(0), 3)


def test_twins_that_leave_a_half_with_fewer_different_users_than_strata_are_named():
    with pytest.raises(ValueError, match="only 2 of the"):
        stability(pd.DataFrame({"x": [0.0, 1.0] * 10}), 3)


def test_a_half_with_fewer_different_users_than_strata_has_no_stability_and_the_other_resamples_have():
    rare = pd.DataFrame({"x": [0.0, 1.0] * 10 + [2.0]})  # one half never sees the last user
    assert np.isnan(stability(rare, 3, resamples=4, rng=0)).all() and (stability(rare, 2, resamples=4, rng=0) > 0.5).all()
    few = pd.DataFrame({"x": [0.0, 1.0] * 10 + [2.0, 2.0]})
    some = np.isnan(stability(few, 3, resamples=30, rng=0))
    assert 0 < some.sum() < 30


def test_part_of_an_interest_matrix_keeps_each_entry_with_its_weight_and_time(touched):
    rows = np.array([7, 3, 50])
    part = take(touched, rows)
    assert part.users.tolist() == touched.users[rows].tolist()
    assert (part.matrix.toarray() == touched.matrix.toarray()[rows]).all()
    when = dict(zip(zip(*touched.matrix.nonzero(), strict=True), touched.since, strict=True))
    row, column = part.matrix.nonzero()
    assert part.since.tolist() == [when[rows[r], c] for r, c in zip(row, column, strict=True)]


def test_shuffled_columns_keep_their_values_and_lose_their_company():
    data = crowds(600)
    data["w"] = data["x"] * 2
    mixed = shuffled(data, 0)
    assert mixed.index.equals(data.index) and mixed.columns.equals(data.columns)
    for column in data:
        assert sorted(mixed[column]) == sorted(data[column]) and not mixed[column].equals(data[column])
    assert data["x"].corr(data["w"]) > 0.999 and abs(mixed["x"].corr(mixed["w"])) < 0.2
    assert mixed.equals(shuffled(data, 0)) and not mixed.equals(shuffled(data, 1))


def test_a_shuffled_interest_matrix_keeps_what_each_item_has_and_deals_it_to_other_users(touched):
    mixed = shuffled(touched, 0)
    before, after = touched.matrix.toarray(), mixed.matrix.toarray()
    assert (np.sort(before, axis=0) == np.sort(after, axis=0)).all() and (before != after).any()
    assert mixed.matrix.nnz == touched.matrix.nnz and (mixed.matrix.has_sorted_indices and mixed.matrix.dtype == np.float32)
    for column in range(5):  # weight and time of an entry stay together
        pairs = [sorted(zip(table.matrix.data[place], table.since[place], strict=True))
                 for table in (touched, mixed) for place in [np.flatnonzero(table.matrix.indices == column)]]
        assert pairs[0] == pairs[1]
    assert mixed.users.equals(touched.users) and mixed.rows(mixed.users[:2]).shape == (2, len(touched.items))
    assert (shuffled(touched, 0).matrix != mixed.matrix).nnz == 0


def test_shuffling_takes_the_stability_of_structure_away():
    data = crowds(300, apart=4)
    assert stability(data, 3, resamples=4, rng=0).mean() > stability(shuffled(data, 0), 3, resamples=4, rng=0).mean() + 0.2
