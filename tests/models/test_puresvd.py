"""PureSVD is the full decomposition cut short, whatever way it is computed, and always with the same signs."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recsys_kit.data.interactions import Interactions
from recsys_kit.models.puresvd import PureSVD, right_singular
from tests.models.conformance import RankerConformance, history


class TestPureSVD(RankerConformance):
    def make(self):
        return PureSVD(4)


class TestMoreFactorsThanThereAre(RankerConformance):
    def make(self):
        return PureSVD(1000)


def wide(seed=0, n=90, m=130) -> sparse.csr_array:
    return sparse.csr_array((np.random.default_rng(seed).random((n, m)) < 0.1).astype(float))


@pytest.mark.parametrize("users, items", [(30, 20), (150, 90)])  # the dense way, and the sparse
def test_scores_are_the_users_rows_of_the_matrix_cut_to_its_rank(users, items):
    table = history(users=users, items=items, events=1500)
    X = (Interactions.from_events(table).matrix.toarray() > 0).astype(float)
    left, values, right = np.linalg.svd(X, full_matrices=False)
    model = PureSVD(5).fit(table)
    assert np.allclose(model.score(sorted(table["user_id"].unique())), left[:, :5] * values[:5] @ right[:5], atol=1e-8)
    assert np.allclose(model.singular_values_, values[:5])


@pytest.mark.parametrize("matrix", [wide(), wide().T.tocsr(), wide(n=20, m=30)], ids=["wide", "tall", "small"])
def test_right_singular_vectors_are_orthonormal_strongest_first_and_of_fixed_sign(matrix):
    vectors, values = right_singular(matrix, 6)
    assert np.allclose(vectors.T @ vectors, np.eye(6), atol=1e-8) and (np.diff(values) < 0).all()
    assert np.allclose(np.linalg.norm(matrix @ vectors, axis=0), values)
    assert np.allclose(values, np.linalg.svd(matrix.toarray(), compute_uv=False)[:6])
    assert (vectors[np.abs(vectors).argmax(axis=0), range(6)] > 0).all()
    assert np.array_equal(vectors, right_singular(matrix, 6)[0])


def test_no_more_vectors_than_the_matrix_has_rank():
    twice = sparse.csr_array(np.kron(np.eye(3), np.ones((2, 2))))  # six by six, of rank three
    vectors, values = right_singular(twice, 10)
    assert vectors.shape == (6, 3) and np.allclose(values, 2)


@pytest.mark.parametrize("groups", [np.ones((12, 9)), np.ones((9, 12))], ids=["tall", "wide"])
def test_the_sparse_way_gives_no_directions_that_are_not_there_either(groups):
    """They would be any at all, and count in the scores of a history that is not one of the training."""
    vectors, values = right_singular(sparse.csr_array(np.kron(np.eye(10), groups)), 40)
    assert vectors.shape == (10 * groups.shape[1], 10) and np.allclose(values, np.sqrt(108))


def test_with_all_factors_a_history_comes_back_as_it_is():
    X = (Interactions.from_events(history()).matrix.toarray() > 0).astype(float)
    assert np.allclose(PureSVD(1000).fit(history()).score(sorted(history()["user_id"].unique())), X, atol=1e-8)


def test_a_users_place_is_the_history_times_the_items_places():
    model = PureSVD(4).fit(history())
    early = history()["timestamp"].iloc[200]
    assert np.allclose(model.vectors(["u05"], at=early) @ model.item_vectors_.T, model.score(["u05"], at=early))
    assert not model.vectors(["nobody"]).any() and np.isnan(model.score(["nobody"])).all()


def test_an_item_nobody_touched_scores_zero_and_where_nothing_counts_nobody_gets_a_list():
    model = PureSVD(4).fit(history(), items=pd.DataFrame({"item_id": ["new"]}))
    assert abs(model.score(["u01"])[0, model.items_.get_loc("new")]) < 1e-12
    for table in (history(), history(users=100, items=90, events=900)):  # the dense way, and the sparse
        assert PureSVD(4, weights={"return": 1}).fit(table).recommend(["u01"], 3).empty


@pytest.mark.parametrize("factors", [0, 2.5])
def test_the_number_of_factors_is_a_whole_one(factors):
    with pytest.raises(ValueError, match="factors"):
        PureSVD(factors)
