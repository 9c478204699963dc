"""What `recsys_kit.load` returns: the common tables of one data set, and the fingerprint that identifies them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True, eq=False)
class Dataset:
    """One data set as common tables (see `recsys_kit.schema`).

    Attributes
    ----------
    name : the name it was asked for by.
    events : one row per event, sorted by time (ties in the source's order). As published: clean it before fitting.
    items, users : one row per item (user), or None where the source has none.
    exposures : one row per shown item, or None.
    truth : everything true about a simulated market (`recsys_kit.data.market.Truth`), None for real data.
    not_products : ids of items that are no products (postage, fees); `prepare.clean` takes them out where it is told so.
    """

    name: str
    events: pd.DataFrame
    items: pd.DataFrame | None = None
    users: pd.DataFrame | None = None
    exposures: pd.DataFrame | None = None
    truth: Any = None
    not_products: tuple[str, ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over events, items and users: equal tables, equal fingerprint, wherever they came from."""
        return fingerprint(self.events, self.items, self.users)

    def __repr__(self) -> str:
        sizes = [f"{len(table):,} {part}" for part, table in vars(self).items() if isinstance(table, pd.DataFrame)]
        return f"Dataset({self.name!r}: {', '.join(sizes)})"


def fingerprint(*tables: pd.DataFrame | None) -> str:
    """SHA-256 (hex) over the tables' column names, types, values and row order; the index plays no part."""
    digest = hashlib.sha256()
    for table in tables:
        digest.update(b"none" if table is None else f"rows {len(table)}".encode())
        for place, name in enumerate(() if table is None else table.columns):
            digest.update(f"|{name}|".encode())
            _add(digest, table.iloc[:, place])
    return digest.hexdigest()


def _add(digest, column: pd.Series) -> None:
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype("str")
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    values = column.to_numpy()
    if values.dtype.kind in "biufmM":
        digest.update(values.dtype.str.encode())
        digest.update(np.ascontiguousarray(values).tobytes())
        return
    texts = column.astype("str").fillna("\x00").tolist()  # \x00 marks a missing value, \x1f ends a value
    digest.update("\x1f".join(texts).encode())
