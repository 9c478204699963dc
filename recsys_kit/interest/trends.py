"""What the shop wants now, in layers: as a whole, in the user's strata, among those of like taste.

A layer has ``see(past, user, items, now)``, called for every visit in turn *before* it is added to the past;
``say(past, user, now)``, its columns, (items,) each, a logarithm or a share; and ``refresh(past, now)``, called every so often, for
what is learned from the whole past at once.
"""

from __future__ import annotations

import numpy as np
from sklearn.cluster import KMeans

from recsys_kit.interest.past import DAY, Fading, Past, Rows
from recsys_kit.models.puresvd import right_singular

RARE = 1e-5  # the share that an item without any evidence is given


class Overall:
    """What the whole shop wants: *popular* (long half-life) and *rising*, how much more of it is recent than is usual."""

    names = ("popular", "rising")

    def __init__(self, n_items: int, *, short_days: float, long_days: float):
        self.short, self.long = Fading(n_items, short_days), Fading(n_items, long_days)

    def see(self, past: Past, user: int, items: np.ndarray, now: float) -> None:
        self.short.add(items, now)
        self.long.add(items, now)

    def say(self, past: Past, user: int, now: float) -> list[np.ndarray]:
        short, long = self.short.at(now), self.long.at(now)
        return [shares(long), np.log((short + 0.3) / (long + 3))]

    def refresh(self, past: Past, now: float) -> None:
        pass


class Space:
    """Vectors of items and users in which like tastes are near: truncated SVD of who touched what, a user the sum of theirs."""

    def __init__(self, n_items: int, factors: int = 32):
        self.n_items, self.factors = n_items, factors
        self.items, self.users = np.zeros((n_items, factors), np.float32), Rows(factors)

    def see(self, past: Past, user: int, items: np.ndarray, now: float) -> None:
        mine = self.users.of(user)
        mine += self.items[past.new_to(user, items)].sum(axis=0)

    def of(self, user: int) -> np.ndarray:
        """The user's direction (factors,), zeros for a newcomer."""
        return unit(self.users.of(user))

    def refresh(self, past: Past, now: float) -> None:
        matrix = past.matrix(self.n_items)
        found = right_singular(matrix.astype(np.float64), self.factors)[0]  # in single, noise would pass for directions
        self.items = np.zeros((self.n_items, self.factors), np.float32)
        self.items[:, :found.shape[1]] = found
        self.users.of(matrix.shape[0])[:] = 0
        self.users.values[:matrix.shape[0]] = matrix @ self.items


class Kindred:
    """What those of like taste want now: every recent visit votes for its items with ``2^(-age / h) exp(sharpness (cos - 1))``.

    cos is between the user's direction in the space and the visitor's, as it was with that visit or, if that was later, at the last
    refresh, when all directions change. Visits older than eight half-lives have less than 1/256 of a vote and are left out, so that
    the cost is bounded. One's own visits do not vote.
    """

    names = ("kindred",)

    def __init__(self, space: Space, *, days: float, sharpness: float = 8.0):
        self.space, self.days, self.sharpness = space, days, sharpness
        self.visitors = Rows(space.factors)  # a row per visit

    def see(self, past: Past, user: int, items: np.ndarray, now: float) -> None:
        self.visitors.of(past.visits)[:] = self.space.of(user)

    def say(self, past: Past, user: int, now: float) -> list[np.ndarray]:
        first, votes = self.votes(past, user, now)
        starts = past.starts[first:past.visits + 1]
        items = past.item[starts[0]:starts[-1]]
        return [shares(np.bincount(items, np.repeat(votes, np.diff(starts)), self.space.n_items))]

    def votes(self, past: Past, user: int, now: float) -> tuple[int, np.ndarray]:
        """The first visit that has a vote, and the vote of each from there on."""
        first = past.since(now - 8 * DAY * self.days)
        span = slice(first, past.visits)
        votes = 2 ** ((past.time[span] - now) / (DAY * self.days))
        votes *= np.exp(self.sharpness * (self.visitors.values[span] @ self.space.of(user) - 1))
        votes[past.user[span] == user] = 0
        return first, votes

    def refresh(self, past: Past, now: float) -> None:
        first = past.since(now - 8 * DAY * self.days)  # older visits have no vote any more
        self.visitors.values[first:past.visits] = unit(self.space.users.values[past.user[first:past.visits]])


class Stratum:
    """What the user's strata want now: fading counts per stratum, in which a visit counts by its user's soft membership.

    Strata are clusters (K-Means) of the users' directions; the membership is the softmax of ``sharpness cos`` to their centres.
    A newcomer belongs to all alike.
    """

    names = ("stratum",)

    def __init__(self, space: Space, *, strata: int, days: float, sharpness: float = 12.0):
        self.space, self.strata, self.days, self.sharpness = space, strata, days, sharpness
        self.centres = np.zeros((1, space.factors), np.float32)
        self.counts = Fading((1, space.n_items), days)

    def membership(self, users: np.ndarray) -> np.ndarray:
        """(n, len(centres)) shares of users with these numbers, each row adding up to 1; one stratum until the first refresh."""
        self.space.users.of(int(np.max(users)))
        power = np.exp(self.sharpness * (unit(self.space.users.values[users]) @ self.centres.T))
        return power / power.sum(axis=1, keepdims=True)

    def see(self, past: Past, user: int, items: np.ndarray, now: float) -> None:
        self.counts.add((slice(None), items), now, self.membership([user]).T)

    def say(self, past: Past, user: int, now: float) -> list[np.ndarray]:
        return [shares(self.counts.mixed(now, self.membership([user])[0]))]

    def refresh(self, past: Past, now: float) -> None:
        directions = unit(self.space.users.values[:len(past.last)])
        some = directions[np.linalg.norm(directions, axis=1) > 0]
        if len(np.unique(some, axis=0)) <= self.strata:
            return
        self.centres = unit(KMeans(self.strata, n_init=1, random_state=0).fit(some).cluster_centers_).astype(np.float32)
        self.counts = Fading((self.strata, self.space.n_items), self.days)
        first = past.since(now - 20 * DAY * self.days)  # what is older has less than a millionth left
        members = self.membership(np.arange(len(past.last)))
        for visit in range(first, past.visits):
            self.counts.add((slice(None), past.items_of(visit)), past.time[visit], members[past.user[visit]][:, None])


def shares(counts: np.ndarray) -> np.ndarray:
    """Logarithm of the share of each item, no share below `RARE`."""
    return np.log(counts / max(counts.sum(), 1e-12) + RARE)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows (or one row) of length 1, and zeros where there is nothing."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
