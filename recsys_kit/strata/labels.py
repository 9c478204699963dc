"""Labels of users, as everything that judges or describes strata takes them: one check and one meaning."""

from __future__ import annotations

import numbers

import numpy as np
import pandas as pd

from recsys_kit.schema import SchemaError
from recsys_kit.strata.result import NOISE, STRATUM, Strata


def as_labels(labels, what: str) -> pd.Series:
    """Check labels by user id: Series user id -> stratum, and every negative number becomes `NOISE`.

    labels : ``Strata.labels``, or any Series by user id; strata are numbers from 0 on, or text. what : who asks, for the error.
    Raises `SchemaError` for anything but a Series, no users, users that come twice, and missing labels.
    """
    if isinstance(labels, Strata):
        raise SchemaError(f"{what} takes labels, not all of the strata.\nTo mend it: pass strata.labels")
    if not isinstance(labels, pd.Series):
        raise SchemaError(f"{what} takes labels by user id, not a {type(labels).__name__}.\nTo mend it: pass strata.labels, or "
                          f"pd.Series(labels, index=user_ids)")
    if not len(labels):
        raise SchemaError(f"{what}: there are no labels.\nTo mend it: pass strata.labels, with a label for every user")
    twice = labels.index[labels.index.duplicated()]
    if len(twice):
        raise SchemaError(f"{what}: {len(twice):,} labels belong to users that already have one, for instance {twice[0]!r}.\n"
                          f"To mend it: one label per user")
    missing = labels.index[labels.isna()]
    if len(missing):
        raise SchemaError(f"{what}: {len(missing):,} of {len(labels):,} labels are missing, for instance that of user "
                          f"{missing[0]!r}.\nTo mend it: leave these users out, or label them {NOISE} (noise)")
    if not isinstance(labels.dtype, np.dtype):  # categories and numbers of pandas' own: what they hold
        labels = pd.Series(labels.tolist(), index=labels.index, name=labels.name)
    return labels.mask(_negative(labels), NOISE)


def labels_of(users: pd.Index, labels, what: str) -> pd.Series:
    """The labels of these users, in their order: a Series is matched by user id, an array or list is one label per user.

    Raises `SchemaError` as `as_labels`, for users without a label, and for an array of another length.
    """
    if not isinstance(labels, pd.Series | Strata):
        labels = np.asarray(labels)
        if labels.shape != (len(users),):
            raise SchemaError(f"{labels.size:,} labels for {len(users):,} users.\nTo mend it: one label per user, in the same "
                              f"order, or a Series by user id")
        labels = pd.Series(labels, index=users)
    labels = as_labels(labels, what)
    missing = users.difference(labels.index)
    if len(missing):
        raise SchemaError(f"{len(missing):,} of {len(users):,} users have no label, for instance {missing[0]!r}.\n"
                          f"To mend it: pass the labels of the strata learned from this table, or strata.assign(table)")
    return labels.reindex(users)


def numbered(labels: pd.Series) -> tuple[np.ndarray, pd.Index]:
    """Checked labels as codes 0 .. k-1, noise -1, and the stratum of each code, sorted.

    >>> codes, strata = numbered(as_labels(pd.Series([7, 3, -1, 7], index=list("abcd")), "example"))
    >>> codes.tolist(), strata.tolist()
    ([1, 0, -1, 1], [3, 7])
    """
    known = (labels != NOISE).to_numpy()
    codes = np.full(len(labels), NOISE)
    codes[known], strata = pd.factorize(labels[known], sort=True)
    return codes, pd.Index(strata, name=STRATUM)


def _negative(labels: pd.Series) -> np.ndarray:
    if pd.api.types.is_numeric_dtype(labels.dtype):
        return labels.to_numpy() < 0
    return np.array([isinstance(label, numbers.Real) and label < 0 for label in labels])
