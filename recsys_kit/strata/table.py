"""The one form of input of every stratifier: users x columns, numbers only, and the errors a table gets that is not that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from recsys_kit.data.interactions import Interactions
from recsys_kit.schema import SchemaError


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
            raise SchemaError(f"{what} cannot work on a sparse interest matrix of {self.values.shape[1]:,} items.\nTo mend it: make "
                              f"vectors of it first (fusion.Vectors, ten or twenty dimensions), or use kmeans or threshold")
        return self.values


def as_table(data, columns: pd.Index | None = None) -> Table:
    """Check and convert what a stratifier gets.

    data : a DataFrame with one row per user (index: user ids) and nothing but numbers, such as features or learned vectors;
        or `Interactions`, the sparse interest matrix users x items; or a `Table`, which is passed on.
    columns : what the strata were learned from; the same names in another order are put in order.
    Raises `SchemaError` for no rows or columns, users that come twice, columns that are no numbers, missing or infinite values,
    and columns other than those learned from.
    """
    if isinstance(data, Table):
        table = data
    elif isinstance(data, Interactions):
        table = Table(data.users, data.items, sparse.csr_array(data.matrix, dtype=np.float64))
    elif isinstance(data, pd.DataFrame):
        table = _from_frame(data)
    else:
        raise SchemaError(f"strata are learned from a DataFrame (one row per user) or from Interactions, not from a "
                          f"{type(data).__name__}.\nTo mend it: pd.DataFrame(vectors, index=user_ids)")
    return table if columns is None else _like(table, columns)


def _from_frame(frame: pd.DataFrame) -> Table:
    if frame.empty:
        raise SchemaError(f"the table has {len(frame)} users and {frame.shape[1]} columns: there is nothing to make strata of")
    twice = frame.index[frame.index.duplicated()]
    if len(twice):
        raise SchemaError(f"{len(twice):,} rows belong to users that already have one, for instance {_some(twice)}.\nTo mend it: one "
                          f"row per user, as user_features gives; or group by user first")
    wrong = [column for column, kind in frame.dtypes.items() if not pd.api.types.is_numeric_dtype(kind)]
    if wrong:
        raise SchemaError(f"column '{wrong[0]}' holds {frame[wrong[0]].dtype} values: a distance needs numbers.\nTo mend it: leave it "
                          f"out, or make shares or counts of it")
    values = frame.to_numpy(dtype=np.float64, na_value=np.nan)
    broken = ~np.isfinite(values)
    if broken.any():
        place = int(broken.any(axis=0).argmax())
        rows = frame.index[broken[:, place]]
        raise SchemaError(f"column '{frame.columns[place]}': {len(rows):,} missing or infinite values, for instance of users "
                          f"{_some(rows)}.\nTo mend it: fill them with what a missing value means here, or leave the column out")
    return Table(frame.index, frame.columns, values)


def _like(table: Table, columns: pd.Index) -> Table:
    if table.columns.equals(columns):
        return table
    missing, more = columns.difference(table.columns), table.columns.difference(columns)
    if len(missing) or len(more):
        told = f"{len(missing):,} columns are missing ({_some(missing)})" if len(missing) else f"{len(more):,} are new ({_some(more)})"
        raise SchemaError(f"these strata were learned from {len(columns):,} columns; here {told}.\nTo mend it: make the table of new "
                          f"users as the first one was made; Interactions.from_events takes items=")
    order = table.columns.get_indexer(columns)
    return Table(table.users, columns, table.values[:, order])


def _some(names) -> str:
    return ", ".join(map(repr, list(names[:3])))
