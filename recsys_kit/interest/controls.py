"""Controls for the stratum layer: strata that know nothing of the user. What they add, chance adds."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from recsys_kit.interest.past import Past
from recsys_kit.interest.trends import Stratum


class RandomStrata(Stratum):
    """As many strata, each user in one of them, drawn at random once and for ever."""

    names = ("random_strata",)

    def membership(self, users: np.ndarray) -> np.ndarray:
        users, strata = np.asarray(users), len(self.centres)
        draws = _draws(int(np.ceil(np.log2(users.max() + 2))))[users]
        return np.eye(strata)[(draws * strata).astype(int)]


class PermutedStrata(Stratum):
    """The same strata, as soft and as large, but each user has the membership of another one, drawn anew at each refresh."""

    names = ("permuted_strata",)
    known = 0  # users at the last refresh; who comes later is given one of theirs

    def membership(self, users: np.ndarray) -> np.ndarray:
        return super().membership(_others(self.known)[np.asarray(users) % self.known] if self.known else users)

    def refresh(self, past: Past, now: float) -> None:
        self.known = len(past.last)
        super().refresh(past, now)


@lru_cache(maxsize=2)
def _draws(power: int) -> np.ndarray:
    """2^power numbers from 0 to 1; more of them begin with the same."""
    return np.random.default_rng(0).random(2 ** power)


@lru_cache(maxsize=2)
def _others(users: int) -> np.ndarray:
    return np.random.default_rng(users).permutation(users)
