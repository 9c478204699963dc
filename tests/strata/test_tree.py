"""Ward: scipy's tree without its memory, weights as repeated points, cuts that nest."""

import numpy as np
import pandas as pd
import pytest
from scipy.cluster.hierarchy import cophenet, fcluster, is_valid_linkage, linkage
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import adjusted_rand_score

from recsys_kit import load, prepare, strata, user_features
from recsys_kit.strata.tree import ward_tree


def clouds(users: int = 400, p: int = 4, k: int = 5, seed: int = 0, apart: float = 3.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(users, p)) + apart * rng.normal(size=(k, p))[rng.integers(k, size=users)]
    return pd.DataFrame(values, index=[f"u{n}" for n in range(users)], columns=[f"f{n}" for n in range(p)])


def same_tree(ours: np.ndarray, theirs: np.ndarray) -> bool:
    """The same merges at the same heights: any two leaves meet equally high."""
    return bool(is_valid_linkage(ours) and np.allclose(ours[:, 2], theirs[:, 2], rtol=1e-9, atol=1e-9)
                and np.allclose(cophenet(ours), cophenet(theirs), rtol=1e-9, atol=1e-9)
                and np.array_equal(ours[:, 3], theirs[:, 3]))


@pytest.mark.parametrize(("users", "p"), [(2, 1), (3, 2), (10, 1), (257, 3), (600, 8)])
def test_the_tree_is_scipys(users, p):
    values = clouds(users, p).to_numpy()
    theirs = linkage(values, "ward")
    assert same_tree(ward_tree(values), theirs) and theirs[:, 2].min() > 1e-6


def test_the_tree_is_scipys_on_the_market(market):
    features = prepare.scale(user_features(market.events, items=market.items).head(500))[0]
    assert same_tree(ward_tree(features.to_numpy()), linkage(features.to_numpy(), "ward"))
    _same_strata_as_scipy(features)


def test_the_tree_is_scipys_on_online_retail(real_data):
    events = load("online-retail").events.dropna(subset="user_id").query("behaviour == 'purchase'").head(25_000)
    features = prepare.scale(np.log1p(user_features(events)))[0]
    assert same_tree(ward_tree(features.to_numpy()), linkage(features.to_numpy(), "ward"))
    _same_strata_as_scipy(features)


def _same_strata_as_scipy(features: pd.DataFrame) -> None:
    for k in (2, 3, 7, 20):
        theirs = fcluster(linkage(features.to_numpy(), "ward"), k, "maxclust")
        assert adjusted_rand_score(theirs, strata.ward(features, k).labels) == 1
    theirs = AgglomerativeClustering(7, linkage="ward").fit(features.to_numpy()).labels_
    assert adjusted_rand_score(theirs, strata.ward(features, 7).labels) == 1


def test_a_point_of_weight_three_is_three_points():
    points, weights = clouds(60, 3).to_numpy(), np.random.default_rng(1).integers(1, 6, 60)
    ours, theirs = ward_tree(points, weights), linkage(np.repeat(points, weights, axis=0), "ward")
    assert np.allclose(ours[:, 2], theirs[-59:, 2], rtol=1e-9) and np.allclose(theirs[:-59, 2], 0)
    owner = np.repeat(np.arange(60), weights)
    for k in (2, 5, 20, 60):
        assert adjusted_rand_score(fcluster(ours, k, "maxclust")[owner], fcluster(theirs, k, "maxclust")) == 1
    assert not np.allclose(ours[:, 2], ward_tree(points)[:, 2])


def test_the_heights_by_hand():
    tree = ward_tree(np.array([[0.0], [2.0], [10.0]]), np.array([1, 1, 4]))
    assert tree.tolist() == [[0, 1, 2, 2], [2, 3, pytest.approx((2 * 2 * 4 / 6) ** 0.5 * 9), 3]]


def test_equal_points_and_equal_distances_end_too():
    grid = np.stack(np.meshgrid(np.arange(6.0), np.arange(6.0)), axis=-1).reshape(-1, 2)
    tree = ward_tree(np.repeat(grid, 2, axis=0))
    assert is_valid_linkage(tree) and np.allclose(tree[:36, 2], 0) and tree[36, 2] > 0.9 and (np.diff(tree[:, 2]) >= 0).all()


@pytest.mark.parametrize("settings", [{}, {"exact": 0, "micro": 60, "rng": 0}])
def test_cuts_of_one_tree_nest(settings):
    made = strata.ward(clouds(), 6, **settings)
    levels = [strata.cut(made, k) for k in (1, 2, 5, 6, 7, 20)]
    assert [level.k for level in levels] == [1, 2, 5, 6, 7, 20] and levels[3].labels.equals(made.labels)
    for coarse, fine in zip(levels, levels[1:], strict=False):
        assert (pd.DataFrame({"c": coarse.labels, "f": fine.labels}).groupby("f")["c"].nunique() == 1).all()
    again = strata.cut(levels[0], 6)
    assert again.labels.equals(made.labels) and again.centres.equals(made.centres) and again.method == made.method


def test_a_cut_is_what_ward_gives_for_that_number():
    data = clouds()
    cut, made = strata.cut(strata.ward(data, 3), 8), strata.ward(data, 8)
    assert cut.labels.equals(made.labels) and cut.distance.equals(made.distance) and cut.tree is not None


def test_many_users_are_pre_clustered_and_end_close_to_the_exact_tree():
    data = clouds(1500, apart=4.0)
    exact, quick = strata.ward(data, 5), strata.ward(data, 5, exact=1000, micro=150, rng=0)
    assert adjusted_rand_score(exact.labels, quick.labels) > 0.95 and quick.inertia < 1.02 * exact.inertia
    assert len(exact.tree) == 1499 and len(quick.tree) <= 149 and "micro-strata" in quick.method and exact.method == "Ward"
    assert strata.ward(data, 5, exact=1500, micro=150).tree.shape == exact.tree.shape


def test_with_few_different_users_pre_clustering_loses_nothing():
    data = clouds(40, apart=0.5).sample(900, replace=True, random_state=0).reset_index(drop=True)
    exact, quick = strata.ward(data, 4), strata.ward(data, 4, exact=100, micro=40, rng=0)
    assert adjusted_rand_score(exact.labels, quick.labels) == 1 and len(quick.tree) == 39
    assert np.allclose(exact.tree[-39:, 2], quick.tree[:, 2])  # each of the 40 with the weight of its users


def test_a_user_unlike_all_others_is_never_lost_among_many():
    users = pd.DataFrame({"x": np.r_[np.repeat([0.0, 1.0, 2.0], 7_000), np.arange(10.0, 30.0)]})
    made = strata.ward(users, 23, exact=100, micro=23, rng=0)
    assert made.inertia == pytest.approx(0, abs=1e-9) and made.sizes.tolist() == [7_000] * 3 + [1] * 20


def test_new_users_go_to_the_nearest_centre_though_a_member_may_not():
    data = clouds(apart=1.0)
    made = strata.ward(data, 5)
    nearest = made.distances(data).idxmin(axis=1)
    assert made.assign(data).tolist() == nearest.tolist()
    assert 0.6 < (nearest == made.labels).mean() < 1


def test_one_user_and_one_stratum():
    alone = strata.ward(clouds(1), 1)
    assert alone.sizes.tolist() == [1] and alone.tree.shape == (0, 4) and strata.cut(alone, 1).labels.equals(alone.labels)
    assert strata.ward(clouds(), 1).sizes.tolist() == [400] and strata.ward(clouds(9), 9, micro=2).sizes.tolist() == [1] * 9


def test_equal_users_share_a_stratum():
    data = pd.DataFrame({"x": [1.0, 1.0, 1.0, 0.1, 0.1, 7.0]})
    assert strata.ward(data, 3).labels.tolist() == [0, 0, 0, 1, 1, 2]
    for make in (lambda: strata.ward(data, 4), lambda: strata.cut(strata.ward(data, 2), 4),
                 lambda: strata.ward(data, 4, exact=0, micro=5)):
        with pytest.raises(ValueError, match="4 strata asked for, but only 3 of the 6 users differ"):
            make()


@pytest.mark.parametrize(("k", "arguments", "words"), [
    (0, {}, "must be at least 1"), (401, {}, "401 strata asked for, but there are only 400 users"),
    (5, {"exact": 0, "micro": 4}, "micro, which k cannot exceed, must be at least 5, not 4"),
])
def test_arguments_outside_their_range_are_refused(k, arguments, words):
    with pytest.raises(ValueError, match=f"^ward: .*{words}"):
        strata.ward(clouds(), k, **arguments)


def test_only_a_tree_can_be_cut_and_not_below_its_leaves():
    with pytest.raises(ValueError, match="made by K-Means have no tree; make them with strata.ward"):
        strata.cut(strata.kmeans(clouds(), 2, rng=0), 3)
    with pytest.raises(ValueError, match="51 strata asked for, but the tree begins with (50|4.) micro-strata; give ward a larger"):
        strata.cut(strata.ward(clouds(), 2, exact=0, micro=50, rng=0), 51)


@pytest.mark.parametrize("exact", [-1, None])
def test_exact_is_a_whole_number_from_zero_on(exact):
    with pytest.raises(ValueError, match=f"^ward: exact must be .*, not {exact}"):
        strata.ward(pd.DataFrame({"x": [1.0, 2.0]}), 2, exact=exact)
