"""The one form of input of every stratifier: users x columns, numbers only, and the errors a table gets that is not that."""

from __future__ import annotations

import numbers
import operator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from recsys_kit.data.interactions import Interactions
from recsys_kit.schema import SchemaError

LARGEST = 1e100  # the squares of larger numbers, and sums of them, come near the end of floating point


@dataclass(frozen=True, eq=False)
class Table:
    """n users x p columns: their ids, the columns' names, and the numbers (ndarray float64, or csr_array of an interest matrix)."""

    users: pd.Index
    columns: pd.Index
    values: np.ndarray | sparse.csr_array

    def __len__(self) -> int:
        return len(self.users)

    @property
    def is_sparse(self) -> bool:
        return sparse.issparse(self.values)

    def take(self, rows: np.ndarray) -> Table:
        """Some of the users, by position."""
        return Table(self.users[rows], self.columns, self.values[rows])

    def dense(self, what: str) -> np.ndarray:
        """The numbers as an ndarray. Raises `SchemaError` for an interest matrix, which ``what`` cannot take."""
        if self.is_sparse:
            raise SchemaError(f"{what} cannot work on a sparse interest matrix of {self.values.shape[1]:,} items.\nTo mend it: "
                              f"make vectors of it first (ten or twenty dimensions), or use kmeans or threshold")
        return self.values


def as_table(data, columns: pd.Index | None = None) -> Table:
    """Check and convert what a stratifier gets.

    data : a DataFrame with one row per user (index: user ids) and nothing but numbers, such as features or learned vectors;
        or `Interactions`, the sparse interest matrix users x items; or a `Table`, which is passed on.
    columns : what the strata were learned from; the same names in another order are put in order.
    Raises `SchemaError` for no rows or columns, users or columns that come twice, an index of several levels, columns that are no
    numbers, missing or infinite values, values beyond 1e100, and columns other than those learned from.
    """
    if isinstance(data, Table):
        table = data
    elif isinstance(data, Interactions):
        table = _from_interactions(data)
    elif isinstance(data, pd.DataFrame):
        table = _from_frame(data)
    else:
        raise SchemaError(f"strata are learned from a DataFrame (one row per user) or from Interactions, not from a "
                          f"{type(data).__name__}.\nTo mend it: pd.DataFrame(vectors, index=user_ids)")
    return table if columns is None else _like(table, columns)


def whole(value, low: int, what: str) -> int:
    """``value`` as an int. Raises ValueError unless it is a whole number from ``low`` on."""
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{what} must be a whole number, not {value!r}") from None
    if number < low:
        raise ValueError(f"{what} must be at least {low}, not {number}")
    return number


def number(value, what: str) -> float:
    """``value`` as a float. Raises ValueError unless it is a number."""
    if not isinstance(value, numbers.Real):
        raise ValueError(f"{what} must be a number, not {value!r}")
    return float(value)


def require_k(table: Table, k: int, method: str) -> int:
    """``k`` as an int. Raises ValueError unless it lies between 1 and the number of different users."""
    k = whole(k, 1, f"{method}: the number of strata")
    if k > len(table):
        users = "is only 1 user" if len(table) == 1 else f"are only {len(table):,} users"
        raise ValueError(f"{method}: {k:,} strata asked for, but there {users}; ask for fewer strata")
    there = distinct(table.values, k)
    if there < k:
        raise ValueError(f"{method}: {k:,} strata asked for, but only {there:,} of the {len(table):,} users differ from one "
                         f"another in the columns given; ask for at most {there:,} strata, or give columns that tell users apart")
    return k


def distinct(values, enough: int) -> int:
    """Number of different rows; counting stops at ``enough``."""
    seen = set()
    for row in range(values.shape[0]):
        if sparse.issparse(values):
            inside = slice(values.indptr[row], values.indptr[row + 1])
            place = values.indices[inside][values.data[inside] != 0]
            order = np.argsort(place)
            seen.add((place[order].tobytes(), values.data[inside][values.data[inside] != 0][order].tobytes()))
        else:
            seen.add((values[row] + 0.0).tobytes())  # adding makes one zero of -0.0 and 0.0
        if len(seen) >= enough:
            break
    return len(seen)


def _from_interactions(data: Interactions) -> Table:
    if not all(data.matrix.shape):
        raise SchemaError(f"the interest matrix has {len(data.users)} users and {len(data.items)} items: there is nothing to make "
                          f"strata of")
    matrix = sparse.csr_array(data.matrix, dtype=np.float64)
    if matrix.indices.dtype != np.int32 and max(matrix.nnz, *matrix.shape) < 2**31:  # all that scikit-learn takes
        parts = matrix.data, matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32)
        matrix = sparse.csr_array(parts, shape=matrix.shape)
    broken = np.flatnonzero(~np.isfinite(matrix.data))
    if len(broken):
        users = data.users[np.unique(np.searchsorted(matrix.indptr, broken, side="right") - 1)]
        raise SchemaError(f"the interest matrix has {len(broken):,} missing or infinite values, for instance of users "
                          f"{_some(users)}.\nTo mend it: look at weights= of Interactions.from_events")
    huge = np.flatnonzero(np.abs(matrix.data) > LARGEST)
    if len(huge):
        raise SchemaError(f"item {data.items[matrix.indices[huge[0]]]!r} holds {matrix.data[huge[0]]:g}; squares of it overflow.\n"
                          f"To mend it: look at weights= of Interactions.from_events")
    return Table(data.users, data.items, matrix)


def _from_frame(frame: pd.DataFrame) -> Table:
    if frame.empty:
        raise SchemaError(f"the table has {len(frame)} users and {frame.shape[1]} columns: there is nothing to make strata of")
    if isinstance(frame.index, pd.MultiIndex):
        raise SchemaError(f"users are told apart by {frame.index.nlevels} index levels.\nTo mend it: one id per user, such as "
                          f"frame.set_axis(frame.index.map(str))")
    twice = frame.index[frame.index.duplicated()]
    if len(twice):
        raise SchemaError(f"{len(twice):,} rows belong to users that already have one, for instance {_some(twice)}.\nTo mend it: "
                          f"one row per user, as user_features gives; or group by user first")
    again = frame.columns[frame.columns.duplicated()]
    if len(again):
        raise SchemaError(f"{len(again):,} columns come twice: {_some(again)}.\nTo mend it: give every column a name of its own")
    wrong = [column for column, kind in frame.dtypes.items() if not pd.api.types.is_numeric_dtype(kind)]
    if wrong:
        raise SchemaError(f"column '{wrong[0]}' holds {frame[wrong[0]].dtype} values: a distance needs numbers.\nTo mend it: "
                          f"leave it out, or make shares or counts of it")
    values = frame.to_numpy(dtype=np.float64, na_value=np.nan)
    broken = ~np.isfinite(values)
    if broken.any():
        place = int(broken.any(axis=0).argmax())
        rows = frame.index[broken[:, place]]
        raise SchemaError(f"column '{frame.columns[place]}': {len(rows):,} missing or infinite values, for instance of users "
                          f"{_some(rows)}.\nTo mend it: fill them with what a missing value means here, or leave the column out")
    huge = np.abs(values) > LARGEST
    if huge.any():
        row, place = np.argwhere(huge)[0]
        raise SchemaError(f"column '{frame.columns[place]}' holds {values[row, place]:g}; squares of it overflow.\n"
                          f"To mend it: scale the column")
    return Table(frame.index, frame.columns, values)


def _like(table: Table, columns: pd.Index) -> Table:
    if table.columns.equals(columns):
        return table
    missing, more = columns.difference(table.columns, sort=False), table.columns.difference(columns, sort=False)
    if len(missing) or len(more):
        told = (f"{len(missing):,} columns are missing ({_some(missing)})" if len(missing) else
                f"{len(more):,} are new ({_some(more)})")
        raise SchemaError(f"this was learned from {len(columns):,} columns; here {told}.\nTo mend it: make the table of "
                          f"new users as the first one was made; Interactions.from_events takes items=")
    order = table.columns.get_indexer(columns)
    return Table(table.users, columns, table.values[:, order])


def _some(names) -> str:
    return ", ".join(map(repr, list(names[:3])))
