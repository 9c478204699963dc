"""What an interest state is started with, as arrays: the tree of categories, the items' vectors, the users' memberships."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recsys_kit.data.interactions import encode
from recsys_kit.schema import CATEGORY, ITEM, SchemaError, coerce_ids, coerce_items


def sorted_items(items: pd.DataFrame) -> pd.DataFrame:
    """The items table, checked and sorted by id. Raises `SchemaError`, also for a table without rows."""
    items = coerce_items(items)
    if items.empty:
        raise SchemaError("items: the table has no rows.\nTo mend it: give the whole catalogue, a row per item")
    return items.sort_values(ITEM, ignore_index=True)


def as_tree(items: pd.DataFrame) -> tuple[pd.Index, np.ndarray]:
    """All paths of the "/"-separated categories and of what stands above them, sorted, so that a parent comes before its children.

    Returns them, and what stands above each: the place of a path's parent (-1: it is a root), then, for each item, of its category
    (-1: it has none).
    """
    if CATEGORY not in items:
        return pd.Index([], dtype="str"), np.full(len(items), -1)
    steps = [tuple(step for step in path.split("/") if step) if isinstance(path, str) else () for path in items[CATEGORY]]
    paths = sorted({path[:depth] for path in steps for depth in range(1, len(path) + 1)})
    place = {path: number for number, path in enumerate(paths)} | {(): -1}
    above = np.array([place[path[:-1]] for path in paths] + [place[path] for path in steps], dtype=np.int64)
    return pd.Index(["/".join(path) for path in paths], dtype="str"), above


def depth_of(parent: np.ndarray) -> int:
    """The number of levels of a tree; 0 for no tree."""
    level = np.zeros(len(parent) + 1, dtype=np.int64)  # the last: what stands above the roots
    for place, above in enumerate(parent):
        level[place] = level[above] + 1
    return int(level.max())


def as_vectors(vectors, items: pd.DataFrame) -> np.ndarray:
    """Item vectors (m, d), float32, in the order of the items; items a DataFrame does not name have zeros. None: d = 0."""
    if vectors is None:
        return np.zeros((len(items), 0), np.float32)
    if isinstance(vectors, pd.DataFrame):
        place = encode(vectors.index, pd.Index(items[ITEM]))
        if (place < 0).any() or len(np.unique(place)) < len(place):
            wrong, what = vectors.index[place < 0], "not in the catalogue"
            if not len(wrong):
                wrong, what = vectors.index[vectors.index.duplicated()], "there twice"
            raise ValueError(f"vectors: {wrong[0]!r} is {what}; give one row per item, by its id")
        given, vectors = vectors.to_numpy(dtype=float), np.zeros((len(items), vectors.shape[1]))
        vectors[place] = given
    vectors = np.array(vectors, dtype=np.float32, order="C")
    if vectors.ndim != 2 or len(vectors) != len(items):
        raise ValueError(f"vectors: shape {vectors.shape} for {len(items):,} items; give one row per item, in the order of the "
                         f"sorted ids")
    if not np.isfinite(vectors).all():
        row = int(np.argmin(np.isfinite(vectors).all(axis=1)))
        raise ValueError(f"vectors: no finite number in row {row}; give zeros to an item that has no vector")
    return vectors


def as_membership(membership) -> tuple[pd.Series, pd.Index, np.ndarray]:
    """User ids, names of the strata, and memberships (users, S). A Series of labels is hard: 1 in one's own stratum."""
    if membership is None:
        return pd.Series([], dtype="str"), pd.Index([], dtype="str"), np.zeros((0, 0))
    if isinstance(membership, pd.Series):
        membership = pd.get_dummies(membership, dtype=float)
    users, values = coerce_ids(pd.Series(membership.index)), membership.to_numpy(dtype=np.float64)
    if users.isna().any() or users.duplicated().any():
        raise ValueError("membership: a user id is missing or there twice; give one row per user, by id")
    wrong = ~(np.isfinite(values) & (values >= 0)).all(axis=1)
    if wrong.any():
        raise ValueError(f"membership: user {users[wrong].iloc[0]!r} has no number from 0 on; give a share of each stratum")
    return users, pd.Index(membership.columns.map(str), dtype="str"), values
