"""Fits the simulated market to the rates its settings ask for: chances of a click, a favourite, a cart, a purchase."""

from __future__ import annotations

import numpy as np

from recsys_kit.data.market.log import draw_lists, draw_sessions
from recsys_kit.data.market.world import World, sigmoid

STRAIGHT = 0.2  # the share of purchases that come without a cart


def set_intercepts(world: World, rng: np.random.Generator, lists: int = 20_000) -> None:
    """Solve for the intercepts that give the settings' rates, on a sample of what users look at; fills ``world.intercept``."""
    s, intercept = world.settings, world.intercept
    sample = draw_sessions(world, rng.multinomial(lists, world.activity), rng)
    shown = draw_lists(world, sample.day, sample.category, rng)
    row, position = np.nonzero(rng.random(shown.shape) < world.examination)
    user, item, day = sample.user[row], shown[row, position], sample.day[row]
    logit = world.click_logit(user, item, day)
    intercept["click"] = _solve(logit, np.ones(len(row)), s.click_rate)
    logit = logit + intercept["click"]
    clicks = sigmoid(logit)
    straight = STRAIGHT * s.purchase_rate
    for step, rate in (("favourite", s.favourite_rate), ("cart", s.cart_rate)):
        intercept[step] = _solve(_log_odds(world.step_probability(step, logit, user)), clicks, rate)
    cart = world.step_probability("cart", logit, user)
    intercept["purchase"] = _solve(_log_odds(world.step_probability("purchase", logit, user)), clicks * (1 - cart),
                                   straight / (1 - s.cart_rate))
    intercept["cart_purchase"] = _solve(_log_odds(world.step_probability("cart_purchase", logit, user)), clicks * cart,
                                        (s.purchase_rate - straight) / s.cart_rate)


def _log_odds(chance: np.ndarray) -> np.ndarray:
    return np.log(chance / (1 - chance))


def _solve(logit: np.ndarray, weight: np.ndarray, rate: float) -> float:
    low, high = -30.0, 30.0
    for _ in range(50):  # bisection: the mean chance grows with the intercept
        middle = (low + high) / 2
        low, high = (middle, high) if np.average(sigmoid(logit + middle), weights=weight) < rate else (low, middle)
    return (low + high) / 2
