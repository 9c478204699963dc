"""What people do in the simulated market: sessions, lists, looks, clicks and what follows, as arrays.

The shop's logging policy, so that every propensity is exact: each day every category has a ranking. A list starts at
a random place of it, offset ``o`` with chance ``q(o)``, and shows the next items, around the end to the start again.
The item of rank ``r`` stands at position ``k`` (0, 1, ...) with probability ``q((r - k) mod n)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsys_kit.data.market.world import World, sigmoid

CHUNK = 50_000          # lists per block: bounds memory
TOP_HEAVY, EVEN = 0.40, 0.20  # q(o): a fifth even, the rest geometric with this ratio
VIEW, CLICK, FAVOURITE, CART, PURCHASE, RATE, RETURN = range(7)
GAPS = np.array([4.0, 3.0, 25.0, 20.0, 60.0])  # mean seconds before view, click, favourite, cart, purchase
DWELL, NEW_LIST = 35.0, 10.0                   # mean seconds on an item's page; between lists
LISTS_MORE = 1.0                               # mean number of lists of a session after its first
RATED, RETURNED = 0.35, 0.05                   # shares of all purchases


@dataclass(frozen=True, eq=False)
class Sessions:
    """One entry per session, in order of time."""

    user: np.ndarray
    day: np.ndarray
    second: np.ndarray    # of the day
    category: np.ndarray
    lists: np.ndarray     # how many lists it looks through


def offset_probability(offset: np.ndarray, n: np.ndarray) -> np.ndarray:
    """q(o): the chance that a list starts at place o of a ranking of n items."""
    return EVEN / n + (1 - EVEN) * TOP_HEAVY**offset * (1 - TOP_HEAVY) / (1 - TOP_HEAVY**n)


def propensity(world: World, item: np.ndarray, day: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Chance that the logging policy shows the item at the position (0 = top) of a list of its category that day."""
    n = world.available[day, world.leaf[item]]
    rank = world.rank[day, item]
    return np.where(rank < n, offset_probability((rank - position) % n, n), 0.0)


def draw_sessions(world: World, per_user: np.ndarray, rng: np.random.Generator) -> Sessions:
    """``per_user`` sessions for every user: when, and for which category."""
    user = np.repeat(np.arange(len(per_user), dtype=np.int32), per_user)
    n = len(user)
    clock = np.concatenate([[0.0], np.cumsum(world.day_weight)])
    start = clock[world.joined][user]
    day = np.searchsorted(clock, start + (1 - start) * rng.random(n), side="right") - 1
    day = np.clip(day, world.joined[user], world.settings.days - 1).astype(np.int32)
    hours = np.cumsum(world.stratum_hours, axis=1)
    hour = _pick(hours, world.stratum[user], rng)
    second = hour * 3600 + rng.integers(0, 3600, n)
    order = np.lexsort((second, day))
    user, day, second = user[order], day[order], second[order]
    category = _pick(np.cumsum(world.taste, axis=1), user, rng)
    changed = np.flatnonzero(day >= world.drift_day[user])
    category[changed] = _pick(np.cumsum(world.taste_after, axis=1), user[changed], rng)
    trendy = np.flatnonzero(rng.random(n) < world.settings.overall_weight)
    category[trendy] = _pick(np.cumsum(world.category_trend, axis=1), day[trendy], rng)
    patience = rng.gamma(0.6, LISTS_MORE / 0.6, n)
    return Sessions(user, day, second, category, 1 + rng.poisson(patience))



def _pick(cumulated: np.ndarray, row: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One column per entry of ``row``, drawn from that row's cumulated probabilities."""
    x, picked = rng.random(len(row)), np.zeros(len(row), np.int32)
    for column in range(cumulated.shape[1] - 1):
        picked += x > cumulated[row, column]
    return picked


def draw_lists(world: World, day: np.ndarray, category: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The lists that the logging policy shows, as items of shape (lists, positions)."""
    n = world.available[day, category]
    x = rng.random(len(day))
    even = rng.random(len(day)) < EVEN
    geometric = np.log1p(-x * (1 - TOP_HEAVY**n)) / np.log(TOP_HEAVY)
    offset = np.minimum(np.where(even, x * n, geometric).astype(np.int64), n - 1)
    place = (offset[:, None] + np.arange(world.settings.list_length)) % n[:, None]
    return world.order[day[:, None], world.first[category][:, None] + place]


def events_per_list(world: World) -> float:
    """How many logged events a list brings, from the rates of the settings."""
    s = world.settings
    per_click = {"click": 1.0, "view": 1 / s.click_rate, "favourite": s.favourite_rate, "cart": s.cart_rate,
                 "purchase": s.purchase_rate, "rate": RATED * s.purchase_rate, "return": RETURNED * s.purchase_rate}
    looked = world.examination.sum()
    return looked * s.click_rate * sum(per_click[b] for b in s.logged)



def draw_events(world: World, sessions: Sessions, rng: np.random.Generator):
    """Yield blocks ``(events, exposures)``, each a dict of equally long arrays.

    Events: user, item, step (see VIEW ... RETURN), time (seconds since the start), session, seq, and look: the number
    of the shown item all of it began with, so that a return knows its purchase. Exposures: user, item, list,
    position (0 = top), propensity, clicked, time; None where the settings do not keep them.
    """
    logged = np.isin(["view", "click", "favourite", "cart", "purchase", "rate", "return"], world.settings.logged)
    ends = np.cumsum(sessions.lists)
    block = np.searchsorted(ends, np.arange(CHUNK, ends[-1] + CHUNK, CHUNK))
    start = 0
    for end in np.unique(np.minimum(block + 1, len(ends))):
        yield _block(world, sessions, np.arange(start, end), ends[start - 1] if start else 0, logged, rng)
        start = end


def _block(world: World, sessions: Sessions, rows: np.ndarray, lists_before: int, logged: np.ndarray, rng):
    of_list = np.repeat(rows, sessions.lists[rows])                       # session of every list
    user, day = sessions.user[of_list], sessions.day[of_list]
    shown = draw_lists(world, day, sessions.category[of_list], rng)
    looked = rng.random(shown.shape) < world.examination
    flat = np.flatnonzero(looked)                                         # list after list, top to bottom
    in_list = flat // shown.shape[1]
    who, item, when = user[in_list], shown.ravel()[flat], day[in_list]
    done, logit = _funnel(world, who, item, when, rng)

    view, step = np.divmod(np.flatnonzero(done), 5)                       # rows of the log, in order
    session = of_list[in_list[view]]
    gap = rng.standard_exponential(len(view)) * GAPS[step]
    gap[1:] += DWELL * rng.standard_exponential(len(view) - 1) * ((step[1:] == VIEW) & (step[:-1] != VIEW))
    new_list = np.concatenate([[True], in_list[view][1:] != in_list[view][:-1]])
    gap[new_list] += NEW_LIST
    clock = np.cumsum(gap)
    first = np.flatnonzero(np.concatenate([[True], session[1:] != session[:-1]]))
    length = np.diff(np.append(first, len(session)))
    second = sessions.second[session] + (clock - np.repeat(clock[first], length)).astype(np.int64)
    last = first + length - 1
    second -= np.repeat(np.maximum(second[last] - 86_399, 0), length)  # nobody shops past midnight: one session, one day
    time = sessions.day[session].astype(np.int64) * 86_400 + second
    seq = np.arange(len(session)) - np.repeat(first, length) + 1
    keep = logged[step]
    events = {"user": who[view], "item": item[view], "step": step.astype(np.int8), "time": time,
              "session": session.astype(np.int32), "seq": seq.astype(np.int32),
              "look": flat[view] + int(lists_before) * shown.shape[1]}
    bought = np.flatnonzero(step == PURCHASE)
    later = [_later(world, {k: v[bought] for k, v in events.items()}, logit[view[bought]], kind, rng)
             for kind in (RATE, RETURN) if logged[kind]]
    events = {k: np.concatenate([v[keep], *(part[k] for part in later)]) for k, v in events.items()}
    if not world.settings.exposures:
        return events, None
    clicked = np.zeros(shown.size, bool)
    clicked[flat] = done[:, CLICK]
    positions = np.arange(shown.shape[1])
    opened = sessions.day[of_list].astype(np.int64) * 86_400 + sessions.second[of_list]
    opened[in_list[view[new_list]]] = time[new_list]                      # a list is shown when its first look happens
    exposures = {"user": np.repeat(user, len(positions)), "item": shown.ravel(),
                 "list": np.repeat(np.arange(lists_before, lists_before + len(of_list)), len(positions)),
                 "position": np.tile(positions, len(of_list)),
                 "propensity": propensity(world, shown, day[:, None], positions[None, :]).ravel(),
                 "clicked": clicked, "time": np.repeat(opened, len(positions))}
    return events, exposures


def _funnel(world: World, user: np.ndarray, item: np.ndarray, day: np.ndarray, rng):
    """What happens to every item looked at: columns view, click, favourite, cart, purchase; and the click's log-odds."""
    logit = world.click_logit(user, item, day)
    done = np.zeros((len(user), 5), bool)
    done[:, VIEW] = True
    done[:, CLICK] = rng.random(len(user)) < sigmoid(logit)
    row = np.flatnonzero(done[:, CLICK])
    who, liking = user[row], logit[row]
    done[row, FAVOURITE] = rng.random(len(row)) < world.step_probability("favourite", liking, who)
    done[row, CART] = cart = rng.random(len(row)) < world.step_probability("cart", liking, who)
    chance = np.where(cart, world.step_probability("cart_purchase", liking, who),
                      world.step_probability("purchase", liking, who))
    done[row, PURCHASE] = rng.random(len(row)) < chance
    return done, logit


def _later(world: World, bought: dict, logit: np.ndarray, kind: int, rng) -> dict:
    """Ratings and returns: some days after the purchase, outside any session (session -1, seq 0)."""
    n = len(logit)
    delay = (86_400 * (1 + 4 * rng.standard_exponential(n))).astype(np.int64)
    happens = rng.random(n) < (RATED if kind == RATE else RETURNED)
    happens &= bought["time"] + delay < 86_400 * world.settings.days
    row = {k: v[happens] for k, v in bought.items()}
    count = len(row["user"])
    return {**row, "step": np.full(count, kind, np.int8), "time": row["time"] + delay[happens],
            "session": np.full(count, -1, np.int32), "seq": np.zeros(count, np.int32)}
