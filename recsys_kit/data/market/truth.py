"""What is true of a simulated market, as tables; and what only the truth can tell: the best lists, and any policy's value.

All tables and arrays follow ``truth.user_ids`` and ``truth.item_ids``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from recsys_kit import schema
from recsys_kit.data.market.log import draw_sessions, propensity
from recsys_kit.data.market.oracle import stratum_posterior
from recsys_kit.data.market.world import PRICE_WEIGHT, World, sigmoid


@dataclass(frozen=True)
class PolicyValue:
    """Expected clicks and purchases per list."""

    clicks: float
    purchases: float


@dataclass(frozen=True, eq=False)
class Truth:
    """Everything true of a market, always the whole one.

    `recsys_kit.load` with ``max_users`` cuts events, users and exposures, not the truth: shares, policies and ceilings are
    those of the shop with all its users. `users` is indexed by user id, so ``truth.users.loc[data.users["user_id"]]`` gives
    the rows of the users that were kept, in their order.

    Tables: `users`, `items`, `strata`, `drifts`, `interest`. Arrays are in ``world``, among them ``vector`` (users x
    dimensions), ``item_vector``, ``examination`` (per position), ``item_trend`` (days x items); see `World` for all.
    Ceilings: `oracle_strata`, `oracle_scores`, `oracle_ndcg`. Policies: `contexts`, `policy_value`, `best_lists`, `respond`.
    """

    world: World
    user_ids: pd.Index
    item_ids: pd.Index

    # -- tables ------------------------------------------------------------------------------------------------

    @cached_property
    def users(self) -> pd.DataFrame:
        """Per user: stratum (0 .. K-1), price preference, share of the shop's sessions, first day, drift date or NaT.

        Indexed by user id, which is also a column (the index has no name, so that ``merge(on="user_id")`` works as well).
        """
        w = self.world
        drift = pd.Series(self.date(w.drift_day)).where(w.drift_day < w.settings.days)
        table = pd.DataFrame({schema.USER: self.user_ids, "stratum": w.stratum, "price_preference": w.price,
                              "activity": w.activity, "joined": self.date(w.joined), "drift": drift})
        return table.set_axis(self.user_ids.rename(None))

    @cached_property
    def items(self) -> pd.DataFrame:
        """Per item: category, quality (log-odds of a click), price level within the category, launch date."""
        w = self.world
        return pd.DataFrame({schema.ITEM: self.item_ids, schema.CATEGORY: w.categories[w.leaf], "quality": w.quality,
                             "price_level": w.price_level, "launched": self.date(w.launch)})

    @cached_property
    def strata(self) -> pd.DataFrame:
        """Per stratum: family, share of the users, own categories, price level, busiest hour, habits after a click."""
        w = self.world
        own = w.stratum_taste == w.stratum_taste.max(1, keepdims=True)
        habits = dict(zip(("favourite", "cart", "purchase"), w.stratum_habit.T, strict=True))
        return pd.DataFrame({"stratum": np.arange(len(own)), "group": w.stratum_group, "share": w.stratum_share,
                             "categories": [", ".join(w.categories[row]) for row in own],
                             "price_preference": w.stratum_price, "busiest_hour": w.stratum_hours.argmax(1), **habits})

    @cached_property
    def drifts(self) -> pd.DataFrame:
        """Per change of taste: user, date, the category that falls, the one that rises, and the share that moves."""
        w = self.world
        rows = np.flatnonzero(w.drift_day < w.settings.days)
        change = w.taste_after[rows] - w.taste[rows]
        return pd.DataFrame({schema.USER: self.user_ids[rows], "date": self.date(w.drift_day[rows]),
                             "from": w.categories[change.argmin(1)], "to": w.categories[change.argmax(1)],
                             "moved": change.max(1)})

    def interest(self, at) -> pd.DataFrame:
        """Users x categories: every user's own category shares (the domain layer) at a time."""
        return pd.DataFrame(self._taste(self.day(at)), index=self.user_ids, columns=self.world.categories)

    # -- numbers of users, items, days -------------------------------------------------------------------------

    def date(self, day: np.ndarray) -> np.ndarray:
        """Dates of days counted from the start."""
        return np.datetime64(self.world.settings.start, "s") + (np.asarray(day) * 86_400).astype("timedelta64[s]")

    def day(self, at) -> np.ndarray:
        """Days counted from the start, of one time or many. Raises ValueError outside the simulated period."""
        start, days = np.datetime64(self.world.settings.start, "s"), self.world.settings.days
        at = np.asarray(at, dtype="datetime64[s]")
        day = (at - start) // np.timedelta64(1, "D")
        if np.any((day < 0) | (day >= days)):
            raise ValueError(f"the market knows its truth from {start} for {days} days; asked about {at.min()} to {at.max()}")
        return day.astype(np.int64)

    def user_numbers(self, users) -> np.ndarray:
        """Positions of user ids. Raises KeyError for an unknown one."""
        return _numbers(self.user_ids, users, "user")

    def item_numbers(self, items) -> np.ndarray:
        """Positions of item ids (any shape). Raises KeyError for an unknown one."""
        items = np.asarray(items, dtype=object)
        return _numbers(self.item_ids, items.ravel(), "item").reshape(items.shape)

    def _taste(self, day: int) -> np.ndarray:
        w = self.world
        return np.where((w.drift_day <= day)[:, None], w.taste_after, w.taste)

    # -- strata ------------------------------------------------------------------------------------------------

    def stratum_posterior(self, events: pd.DataFrame) -> pd.DataFrame:
        """Users x strata: the chance of every stratum given what the events show (see `oracle`)."""
        return pd.DataFrame(stratum_posterior(self, events), index=self.user_ids)

    def oracle_strata(self, events: pd.DataFrame) -> pd.Series:
        """The best guess at every user's stratum that the true parameters allow, indexed by user id."""
        return self.stratum_posterior(events).idxmax(axis=1).rename("stratum")

    # -- the next interaction ----------------------------------------------------------------------------------

    @cached_property
    def _look_weight(self) -> np.ndarray:
        """(D, I) expected looks at an item per list of its category: sum over positions of propensity x examination."""
        w = self.world
        day, item = np.arange(w.settings.days)[:, None], np.arange(w.settings.items)[None, :]
        return sum(e * propensity(w, item, day, k) for k, e in enumerate(w.examination))

    def oracle_scores(self, users, at, days: int = 1) -> np.ndarray:
        """Users x items: expected clicks per list of the logging policy, averaged over ``days`` days from ``at`` on.

        ``sum over days of P(category | user, day) * expected looks(item | day) * P(click | user, item, day)``. As clicks
        on different items are independent given these, ranking by this score is the best ranking anybody can make;
        not yet launched items score 0. Days after the period's end are left out.
        """
        w, row = self.world, self.user_numbers(users)
        first = int(self.day(at))
        span = range(first, min(first + days, w.settings.days))
        affinity = w.vector[row] @ w.item_vector.T + PRICE_WEIGHT * w.price[row, None] * w.price_level
        total = np.zeros((len(row), w.settings.items))
        for day in span:
            intent = self._intent(day)[row]
            chance = sigmoid(affinity + w.quality + w.item_trend[day] + w.intercept["click"])
            total += intent[:, w.leaf] * self._look_weight[day] * chance
        return total / len(span)

    def _intent(self, day: int) -> np.ndarray:
        """(U, C) chance that a session of the day is about a category: overall and domain layer together."""
        share = self.world.settings.overall_weight
        return (1 - share) * self._taste(day) + share * self.world.category_trend[day]

    def oracle_ndcg(self, seen: pd.DataFrame, future: pd.DataFrame, k: int = 10) -> pd.Series:
        """nDCG@k of the oracle's ranking of unseen items, per user of ``future`` who meets an unseen item there.

        ``seen`` and ``future`` are events before and after a cut (filter both to the behaviour that counts). Relevant
        are the items of ``future`` that the user has not in ``seen``. ``DCG = sum over hits of 1 / log2(rank + 1)``,
        divided by the DCG of a perfect list (Jarvelin and Kekalainen 2002).
        """
        w = self.world
        start = future[schema.TIME].min()
        users = pd.unique(future[schema.USER])
        score = self.oracle_scores(users, start, days=(future[schema.TIME].max() - start).days + 1)
        row = pd.Index(users)
        old = seen[seen[schema.USER].isin(users)]
        score[row.get_indexer(old[schema.USER]), self.item_numbers(old[schema.ITEM])] = -1.0
        relevant = np.zeros(score.shape, bool)
        relevant[row.get_indexer(future[schema.USER]), self.item_numbers(future[schema.ITEM])] = True
        relevant &= score >= 0
        top = np.argsort(-score, axis=1, kind="stable")[:, : min(k, w.settings.items)]
        discount = 1 / np.log2(np.arange(2, top.shape[1] + 2))
        wanted = relevant.sum(1)
        gain = (np.take_along_axis(relevant, top, axis=1) * discount).sum(1)
        best = np.concatenate([[0.0], np.cumsum(discount)])[np.minimum(wanted, top.shape[1])]
        return pd.Series(gain[wanted > 0] / best[wanted > 0], index=row[wanted > 0], name="ndcg")

    # -- policies ----------------------------------------------------------------------------------------------

    def contexts(self, n: int, rng=None) -> pd.DataFrame:
        """``n`` situations in which a list is asked for, drawn as they arise: user_id, category, timestamp."""
        rng = np.random.default_rng(rng)
        drawn = draw_sessions(self.world, rng.multinomial(n, self.world.activity), rng)
        return pd.DataFrame({schema.USER: self.user_ids[drawn.user], schema.CATEGORY: self.world.categories[drawn.category],
                             schema.TIME: self.date(drawn.day) + drawn.second.astype("timedelta64[s]")})

    def logged_contexts(self, exposures: pd.DataFrame) -> pd.DataFrame:
        """The situations of a log: one row per list, with ``list_id``."""
        top = exposures.loc[exposures[schema.POSITION] == 1]
        category = self.world.categories[self.world.leaf[self.item_numbers(top[schema.ITEM])]]
        return top[[schema.LIST, schema.USER, schema.TIME]].assign(**{schema.CATEGORY: category}).reset_index(drop=True)

    def click_probability(self, contexts: pd.DataFrame, items) -> np.ndarray:
        """Chance that each item, once looked at, is opened; ``items`` are ids, one row per context.

        Somebody who looks for candles opens nothing but candles: outside the context's category, and before its
        launch, an item's chance is zero.
        """
        return self._chances(contexts, self.item_numbers(items))[0]

    def _chances(self, contexts: pd.DataFrame, item: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(contexts, positions) chance of a click when looked at, and of a purchase when clicked."""
        w = self.world
        day = np.broadcast_to(self.day(contexts[schema.TIME])[:, None], item.shape).ravel()
        user = np.broadcast_to(self.user_numbers(contexts[schema.USER])[:, None], item.shape).ravel()
        flat = item.ravel()
        logit = w.click_logit(user, flat, day)
        right = np.repeat(contexts[schema.CATEGORY].to_numpy(), item.shape[1]) == w.categories[w.leaf[flat]]
        click = np.where(right & (w.launch[flat] <= day), sigmoid(logit), 0.0)
        cart = w.step_probability("cart", logit, user)
        buy = cart * w.step_probability("cart_purchase", logit, user) + (1 - cart) * w.step_probability("purchase", logit, user)
        return click.reshape(item.shape), buy.reshape(item.shape)

    def policy_value(self, policy: str | np.ndarray | Callable, contexts: pd.DataFrame) -> PolicyValue:
        """The true value of a policy over the contexts: expected clicks and purchases per list.

        ``policy`` is "logging"; or lists of item ids of shape (contexts, positions); or a distribution, floats of shape
        (contexts, positions, items), its chances of showing an item at a position; or a function of the contexts that
        gives one of the last two. Looks are independent of each other (position-based model), so
        ``value = sum over k, i of P(i at k) * examination_k * P(click | user, i, day)`` exactly.
        Raises ValueError for lists longer than the examination model knows.
        """
        choice = policy(contexts) if callable(policy) else policy
        if isinstance(choice, str):
            if choice != "logging":
                raise ValueError(f"no policy {choice!r}: give 'logging', lists of item ids, a distribution, or a function")
            return self._logging_value(contexts)
        choice = np.asarray(choice)
        looks = self.world.examination[: choice.shape[1]]
        if choice.shape[0] != len(contexts) or choice.shape[1] > len(self.world.examination):
            raise ValueError(f"lists of shape {choice.shape} do not fit {len(contexts)} contexts with up to "
                             f"{len(self.world.examination)} positions")
        if choice.ndim == 3:
            weight = np.einsum("nki,k->ni", choice, looks)
            item = np.broadcast_to(np.arange(choice.shape[2]), weight.shape)
        else:
            weight, item = looks, self.item_numbers(choice)
        click, buy = self._chances(contexts, item)
        return PolicyValue(float((weight * click).sum(1).mean()), float((weight * click * buy).sum(1).mean()))

    def _logging_value(self, contexts: pd.DataFrame) -> PolicyValue:
        w, clicks, purchases = self.world, 0.0, 0.0
        for path, part in contexts.groupby(schema.CATEGORY):
            item = np.flatnonzero(w.categories[w.leaf] == path)
            click, buy = self._chances(part, np.broadcast_to(item, (len(part), len(item))))
            click = click * self._look_weight[self.day(part[schema.TIME])][:, item]
            clicks, purchases = clicks + click.sum(), purchases + (click * buy).sum()
        return PolicyValue(float(clicks / len(contexts)), float(purchases / len(contexts)))

    def best_lists(self, contexts: pd.DataFrame, k: int | None = None) -> np.ndarray:
        """The lists with the most expected clicks: item ids of shape (contexts, k), most clickable on top."""
        w = self.world
        k = k or w.settings.list_length
        best = np.empty((len(contexts), k), dtype=object)
        place = contexts.reset_index(drop=True)
        for path, part in place.groupby(schema.CATEGORY):
            item = np.flatnonzero(w.categories[w.leaf] == path)
            click, _ = self._chances(part, np.broadcast_to(item, (len(part), len(item))))
            best[part.index] = self.item_ids.to_numpy()[item[np.argsort(-click, axis=1, kind="stable")[:, :k]]]
        return best

    def respond(self, contexts: pd.DataFrame, lists: np.ndarray, rng=None) -> tuple[np.ndarray, np.ndarray]:
        """Let the users of the contexts meet the lists (item ids): boolean arrays ``clicked`` and ``bought``, drawn once."""
        rng = np.random.default_rng(rng)
        click, buy = self._chances(contexts, self.item_numbers(lists))
        looked = rng.random(click.shape) < self.world.examination[: click.shape[1]]
        clicked = looked & (rng.random(click.shape) < click)
        return clicked, clicked & (rng.random(click.shape) < buy)


def _numbers(ids: pd.Index, asked, what: str) -> np.ndarray:
    numbers = ids.get_indexer(pd.Index(asked))
    if (numbers < 0).any():
        raise KeyError(f"this market has no {what} {pd.Index(asked)[numbers < 0][0]!r}")
    return numbers
