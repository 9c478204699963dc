"""What a stratifier accepts, and what each broken table is told."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recsys_kit import Interactions
from recsys_kit.schema import SchemaError
from recsys_kit.strata.table import as_table, distinct, require_k, whole

FRAME = pd.DataFrame({"spend": [1.0, 2.0, 4.0], "visits": [3, 1, 2]}, index=["a", "b", "c"])


def interactions(matrix) -> Interactions:
    matrix = sparse.csr_array(np.asarray(matrix, dtype=np.float32))
    users, items = (pd.Index([f"{letter}{n}" for n in range(count)]) for letter, count in zip("ui", matrix.shape, strict=True))
    return Interactions(users, items, matrix, np.zeros(matrix.nnz, dtype=np.int64))


def test_a_frame_becomes_float_rows_with_its_ids_and_names():
    table = as_table(FRAME)
    assert table.values.dtype == np.float64 and table.values.tolist() == [[1, 3], [2, 1], [4, 2]]
    assert table.users.tolist() == ["a", "b", "c"] and table.columns.tolist() == ["spend", "visits"] and len(table) == 3


def test_ids_that_are_numbers_stay_numbers_and_true_counts_one():
    table = as_table(pd.DataFrame({"buys": [True, False], "n": pd.array([1, 2], dtype="Int64")}, index=[7, 3]))
    assert table.users.tolist() == [7, 3] and table.values.tolist() == [[1, 1], [0, 2]]


def test_interactions_stay_sparse():
    table = as_table(interactions([[1, 0, 2], [0, 3, 0]]))
    assert table.is_sparse and table.values.dtype == np.float64 and table.values.toarray().tolist() == [[1, 0, 2], [0, 3, 0]]
    assert table.columns.tolist() == ["i0", "i1", "i2"] and not as_table(FRAME).is_sparse


def test_a_table_is_passed_on_and_some_users_are_taken_by_position():
    table = as_table(FRAME)
    assert as_table(table) is table
    assert table.take(np.array([2, 0])).users.tolist() == ["c", "a"] and table.take(np.array([2])).values.tolist() == [[4, 2]]


@pytest.mark.parametrize(("data", "words"), [
    (FRAME.to_numpy(), "not from a ndarray.\nTo mend it: pd.DataFrame"),
    (FRAME.head(0), "0 users and 2 columns"),
    (FRAME[[]], "3 users and 0 columns"),
    (FRAME.set_axis(["a", "b", "a"]), "1 rows belong to users that already have one, for instance 'a'"),
    (FRAME.set_axis(["x", "x"], axis=1), "1 columns come twice: 'x'"),
    (FRAME.assign(city=["x", "y", "z"]), "column 'city' holds str values"),
    (FRAME.assign(seen=pd.Timestamp("2024")), "column 'seen' holds datetime64"),
    (FRAME.assign(spend=[1, np.nan, np.inf]), "column 'spend': 2 missing or infinite values, for instance of users 'b', 'c'"),
    (FRAME.assign(visits=pd.array([1, None, 2], dtype="Int64")), "column 'visits': 1 missing or infinite values.* 'b'"),
    (FRAME.assign(spend=[1, -3e200, 2]), "column 'spend' holds -3e\\+200; squares of it overflow.\nTo mend it: scale the column"),
    (FRAME.set_axis(pd.MultiIndex.from_product([["shop"], list("abc")])), "2 index levels.\nTo mend it: one id per user"),
    (interactions(np.zeros((0, 3))), "0 users and 3 items"),
    (interactions(np.zeros((3, 0))), "3 users and 0 items"),
    (interactions([[1, 0], [0, np.inf], [2, 0]]), "the interest matrix has 1 missing or infinite values.* 'u1'"),
])
def test_a_broken_table_is_told_what_is_wrong_and_where(data, words):
    with pytest.raises(SchemaError, match=words):
        as_table(data)


def test_weights_whose_squares_overflow_are_named_by_their_item():
    matrix = sparse.csr_array(np.array([[1, 0], [0, 3e200]]))
    with pytest.raises(SchemaError, match="item 'i1' holds 3e\\+200; squares of it overflow"):
        as_table(replace(interactions([[1, 0], [0, 1]]), matrix=matrix))
    assert as_table(FRAME.assign(spend=[1, 2, 1e100])).values.max() == 1e100


def test_columns_are_put_in_the_order_learned():
    assert as_table(FRAME[["visits", "spend"]], FRAME.columns).values.tolist() == FRAME.to_numpy().tolist()
    learned, new = interactions([[1, 2, 3]]), interactions([[4, 5, 6]])
    turned = replace(new, items=pd.Index(["i2", "i0", "i1"]))
    assert as_table(turned, learned.items).values.toarray().tolist() == [[5, 6, 4]]


@pytest.mark.parametrize(("frame", "words"), [
    (FRAME[["spend"]], "2 columns; here 1 columns are missing \\('visits'\\)"),
    (FRAME.assign(age=1), "here 1 are new \\('age'\\)"),
    (FRAME.rename(columns={"spend": 0}), "1 columns are missing \\('spend'\\)"),
])
def test_other_columns_than_those_learned_from_are_refused(frame, words):
    with pytest.raises(SchemaError, match=words):
        as_table(frame, FRAME.columns)


def test_what_cannot_take_a_sparse_matrix_says_so():
    assert as_table(FRAME).dense("ward") is not None
    with pytest.raises(SchemaError, match="ward cannot work on a sparse interest matrix of 2 items"):
        as_table(interactions([[1, 2]])).dense("ward")


def test_different_users_are_counted_by_their_numbers_alone():
    rows = np.array([[0.0, 1], [-0.0, 1], [1, 0], [1, 0], [1, 1]])
    assert distinct(rows, 9) == 3 and distinct(rows, 2) == 2
    stored = sparse.csr_array((np.array([1.0, 0, 1, 2, 2, 1]), np.array([1, 0, 1, 0, 1, 0]), np.array([0, 1, 3, 3, 5, 6])),
                              shape=(5, 2))  # rows: 0 1 | 0 1 with a stored zero | nothing | 2 2 | 1 0
    assert distinct(stored, 9) == 4
    assert distinct(sparse.csr_array((np.array([1.0, 2, 2, 1]), np.array([0, 1, 1, 0]), np.array([0, 2, 4])), shape=(2, 2)), 9) == 1


@pytest.mark.parametrize(("k", "words"), [
    (0, "the number of strata must be at least 1, not 0"), (2.0, "the number of strata must be a whole number, not 2.0"),
    ("3", "the number of strata must be a whole number, not '3'"), (4, "4 strata asked for, but there are only 3 users"),
    (3, "3 strata asked for, but only 2 of the 3 users differ"),
])
def test_k_lies_between_one_and_the_number_of_different_users(k, words):
    table = as_table(FRAME.assign(spend=[1, 1, 2], visits=0))
    with pytest.raises(ValueError, match=f"^kmeans: {words}"):
        require_k(table, k, "kmeans")
    assert require_k(table, np.int64(2), "kmeans") == 2


def test_a_whole_number_may_come_from_numpy():
    assert whole(np.int32(3), 3, "least") == 3
    with pytest.raises(ValueError, match="^least must be at least 3, not 2"):
        whole(2, 3, "least")


def test_one_user_is_one_user():
    with pytest.raises(ValueError, match="there is only 1 user;"):
        require_k(as_table(FRAME.head(1)), 2, "kmeans")
