"""A simulated online shop whose truth is known: `generate` draws one, `dataset.truth` says what is true of it.

What the behaviours mean here
    view       an item of a list was looked at (examined); what was shown and not looked at stands only in ``exposures``
    click      its page was opened. Published logs call this a "page view" or "view": rates after it are per click
    favourite, cart, purchase   on the item's page, in this order; most purchases go through the cart
    rate, return                some days after the purchase, outside any session

`world` tells what people and items are like, `log` how they meet, `truth` and `oracle` what can be asked of the truth.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from recsys_kit import schema
from recsys_kit.data.dataset import Dataset
from recsys_kit.data.market.log import CART, LISTS_MORE, PURCHASE, RATE, RETURN, draw_events, draw_sessions, events_per_list
from recsys_kit.data.market.rates import set_intercepts
from recsys_kit.data.market.settings import CASE_1, CASE_2, DEFAULT, MarketSettings
from recsys_kit.data.market.truth import Truth
from recsys_kit.data.market.world import World, build_world, titles

__all__ = ["CASE_1", "CASE_2", "DEFAULT", "MarketSettings", "generate"]

REGIONS, DEVICES = ("north", "east", "south", "west"), ("phone", "computer", "tablet")


def generate(settings: MarketSettings = DEFAULT, rng=None) -> Dataset:
    """Draw a market: events, items, users, exposures and the truth behind them.

    Parameters
    ----------
    settings : how large it is and how its people differ.
    rng : None (the settings' own seed), an int, or a numpy Generator (SPEC 7). The same seed gives the same
        fingerprint under the pinned numpy.

    Returns
    -------
    Dataset named "market". ``events`` are sorted by time and hold every optional column: ``price`` in the shop's
    currency on every row, ``quantity`` on carts, purchases and returns (the same for all carts and purchases of an
    item in one session, and for a purchase and its return), ``rating`` (1 to 5) on ratings, ``session_id`` missing on
    ratings and returns, ``seq`` the place within the session (0 outside one). Users without any event are possible; they
    stand in ``users``.

    >>> from dataclasses import replace
    >>> generate(replace(DEFAULT, users=50, events=2_000), rng=1).events.behaviour.iloc[0]
    'view'
    """
    rng = np.random.default_rng(settings.seed if rng is None else rng)
    world = build_world(settings, rng)
    set_intercepts(world, rng)
    sessions = draw_sessions(world, _sessions_per_user(world, rng), rng)
    blocks, lists = zip(*draw_events(world, sessions, rng), strict=True)
    names = _Names(world)
    users, items = _users_table(world, names, rng), _items_table(world, names, rng)
    exposures = _exposures_table(names, lists) if settings.exposures else None
    events = _events_table(world, names, blocks, len(sessions.user), rng)
    truth = Truth(world, pd.Index(names.users, name=schema.USER), pd.Index(names.items, name=schema.ITEM))
    return Dataset("market", events, items, users, exposures, truth)


def _sessions_per_user(world: World, rng: np.random.Generator) -> np.ndarray:
    s = world.settings
    total = round(s.events / (events_per_list(world) * (1 + LISTS_MORE)))
    if total < s.users:
        raise ValueError(f"market settings: {s.events:,} events make about {total:,} sessions, too few for {s.users:,} "
                         f"users; ask for at least {int(1.05 * s.events * s.users / max(total, 1)):,} events")
    return 1 + rng.multinomial(total - s.users, world.activity)


class _Names:
    """Text ids: arrays to take from with integer codes, so that no text is ever sorted or compared."""

    def __init__(self, world: World) -> None:
        s = world.settings
        self.users = _texts("u", s.users, max(6, len(str(s.users - 1))))
        self.items = _texts("i", s.items, max(4, len(str(s.items - 1))))
        self.start = np.datetime64(s.start, "s")

    def times(self, seconds: np.ndarray) -> np.ndarray:
        return self.start + seconds.astype("timedelta64[s]")


def _texts(letter: str, n: int, width: int):
    return pd.Series([f"{letter}{i:0{width}d}" for i in range(n)], dtype="str").array


def _joined(blocks, key: str) -> np.ndarray:
    """One column out of all blocks, taken out of them on the way: two copies of a column at most."""
    return np.concatenate([block.pop(key) for block in blocks])


def _events_table(world: World, names: _Names, blocks, sessions: int, rng: np.random.Generator) -> pd.DataFrame:
    time = _joined(blocks, "time")
    order = np.argsort(time, kind="stable")
    item, step = _joined(blocks, "item")[order], _joined(blocks, "step")[order]
    session = _joined(blocks, "session")[order]
    quantity = _quantities(step, item, session, _joined(blocks, "look")[order], rng)
    rating = np.full(len(step), np.nan)
    rated = np.flatnonzero(step == RATE)
    user = _joined(blocks, "user")[order]
    noise = rng.standard_normal(len(rated))
    liking = np.einsum("ij,ij->i", world.vector[user[rated]], world.item_vector[item[rated]])
    rating[rated] = np.clip(np.round(3.7 + 0.7 * world.quality[item[rated]] + 0.4 * liking + 0.7 * noise), 1, 5)
    return pd.DataFrame({
        schema.USER: pd.Series(names.users.take(user), dtype="str"),
        schema.ITEM: pd.Series(names.items.take(item), dtype="str"),
        schema.BEHAVIOUR: pd.Categorical.from_codes(step, dtype=pd.CategoricalDtype(schema.BEHAVIOURS)),
        schema.TIME: names.times(time[order]),
        schema.QUANTITY: quantity, schema.PRICE: world.item_price[item], schema.RATING: rating,
        schema.SESSION: pd.Series(_texts("s", sessions, 7).take(session, allow_fill=True), dtype="str"),
        schema.SEQ: _joined(blocks, "seq")[order].astype(np.int64)}, copy=False)


def _quantities(step: np.ndarray, item: np.ndarray, session: np.ndarray, look: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """How many, per event in order of time; missing where nothing is counted.

    A number is drawn for every row that counts. Of those of one session and item the first holds, for all its carts and
    purchases; a return takes that of its purchase, where purchases are logged.
    """
    quantity = np.full(len(step), np.nan)
    counted = np.flatnonzero((step >= CART) & (step != RATE))
    quantity[counted] = 1 + rng.poisson(0.3, len(counted))
    sold = counted[step[counted] != RETURN]
    quantity[sold] = pd.Series(quantity[sold]).groupby([session[sold], item[sold]]).transform("first")
    bought, returned = np.flatnonzero(step == PURCHASE), np.flatnonzero(step == RETURN)
    taken_back = pd.Series(quantity[bought], index=look[bought]).reindex(look[returned]).to_numpy()
    quantity[returned] = np.where(np.isnan(taken_back), quantity[returned], taken_back)
    return quantity


def _exposures_table(names: _Names, blocks) -> pd.DataFrame:
    lists = _joined(blocks, "list")
    return pd.DataFrame({
        schema.USER: pd.Series(names.users.take(_joined(blocks, "user")), dtype="str"),
        schema.ITEM: pd.Series(names.items.take(_joined(blocks, "item")), dtype="str"),
        schema.LIST: pd.Series(_texts("l", int(lists[-1]) + 1, 7).take(lists), dtype="str"),
        schema.POSITION: _joined(blocks, "position") + 1,
        schema.PROPENSITY: np.round(_joined(blocks, "propensity"), 9),
        schema.CLICKED: _joined(blocks, "clicked"),
        schema.TIME: names.times(_joined(blocks, "time"))}, copy=False)


def _items_table(world: World, names: _Names, rng: np.random.Generator) -> pd.DataFrame:
    return pd.DataFrame({
        schema.ITEM: pd.Series(names.items, dtype="str"),
        schema.CATEGORY: pd.Series(world.categories[world.leaf], dtype="str"),
        schema.TITLE: pd.Series(titles(world, rng), dtype="str"),
        schema.PRICE: world.item_price,
        "launched": names.start + (world.launch * 86_400).astype("timedelta64[s]")})


def _users_table(world: World, names: _Names, rng: np.random.Generator) -> pd.DataFrame:
    """What a shop knows of a user before any event; none of it depends on the stratum."""
    n = len(names.users)
    return pd.DataFrame({
        schema.USER: pd.Series(names.users, dtype="str"),
        "joined": names.start + (world.joined * 86_400).astype("timedelta64[s]"),
        "region": pd.Series(rng.choice(REGIONS, n), dtype="str"),
        "device": pd.Series(rng.choice(DEVICES, n, p=[0.6, 0.3, 0.1]), dtype="str")})
