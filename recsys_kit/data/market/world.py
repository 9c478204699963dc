"""The true world of the simulated market: what strata, users and items are like, before anybody does anything.

Users and items are numbered 0 .. n-1 here; user 17 is "u000017". The numbers carry no information, because every
trait is drawn without looking at them.

Three layers of interest
    overall   a session follows the shop's trend ``category_trend[day]`` with chance ``overall_weight``;
              quality and ``item_trend[day]`` lift an item for everybody
    domain    otherwise the user's own category shares ``taste`` decide (Dirichlet around the stratum's profile)
    item      within the category, user vector times item vector, and price preference times the item's price level
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recsys_kit.data.market.words import COLOURS, DEPARTMENTS, MATERIALS, STYLES

if TYPE_CHECKING:
    from recsys_kit.data.market.settings import MarketSettings

PRICE_WEIGHT, TREND_SPREAD, QUALITY_SPREAD = 0.6, 0.5, 0.8
HOME_WEIGHT, SHARED_WEIGHT, OTHER_WEIGHT = 1.0, 0.25, 0.02  # a stratum's own categories, its neighbour's, the rest
PRICE_NOISE, HABIT_NOISE = 0.3, 0.3  # how far a user lies from the stratum in price preference and in habits
STEPS = ("favourite", "cart", "cart_purchase", "purchase")  # after a click; "purchase" is one without a cart before it


@dataclass(frozen=True, eq=False)
class World:
    """All true numbers. Shapes: K strata, U users, I items, C categories, D days, d dimensions, L list positions."""

    settings: MarketSettings
    categories: np.ndarray          # (C,) paths
    # strata
    stratum_share: np.ndarray       # (K,)
    stratum_group: np.ndarray       # (K,) family, all 0 where there are no families
    stratum_taste: np.ndarray       # (K, C) Dirichlet weights
    stratum_vector: np.ndarray      # (K, d)
    stratum_price: np.ndarray       # (K,)
    stratum_hours: np.ndarray       # (K, 24) rows sum to one
    stratum_habit: np.ndarray       # (K, 3) log-odds added for favourite, cart, purchase
    # users
    stratum: np.ndarray             # (U,)
    taste: np.ndarray               # (U, C) category shares before a change of taste
    taste_after: np.ndarray         # (U, C) and after it
    drift_day: np.ndarray           # (U,) day of the change, D for those who never change
    vector: np.ndarray              # (U, d)
    price: np.ndarray               # (U,)
    habit: np.ndarray               # (U, 3)
    activity: np.ndarray            # (U,) share of all sessions beyond the first
    joined: np.ndarray              # (U,) first possible day
    # items
    leaf: np.ndarray                # (I,) index into categories
    item_vector: np.ndarray         # (I, d)
    quality: np.ndarray             # (I,)
    item_price: np.ndarray          # (I,) money
    price_level: np.ndarray         # (I,) log price, standardised within the category
    launch: np.ndarray              # (I,) first day in the shop (0: there from the start)
    # time and lists
    category_trend: np.ndarray      # (D, C) rows sum to one
    item_trend: np.ndarray          # (D, I)
    day_weight: np.ndarray          # (D,) how busy the shop is, sums to one
    order: np.ndarray               # (D, I) the shop's ranking of the day: items by category, best first
    rank: np.ndarray                # (D, I) place of an item in its category's ranking of the day
    available: np.ndarray           # (D, C) how many items a category has that day
    first: np.ndarray               # (C,) where the category starts in a row of `order`
    examination: np.ndarray         # (L,)
    intercept: dict[str, float]     # of click and of every step in STEPS

    def click_logit(self, user: np.ndarray, item: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Log-odds that an item looked at is opened; arrays of equal length."""
        logit = np.einsum("ij,ij->i", self.vector[user], self.item_vector[item])
        logit += PRICE_WEIGHT * self.price[user] * self.price_level[item]
        return logit + self.quality[item] + self.item_trend[day, item] + self.intercept["click"]

    def step_probability(self, step: str, logit: np.ndarray, user: np.ndarray) -> np.ndarray:
        """Chance of a step after the click. Liking counts half as much as before it; habit is the user's own."""
        column = {"favourite": 0, "cart": 1}.get(step, 2)
        liking = 0.5 * (logit - self.intercept["click"])
        return sigmoid(self.intercept[step] + liking + self.habit[user, column])


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x))."""
    return 1.0 / (1.0 + np.exp(-x))


def build_world(settings: MarketSettings, rng: np.random.Generator) -> World:
    """Draw a world. Its intercepts are zero until `rates.set_intercepts` has fitted them to the rates asked for."""
    parts: dict = {"settings": settings, "categories": _categories(settings)}
    parts |= _strata(settings, rng)
    parts |= _users(settings, parts, rng)
    parts |= _items(settings, rng)
    parts |= _time(settings, parts, rng)
    positions = np.arange(1, settings.list_length + 1)
    parts["examination"] = 0.95 * positions ** -settings.position_bias
    parts["intercept"] = dict.fromkeys(("click", *STEPS), 0.0)
    return World(**parts)


def _categories(settings: MarketSettings) -> np.ndarray:
    departments = list(DEPARTMENTS)[:settings.departments]
    return np.array([f"{d}/{leaf}" for d in departments for leaf in list(DEPARTMENTS[d])[:settings.leaves]])


def _spaced(n: int, rng: np.random.Generator) -> np.ndarray:
    """n values evenly spaced from -1 to 1 in random order: strata differ for sure, and differently in every trait."""
    return rng.permutation(np.linspace(-1, 1, n)) if n > 1 else np.zeros(1)


def _strata(s: MarketSettings, rng: np.random.Generator) -> dict:
    strata, categories = s.strata, s.departments * s.leaves
    share = rng.permutation(np.linspace(1.3, 0.7, strata))
    group = np.arange(strata) % s.groups if s.groups else np.zeros(strata, int)
    homes = np.array_split(rng.permutation(categories), strata)
    taste = np.full((strata, categories), OTHER_WEIGHT)
    for k in range(strata):  # a family shares categories; without families, neighbours in a ring do
        relatives = np.flatnonzero((group == group[k]) & (np.arange(strata) != k)) if s.groups else [(k + 1) % strata]
        for relative in relatives:
            taste[k, homes[relative][: (len(homes[relative]) + 1) // 2]] = SHARED_WEIGHT
        taste[k, homes[k]] = HOME_WEIGHT
    taste *= s.taste_concentration / taste.sum(1, keepdims=True)
    vectors = rng.standard_normal((strata, s.dimensions))
    if s.groups:
        vectors += 1.2 * rng.standard_normal((s.groups, s.dimensions))[group]
    vectors *= np.sqrt(s.stratum_vector) / np.linalg.norm(vectors, axis=1, keepdims=True)
    peak = 14.5 + 6.5 * _spaced(strata, rng)
    angle = 2 * np.pi * (np.arange(24) + 0.5 - peak[:, None]) / 24
    bump = np.exp(s.hour_sharpness * np.cos(angle))
    awake = 0.15 + np.exp(-((np.arange(24) - 15) / 6.0) ** 2)
    hours = 0.7 * bump / bump.sum(1, keepdims=True) + 0.3 * awake / awake.sum()
    habit = s.habit_spread * np.column_stack([_spaced(strata, rng) for _ in range(3)])
    return {"stratum_share": share / share.sum(), "stratum_group": group, "stratum_taste": taste,
            "stratum_vector": vectors, "stratum_price": s.price_spread * _spaced(strata, rng),
            "stratum_hours": hours, "stratum_habit": habit}


def _users(s: MarketSettings, world: dict, rng: np.random.Generator) -> dict:
    activity = np.exp(s.activity_spread * rng.standard_normal(s.users))
    stratum = np.searchsorted(np.cumsum(world["stratum_share"])[:-1], rng.random(s.users), side="right")
    taste = rng.standard_gamma(world["stratum_taste"][stratum])
    taste /= taste.sum(1, keepdims=True)
    late = rng.random(s.users) < 0.4
    joined = np.where(late, rng.integers(0, max(1, int(0.8 * s.days)), s.users), 0)
    drifts = rng.random(s.users) < s.drifting
    moment = joined + rng.uniform(0.35, 0.65, s.users) * (s.days - joined)
    drift_day = np.where(drifts, np.maximum(joined + 1, moment.astype(int)), s.days)
    noise = np.sqrt((1 - s.stratum_vector) / s.dimensions)
    return {"stratum": stratum, "taste": taste, "drift_day": drift_day, "joined": joined,
            "taste_after": _changed_taste(taste, world["stratum_taste"][stratum], drift_day < s.days),
            "vector": world["stratum_vector"][stratum] + noise * rng.standard_normal((s.users, s.dimensions)),
            "price": world["stratum_price"][stratum] + PRICE_NOISE * rng.standard_normal(s.users),
            "habit": world["stratum_habit"][stratum] + HABIT_NOISE * rng.standard_normal((s.users, 3)),
            "activity": activity / activity.sum()}


def _changed_taste(taste: np.ndarray, weights: np.ndarray, changes: np.ndarray) -> np.ndarray:
    """Swap the shares of the favourite and the least liked of the stratum's own categories.

    These categories have equal Dirichlet weights, so the new taste is as typical of the stratum as the old one:
    people change what they like, not what kind of shopper they are.
    """
    own = weights == weights.max(1, keepdims=True)
    rows = np.flatnonzero(changes)
    best = np.where(own, taste, -1.0).argmax(1)[rows]
    least = np.where(own, taste, 2.0).argmin(1)[rows]
    after = taste.copy()
    after[rows, best], after[rows, least] = taste[rows, least], taste[rows, best]
    return after


def _items(s: MarketSettings, rng: np.random.Generator) -> dict:
    categories = s.departments * s.leaves
    # every category starts with a list's worth of old items; the rest falls where it falls
    leaf = np.concatenate([np.repeat(np.arange(categories), s.list_length),
                           rng.choice(categories, s.items - s.list_length * categories,
                                      p=rng.dirichlet(np.full(categories, 12.0)))])
    launch = np.where(rng.random(s.items) < s.new_items * s.items / max(1, s.items - s.list_length * categories),
                      rng.integers(0, s.days, s.items), 0)
    launch[: s.list_length * categories] = 0
    place = rng.permutation(s.items)  # item numbers must not follow categories
    leaf, launch = leaf[place], launch[place]
    typical = np.log(12) + 0.9 * rng.standard_normal(categories)
    level = rng.standard_normal(s.items)
    price = np.maximum(0.5, np.round(np.exp(typical[leaf] + 0.5 * level), 2))
    return {"leaf": leaf, "launch": launch, "item_price": price, "price_level": np.clip(level, -2.5, 2.5),
            "quality": QUALITY_SPREAD * rng.standard_normal(s.items),
            "item_vector": rng.standard_normal((s.items, s.dimensions))}


def _time(s: MarketSettings, world: dict, rng: np.random.Generator) -> dict:
    day = np.arange(s.days)
    dates = pd.date_range(s.start, periods=s.days)
    weekday = np.array([1.0, 0.95, 0.95, 1.0, 1.1, 1.25, 1.3])[dates.day_of_week]
    weight = weekday * (1 + 0.3 * day / s.days)
    categories, items = len(world["categories"]), s.items
    base = rng.dirichlet(np.full(categories, 4.0))
    season = 1 + 0.8 * np.cos(2 * np.pi * (dates.day_of_year.to_numpy()[:, None] / 365 - rng.random(categories)))
    trend = base * season
    fashion = np.empty((s.days, items))  # a slow wave per item: an autoregression with a memory of about 15 days
    fashion[0], keep = rng.standard_normal(items), np.exp(-1 / 15)
    for d in range(1, s.days):
        fashion[d] = keep * fashion[d - 1] + np.sqrt(1 - keep**2) * rng.standard_normal(items)
    fashion *= TREND_SPREAD
    score = world["quality"] + fashion + 0.3 * rng.standard_normal((s.days, items))
    order, rank = np.empty((s.days, items), np.int32), np.empty((s.days, items), np.int32)
    size = np.bincount(world["leaf"], minlength=categories)
    first = np.concatenate([[0], np.cumsum(size)[:-1]])
    place = np.arange(items) - np.repeat(first, size)
    for d in range(s.days):
        order[d] = np.lexsort((-score[d], world["launch"] > d, world["leaf"]))  # items not yet launched come last
        rank[d, order[d]] = place
    available = np.zeros((s.days, categories), np.int64)
    np.add.at(available, (world["launch"], world["leaf"]), 1)
    return {"category_trend": trend / trend.sum(1, keepdims=True), "item_trend": fashion, "day_weight": weight / weight.sum(),
            "order": order, "rank": rank, "available": available.cumsum(0), "first": first}


def titles(world: World, rng: np.random.Generator) -> np.ndarray:
    """A title per item: style (from the strongest dimension), colour, material, noun (from the category)."""
    nouns = [DEPARTMENTS[d][leaf] for d, leaf in (path.split("/") for path in world.categories)]
    noun = np.array([n[:3] for n in nouns])[world.leaf, rng.integers(0, 3, len(world.leaf))]
    style = np.array(STYLES)[world.item_vector.argmax(1) % len(STYLES)]
    colour, material = rng.choice(COLOURS, len(noun)), rng.choice(MATERIALS, len(noun))
    words = (style, colour, material, noun)
    return np.array([" ".join(parts) for parts in zip(*words, strict=True)])
