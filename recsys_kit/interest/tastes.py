"""What the user wants, in layers: by what goes with their history, by category, by the words of titles, by chances not taken."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from scipy import linalg, sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from recsys_kit.interest.past import DAY, Fading, Past, Rows

MANY = 3  # so many items a user, and the users' side is the cheaper one


class Taste:
    """What goes with what the user touched, and lately touched: EASE (Steck, 2019) on a matrix and a history that fade.

    ``x B`` with ``x_i = 2^(-age_i / h)``, for a long and a short half-life h, and B learned from all users' rows of the long one,
    whenever the layer is refreshed. Where items are more than `MANY` times the users, nothing of size items x items is made: as in
    `EASE`, the users' inverse gives the same scores.
    """

    names = ("taste", "recent_taste")

    def __init__(self, n_items: int, *, days: float, recent_days: float, l2: float):
        self.n_items, self.days, self.recent_days, self.l2 = n_items, days, recent_days, l2
        self.weights, self.rows, self.inverse, self.explained = None, None, None, None

    def see(self, past: Past, user: int, items: np.ndarray, now: float) -> None:
        pass

    def say(self, past: Past, user: int, now: float) -> list[np.ndarray]:
        items, times = past.history(user)
        rows = [(2 ** ((times - now) / (DAY * days))).astype(np.float32) for days in (self.days, self.recent_days)]
        return [np.log(np.maximum(self.goes_with(items, x), 0) + 0.01) for x in rows]

    def goes_with(self, items: np.ndarray, x: np.ndarray) -> np.ndarray:
        """``x B``, (items,), for a row that has the values ``x`` at these items and is zero elsewhere."""
        if self.weights is not None:
            return (sparse.csr_array((x, items, [0, len(items)]), shape=(1, self.n_items)) @ self.weights)[0]
        own = np.zeros(self.n_items, np.float32)
        own[items] = x
        if self.rows is None:
            return np.zeros(self.n_items, np.float32)
        return own - (own - self.rows.T @ (self.inverse @ (self.rows @ own))) / (1 - self.explained)

    def towards(self, item: int, items: np.ndarray) -> np.ndarray:
        """``B_ij`` of each of these items i towards one item j: what it adds, had it been touched this moment."""
        if self.weights is not None or self.rows is None:
            return np.zeros(len(items), np.float32) if self.weights is None else self.weights[items, item]
        column = self.rows.T @ (self.inverse @ self.rows[:, [item]].toarray().ravel())
        return np.where(items == item, 0, column[items] / (1 - self.explained[item]))

    def refresh(self, past: Past, now: float) -> None:
        rows = past.matrix(self.n_items, now=now, half_life_days=self.days)
        self.weights = self.rows = self.inverse = self.explained = None
        if rows.shape[0] * MANY < self.n_items:
            self.rows, self.inverse = rows, self._inverse(rows @ rows.T)
            self.explained = rows.multiply(self.inverse @ rows).sum(axis=0).astype(np.float32)
        else:
            self.weights = self._inverse(rows.T @ rows).T  # by rows
            self.weights /= -np.diag(self.weights).copy()
            np.fill_diagonal(self.weights, 0)

    def _inverse(self, products: sparse.csr_array) -> np.ndarray:
        """``(products + l2 I)^-1``, in single precision."""
        dense = products.toarray()
        dense[np.diag_indices_from(dense)] += np.float32(self.l2)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", linalg.LinAlgWarning)  # no digit of such an inverse is right
                return linalg.inv(dense, assume_a="pos", overwrite_a=True, check_finite=False)
        except (linalg.LinAlgError, linalg.LinAlgWarning):
            raise ValueError(f"l2={self.l2!r} is too small for these events, the matrix cannot be inverted; try 1") from None


class Missed:
    """Chances not taken: how much of the shop's trend an item had at the user's earlier visits, summed up.

    Whoever was there while everybody bought it, and did not, will hardly begin now. Memory: users x items x 4 bytes.
    """

    names = ("missed",)

    def __init__(self, n_items: int, *, days: float):
        self.trend, self.chances = Fading(n_items, days), Rows(n_items)

    def see(self, past: Past, user: int, items: np.ndarray, now: float) -> None:
        trend = self.trend.at(now)
        mine = self.chances.of(user)
        mine += trend / max(trend.sum(), 1e-12)
        self.trend.add(items, now)

    def say(self, past: Past, user: int, now: float) -> list[np.ndarray]:
        return [np.log(self.chances.of(user) + 0.003)]

    def refresh(self, past: Past, now: float) -> None:
        pass


class Domain:
    """How much of the user's interest, long and recent, lies in the item's category, at every depth of its path alike.

    ``log((n_c + a f_c) / (n + a))`` per depth, with n_c the user's events in category c, faded by one of two half-lives, f_c the
    category's share of the catalogue, and a = 1: without events of one's own every category has the share it has in the shop.
    """

    names = ("domain", "recent_domain")

    def __init__(self, paths: pd.Series, *, days: float, recent_days: float):
        parts = paths.fillna("").astype("str").str.split("/")
        depths = range(1, int(parts.str.len().max()) + 1)
        self.levels = [pd.factorize(parts.str[:depth].str.join("/"))[0] for depth in depths]
        self.usual = [np.bincount(codes) / len(codes) for codes in self.levels]
        self.profiles = [Fading((64, len(usual)), half_life) for half_life in (days, recent_days) for usual in self.usual]

    def see(self, past: Past, user: int, items: np.ndarray, now: float) -> None:
        for profile, codes in zip(self.profiles, 2 * self.levels, strict=True):
            profile.reach(user)
            profile.add((user, codes[items]), now)

    def say(self, past: Past, user: int, now: float) -> list[np.ndarray]:
        parts = []
        for profile, codes, usual in zip(self.profiles, 2 * self.levels, 2 * self.usual, strict=True):
            counts = profile.at(now, user)
            parts.append(np.log((counts + usual) / (counts.sum() + 1))[codes])
        depths = len(self.levels)
        return [np.sum(parts[:depths], axis=0), np.sum(parts[depths:], axis=0)]

    def refresh(self, past: Past, now: float) -> None:
        pass


class Words:
    """How near an item's title is to the titles of what the user touched: the cosine of their tf-idf vectors."""

    names = ("words",)

    def __init__(self, titles: pd.Series):
        words = TfidfVectorizer(token_pattern=r"[^\W\d_]{3,}")
        try:
            self.table = sparse.csr_array(words.fit_transform(titles.fillna("").astype(str)), dtype=np.float32)
        except ValueError:  # no title has a word
            self.table = sparse.csr_array((len(titles), 1), dtype=np.float32)
        self.profiles = Rows(self.table.shape[1])

    def see(self, past: Past, user: int, items: np.ndarray, now: float) -> None:
        mine = self.profiles.of(user)
        for item in past.new_to(user, items):
            span = slice(self.table.indptr[item], self.table.indptr[item + 1])
            mine[self.table.indices[span]] += self.table.data[span]

    def say(self, past: Past, user: int, now: float) -> list[np.ndarray]:
        mine = self.profiles.of(user)
        return [self.table @ (mine / max(np.linalg.norm(mine), 1e-12))]

    def refresh(self, past: Past, now: float) -> None:
        pass
