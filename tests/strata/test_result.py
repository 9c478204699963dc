"""What strata say of themselves, and what holds whichever method made them."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recsys_kit import Interactions, strata
from recsys_kit.schema import SchemaError
from recsys_kit.strata.result import NOISE, build, nearest, own_squared, squared_distances
from recsys_kit.strata.table import as_table

POINTS = pd.DataFrame({"x": [0.0, 2, 10, 12, 14, 99], "y": [0.0, 0, 0, 0, 3, 0]}, index=list("abcdef"))
MADE = build("by hand", as_table(POINTS), np.array([7, 7, 3, 3, 3, -5]))


def clouds(seed: int = 0, users: int = 120, p: int = 4, k: int = 3, apart: float = 6.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(users, p)) + apart * rng.normal(size=(k, p))[rng.integers(k, size=users)]
    return pd.DataFrame(values, index=[f"u{n}" for n in range(users)], columns=list("abcdefgh"[:p]))


def as_interactions(frame: pd.DataFrame) -> Interactions:
    matrix = sparse.csr_array(frame.to_numpy(dtype=np.float32))
    return Interactions(frame.index, frame.columns, matrix, np.zeros(matrix.nnz, dtype=np.int64))


STRATIFIERS = {
    "kmeans": lambda data: strata.kmeans(data, 3, rng=0),
    "kmeans random": lambda data: strata.kmeans(data, 3, init="random", rng=0),
    "kmeans penalty": lambda data: strata.kmeans(data, 3, penalty=4.0, rng=0),
    "kmeans batch": lambda data: strata.kmeans(data, 3, batch=40, rng=0), "ward": lambda data: strata.ward(data, 3),
    "ward micro": lambda data: strata.ward(data, 3, exact=10, micro=12, rng=0),
    "dbscan": lambda data: strata.dbscan(data, 1.5), "hdbscan": lambda data: strata.hdbscan(data, 8),
    "threshold": lambda data: strata.threshold(data, 0.95)}
ON_SPARSE = ("kmeans", "kmeans random", "kmeans penalty", "kmeans batch", "threshold")


def test_strata_are_numbered_by_size_and_noise_stays_noise():
    assert MADE.labels.to_dict() == {"a": 1, "b": 1, "c": 0, "d": 0, "e": 0, "f": NOISE}
    assert MADE.sizes.to_dict() == {0: 3, 1: 2, NOISE: 1} and MADE.sizes.index.tolist() == [0, 1, NOISE] and MADE.k == 2
    assert repr(MADE) == "Strata(by hand: 2 strata of 6 users, 1 noise)"


def test_of_equally_large_strata_the_one_of_the_first_user_comes_first():
    made = build("by hand", as_table(POINTS), np.array([4, 0, 4, 0, 2, 2]))
    assert made.labels.tolist() == [0, 1, 0, 1, 2, 2]


def test_centres_are_the_means_of_the_members_and_noise_has_no_distance():
    assert MADE.centres.loc[0].tolist() == [12, 1] and MADE.centres.loc[1].tolist() == [1, 0]
    assert MADE.distance[list("abcde")].tolist() == pytest.approx([1, 1, 5**.5, 1, 8**.5]) and np.isnan(MADE.distance["f"])
    assert MADE.inertia == pytest.approx(1 + 1 + 5 + 1 + 8)


def test_the_members_nearest_to_a_centre_by_hand():
    table = MADE.nearest(2)
    assert table.values.tolist() == [[0, "d", 1.0], [0, "c", pytest.approx(5**.5)], [1, "a", 1.0], [1, "b", 1.0]]
    assert table.columns.tolist() == ["stratum", "user_id", "distance"] and len(MADE.nearest(99)) == 5


def test_new_users_go_to_the_nearest_centre_whatever_the_order_of_their_columns():
    new = pd.DataFrame({"y": [0.0, 9.0], "x": [3.0, 11.0]}, index=["p", "q"])
    assert MADE.assign(new).to_dict() == {"p": 1, "q": 0}
    assert MADE.distances(new).loc["p"].tolist() == pytest.approx([82**.5, 2]) and MADE.assign(new).index.name == "user_id"
    with pytest.raises(SchemaError, match="1 columns are missing \\('y'\\)"):
        MADE.assign(new[["x"]])


def test_a_rule_in_raw_numbers_is_translated_and_may_say_noise():
    made = build("by hand", as_table(POINTS), np.array([7, 7, 3, 3, 3, -5]), rule=lambda values: np.array([3, 7, -1, -9]))
    assert made.assign(POINTS.head(4)).tolist() == [0, 1, NOISE, NOISE]


def test_centres_given_are_renumbered_with_their_strata():
    made = build("by hand", as_table(POINTS), np.array([1, 1, 0, 0, 0, 0]), centres=np.array([[12.0, 0], [5.0, 0]]))
    assert made.centres["x"].tolist() == [12, 5] and made.distance["a"] == 5 and made.assign(POINTS.head(1)).tolist() == [1]


def test_membership_by_hand():
    variance = (1 + 1 + 5 + 1 + 8) / (5 * 2)
    user = pd.DataFrame({"x": [6.0], "y": [0.5]}, index=["p"])
    weight = np.array([3, 2]) * np.exp(-np.array([36.25, 25.25]) / (2 * variance))
    assert MADE.membership(user).loc["p"].tolist() == pytest.approx((weight / weight.sum()).tolist(), rel=1e-12)
    weight = np.array([3, 2]) * np.exp(-np.array([36.25, 25.25]) / (2 * 3 * variance))
    assert MADE.membership(user, softness=3).loc["p"].tolist() == pytest.approx((weight / weight.sum()).tolist(), rel=1e-12)


def test_towards_zero_softness_is_the_hard_stratum_and_towards_infinity_the_shares():
    hard, soft = MADE.membership(POINTS, softness=1e-6), MADE.membership(POINTS, softness=1e9)
    assert hard.idxmax(axis=1).tolist() == MADE.assign(POINTS).tolist() and hard.max(axis=1).tolist() == [1] * 6
    assert soft.to_numpy() == pytest.approx(np.tile([0.6, 0.4], (6, 1)), rel=1e-6)
    assert MADE.membership(POINTS * 1e9).sum(axis=1).tolist() == [1] * 6  # far away from everything is still somewhere


def test_where_every_member_sits_on_its_centre_membership_is_hard_and_ties_are_shared():
    made = build("by hand", as_table(POINTS.iloc[[0, 1]]), np.array([0, 1]))
    new = pd.DataFrame({"x": [0.5, 1.0], "y": 0.0}, index=["p", "q"])
    assert made.membership(new).to_numpy().tolist() == [[1, 0], [0.5, 0.5]]


@pytest.mark.parametrize("softness", [0, -1, np.nan])
def test_softness_is_above_zero(softness):
    with pytest.raises(ValueError, match="softness must be above zero"):
        MADE.membership(POINTS, softness=softness)


def test_when_all_are_noise_there_are_no_strata_and_all_questions_have_answers():
    made = build("by hand", as_table(POINTS), np.full(6, NOISE), rule=lambda values: np.full(len(values), NOISE))
    assert made.k == 0 and made.sizes.to_dict() == {NOISE: 6} and made.inertia == 0 and made.distance.isna().all()
    assert made.centres.shape == (0, 2) and made.centres.columns.tolist() == ["x", "y"] and made.nearest().empty
    assert made.assign(POINTS).tolist() == [NOISE] * 6 and made.distances(POINTS).shape == (6, 0)
    assert repr(made) == "Strata(by hand: 0 strata of 6 users, 6 noise)"
    with pytest.raises(ValueError, match="all users are noise"):
        made.membership(POINTS)


def test_all_noise_of_an_interest_matrix_too():
    made = build("by hand", as_table(as_interactions(POINTS)), np.full(6, NOISE))
    assert made.centres.shape == (0, 2) and made.distance.isna().all()


def test_distances_are_exact_beside_a_column_of_large_numbers():
    values = np.array([[1e9, 0.0], [1e9, 1.0], [1e9, 3.0]])
    assert squared_distances(values, values[:2]).tolist() == pytest.approx(np.array([[0, 1], [1, 0], [9, 4]]))
    assert nearest(values, values[:2])[0].tolist() == [0, 1, 1]


def test_distances_of_sparse_rows_are_those_of_dense_ones():
    values, labels, centres = np.eye(4)[[0, 1, 1, 3]] * [[1], [2], [0], [5]], np.array([0, 1, 0, 1]), np.arange(8.0).reshape(2, 4)
    rows, expected = sparse.csr_array(values), ((values - centres[labels]) ** 2).sum(axis=1)
    assert own_squared(rows, labels, centres) == pytest.approx(expected) == own_squared(values, labels, centres)
    assert squared_distances(rows, centres) == pytest.approx(squared_distances(values, centres))
    assert np.array_equal(nearest(rows, centres)[0], nearest(values, centres)[0])


def test_the_nearest_centre_is_the_same_in_blocks(monkeypatch):
    values, centres = clouds().to_numpy(), clouds(1, users=7).to_numpy()
    whole = nearest(values, centres)
    monkeypatch.setattr("recsys_kit.strata.result.BLOCK", 50)
    assert np.array_equal(nearest(values, centres)[0], whole[0]) and nearest(values, centres)[1] == pytest.approx(whole[1])


@pytest.mark.parametrize("name", [name for name in STRATIFIERS if not name.startswith("ward")])
def test_the_users_learned_from_are_assigned_to_their_own_strata(name):
    for data in (clouds(), clouds(3, apart=1.5), pd.concat([clouds(), clouds().set_axis([f"v{n}" for n in range(120)])])):
        made = STRATIFIERS[name](data)
        assert made.k > 0 and made.assign(data).equals(made.labels)
        assert made.assign(data.iloc[::-1]).equals(made.labels.iloc[::-1])


@pytest.mark.parametrize("name", STRATIFIERS)
def test_one_seed_gives_one_result_and_the_result_fits_together(name):
    data = clouds(3, apart=1.5)
    made, again = STRATIFIERS[name](data), STRATIFIERS[name](data.copy())
    assert made.labels.equals(again.labels) and made.centres.equals(again.centres)
    assert made.labels.index.equals(data.index.rename("user_id")) and made.sizes.sum() == 120
    assert made.sizes.drop(NOISE, errors="ignore").is_monotonic_decreasing and (made.sizes > 0).all()
    assert made.centres.columns.equals(data.columns) and made.distance.isna().equals(made.labels == NOISE)
    own = np.sqrt(((data - made.centres.reindex(made.labels).to_numpy()) ** 2).sum(axis=1, skipna=False))
    assert made.distance.to_numpy() == pytest.approx(own.to_numpy(), nan_ok=True)


@pytest.mark.parametrize("name", [name for name in STRATIFIERS if name not in ("kmeans penalty", "kmeans batch")])
def test_centres_are_the_means_of_the_members(name):
    data = clouds(3, apart=1.5)
    made = STRATIFIERS[name](data)
    means = data.groupby(made.labels).mean().drop(NOISE, errors="ignore")
    assert made.centres.to_numpy() == pytest.approx(means.to_numpy(), rel=1e-9)


@pytest.mark.parametrize("name", ON_SPARSE)
def test_an_interest_matrix_gives_the_strata_of_the_same_numbers_in_a_frame(name):
    frame = clouds().clip(lower=0).round()  # whole numbers: float32 and float64 hold the same
    dense, thin = STRATIFIERS[name](frame), STRATIFIERS[name](as_interactions(frame))
    assert thin.labels.equals(dense.labels) and thin.centres.to_numpy() == pytest.approx(dense.centres.to_numpy(), abs=1e-9)
    assert thin.distance.to_numpy() == pytest.approx(dense.distance.to_numpy(), nan_ok=True, abs=1e-6)
    assert thin.assign(as_interactions(frame)).equals(thin.labels) and thin.assign(frame).equals(thin.labels)
    assert thin.membership(as_interactions(frame)).to_numpy() == pytest.approx(dense.membership(frame).to_numpy(), abs=1e-6)


@pytest.mark.parametrize("name", [name for name in STRATIFIERS if name not in ON_SPARSE])
def test_what_cannot_take_an_interest_matrix_says_so(name):
    with pytest.raises(SchemaError, match=f"{name.split()[0]} cannot work on a sparse interest matrix"):
        STRATIFIERS[name](as_interactions(clouds()))


@pytest.mark.parametrize("name", STRATIFIERS)
@pytest.mark.parametrize("broken", [clouds().assign(a=np.nan), clouds().head(0), clouds().assign(a="x")])
def test_every_stratifier_refuses_a_broken_table(name, broken):
    with pytest.raises(SchemaError):
        STRATIFIERS[name](broken)


@pytest.mark.parametrize("name", STRATIFIERS)
def test_a_constant_column_changes_no_stratum(name):
    data = clouds()
    from_origin = name in ("threshold", "kmeans penalty")  # these measure from the origin: only a column of zeros changes nothing
    more = data.assign(z=0.0 if from_origin else 5.0)
    assert STRATIFIERS[name](more).labels.equals(STRATIFIERS[name](data).labels)


@pytest.mark.parametrize("name", STRATIFIERS)
def test_nothing_is_printed_and_nothing_warned(name, capfd, recwarn):
    STRATIFIERS[name](clouds())
    assert capfd.readouterr() == ("", "") and not recwarn.list


def test_at_least_one_member_is_asked_for():
    with pytest.raises(ValueError, match="^nearest: n must be at least 1, not -1"):
        MADE.nearest(-1)
