"""The five measures behind `UserBlocks`: each learns from encoded events what all users share, then gives any users their rows.

A measure is made by ``learn``, which answers with a sentence (why there is none) where the log does not allow it. It has
``columns`` and ``rows(seen)``, an array users x columns in which a user's row depends on this user's events alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.linalg import svds

from recsys_kit.data.describe import sessions
from recsys_kit.fusion.signs import fixed_signs
from recsys_kit.schema import BEHAVIOUR, BEHAVIOURS, CATEGORY, CLICK, ITEM, RETURN, SESSION, TIME, USER

PSEUDO_VISITS, PSEUDO_PRICES, PSEUDO_LOOKS = 1, 10, 5  # events of the mean user that every user is given beforehand
KAPPA = 3.5        # concentration of the kernel on the circle of the day: three quarters of its weight lie within two hours
LEAST_USERS = 3    # an item of one user or two says nothing about who else is alike, and would get a dimension of its own
NO_RANK = 1e-6     # singular values below this share of the first are rounding
UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False)
class Seen:
    """Events encoded once for all measures: per event (returns left out) user, item, behaviour, visit; per visit user and hour."""

    users: pd.Index
    items: pd.Index
    user: np.ndarray
    item: np.ndarray
    behaviour: np.ndarray
    visit: np.ndarray
    visit_user: np.ndarray
    visit_hour: np.ndarray

    @classmethod
    def of(cls, events: pd.DataFrame) -> Seen:
        """Encode valid events. Users who only returned things have no event here, but a place among ``users``."""
        user, users = pd.factorize(events[USER], sort=True)
        behaviour = events[BEHAVIOUR].cat.codes.to_numpy()
        kept = np.flatnonzero(behaviour != BEHAVIOURS.index(RETURN))
        rest = {name: events[name].array for name in (ITEM, TIME, SESSION) if name in events}
        log = pd.DataFrame({USER: user} | rest, copy=False)
        log = log if len(kept) == len(log) else log.iloc[kept]
        item, items = pd.factorize(log[ITEM])
        visit = sessions(log).to_numpy()
        start = np.full(visit.max(initial=-1) + 1, np.iinfo(np.int64).max)
        np.minimum.at(start, visit, log[TIME].to_numpy().astype(np.int64))
        visit_user = np.empty(len(start), dtype=np.int64)
        visit_user[visit] = user[kept]
        return cls(pd.Index(users, name=USER), pd.Index(items), user[kept], item, behaviour[kept], visit,
                   visit_user, start // 3600 % 24)

    def sums(self, user: np.ndarray, column: np.ndarray, width: int, weights: np.ndarray | None = None) -> np.ndarray:
        """(users, width) sums of ``weights`` (None: of ones) per user and column."""
        return np.bincount(user * width + column, weights, minlength=len(self.users) * width).reshape(-1, width)


@dataclass(frozen=True, eq=False)
class Categories:
    """One vote per visit, spread evenly over the categories it touches; square roots of a user's shares of votes."""

    names: list[str]
    code: pd.Series  # item id -> place among the names, -1 where its category was not there when this was learned
    neutral: np.ndarray | None = None

    @classmethod
    def learn(cls, seen: Seen, items: pd.DataFrame | None, level: int | None) -> Categories | str:
        if items is None or CATEGORY not in items:
            return "the items have no categories"
        path = items.set_index(ITEM)[CATEGORY]
        if level is not None:
            paths = pd.Series(path.dropna().unique())
            path = path.map(dict(zip(paths, paths.str.split("/").str[:level].str.join("/"), strict=True))).astype("str")
        path = path.fillna(UNKNOWN)
        names = sorted(path.reindex(seen.items).fillna(UNKNOWN).unique())
        if not names:
            return "no events but returns"
        block = cls(names, pd.Series(pd.Index(names).get_indexer(path), index=path.index))
        rows, known = block._shares(seen)
        return cls(names, block.code, rows[known].mean(axis=0))

    @property
    def columns(self) -> list[str]:
        return [f"category_{name}" for name in self.names]

    def rows(self, seen: Seen) -> np.ndarray:
        rows, known = self._shares(seen)
        return np.where(known[:, None], rows, self.neutral)

    def _shares(self, seen: Seen) -> tuple[np.ndarray, np.ndarray]:
        width = len(self.names)
        unknown = self.names.index(UNKNOWN) if UNKNOWN in self.names else -1
        column = self.code.reindex(seen.items, fill_value=unknown).to_numpy()[seen.item]
        votes = column >= 0
        pair = np.sort(seen.visit[votes] * width + column[votes])
        visit, column = np.divmod(pair[np.diff(pair, prepend=-1) > 0], width)  # each pair once
        sums = seen.sums(seen.visit_user[visit], column, width, 1 / np.bincount(visit)[visit])
        total = sums.sum(axis=1)
        return np.sqrt(sums / np.where(total > 0, total, 1)[:, None]), total > 0


@dataclass(frozen=True, eq=False)
class Hours:
    """Shares of visits per hour they begin in, shrunk towards the mean user, smoothed over the circle, under the square root."""

    mean: np.ndarray
    columns = [f"hour_{hour:02d}" for hour in range(24)]

    @classmethod
    def learn(cls, seen: Seen) -> Hours | str:
        visits = seen.sums(seen.visit_user, seen.visit_hour, 24)
        visits = visits[visits.any(axis=1)]
        return cls((visits / visits.sum(axis=1, keepdims=True)).mean(axis=0)) if len(visits) else "no events but returns"

    def rows(self, seen: Seen) -> np.ndarray:
        visits = seen.sums(seen.visit_user, seen.visit_hour, 24)
        shares = (visits + PSEUDO_VISITS * self.mean) / (visits.sum(axis=1, keepdims=True) + PSEUDO_VISITS)
        angle = 2 * np.pi * (np.arange(24)[:, None] - np.arange(24)) / 24
        kernel = np.exp(KAPPA * np.cos(angle))
        return np.sqrt(shares @ (kernel / kernel.sum(axis=0)))


@dataclass(frozen=True, eq=False)
class Prices:
    """Mean price percentile of a user's looks, minus the mean user's, shrunk to nothing where looks are few."""

    percentile: pd.Series
    look: int
    mean: float = 0.0
    columns = ["price_level"]

    @classmethod
    def learn(cls, seen: Seen, percentile: pd.Series | None) -> Prices | str:
        if percentile is None or percentile.isna().all():
            return "no prices"
        block = cls(percentile, look_of(seen))
        level, looks = block._levels(seen)
        return cls(percentile, block.look, level[looks > 0].mean()) if looks.any() else "no look at anything that has a price"

    def rows(self, seen: Seen) -> np.ndarray:
        level, looks = self._levels(seen)
        return ((level - self.mean) * looks / (looks + PSEUDO_PRICES))[:, None]

    def _levels(self, seen: Seen) -> tuple[np.ndarray, np.ndarray]:
        percentile = self.percentile.reindex(seen.items).to_numpy()[seen.item]
        priced = (seen.behaviour == self.look) & ~np.isnan(percentile)
        looks = np.bincount(seen.user[priced], minlength=len(seen.users))
        return np.bincount(seen.user[priced], percentile[priced], minlength=len(seen.users)) / np.maximum(looks, 1), looks


@dataclass(frozen=True, eq=False)
class Acts:
    """How often a look leads on: log rate of each later behaviour per look, shrunk towards the shop's rate."""

    look: int
    later: np.ndarray
    rates: np.ndarray

    @classmethod
    def learn(cls, seen: Seen) -> Acts | str:
        counts = np.bincount(seen.behaviour, minlength=len(BEHAVIOURS))
        look = look_of(seen)
        later = look + 1 + np.flatnonzero(counts[look + 1:])
        return cls(look, later, counts[later] / counts[look]) if len(later) else "nothing but looks"

    @property
    def columns(self) -> list[str]:
        return [f"{BEHAVIOURS[act]}_per_{BEHAVIOURS[self.look]}" for act in self.later]

    def rows(self, seen: Seen) -> np.ndarray:
        counts = seen.sums(seen.user, seen.behaviour.astype(np.int64), len(BEHAVIOURS))
        return np.log((counts[:, self.later] + PSEUDO_LOOKS * self.rates) / (counts[:, [self.look]] + PSEUDO_LOOKS))


@dataclass(frozen=True, eq=False)
class Vectors:
    """Users as sums of the right singular vectors of the items they touched."""

    items: pd.Index
    right: np.ndarray  # (items, dimensions)
    neutral: np.ndarray | None = None

    @classmethod
    def learn(cls, seen: Seen, dimensions: int, rng: np.random.Generator) -> Vectors | str:
        if not dimensions:
            return "there are categories, and vectors were not asked for"
        touched = sparse.csr_array((np.ones(len(seen.user)), (seen.user, seen.item)), shape=(len(seen.users), len(seen.items)))
        touched.sum_duplicates()
        often = np.bincount(touched.indices, minlength=len(seen.items)) >= LEAST_USERS
        block = cls(seen.items[often].sort_values(), np.empty(0))
        matrix = block._matrix(seen)
        dimensions = min(dimensions, min(matrix.shape) - 1)
        if dimensions < 1:
            return f"fewer than two items were touched by at least {LEAST_USERS} users"
        left, values, right = svds(matrix, dimensions, v0=rng.standard_normal(min(matrix.shape)))
        order = np.argsort(-values)
        right = fixed_signs(right[order[values[order] > NO_RANK * values.max()]].T)
        known = np.diff(matrix.indptr) > 0
        return cls(block.items, right, (matrix @ right)[known].mean(axis=0))

    @property
    def columns(self) -> list[str]:
        return [f"vector_{place:02d}" for place in range(1, self.right.shape[1] + 1)]

    def rows(self, seen: Seen) -> np.ndarray:
        matrix = self._matrix(seen)
        return np.where(np.diff(matrix.indptr)[:, None] > 0, matrix @ self.right, self.neutral)

    def _matrix(self, seen: Seen) -> sparse.csr_array:
        """Square roots of the counts of the learned items, every row of length 1 (or empty)."""
        column = self.items.get_indexer(seen.items)[seen.item]
        known = column >= 0
        shape = len(seen.users), len(self.items)
        matrix = sparse.csr_array((np.ones(known.sum()), (seen.user[known], column[known])), shape=shape)
        matrix.sum_duplicates()
        length = np.sqrt(matrix.sum(axis=1))  # of square roots the squares are the counts
        matrix.data = np.sqrt(matrix.data) / np.repeat(length, np.diff(matrix.indptr))
        return matrix


def look_of(seen: Seen) -> int:
    """The behaviour that counts as a look: the click where there are clicks, else the first of the funnel that occurs."""
    there = np.unique(seen.behaviour)
    click = BEHAVIOURS.index(CLICK)
    return click if click in there else int(there.min(initial=BEHAVIOURS.index(RETURN)))
