"""The settings of the simulated market, and the three markets the kit uses.

One frozen dataclass; `dataclasses.replace(DEFAULT, users=500)` makes a market of your own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsys_kit.data.market.words import DEPARTMENTS
from recsys_kit.schema import BEHAVIOURS, CLICK


@dataclass(frozen=True)
class MarketSettings:
    """What a market is made of. Raises ValueError where the numbers make no sense together.

    Size
        ``users``, ``items``; ``events`` is the target for the number of logged events (met within a few per cent);
        ``days`` from ``start`` (a date); ``seed`` is used where `generate` is given no rng.
    Catalogue
        ``departments`` x ``leaves`` categories ("home/candles"); ``new_items`` is the share launched during the period.
    Strata
        ``strata`` planted strata (分层), in ``groups`` families where that is above zero (hierarchical strata);
        ``dimensions`` of user and item vectors; ``taste_concentration`` is the total of the Dirichlet weights, so a small
        number means users who differ much from their stratum's category profile; ``stratum_vector`` is the part of a user
        vector's variance that the stratum explains; ``price_spread``, ``hour_sharpness`` and ``habit_spread`` say how far
        strata stand apart in price level, in hours and in what they do after a click.
    Interest
        ``overall_weight`` is the chance that a session follows the shop's trend instead of the user's own categories;
        ``drifting`` is the share of users who change taste once.
    Lists and funnel
        ``list_length`` items per list, looked at with probability ``0.95 * position ** -position_bias``;
        ``click_rate`` is the mean chance that an item looked at is opened; ``favourite_rate``, ``cart_rate`` and
        ``purchase_rate`` are per click. ``activity_spread`` is the standard deviation of log activity.
    Log
        ``logged`` names the behaviours that the shop writes down; ``exposures`` says whether it keeps the lists too.
    """

    users: int = 2_000
    items: int = 600
    events: int = 150_000
    start: str = "2024-01-01"
    days: int = 180
    seed: int = 0
    departments: int = 5
    leaves: int = 4
    new_items: float = 0.25
    strata: int = 5
    groups: int = 0
    dimensions: int = 8
    taste_concentration: float = 8.0
    stratum_vector: float = 0.4
    price_spread: float = 1.0
    hour_sharpness: float = 3.5
    habit_spread: float = 0.7
    overall_weight: float = 0.1
    drifting: float = 0.15
    list_length: int = 8
    position_bias: float = 0.75
    click_rate: float = 0.33
    favourite_rate: float = 0.032
    cart_rate: float = 0.062
    purchase_rate: float = 0.0225
    activity_spread: float = 1.4
    logged: tuple[str, ...] = BEHAVIOURS
    exposures: bool = True

    def __post_init__(self) -> None:
        categories = self.departments * self.leaves
        most = len(next(iter(DEPARTMENTS.values())))
        for name in ("users", "items", "events", "days", "departments", "leaves", "strata", "dimensions", "list_length"):
            self._ask(getattr(self, name) >= 1, f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("new_items", "stratum_vector", "overall_weight", "drifting", "click_rate", "favourite_rate",
                     "cart_rate", "purchase_rate"):
            self._ask(0 <= getattr(self, name) < 1, f"{name} is a share: from 0 to below 1, not {getattr(self, name)}")
        self._ask(self.taste_concentration >= 0.1, f"taste_concentration must be at least 0.1, not {self.taste_concentration}")
        for name in ("click_rate", "favourite_rate", "cart_rate", "purchase_rate"):
            self._ask(getattr(self, name) > 0, f"{name} must be above zero")
        for name in ("activity_spread", "position_bias", "price_spread", "hour_sharpness", "habit_spread"):
            self._ask(getattr(self, name) >= 0, f"{name} must not be below zero, is {getattr(self, name)}")
        try:
            np.datetime64(self.start, "D")
        except ValueError:
            self._ask(False, f"start must be a date like 2024-01-01, not {self.start!r}")
        self._ask(self.purchase_rate < self.cart_rate, "purchase_rate must be below cart_rate: people buy out of their carts")
        self._ask(self.strata <= self.users, f"{self.strata} strata need at least as many users, not {self.users}")
        self._ask(2 * self.strata <= categories, f"{self.strata} strata need two categories each; departments * leaves "
                  f"gives {categories}")
        self._ask(0 <= self.groups <= self.strata, f"groups must lie between 0 and the number of strata, not {self.groups}")
        self._ask(self.departments <= len(DEPARTMENTS) and self.leaves <= most,
                  f"there are words for {len(DEPARTMENTS)} departments of {most} leaves, "
                  f"not for {self.departments} of {self.leaves}")
        need = 2 * self.list_length * categories
        self._ask(self.items >= need, f"{categories} categories with lists of {self.list_length} need at least {need} items, "
                  f"not {self.items}: use more items, fewer categories or shorter lists")
        unknown = set(self.logged) - set(BEHAVIOURS)
        self._ask(not unknown, f"unknown behaviour in logged: {sorted(unknown)}; use some of {', '.join(BEHAVIOURS)}")
        self._ask(CLICK in self.logged, "logged must hold 'click': a market without clicks shows nothing of its users")

    @staticmethod
    def _ask(fine: bool, message: str) -> None:
        if not fine:
            raise ValueError(f"market settings: {message}")


#: The embedded default. Frozen: chapters, cards and stored outputs depend on these numbers.
DEFAULT = MarketSettings()

#: Case 1: 10,000 users x 1,000 items, 5 strata, interest vectors of 10 dimensions.
CASE_1 = MarketSettings(users=10_000, items=1_000, events=500_000, dimensions=10, activity_spread=1.2)

#: Case 2: 100,000 users x 5,000 advertisements, clicks only, 10 strata in 3 families, vectors of 5 dimensions.
CASE_2 = MarketSettings(users=100_000, items=5_000, events=3_000_000, departments=8, leaves=5, strata=10, groups=3,
                        dimensions=5, activity_spread=1.0, logged=(CLICK,), exposures=False)
