"""Do strata mean anything? How much of what users do differs between strata, against random groups of the same sizes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import sparse

from recsys_kit.schema import SchemaError
from recsys_kit.strata.labels import as_labels, numbered
from recsys_kit.strata.table import as_table, whole


@dataclass(frozen=True)
class Separation:
    """How far strata lie apart in what users do.

    share : R^2, between 0 and 1. null : the same of random groups of the same sizes, one per permutation. p_value : chance of so
    much by luck, at least ``1 / (1 + permutations)``. users : how many were compared.
    """

    share: float
    null: np.ndarray = field(repr=False)
    p_value: float
    users: int

    @property
    def expected(self) -> float:
        """Share that random groups reach on average: about ``(k - 1) / (n - 1)``."""
        return float(self.null.mean())


def separation(labels: pd.Series, profiles, *, permutations: int = 999, rng=None) -> Separation:
    """Share of the sum of squares of the profiles that lies between strata, and its permutation test (PERMANOVA; Anderson, 2001).

    ``R^2 = sum_c n_c ||mu_c - mu||^2 / sum_i ||x_i - mu||^2``, Euclidean. The null gives the labels out anew among the same
    users, so sizes and profiles stay as they are; ``p = (1 + #{null >= R^2}) / (1 + permutations)``.

    labels : ``Strata.labels``; noise (-1) is no stratum and left out. profiles : DataFrame users x numbers (such as what each user
    did *next month*, as shares), or `Interactions`. Users are matched by id; who is missing on one side is left out, and ``users``
    says how many remain. For an honest answer the profiles come from a time or from columns that the strata were not learned
    from: on their own columns strata always separate. The test asks whether the strata differ in mean or in spread of the
    profiles; wide and narrow strata around one mean can give a small p as well when sizes are unequal (Anderson and Walsh, 2013).

    Raises ValueError for fewer than two strata among the matched users, profiles that are all equal, or no permutation;
    `SchemaError` for no matched users, labels that are missing or come twice, and broken profiles (see `as_table`).
    """
    table = as_table(profiles)
    permutations = whole(permutations, 1, "separation: permutations")
    codes, _ = numbered(as_labels(labels, "separation"))
    if (codes < 0).all():
        raise ValueError("separation: all users are noise: there are no strata to compare")
    place = table.users.get_indexer(labels.index)
    matched = (place >= 0) & (codes >= 0)
    if not matched.any():
        raise SchemaError(f"none of the {len(labels):,} users with a stratum has a profile; labels have ids like "
                          f"{labels.index[0]!r}, profiles like {table.users[0]!r}.\nTo mend it: use the same user ids")
    codes = np.unique(codes[matched], return_inverse=True)[1]
    if codes.max() == 0:
        raise ValueError(f"separation: all {len(codes):,} users with a profile are in one stratum; there is nothing to compare")
    values = table.values[place[matched]]
    if not sparse.issparse(values):
        values = values - values.mean(axis=0)  # the same sums of squares with more of their digits
    total = (values**2).sum() - (values.sum(axis=0) ** 2).sum() / len(codes)
    if not total > 1e-12 * (values**2).sum():
        raise ValueError(f"separation: the profiles of the {len(codes):,} users are all equal; there is nothing to separate")
    between = _between(values, np.bincount(codes))
    share = between(codes) / total
    rng = np.random.default_rng(rng)
    null = np.array([between(rng.permutation(codes)) for _ in range(permutations)]) / total
    as_high = np.count_nonzero(null >= share * (1 - 1e-9))  # the same partition again, but for rounding
    return Separation(float(share), null, float((1 + as_high) / (1 + permutations)), len(codes))


def random_like(labels: pd.Series, rng=None) -> pd.Series:
    """Random strata of the same sizes: the same labels, noise too, dealt to the users anew. `SchemaError`: see `as_labels`."""
    labels = as_labels(labels, "random_like")
    return pd.Series(np.random.default_rng(rng).permutation(labels.to_numpy()), index=labels.index, name=labels.name)


def _between(values, sizes: np.ndarray):
    """Sum of squares between groups of these sizes, as a function of the codes. Sums by bincount: no matrix is built per call."""
    k, width = len(sizes), values.shape[1]
    if sparse.issparse(values):
        row, column = np.repeat(np.arange(values.shape[0]), np.diff(values.indptr)), values.indices.astype(np.int64)

        def sums(codes):
            return np.bincount(codes[row] * width + column, values.data, minlength=k * width).reshape(k, width)
    else:
        columns = np.ascontiguousarray(values.T)

        def sums(codes):
            return np.column_stack([np.bincount(codes, column, minlength=k) for column in columns])

    middle = (values.sum(axis=0) ** 2).sum() / values.shape[0]
    return lambda codes: ((sums(codes) ** 2).sum(axis=1) / sizes).sum() - middle
