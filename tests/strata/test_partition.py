"""K-Means: the objective and its closed form, scikit-learn's result, and every k that cannot be."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.optimize import minimize
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.metrics import adjusted_rand_score

from recsys_kit import Interactions, load, strata
from recsys_kit.schema import SchemaError
from recsys_kit.strata.partition import best_centres, lloyd, objective

RNG = np.random.default_rng(5)
VALUES = RNG.normal(size=(300, 3)) + 2 * RNG.normal(size=(4, 3))[RNG.integers(4, size=300)]
USERS = pd.DataFrame(VALUES, columns=["x", "y", "z"], index=[f"u{n}" for n in range(300)])


def sklearn_seed(seed: int) -> int:
    """What the kit hands to scikit-learn as its seed."""
    return int(np.random.default_rng(seed).integers(2**31 - 1))


@pytest.mark.parametrize("penalty", [0.0, 3.0, 250.0])
def test_the_closed_form_is_where_a_general_minimiser_ends(penalty):
    labels = np.random.default_rng(1).integers(4, size=300)
    start = np.random.default_rng(2).normal(size=12)
    found = minimize(lambda flat: objective(VALUES, labels, flat.reshape(4, 3), penalty), start, options={"gtol": 1e-8})
    ours = best_centres(VALUES, labels, 4, penalty)
    assert found.x.reshape(4, 3) == pytest.approx(ours, rel=1e-4, abs=1e-6) and np.abs(ours).min() > 1e-3
    assert objective(VALUES, labels, ours, penalty) <= found.fun * (1 + 1e-12)


def test_the_objective_by_hand():
    values, labels, centres = np.array([[1.0, 0], [3.0, 0], [0, 5.0]]), np.array([0, 0, 1]), np.array([[1.0, 1], [0, 4]])
    assert objective(values, labels, centres) == 1 + 5 + 1 and objective(values, labels, centres, 2.0) == 7 + 2 * (2 + 16)


def test_a_stratum_without_members_has_its_centre_at_the_origin():
    assert best_centres(VALUES, np.zeros(300, dtype=int), 2, 0.0)[1].tolist() == [0, 0, 0]


@pytest.mark.parametrize("penalty", [0.0, 1.0, 40.0, 1000.0, 1e5])
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
def test_the_objective_never_rises_and_ends_where_no_user_moves(penalty, make):
    values = make(np.clip(VALUES, 0, None))
    for begin in (VALUES[:6], np.repeat(VALUES[:2], 3, axis=0), np.zeros((6, 3)), 50 + VALUES[:6]):  # some begin with empty strata
        rounds = list(lloyd(values, begin, penalty))
        course = np.array([value for *_, value in rounds])
        assert len(course) > 2 and (np.diff(course) <= 1e-12 * course[0]).all() and course[0] > course[-1]
        centres, labels, value = rounds[-1]
        assert objective(values, labels, centres, penalty) == pytest.approx(value)
        assert best_centres(values, labels, 6, penalty) == pytest.approx(centres, abs=1e-9) and np.abs(centres).max() > 1e-3


def test_an_emptied_stratum_begins_anew_with_the_user_farthest_from_its_centre():
    values = np.array([[0.0], [1.0], [2.0], [30.0], [100.0]])
    first = next(lloyd(values, np.array([[20.0], [500.0], [500.0]])))
    assert first[0].ravel().tolist() == [26.6, 100, 0]  # all five were with the first; 100 is farthest from their mean, then 0
    *_, (centres, labels, value) = lloyd(values, np.array([[20.0], [500.0], [500.0]]))
    assert sorted(centres.ravel()) == pytest.approx([1, 30, 100]) and value == pytest.approx(2)


def test_a_new_beginning_pays_the_penalty_too():
    values, begin = np.array([[3.0], [4.0], [100.0]]), np.array([[5.0], [5000.0]])
    # 3 alone, at 3 / (1 + 1), costs 1/2 3^2 = 4.5 and saves (3 - 107/4)^2 = 564; 100 alone would cost 5,000 and save 5,366
    assert next(lloyd(values, begin, 1.0))[0].ravel().tolist() == [107 / 4, 3 / 2]
    # whoever left here would cost at least 10/11 100^2 = 9,091 and save at most (102 - 302/13)^2 = 6,203
    assert next(lloyd(values * 0 + [[100], [100], [102]], begin, 10.0))[0].ravel().tolist() == [302 / 13, 0]


def test_a_stratum_not_worth_its_penalty_stays_empty():
    few = strata.kmeans(USERS, 6, penalty=1e5, rng=0)
    assert few.k < 6 and few.sizes.sum() == 300 and few.assign(USERS).equals(few.labels)
    assert few.assign(USERS * 0).between(0, few.k - 1).all()  # an empty centre at the origin draws nobody
    assert strata.kmeans(USERS, 6, penalty=1e-3, rng=0).k == 6


def test_the_penalty_draws_centres_to_the_origin_and_costs_inertia():
    plain, drawn = (strata.kmeans(USERS, 4, penalty=penalty, rng=0) for penalty in (0.0, 60.0))
    assert (drawn.centres**2).to_numpy().sum() < (plain.centres**2).to_numpy().sum() and drawn.inertia > plain.inertia
    sums = USERS.groupby(drawn.labels).sum().to_numpy()
    assert drawn.centres.to_numpy() == pytest.approx(sums / (drawn.sizes.to_numpy() + 60)[:, None])


def test_on_centred_columns_no_penalty_joins_what_lies_on_different_sides():
    crowds = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 3)) + 6 * np.eye(3)[np.arange(300) % 3])

    def paid(made):
        return made.inertia + 1e9 * (made.centres**2).to_numpy().sum()

    one, three = (strata.kmeans(crowds - crowds.mean(), k, penalty=1e9, rng=0) for k in (1, 3))
    assert three.k == 3 and paid(three) < paid(one) and 0 < np.abs(three.centres.to_numpy()).max() < 1e-5
    assert three.labels.equals(strata.kmeans(crowds - crowds.mean(), 3, rng=0).labels)


def test_a_penalty_near_zero_gives_what_no_penalty_gives():
    assert strata.kmeans(USERS, 4, penalty=1e-9, rng=0).labels.equals(strata.kmeans(USERS, 4, rng=0).labels)


def test_more_starts_never_end_worse_and_the_best_is_kept():
    made = [strata.kmeans(USERS, 9, init="random", penalty=2.0, starts=starts, rng=3) for starts in (1, 8)]
    few, many = (objective(VALUES, end.labels.to_numpy(), end.centres.to_numpy(), 2.0) for end in made)
    assert many < few


@pytest.mark.parametrize("k", [1, 2, 4, 9])
def test_without_a_penalty_it_is_scikit_learns_k_means(k):
    theirs = KMeans(k, n_init=10, tol=0, random_state=sklearn_seed(0)).fit(VALUES)
    ours = strata.kmeans(USERS, k, rng=0)
    assert adjusted_rand_score(theirs.labels_, ours.labels) == 1 and ours.inertia == pytest.approx(theirs.inertia_, rel=1e-9)


def test_from_given_centres_it_is_scikit_learns_k_means_too():
    for init in (VALUES[:4], pd.DataFrame(VALUES[:4, ::-1], columns=["z", "y", "x"])):
        theirs = KMeans(4, init=VALUES[:4], n_init=1, tol=0).fit(VALUES)
        ours = strata.kmeans(USERS, 4, init=init, starts=99, rng=0)
        assert adjusted_rand_score(theirs.labels_, ours.labels) == 1 and ours.inertia == pytest.approx(theirs.inertia_, rel=1e-9)


def test_the_penalised_form_begins_at_given_centres_as_well():
    ends = [strata.kmeans(USERS, 4, init=VALUES[:4], penalty=5.0, rng=seed) for seed in (0, 1)]
    assert ends[0].labels.equals(ends[1].labels)
    *_, (centres, labels, _) = lloyd(VALUES, VALUES[:4], 5.0)
    assert adjusted_rand_score(labels, ends[0].labels) == 1


def test_mini_batches_end_nearly_as_well_as_all_users_at_once():
    users = pd.concat([USERS + shift for shift in np.linspace(0, 0.5, 8)], ignore_index=True)
    full, batches = strata.kmeans(users, 4, rng=0), strata.kmeans(users, 4, batch=200, rng=0)
    assert full.inertia <= batches.inertia < 1.05 * full.inertia and adjusted_rand_score(full.labels, batches.labels) > 0.9
    theirs = MiniBatchKMeans(4, n_init=10, batch_size=200, random_state=sklearn_seed(0)).fit(users)
    assert adjusted_rand_score(theirs.labels_, batches.labels) == 1


def test_another_seed_may_end_elsewhere():
    first, second = (strata.kmeans(USERS, 9, starts=1, rng=seed).labels for seed in (0, 1))
    assert adjusted_rand_score(first, second) < 1


def test_a_generator_is_used_on():
    rng = np.random.default_rng(0)
    first, second = (strata.kmeans(USERS, 9, starts=1, rng=rng).labels for _ in range(2))
    assert adjusted_rand_score(first, second) < 1 and first.equals(strata.kmeans(USERS, 9, starts=1, rng=0).labels)


def test_one_stratum_holds_all_and_one_user_is_a_stratum():
    assert strata.kmeans(USERS, 1, rng=0).centres.loc[0].tolist() == pytest.approx(VALUES.mean(axis=0).tolist())
    for penalty in (0.0, 1.0):
        alone = strata.kmeans(USERS.head(1), 1, penalty=penalty, rng=0)
        assert alone.sizes.tolist() == [1] and alone.assign(USERS.head(3)).tolist() == [0, 0, 0]
    assert strata.kmeans(USERS.head(1), 1, batch=10, rng=0).sizes.tolist() == [1]


@pytest.mark.parametrize("init", ["random", "k-means++"])
@pytest.mark.parametrize("penalty", [0.0, 1e-6])
def test_as_many_strata_as_different_users_are_the_different_users(init, penalty, recwarn):
    users = pd.DataFrame({"x": [1.0] * 50 + [2.0] * 3 + [9.0]})
    made = strata.kmeans(users, 3, init=init, penalty=penalty, starts=1, rng=0)
    assert made.sizes.tolist() == [50, 3, 1] and made.inertia == pytest.approx(0, abs=1e-9) and not recwarn.list
    with pytest.raises(ValueError, match="4 strata asked for, but only 3 of the 54 users differ"):
        strata.kmeans(users, 4)


def test_equal_starts_are_mended_in_silence(recwarn):
    for seed in range(20):  # scikit-learn warns at some of these, and ends with a stratum too few
        rng = np.random.default_rng(seed)
        different = rng.normal(size=(5, 2))
        users = pd.DataFrame(different[np.r_[:5, rng.integers(5, size=55)]])
        made = strata.kmeans(users, 5, init="random", starts=1, rng=seed)
        assert made.k == 5 and made.inertia == pytest.approx(0, abs=1e-9)
    assert not recwarn.list


@pytest.mark.parametrize(("arguments", "words"), [
    ({"k": 0}, "number of strata must be at least 1"), ({"k": 301}, "301 strata asked for, but there are only 300 users"),
    ({"penalty": -1}, "penalty must be a number from zero on, not -1"), ({"penalty": np.nan}, "penalty"),
    ({"penalty": np.inf}, "penalty"),
    ({"penalty": "a"}, "penalty must be a number, not 'a'"), ({"init": [[1, 2, 3], [1]]}, "init must hold 3 centres of 3 finite"),
    ({"init": [["a", "b", "c"]] * 3}, "init must hold 3 centres of 3 finite numbers"),
    ({"batch": 0}, "batch must be at least 1, not 0"), ({"batch": 10, "penalty": 1.0}, "mini-batches know no penalty"),
    ({"starts": 0}, "starts must be at least 1"),
    ({"init": "kmeans"}, "init='kmeans' is not known; there are 'k-means\\+\\+', 'random'"),
    ({"init": VALUES[:2]}, "init must hold 3 centres of 3 finite numbers, one row each; its shape is \\(2, 3\\)"),
    ({"init": VALUES[:3, :2]}, "its shape is \\(3, 2\\)"), ({"init": VALUES[:3] * np.nan}, "finite numbers"),
])
def test_arguments_outside_their_range_are_refused(arguments, words):
    with pytest.raises(ValueError, match=f"^kmeans: .*{words}"):
        strata.kmeans(USERS, **{"k": 3} | arguments)


def test_given_centres_have_the_tables_columns():
    with pytest.raises(SchemaError, match="1 columns are missing \\('z'\\)"):
        strata.kmeans(USERS, 3, init=USERS[["x", "y"]].head(3))


def test_on_the_purchases_of_online_retail_sparse_and_dense_are_scikit_learns(real_data):
    events = load("online-retail").events.dropna(subset="user_id").query("behaviour == 'purchase' and quantity > 0").head(40_000)
    thin = Interactions.from_events(events)
    frame = pd.DataFrame(thin.matrix.toarray(), index=thin.users, columns=thin.items, dtype=np.float64)
    theirs = KMeans(4, init=frame.to_numpy()[:4], n_init=1, tol=0).fit(frame.to_numpy())
    for data in (thin, frame):
        ours = strata.kmeans(data, 4, init=frame.to_numpy()[:4])
        # among whole numbers many distances are equal, and rounding decides: not every user is the same, but the end is as good
        assert ours.inertia == pytest.approx(theirs.inertia_, rel=1e-3) and ours.assign(data).equals(ours.labels)
