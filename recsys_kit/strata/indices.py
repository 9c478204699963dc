"""How good is a partition of users? The classical indices, for dense tables and sparse interest matrices alike."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse

from recsys_kit.strata.labels import labels_of, numbered
from recsys_kit.strata.result import own_squared, squared_distances, totals
from recsys_kit.strata.table import Table, as_table

EXACT = 10_000  # up to so many users the silhouette sees every pair
SAMPLES, SAMPLE_SIZE = 10, 3_000  # beyond: about as many pairs in all as among 10,000 users
BLOCK = 2_000_000  # distances held at a time: 16 MB


def quality(data, labels, *, rng=None) -> pd.Series:
    """All indices of one partition: within, between, silhouette, silhouette_error, calinski_harabasz, davies_bouldin.

    data : DataFrame users x numbers, or `Interactions`. labels : ``Strata.labels`` (matched by user id), or an array in the order
    of ``data``. Users of no stratum (noise, -1) are left out of every index, so a method that calls the hard users noise looks
    better here than one that must place them: compare such methods by the share of noise as well.

    ``within``             mean over users of the squared distance to the own centre: ``W / n``
    ``between``            mean over users of the squared distance of their centre to the overall mean: ``B / n``; the two add up to
                           the total variance
    ``silhouette``         see `silhouette`; ``silhouette_error`` its standard error
    ``calinski_harabasz``  ``(B / (k - 1)) / (W / (n - k))`` (Calinski and Harabasz, 1974); infinite where ``W`` is 0
    ``davies_bouldin``     ``mean_c max_(d != c) (s_c + s_d) / ||mu_c - mu_d||`` with ``s_c`` the mean distance to the centre
                           (Davies and Bouldin, 1979); small is good

    All but the first two need 2 to n - 1 strata and are nan otherwise. Raises `SchemaError` (see `as_table`), and for users
    without a label, labels that are missing and users labelled twice.
    """
    return qualities(as_table(data), [labels], rng=rng).iloc[0]


def silhouette(data, labels, *, rng=None) -> tuple[float, float]:
    """Mean silhouette (Rousseeuw, 1987) and its standard error; Euclidean distances.

    ``s(i) = (b - a) / max(a, b)``: ``a`` is the mean distance to the own stratum's other users, ``b`` the smallest mean distance to
    the users of another stratum; 0 for a user alone in the stratum. 1 is perfect, 0 is on the border, below it is misplaced.

    Up to 10,000 users every pair counts and the error is 0. Beyond, 10 random samples of 3,000 users are drawn: the mean of
    their silhouettes, and their standard deviation over the root of 10. Nan for fewer than 2 strata or n of n users.
    """
    table = as_table(data)
    (mean, error), = _silhouettes(table, [codes_of(table, labels)], np.random.default_rng(rng))
    return mean, error


def qualities(table: Table, partitions: list, *, rng=None) -> pd.DataFrame:
    """`quality` of several partitions of the same users, one row each; the distances between users are computed once for all."""
    partitions = [codes_of(table, labels) for labels in partitions]
    rows = [_by_centres(table, codes) for codes in partitions]
    for row, (mean, error) in zip(rows, _silhouettes(table, partitions, np.random.default_rng(rng)), strict=True):
        row |= {"silhouette": mean, "silhouette_error": error}
    return pd.DataFrame(rows)[["within", "between", "silhouette", "silhouette_error", "calinski_harabasz", "davies_bouldin"]]


def codes_of(table: Table, labels) -> np.ndarray:
    """Labels as 0 .. k-1 in the order of the table's users, noise -1. Raises `SchemaError` (see `labels_of`)."""
    return numbered(labels_of(table.users, labels, "quality"))[0]


def _by_centres(table: Table, codes: np.ndarray) -> dict[str, float]:
    """What needs no more than the centres and every user's distance to the own one."""
    members, k = np.flatnonzero(codes >= 0), codes.max() + 1
    n = len(members)
    if not n:
        return dict.fromkeys(["within", "between", "calinski_harabasz", "davies_bouldin"], np.nan)
    sums, sizes = totals(table.values, codes, k)
    centres, codes = sums / sizes[:, None], codes[members]
    own = own_squared(table.values if n == len(table) else table.values[members], codes, centres)
    within = own.mean()
    between = sizes @ ((centres - sizes @ centres / n) ** 2).sum(axis=1) / n
    found = {"within": within, "between": between, "calinski_harabasz": np.nan, "davies_bouldin": np.nan}
    if 2 <= k < n:
        found["calinski_harabasz"] = (between / (k - 1)) / (within / (n - k)) if within > 0 else np.inf
        spread = np.bincount(codes, np.sqrt(own), minlength=k) / sizes
        apart = np.sqrt(squared_distances(centres, centres))
        np.fill_diagonal(apart, 0)
        apart[apart == 0] = np.inf  # a stratum does not overlap with itself; centres that fall together as scikit-learn has it
        found["davies_bouldin"] = ((spread[:, None] + spread) / apart).max(axis=1).mean()
    return found


def _silhouettes(table: Table, partitions: list[np.ndarray], rng: np.random.Generator) -> list[tuple[float, float]]:
    """(mean, standard error) per partition."""
    if len(table) <= EXACT:
        return [(mean, 0.0 if np.isfinite(mean) else np.nan) for mean in _mean_silhouettes(table, partitions)]
    means = []
    for _ in range(SAMPLES):
        rows = np.sort(rng.choice(len(table), SAMPLE_SIZE, replace=False))
        means.append(_mean_silhouettes(table.take(rows), [codes[rows] for codes in partitions]))
    # a sample that sees fewer than two strata has no silhouette
    kept = [column[np.isfinite(column)] for column in np.transpose(means)]
    return [(float(column.mean()), float(column.std(ddof=1) / np.sqrt(len(column)))) if len(column) > 1 else (np.nan, np.nan)
            for column in kept]


def _mean_silhouettes(table: Table, partitions: list[np.ndarray]) -> list[float]:
    """Mean silhouette of every partition; one pass over the distances between all users serves them all."""
    groups = [codes.max(initial=-1) + 1 for codes in partitions]
    ends = np.cumsum(groups)
    n = len(table)
    member = np.zeros((n, ends[-1]))
    for codes, end, k in zip(partitions, ends, groups, strict=True):
        inside = np.flatnonzero(codes >= 0)
        member[inside, end - k + codes[inside]] = 1.0
    sizes = member.sum(axis=0)
    values = table.values if table.is_sparse else table.values - table.values.mean(axis=0)
    silhouettes = np.full((len(partitions), n), np.nan)
    step = max(1, BLOCK // n)
    for start in range(0, n, step):
        rows = np.arange(start, min(n, start + step))
        sums = _distances(values, rows) @ member  # summed distance of each of these users to each stratum
        for number, (codes, end, k) in enumerate(zip(partitions, ends, groups, strict=True)):
            silhouettes[number, rows] = _of_sums(sums[:, end - k:end], codes[rows], sizes[end - k:end])
    defined = [2 <= (np.bincount(codes[codes >= 0]) > 0).sum() < (codes >= 0).sum() for codes in partitions]
    return [float(np.nanmean(row)) if fine else np.nan for row, fine in zip(silhouettes, defined, strict=True)]


def _distances(values, rows: np.ndarray) -> np.ndarray:
    """Euclidean distances of some users to all."""
    block = values[rows]
    if sparse.issparse(values):
        product, norm = (block @ values.T).toarray(), np.asarray(values.multiply(values).sum(axis=1)).ravel()
    else:
        product, norm = block @ values.T, np.einsum("ij,ij->i", values, values)
    squared = norm[rows][:, None] - 2 * product + norm
    np.maximum(squared, 0, out=squared)
    return np.sqrt(squared, out=squared)


def _of_sums(sums: np.ndarray, codes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Silhouettes from summed distances (users x strata); nan for noise."""
    place = np.flatnonzero(codes >= 0)
    own = codes[place]
    found = np.full(len(codes), np.nan)
    inner = sums[place, own] / np.maximum(sizes[own] - 1, 1)
    with np.errstate(divide="ignore", invalid="ignore"):  # a stratum may be empty in a sample: nobody is near it
        others = np.where(sizes > 0, sums[place] / sizes, np.inf)
        others[np.arange(len(place)), own] = np.inf
        outer = others.min(axis=1, initial=np.inf)
        value = (outer - inner) / np.maximum(inner, outer)  # both 0: nan, twins in two strata
    found[place] = np.where(sizes[own] > 1, np.nan_to_num(value), 0.0)
    return found
