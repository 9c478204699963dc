"""Layered interest: what a shop, its strata and a user want, weighed by what has worked so far, visit by visit."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from recsys_kit.data.interactions import encode
from recsys_kit.interest.controls import PermutedStrata, RandomStrata
from recsys_kit.interest.past import DAY, Past, state_of, take_state
from recsys_kit.interest.tastes import Domain, Missed, Taste, Words
from recsys_kit.interest.trends import Kindred, Overall, Space, Stratum
from recsys_kit.interest.weighing import Weighing
from recsys_kit.models.base import Ranker
from recsys_kit.schema import BEHAVIOUR, CATEGORY, ITEM, RETURN, TIME, TITLE, USER, coerce_ids, moment

LAYERS = ("overall", "stratum", "kindred", "domain", "taste", "missed", "words")
CONTROLS = ("random_strata", "permuted_strata")  # layers that should earn nothing


class LayeredInterest(Ranker):
    """A ranker that adds up layers of interest, each as of the moment asked, with weights learned online.

    ``score_i = sum_l w_l (x_li - mean of x_l)``, x_l the columns of the layers (`trends`, `tastes`). At every visit, before it is
    seen, the weights take one step up the log-likelihood ``mean over new items of log softmax(score)_i`` (`Weighing`), the softmax
    over the items that the user does not own (``repeats=True``: over all).

    layers : which of ``LAYERS`` to use, and of ``CONTROLS``. ``domain`` needs categories and ``words`` titles in ``items``; they
        are left out without. variants : by name, some of these layers; each variant has weights of its own, learned from the same
        visits (`score_variant`), so that leaving out each layer in turn does not cost a life per layer.
    short_days, long_days : half-lives of trends and of popularity. taste_days, recent_days : of a user's history, as it was all
        along and as it is lately: the weights learn which of the two to believe. strata : how many soft strata.
    refresh_days : what is learned from the whole past (vectors, strata, EASE with its ``l2``) is learned anew so often.
    burn_in : visits before the first weights are learned. rate : Adagrad's. repeats : whether owned items may be wanted again.

    Learned: ``weights_``, one per name in ``columns_``. Asked for a moment before the last visit, the model lives through the
    visits before it once more; at the moment of the last visit itself, that visit has been seen. Memory: items^2 and
    users x items, 4 bytes each. Raises ValueError for settings that cannot be meant.
    """

    def __init__(self, layers: Sequence[str] = LAYERS, *, short_days: float = 4.0, long_days: float = 60.0,
                 taste_days: float = 120.0, recent_days: float = 10.0, strata: int = 64, refresh_days: float = 14.0,
                 burn_in: int = 2000, rate: float = 0.07, repeats: bool = False, l2: float = 200.0,
                 variants: Mapping[str, Sequence[str]] | None = None):
        for name, some, of in [("layers", layers, LAYERS + CONTROLS), *[(f"variants: {name}", some, layers)
                                                                        for name, some in (variants or {}).items()]]:
            if isinstance(some, str) or not len(some) or any(layer not in of for layer in some):
                raise ValueError(f"{name}={some!r}: give a list of some of {', '.join(of)}")
        for name, value in {"short_days": short_days, "long_days": long_days, "taste_days": taste_days, "recent_days": recent_days,
                            "refresh_days": refresh_days, "rate": rate, "l2": l2}.items():
            if not 0 < value < np.inf:
                raise ValueError(f"{name}={value!r}: give a number above zero")
        for name, value in {"strata": strata, "burn_in": burn_in}.items():
            if not 1 <= value < np.inf or int(value) != value:
                raise ValueError(f"{name}={value!r}: give a whole number from 1 on")
        self.layers, self.short_days, self.long_days, self.taste_days = list(layers), short_days, long_days, taste_days
        self.recent_days, self.strata, self.refresh_days = recent_days, int(strata), refresh_days
        self.burn_in, self.rate = int(burn_in), rate
        self.repeats, self.l2, self.variants = repeats, l2, variants

    def _fit(self, events: pd.DataFrame, items: pd.DataFrame | None, users) -> None:
        known = pd.DataFrame(index=self.items_) if items is None else items.set_index(ITEM).reindex(self.items_)
        self.texts_ = {name: pd.Index(known[name].fillna("").astype("str")) for name in (CATEGORY, TITLE) if name in known}
        if CATEGORY in self.texts_:  # "/a//b" is "a/b": what has no name is no category
            self.texts_[CATEGORY] = self.texts_[CATEGORY].map(lambda path: "/".join(filter(None, path.split("/")))).astype("str")
        self._begin()
        if not self._layers:
            raise ValueError(f"layers={self.layers}: there is none of them without categories and titles; give items= with these "
                             f"columns, or name other layers")
        self._add(events)
        if not self._learned:  # a log of fewer days than that
            self._refresh(self._past.latest)

    def _begin(self) -> None:
        """Empty layers, over the catalogue and its texts."""
        m, short, texts = len(self.items_), self.short_days, {name: text.to_series() for name, text in self.texts_.items()}
        self._number, self._past, self._space = {}, Past(), Space(len(self.items_))
        self.behaviours_ = []  # what there was in the log, so that an explanation finds its words
        self._fresh, self._asked, self._learned = -np.inf, None, False
        makers = {"overall": lambda: Overall(m, short_days=short, long_days=self.long_days),
                  "stratum": lambda: Stratum(self._space, strata=self.strata, days=short),
                  "random_strata": lambda: RandomStrata(self._space, strata=self.strata, days=short),
                  "permuted_strata": lambda: PermutedStrata(self._space, strata=self.strata, days=short),
                  "kindred": lambda: Kindred(self._space, days=short),
                  "domain": lambda: Domain(texts[CATEGORY], days=self.taste_days, recent_days=self.recent_days),
                  "taste": lambda: Taste(m, days=self.taste_days, recent_days=self.recent_days, l2=self.l2),
                  "missed": lambda: Missed(m, days=short),
                  "words": lambda: Words(texts[TITLE])}
        needs = {"domain": CATEGORY, "words": TITLE}
        self._layers = {name: makers[name]() for name in self.layers if needs.get(name, CATEGORY) in texts or name not in needs}
        self.columns_ = [column for layer in self._layers.values() for column in layer.names]
        self._weighing = {name: Weighing(self.columns_, [column for layer in some if layer in self._layers
                                                         for column in self._layers[layer].names])
                          for name, some in {"": self.layers, **(self.variants or {})}.items()}

    @property
    def weights_(self) -> np.ndarray:
        """What each of ``columns_`` counts."""
        return self._weighing[""].weights

    def _add(self, events: pd.DataFrame) -> None:
        self.behaviours_ = sorted({*self.behaviours_, *events[BEHAVIOUR].unique()} - {RETURN})
        for visit in _visits(events, self.items_):
            self._live(*visit)

    def visit(self, user: str, items, seconds: float) -> LayeredInterest:
        """`update` for one visit, without a table: id of the user, positions in ``items_``, unix seconds. Returns the model.

        Raises ValueError for a missing id, a position that is not there, and what is no time or one more than a day ahead of the
        computer's clock (milliseconds are); then nothing is learned.
        """
        self._check_fitted()
        user, items = _id(user), np.sort(np.asarray(items))
        if not isinstance(user, str):
            raise ValueError("visit: a user without an id; leave out the visits of those who are not known")
        if (items.dtype.kind not in "iu" or not len(items) or items[0] < 0 or items[-1] >= len(self.items_)
                or not isinstance(seconds, (int, float, np.number)) or not -np.inf < seconds < time.time() + DAY):
            raise ValueError(f"visit: items {items.tolist()} at {seconds!r}; give positions from 0 to {len(self.items_) - 1}, at "
                             f"least one, and unix seconds")
        mine = self.learned_.setdefault(user, {})
        for item in items.tolist():
            mine[item] = min(int(seconds), mine.get(item, int(seconds)))
        self._live(user, items, float(seconds))
        return self

    def _live(self, user: str, items: np.ndarray, now: float) -> None:
        """One visit: learn the weights from it, then see it."""
        now = max(now, self._past.latest)  # what comes late is seen when it comes
        number = self._number.setdefault(user, len(self._number))
        if self._fresh == -np.inf:
            self._fresh = now
        if now >= self._fresh + DAY * self.refresh_days:
            self._refresh(now)
        if self._past.visits >= self.burn_in:
            x, free = self._look(number, now)
            new = np.unique(items)
            new = new[free[new]]
            if len(new):
                for weighing in self._weighing.values():
                    weighing.learn(x, new, free, self.rate)
        self._space.see(self._past, number, items, now)
        for layer in self._layers.values():
            layer.see(self._past, number, items, now)
        self._past.add(number, items, now)
        self._asked = None

    def _refresh(self, now: float) -> None:
        """Learn anew what is learned from the whole past. Only visits bring this about: to ask changes nothing."""
        self._fresh, self._asked, self._learned = now, None, True
        for part in (self._space, *self._layers.values()):
            part.refresh(self._past, now)

    def _look(self, number: int, now: float) -> tuple[np.ndarray, np.ndarray]:
        """The columns (items, columns), each with mean 0 over what may be wanted, and which items that is."""
        if self._asked is not None and self._asked[0] == (number, now):
            return self._asked[1]
        free = np.ones(len(self.items_), dtype=bool)
        if not self.repeats:
            free[self._past.history(number)[0]] = False
        x = np.column_stack([column for layer in self._layers.values() for column in layer.say(self._past, number, now)])
        x -= x[free].mean(axis=0) if free.any() else 0
        self._asked = (number, now), (x, free)
        return x, free

    def parts(self, user: str, at=None) -> pd.DataFrame:
        """What each column adds to the score of each item, at a moment: items x columns. An unknown user is a newcomer."""
        self._check_fitted()
        there, x = self._as_of(user, moment(at))
        return pd.DataFrame(x * there.weights_, index=self.items_, columns=self.columns_)

    def score_variant(self, name: str, user: str, at=None) -> np.ndarray:
        """Scores by one of the ``variants``, (items,). Raises ValueError for one that there is not."""
        self._check_fitted()
        if name not in (self.variants or {}):
            raise ValueError(f"{name!r} is no variant of this model; there are {', '.join(self.variants or {}) or 'none'}")
        there, x = self._as_of(user, moment(at))
        return x @ there._weighing[name].weights

    def _score(self, users: pd.Index, at: pd.Timestamp | None) -> np.ndarray:
        if at is not None and at.timestamp() < self._past.latest:
            return self._until(at.timestamp())._score(users, at)  # once for all users
        return np.array([self._as_of(user, at)[1] @ self.weights_ for user in users]).reshape(len(users), len(self.items_))

    def _as_of(self, user: str, at: pd.Timestamp | None) -> tuple[LayeredInterest, np.ndarray]:
        """The model that knows what lies before a moment, and the columns it has for this user then."""
        if at is not None and at.timestamp() < self._past.latest:
            return self._until(at.timestamp())._as_of(user, at)
        now = self._past.latest if at is None else at.timestamp()
        return self, self._look(self._number.get(_id(user), len(self._number)), now)[0]

    def _until(self, moment: float) -> LayeredInterest:
        """The model as it was before a moment."""
        earlier = type(self)(**self.settings())
        earlier.items_, earlier.texts_ = self.items_, self.texts_
        earlier._begin()
        ids = list(self._number)
        for visit in range(self._past.since(moment)):
            earlier._live(ids[self._past.user[visit]], self._past.items_of(visit), self._past.time[visit])
        if not earlier._learned:  # as when fitted on these visits alone
            earlier._refresh(earlier._past.latest)
        return earlier

    def _kept(self) -> dict:
        return super()._kept() | {"users": list(self._number), "past": self._past.kept(), "fresh": float(self._fresh),
                                  "space": state_of(self._space),
                                  "weighing": {name: state_of(one) for name, one in self._weighing.items()},
                                  "state": {name: state_of(layer) for name, layer in self._layers.items()}}

    def _take(self, kept: dict) -> None:
        own = {name: kept.pop(name) for name in ("users", "past", "fresh", "space", "weighing", "state")}
        self.items_, self.texts_ = kept["items_"], kept["texts_"]
        self._begin()
        super()._take(kept)
        self._number = {user: number for number, user in enumerate(own["users"])}
        self._past, self._fresh = Past.put_together(own["past"]), own["fresh"]
        take_state(self._space, own["space"])
        for name, one in self._weighing.items():
            take_state(one, own["weighing"][name])
        for name, layer in self._layers.items():
            take_state(layer, own["state"][name])


def _id(user):
    """The id as text, as tables have it: 7, 7.0 and "7" are one user; a missing one stays missing."""
    return user if isinstance(user, str) else coerce_ids(pd.Series([user]))[0]


def _visits(events: pd.DataFrame, catalogue: pd.Index) -> Iterator[tuple[str, np.ndarray, float]]:
    """(user id, numbers of the items, time in seconds) of each visit, in order of time and then of user; returns are none."""
    events = events[events[BEHAVIOUR] != RETURN]
    seconds = events[TIME].to_numpy().astype("datetime64[s]").astype(float)
    users, user = np.unique(events[USER].to_numpy(dtype=object), return_inverse=True)
    item = encode(events[ITEM], catalogue)
    order = np.lexsort((item, user, seconds))
    seconds, user, item = seconds[order], user[order], item[order]
    edges = np.flatnonzero(np.r_[True, (np.diff(seconds) != 0) | (np.diff(user) != 0), True]) if len(item) else []
    for start, end in pairwise(edges):
        yield users[user[start]], item[start:end], seconds[start]
