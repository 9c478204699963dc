"""Negatives are items the user never touched, each as likely as the next."""

import numpy as np
import pytest
from scipy import sparse

from recsys_kit.models.negatives import draw, lists, negatives


def some(rng=0, users=40, items=25):
    dense = np.random.default_rng(rng).random((users, items)) < np.linspace(0, 0.95, users)[:, None]
    dense[:, 0], dense[3, -1] = False, True  # everybody has an untouched item; somebody has the last one
    return dense


def test_no_negative_is_an_item_the_user_touched():
    dense = some()
    users = np.repeat(np.arange(len(dense)), 50)
    drawn = negatives(sparse.csr_array(dense), users, 4, rng=1)
    assert drawn.shape == (2000, 4) and 0 <= drawn.min() and drawn.max() < dense.shape[1]
    assert not dense[users[:, None], drawn].any()


def test_every_rank_is_the_untouched_item_of_that_rank():
    dense = some()
    for user in range(len(dense)):
        free = np.flatnonzero(~dense[user])
        uniform = ((np.arange(len(free)) + 0.5) / len(free))[None]
        assert draw(lists(sparse.csr_array(dense)), np.array([user]), uniform)[0].tolist() == free.tolist()


def test_the_ends_of_the_interval_are_the_first_and_the_last_untouched_item():
    dense = np.array([[True, False, True, False, False, True]])
    ends = np.array([[0.0, np.nextafter(1.0, 0)]])
    assert draw(lists(sparse.csr_array(dense)), np.array([0]), ends).tolist() == [[1, 4]]


def test_all_untouched_items_are_equally_likely():
    dense = some()[30:31]
    free = np.flatnonzero(~dense[0])
    counts = np.bincount(negatives(sparse.csr_array(dense), np.zeros(20_000, int), 2, rng=0).ravel(), minlength=dense.shape[1])
    expected = 40_000 / len(free)
    assert (np.abs(counts[free] - expected) < 5 * np.sqrt(expected)).all() and counts.sum() == counts[free].sum()


def test_a_matrix_that_is_not_sorted_and_names_a_pair_twice_is_understood():
    messy = sparse.csr_array((np.ones(4), [3, 0, 3, 1], [0, 4]), shape=(1, 5))
    assert set(negatives(messy, np.zeros(200, int), 1, rng=0).ravel()) == {2, 4}
    assert messy.nnz == 4


def test_the_seed_decides():
    matrix = sparse.csr_array(some())
    assert np.array_equal(negatives(matrix, [1, 2], 9, rng=3), negatives(matrix, [1, 2], 9, rng=3))
    assert not np.array_equal(negatives(matrix, [1, 2], 9, rng=3), negatives(matrix, [1, 2], 9, rng=4))


def test_a_user_with_everything_and_an_unknown_row_are_refused():
    matrix = sparse.csr_array(np.array([[1, 0], [1, 1]]))
    with pytest.raises(ValueError, match="user 1 has touched all 2 items"):
        negatives(matrix, [0, 1], 1)
    for users in ([2], [-1]):
        with pytest.raises(ValueError, match="from 0 to 1"):
            negatives(matrix, users, 1)
    assert negatives(matrix, [], 3).shape == (0, 3)
