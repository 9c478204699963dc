"""The ceiling for finding strata: how well anybody could do who knew every true parameter but the users' own.

`stratum_posterior` weighs, for every user and stratum,

1. the categories of the sessions. Own shares are integrated out (Dirichlet-multinomial); whether a session followed
   the trend or the user's own taste is unknown and is summed over
2. the hours at which sessions start
3. which of the items looked at were opened, and 4. what followed: favourite, cart, purchase. The user's own vector, price
   preference and habits are integrated out around the stratum's (Laplace approximation, one Newton step)

It leaves out what hardly tells strata apart: ratings, quantities, returns, times within the hour, and that a few users
change taste (before and after are pooled). So it can be beaten in principle, by a hair; a test shows that a
classifier trained on true labels does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.special import digamma, gammaln, softmax, xlogy

from recsys_kit import schema
from recsys_kit.data.market.world import HABIT_NOISE, PRICE_NOISE, PRICE_WEIGHT, World, sigmoid

if TYPE_CHECKING:
    from recsys_kit.data.market.truth import Truth


def stratum_posterior(truth: Truth, events: pd.DataFrame) -> np.ndarray:
    """(U, K) posterior chances; a user without events keeps the strata's shares. Raises SchemaError without session_id.

    Give it all events of the users you ask about: purchases without the clicks before them look like a habit.
    """
    schema.require_columns(events, (*schema.EVENT_COLUMNS, schema.SESSION), "events for the oracle")
    world = truth.world
    rows = _coded(truth, events)
    score = np.log(world.stratum_share) + _sessions_evidence(world, rows)
    score = score + _click_evidence(world, rows) + _habit_evidence(world, rows)
    return softmax(score, axis=1)


def _coded(truth: Truth, events: pd.DataFrame) -> pd.DataFrame:
    seconds = events[schema.TIME].to_numpy().astype("datetime64[s]")
    hour = (seconds.astype("int64") // 3600) % 24
    return pd.DataFrame({"user": truth.user_numbers(events[schema.USER]), "item": truth.item_numbers(events[schema.ITEM]),
                         "what": events[schema.BEHAVIOUR].to_numpy(), "day": truth.day(seconds), "hour": hour,
                         "session": events[schema.SESSION].to_numpy()})


def _count(world: World, row: pd.Series, column: pd.Series, width: int, weight=None) -> np.ndarray:
    """(U, width) table of counts, or of summed weights."""
    flat = row.to_numpy() * width + np.asarray(column)
    return np.bincount(flat, weight, minlength=world.settings.users * width).reshape(-1, width).astype(float)


def _sessions_evidence(world: World, rows: pd.DataFrame) -> np.ndarray:
    visits = rows[rows["session"].notna()].drop_duplicates("session")
    leaf, width = world.leaf[visits["item"]], len(world.categories)
    hours = _count(world, visits["user"], visits["hour"], 24) @ np.log(world.stratum_hours).T
    return hours + _category_evidence(world, visits["user"].to_numpy(), visits["day"].to_numpy(), leaf, width)


def _category_evidence(world: World, user: np.ndarray, day: np.ndarray, leaf: np.ndarray, width: int) -> np.ndarray:
    """Of ``c`` sessions in a category, ``m`` followed the user's own taste: sum over m, category by category.

    What couples the categories is the total of own sessions, in ``ln Gamma(A + N)``; it is linearised at its mean.
    """
    s, share = world.settings, world.settings.overall_weight
    cell, inverse, count = np.unique(user * width + leaf, return_inverse=True, return_counts=True)
    trend = np.bincount(inverse, world.category_trend[day, leaf]) / count
    start = np.cumsum(count + 1) - (count + 1)
    m = np.arange((count + 1).sum()) - np.repeat(start, count + 1)
    at = np.repeat(np.arange(len(cell)), count + 1)
    c, who, category = count[at], cell[at] // width, cell[at] % width
    ways = gammaln(c + 1) - gammaln(m + 1) - gammaln(c - m + 1) + xlogy(m, 1 - share) + xlogy(c - m, share * trend[at])
    own = (1 - share) * np.bincount(user, minlength=s.users)
    evidence = np.empty((s.users, s.strata))
    for k, weight in enumerate(world.stratum_taste):
        slope = digamma(weight.sum() + own)
        term = ways - m * slope[who] + gammaln(weight[category] + m) - gammaln(weight[category])
        evidence[:, k] = np.bincount(cell // width, np.logaddexp.reduceat(term, start), s.users)
        evidence[:, k] += gammaln(weight.sum()) - gammaln(weight.sum() + own) + slope * own
    return evidence


def _mean_logit(world: World, rows: pd.DataFrame, k: int) -> np.ndarray:
    """Log-odds of a click if the user were exactly like the stratum."""
    item = rows["item"].to_numpy()
    common = world.item_vector @ world.stratum_vector[k] + PRICE_WEIGHT * world.stratum_price[k] * world.price_level
    return (common + world.quality)[item] + world.item_trend[rows["day"].to_numpy(), item] + world.intercept["click"]


def _click_evidence(world: World, rows: pd.DataFrame) -> np.ndarray:
    """Looks that led to a click or not. Without logged views, every click's item competes with its category's others."""
    s, clicks = world.settings, rows[rows["what"] == "click"]
    views = rows[rows["what"] == "view"]
    feature = np.column_stack([world.item_vector, PRICE_WEIGHT * world.price_level])
    spread = np.append(np.full(s.dimensions, (1 - s.stratum_vector) / s.dimensions), PRICE_NOISE**2)
    if views.empty:
        return _bare_click_evidence(world, clicks)
    evidence = np.empty((s.users, s.strata))
    for k in range(s.strata):
        seen, opened = _mean_logit(world, views, k), _mean_logit(world, clicks, k)
        chance = sigmoid(seen)
        fit = np.bincount(views["user"], np.log1p(-chance), s.users) + np.bincount(clicks["user"], opened, s.users)
        slope = (_sum(world, clicks, np.ones(len(clicks))) - _sum(world, views, chance)) @ feature
        width = feature.shape[1]
        outer = (feature[:, :, None] * feature[:, None, :]).reshape(len(feature), -1)
        bend = (_sum(world, views, chance * (1 - chance)) @ outer).reshape(-1, width, width)
        evidence[:, k] = fit + _laplace(slope, bend, spread)
    return evidence


def _bare_click_evidence(world: World, clicks: pd.DataFrame) -> np.ndarray:
    evidence = np.empty((world.settings.users, world.settings.strata))
    for k in range(world.settings.strata):
        every = pd.DataFrame({"item": np.arange(world.settings.items), "day": 0})
        chance = sigmoid(_mean_logit(world, every, k) - world.item_trend[0])
        share = chance / np.bincount(world.leaf, chance)[world.leaf]
        evidence[:, k] = np.bincount(clicks["user"], np.log(share)[clicks["item"]], world.settings.users)
    return evidence


def _sum(world: World, rows: pd.DataFrame, weight: np.ndarray) -> csr_array:
    shape = (world.settings.users, world.settings.items)
    return csr_array((weight, (rows["user"].to_numpy(), rows["item"].to_numpy())), shape=shape)


def _laplace(slope: np.ndarray, bend: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """What integrating x ~ N(0, diag(spread)) adds to a log-likelihood with this slope and (minus) curvature at 0."""
    curvature = bend + np.diag(1 / spread)
    step = np.linalg.solve(curvature, slope[:, :, None])[:, :, 0]
    return 0.5 * (slope * step).sum(1) - 0.5 * (np.linalg.slogdet(curvature)[1] + np.log(spread).sum())


def _habit_evidence(world: World, rows: pd.DataFrame) -> np.ndarray:
    s = world.settings
    clicks, favourites, carts, bought = (rows[rows["what"] == what] for what in ("click", "favourite", "cart", "purchase"))
    evidence = np.zeros((s.users, s.strata))
    if not len(favourites) + len(carts) + len(bought):
        return evidence
    key = ["session", "item"]
    from_cart = bought.set_index(key).index.isin(carts.set_index(key).index)
    plain = ~clicks.set_index(key).index.isin(carts.set_index(key).index)
    trials = {"favourite": [(clicks, favourites, 0, "favourite")], "cart": [(clicks, carts, 1, "cart")],
              "purchase": [(carts, bought[from_cart], 2, "cart_purchase"), (clicks[plain], bought[~from_cart], 2, "purchase")]}
    for k in range(s.strata):
        for parts in trials.values():
            slope, bend = np.zeros(s.users), np.zeros(s.users)
            for tried, done, column, step in parts:
                def logit(table, column=column, step=step, k=k):
                    liking = 0.5 * (_mean_logit(world, table, k) - world.intercept["click"])
                    return liking + world.intercept[step] + world.stratum_habit[k, column]
                chance = sigmoid(logit(tried))
                evidence[:, k] += np.bincount(tried["user"], np.log1p(-chance), s.users)
                evidence[:, k] += np.bincount(done["user"], logit(done), s.users)
                slope += np.bincount(done["user"], minlength=s.users) - np.bincount(tried["user"], chance, s.users)
                bend += np.bincount(tried["user"], chance * (1 - chance), s.users)
            evidence[:, k] += _laplace(slope[:, None], bend[:, None, None], np.array([HABIT_NOISE**2]))
    return evidence
