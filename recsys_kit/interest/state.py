"""The layered interest of a shop's users, adjusted by every event: overall, stratum, domain, long-term and short-term."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd

from recsys_kit.data.interactions import encode, event_weights
from recsys_kit.interest import state_kernel as kernel
from recsys_kit.interest.drift import drift_settings
from recsys_kit.interest.tables import as_membership, as_tree, as_vectors, depth_of, sorted_items
from recsys_kit.models.store import NotFittedError, Stored
from recsys_kit.schema import ITEM, TIME, USER, coerce_ids, moment, validate_events

DAY = 86_400.0
LAYERS = ("overall", "stratum", "domain", "long", "short")
HALF_LIVES = {"overall": 7.0, "stratum": 14.0, "domain": 90.0, "long": 180.0, "short": 7.0}  # days
ASKED = {"overall": 30.0, "stratum": 30.0, "domain": 1.0, "long": 1.0, "short": 1.0}  # a share of all sales is a small number
NONE, ONES = np.empty(0, np.int64), np.empty(0)


class InterestState(Stored):
    """What a shop's users want, in layers (用户兴趣分层), each adjusted by every event in O(1) (动态调整).

    With ``fade_h(dt) = 2^(-dt / h)`` and an event of weight ``beta``, item i and user u with memberships ``m_u`` in S strata:

    * overall   ``n_i <- fade n_i + beta``; the layer is its share, ``n_i / sum_j n_j``: the trend.
    * stratum   ``n_si <- fade n_si + beta m_us``; the layer is ``sum_s m_us n_si / sum_s m_us sum_j n_sj``.
    * domain    ``p_uc <- fade p_uc + beta`` for i's category and all above it; the layer adds up ``p_uc / (mass_u + kappa)`` along
      i's path "a/b/c", divided by the depth of the tree: 0 to 1.
    * long, short   ``v_u <- fade v_u + beta z_i``, ``mass_u <- fade mass_u + beta`` with the item's vector ``z_i``, each at its
      half-life. The layers are ``z_i . long`` and ``z_i . short`` of the means below.

    Interest regression (兴趣回归): ``long = v_long / (mass_long + kappa)``, ``short = (v_short + kappa long) / (mass_short
    + kappa)``, the mean of a normal posterior whose prior is worth kappa events (empirical Bayes; Efron and Morris, 1975). As
    recent events fade, short returns to long; who has done little leans on the shop.

    half_lives : days by layer, None for no fading; layers that are not named keep `HALF_LIVES`.
    weights : ``beta`` per behaviour, behaviours not named count nothing; None: every event counts 1, returns nothing.
    regression : kappa, in units of beta; 0 for plain means (and 0 where there is no mass).
    drift : None, or settings of `drift.DEFAULTS` to change, {} for none of them: on an alarm all half-lives of that user shrink,
        and recover with later events.
    asked : what each layer counts in a score, by name, layers not named nothing; None: `ASKED`.

    A late event counts as old as it is: without drift the order of events does not matter. (With drift, a late event ages at the
    user's present pace and does not show itself to the detector.) The same event twice counts twice. An event that weighs 0 leaves
    no trace. A state knows no past: asked for a moment before the latest event, it answers as of that event, in the shop's layers
    and in each user's. A jump of the clock makes old interest fade to nothing, never to NaN. A user without a membership adds to no
    stratum; items without a category or a vector have 0 in these layers, and a new user has 0 in all of his own. Profiles take 8
    bytes per user and category.
    Raises ValueError for a half-life that is not above zero, a negative beta or kappa, and an unknown setting or layer.

    >>> state = InterestState().start(pd.DataFrame({"item_id": ["x", "y"], "category": ["a/b", "a"]}))
    >>> events = pd.DataFrame({"user_id": ["u"], "item_id": ["x"], "behaviour": ["view"], "timestamp": [1.7e9]})
    >>> state.update(events).layers("u").round(3).loc["x"].to_dict()
    {'overall': 1.0, 'domain': 0.167}
    """

    def __init__(self, half_lives: Mapping[str, float | None] | None = None, weights: Mapping[str, float] | None = None,
                 regression: float = 5.0, drift: Mapping[str, Any] | None = None, asked: Mapping[str, float] | None = None):
        for name, days in (half_lives or {}).items():
            if name not in LAYERS:
                raise ValueError(f"half_lives: {name!r} is no layer; there are {', '.join(LAYERS)}")
            if days is not None and not (days > 0 and np.isfinite(days)):
                raise ValueError(f"half_lives: {name} has {days!r}; give a number of days above zero, or None for no fading")
        for name, beta in (weights or {}).items():
            if not beta >= 0:
                raise ValueError(f"weights: {name!r} weighs {beta!r}; give a number from 0 on: interest fades by itself")
        if not (regression >= 0 and np.isfinite(regression)):
            raise ValueError(f"regression={regression!r}: give the events the long-term interest is worth, 0 for none")
        for name, weight in (asked or {}).items():
            if name not in LAYERS or not np.isfinite(weight):
                raise ValueError(f"asked: {name!r} counts {weight!r}; give finite numbers to some of {', '.join(LAYERS)}")
        drift_settings(drift)
        self.half_lives, self.weights, self.regression, self.drift, self.asked = half_lives, weights, regression, drift, asked

    def start(self, items: pd.DataFrame, vectors=None, membership=None) -> Self:
        """Begin with an empty state for this catalogue; returns the state.

        items : ``item_id`` and, for the domain layer, ``category``. vectors : (m, d) numbers in the order of the sorted ids, or a
            DataFrame by item id (items not in it have none). membership : DataFrame, user ids x strata, from 0 on (rows usually sum
            to 1), or a Series user id -> stratum. Without category, vectors, or membership the state is without that layer.
        Raises `SchemaError`, and ValueError for vectors or memberships that do not fit.
        """
        items = sorted_items(items)
        self.__dict__.pop("items_", None)
        self.categories_, self.tree_ = as_tree(items)
        self.item_vectors_ = as_vectors(vectors, items)
        users, self.strata_, member = as_membership(membership)
        strata = len(self.strata_)
        self.shop_, self.clock_ = np.zeros((1 + strata, len(items) + 2)), -np.inf
        self.shop_[:, kernel.ZERO] = -np.inf
        self._number: dict[str, int] = {}
        self.people_ = np.zeros((0, kernel.FIELDS + strata + 2 * self.item_vectors_.shape[1] + len(self.categories_)))
        self.items_ = pd.Index(items[ITEM])  # from here on it looks started
        self._prepare()
        self.numbers(users, new=True)
        self.people_[:len(users), self._member] = member
        return self

    @property
    def active(self) -> tuple[str, ...]:
        """The layers this state has."""
        there = (True, len(self.strata_), len(self.categories_), *[self.item_vectors_.shape[1]] * 2)
        return tuple(layer for layer, is_there in zip(LAYERS, there, strict=True) if is_there)

    def numbers(self, users: Sequence[str], *, new: bool = False) -> np.ndarray:
        """The numbers of users, int64: what `learn` is told. Unknown ones are -1, or join (``new=True``), in amortised O(1)."""
        self._check_fitted()
        ids = coerce_ids(pd.Series(users, dtype=None if len(users) else "str"))
        if new and ids.isna().any():
            raise ValueError("a user without an id; leave out what was done by those who are not known")
        if new:
            for name in ids.unique():
                self._number.setdefault(name, len(self._number))
            self._room_for(len(self._number))
        return np.fromiter((self._number.get(name, -1) for name in ids), np.int64, len(ids))

    def update(self, events: pd.DataFrame) -> Self:
        """Learn from events, in any order and of any users, known or new; all of them, or on an error none.

        Raises `SchemaError` for events that break the contract; ValueError for an item that is not of the catalogue and for a time
        more than a day ahead of the computer's clock.
        """
        self._check_fitted()
        events = validate_events(events)
        item, beta = encode(events[ITEM], self.items_), event_weights(events, self.weights)
        if (item < 0).any():
            missing = events.loc[item < 0, ITEM].unique()
            raise ValueError(f"update: {len(missing)} items are not in the catalogue, such as {missing[0]!r}.\nTo mend it: leave "
                             f"their events out, or start a new state with all items")
        seconds = events[TIME].to_numpy().astype("datetime64[s]").astype(np.float64)
        codes, names = pd.factorize(events[USER])
        wrong, _ = kernel.faulty(codes, item, beta, seconds, len(names), len(self.items_), time.time() + DAY)
        if wrong >= 0:
            self._refuse(codes, item, beta, seconds, wrong)
        return self.learn(self.numbers(names, new=True)[codes], item, beta, seconds)

    def learn(self, user, item, beta, seconds) -> Self:
        """The same with arrays, one entry per event: number of the user (`numbers`), position in ``items_``, beta, unix seconds.

        Raises ValueError for the first event that cannot be learned; then nothing is learned.
        """
        self._check_fitted()
        user, item = np.ascontiguousarray(user, np.int64), np.ascontiguousarray(item, np.int64)
        beta, seconds = np.ascontiguousarray(beta, np.float64), np.ascontiguousarray(seconds, np.float64)
        if not user.shape == item.shape == beta.shape == seconds.shape == (len(user),):
            raise ValueError("learn: user, item, beta and seconds must be arrays of one length")
        wrong, clock = kernel.learn(user, item, beta, seconds, len(self._number), time.time() + DAY, self._settings, self.shop_,
                                    self.people_, self._items, self.tree_)
        if wrong >= 0:
            self._refuse(user, item, beta, seconds, wrong)
        self.clock_ = max(self.clock_, clock)
        return self

    def visit(self, user: str, items, at, k: int, *, beta=None, exclude=None, weights: Mapping[str, float] | None = None):
        """`top` before a visit is seen, then `learn` it, in one call: what a shop does again and again, at its fastest.

        items : positions in ``items_`` of what the user touched. at : the moment. beta : what each of them weighs, None for 1.
        Returns what `top` returns. The user may be new. Raises ValueError as `top` and `learn` do; then nothing is learned.
        """
        u, at, weights, (columns, values) = self._user(user), self._moment(at), self._weigh(weights), self._list(k)
        item, hidden = np.ascontiguousarray(items, np.int64), self._hidden(exclude)
        beta = ONES if beta is None else np.ascontiguousarray(beta, np.float64)
        if item.ndim != 1 or (beta is not ONES and beta.shape != item.shape):
            raise ValueError("visit: items and beta must be arrays of one length")
        new = u < 0
        if new:
            u = int(self.numbers([user], new=True)[0])
        listed, wrong, clock = kernel.visit(u, at, weights, self._settings, self.shop_, self.people_, self.tree_, self._items,
                                            self._coarse, hidden, columns, values, item, beta, time.time() + DAY)
        if not listed or wrong >= 0:
            if new:
                self._number.popitem()
            self._check_listed(listed)
            n = len(item)
            self._refuse(np.full(n, u), item, beta if len(beta) else np.ones(n), np.full(n, at), wrong)
        self.clock_ = max(self.clock_, clock)
        return columns, values

    def trend(self, at=None) -> tuple[np.ndarray, np.ndarray]:
        """The faded counts behind the shop-wide layers: overall (m,), and by stratum (S, m), in units of beta."""
        at = self._moment(at)
        fade = np.ones(len(self.shop_))
        if self.clock_ > -np.inf:
            rate = np.where(np.arange(len(fade)) == 0, self._rate[0], self._rate[1])
            fade = 2.0 ** ((self.shop_[:, kernel.ZERO] - max(at, self.clock_)) * rate)
        counts = self.shop_[:, :-2] * fade[:, None]
        return counts[0], counts[1:]

    def evidence(self, user: str, at=None) -> dict[str, float]:
        """Summed faded beta behind the user's own layers; the factor on his half-lives (pace); alarms, and when the last was."""
        u, at = self._user(user), self._moment(at)
        person = np.zeros(kernel.FIELDS) if u < 0 else self.people_[u]
        pace = person[kernel.PACE] if u >= 0 else 1.0
        ago = max(at - person[kernel.CLOCK], 0.0) / pace if person[kernel.CLOCK] > -np.inf and u >= 0 else 0.0
        fade = 2.0 ** (-ago * self._rate)
        return {"domain": person[kernel.MASS_DOMAIN] * 2.0 ** -person[kernel.EXPONENT] * fade[kernel.DOMAIN],
                "long": person[kernel.MASS_LONG] * fade[kernel.LONG], "short": person[kernel.MASS_SHORT] * fade[kernel.SHORT],
                "pace": pace, "alarms": int(person[kernel.ALARMS]),
                "alarmed": pd.to_datetime(person[kernel.ALARMED] or None, unit="s")}

    def layers(self, user: str, at=None) -> pd.DataFrame:
        """What each layer says of each item at a moment (a time, or unix seconds; None: the latest event): items x layers."""
        u, at, m = self._user(user), self._moment(at), len(self.items_)
        wanted, taste = np.zeros((2, self.item_vectors_.shape[1])), np.zeros(len(self.categories_))
        member = np.zeros(len(self.strata_))
        if u >= 0:
            member = self.people_[u, self._member]
            kernel.interest(u, at, self._settings, self.people_, len(member), self.tree_, wanted, taste)
        shares = {"overall": _share(self.shop_[0, :-1]), "stratum": _share(member @ self.shop_[1:, :-1]),
                  "domain": np.append(taste, 0.0)[self.tree_[-m:]],  # -1, no category, is the last
                  "long": self.item_vectors_ @ wanted[0], "short": self.item_vectors_ @ wanted[1]}
        return pd.DataFrame({layer: shares[layer] for layer in self.active}, index=self.items_.rename(ITEM))

    def scores(self, user: str, at=None, weights: Mapping[str, float] | None = None) -> np.ndarray:
        """``sum_l weights_l layer_l`` for every item, (m,) float32; layers not named weigh 0, None means ``asked``."""
        out = np.empty(len(self.items_), np.float32)
        kernel.score(*self._question(user, at, weights), self._across, out)
        return out

    def top(self, user: str, k: int, at=None, *, exclude=None, weights: Mapping[str, float] | None = None):
        """The k best items, best first: positions in ``items_`` and scores, both (min(k, m),), -1 and -inf where there are fewer.

        exclude : integer positions in ``items_`` to leave out. Equal scores are ordered by item id. ValueError for k below 1.
        """
        question, (columns, values) = self._question(user, at, weights), self._list(k)
        self._check_listed(kernel.top(*question, self._items, self._coarse, self._hidden(exclude), columns, values))
        return columns, values

    def recommend(self, user: str, k: int, at=None, *, exclude=(), weights: Mapping[str, float] | None = None) -> pd.DataFrame:
        """The list a person reads: ``item_id, score, rank`` and what each layer adds to the score. exclude : item ids."""
        hidden = encode(list(exclude), self.items_) if len(exclude) else np.empty(0, np.int64)
        columns, values = self.top(user, k, at, exclude=hidden[hidden >= 0], weights=weights)
        columns, values = columns[columns >= 0], values[columns >= 0]
        weigh = dict(zip(LAYERS, self._weigh(weights), strict=True))
        parts = self.layers(user, at).iloc[columns].mul({layer: weigh[layer] for layer in self.active}).reset_index()
        parts.insert(1, "score", values)
        parts.insert(2, "rank", np.arange(1, len(parts) + 1))
        return parts

    def _question(self, user: str, at, weights) -> tuple:
        """What the kernel is asked with."""
        return (self._user(user), self._moment(at), self._weigh(weights), self._settings, self.shop_, self.people_, self.tree_)

    def _list(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Room for a list: columns and values."""
        if k < 1:
            raise ValueError(f"k={k}: ask for at least one item")
        k = min(int(k), len(self.items_))
        return np.empty(k, np.int64), np.empty(k)

    def _hidden(self, exclude) -> np.ndarray:
        return NONE if exclude is None else np.ascontiguousarray(exclude, np.int64)

    def _check_listed(self, listed: bool) -> None:
        if not listed:
            raise ValueError(f"exclude: give positions in items_, from 0 to {len(self.items_) - 1}")

    def _user(self, user: str) -> int:
        self._check_fitted()
        return self._number.get(user if isinstance(user, str) else coerce_ids(pd.Series([user]))[0], -1)

    def _moment(self, at) -> float:
        self._check_fitted()
        seconds = self.clock_ if at is None else float(at) if isinstance(at, (int, float, np.number)) else moment(at).timestamp()
        if seconds != seconds:  # NaN
            raise ValueError(f"at={at!r}: give a time, or unix seconds")
        return seconds

    def _weigh(self, weights: Mapping[str, float] | None) -> np.ndarray:
        if weights is None:
            return self._asked
        for layer, weight in weights.items():
            if layer not in self.active or not np.isfinite(weight):
                raise ValueError(f"weights: {layer!r} with {weight!r}; give finite numbers to layers this state has: "
                                 f"{', '.join(self.active)}")
        return np.array([float(weights.get(layer, 0.0)) for layer in LAYERS])

    def _refuse(self, user, item, beta, seconds, place: int) -> None:
        raise ValueError(f"event {place} cannot be learned: user {user[place]}, item {item[place]}, beta {beta[place]}, seconds "
                         f"{seconds[place]}.\nTo mend it: give user numbers from numbers(), items from 0 to {len(self.items_) - 1}"
                         f", a finite beta from 0 on, and a time that is not in the future")

    def _room_for(self, users: int) -> None:
        have = len(self.people_)
        if users > have:
            larger = np.zeros((max(users, 2 * have), self.people_.shape[1]))
            larger[:have] = self.people_
            larger[have:, kernel.CLOCK], larger[have:, kernel.PACE] = -np.inf, 1.0
            self.people_ = larger

    def _prepare(self) -> None:
        """What follows from settings and catalogue."""
        days = HALF_LIVES | dict(self.half_lives or {})
        self._rate = np.array([0.0 if days[layer] is None else 1 / (DAY * days[layer]) for layer in LAYERS])
        asked = ASKED if self.asked is None else self.asked
        self._asked = np.array([float(asked.get(layer, 0.0)) for layer in LAYERS])
        drift = drift_settings(self.drift)
        watch = [0.0] * 6 if drift is None else [LAYERS.index(drift["layer"]), *[float(drift[name]) for name in (
            "delta", "threshold", "warmup", "factor", "recovery")]]
        self._coarse, bounds = kernel.rounded(self.item_vectors_)
        self._settings = np.array([*self._rate, self.regression, depth_of(self.tree_[:len(self.categories_)]), *watch, *bounds])
        self._member = slice(kernel.FIELDS, kernel.FIELDS + len(self.strata_))
        self._items = np.column_stack([self.item_vectors_, np.linalg.norm(self.item_vectors_, axis=1)]).astype(np.float32)
        self._across = np.ascontiguousarray(self.item_vectors_.T)

    def _kept(self) -> dict[str, Any]:
        people = self.people_[:len(self._number)]  # without the room for users to come
        return super()._kept() | {"people_": people, "users_": pd.Index(list(self._number), dtype="str")}

    def _take(self, kept: dict[str, Any]) -> None:
        self._number = {name: number for number, name in enumerate(kept.pop("users_"))}
        super()._take(kept)
        self._prepare()

    def _check_fitted(self) -> None:
        if not hasattr(self, "items_"):
            raise NotFittedError("this InterestState has no catalogue yet; call start(items) first")


def _share(line: np.ndarray) -> np.ndarray:
    """Counts, their sum behind them, as shares of it."""
    return line[:-1] / line[-1] if line[-1] > 0 else np.zeros(len(line) - 1)
