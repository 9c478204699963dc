"""Predictors that learn one rating at a time: the running mean, and factors by gradient descent or by a Kalman filter.

``predict_one(user, item)`` says what is thought now and changes nothing; ``learn_one(user, item, rating)`` learns and forgets
the rating. There is no fit: a model that has learned nothing predicts about 0, users and items join with their first rating.
So a stream can be played prequentially, every rating predicted and then learned: `evaluate.rating.prequential_ratings`.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import pandas as pd

from recsys_kit.models.store import Stored

BLOCK = 1024  # vectors drawn at once


class OnlineMean(Stored):
    """The mean of all ratings so far, whoever and whatever is asked for: ``mu <- mu + (r - mu) / n``.

    Learned: ``mean_``, ``seen_`` (how many ratings).

    >>> model = OnlineMean()
    >>> model.learn_one("ann", "tea", 5.0); model.learn_one("bob", "tea", 2.0)
    >>> model.predict_one("eve", "milk")
    3.5
    """

    def __init__(self):
        self.mean_, self.seen_ = 0.0, 0

    def predict_one(self, user: str, item: str) -> float:
        """The rating this user would give this item, not held to any scale. Changes nothing."""
        return self.mean_

    def learn_one(self, user: str, item: str, rating: float) -> None:
        """Learn from one rating. Raises ValueError for one that is missing or infinite."""
        if not np.isfinite(rating):
            raise ValueError(f"the rating of {item!r} by {user!r} is {rating!r}; leave out what is not rated")
        self.seen_ += 1
        self.mean_ += (float(rating) - self.mean_) / self.seen_


class _OnlineFactors(OnlineMean):
    """What both factorisations share: ``r = mu + b_u + b_i + p_u . q_i``, with an array for every user and item that begins
    with the bias and the factors, made at its first rating. ``_start(n)`` is row n of one stream of normal numbers.
    """

    def __init__(self, factors: int, spread: float, rng: int | None):
        super().__init__()
        if not (factors >= 0 and int(factors) == factors):
            raise ValueError(f"factors={factors!r}: give a whole number, 0 for biases alone")
        if not 0 <= spread < np.inf:
            raise ValueError(f"spread={spread!r}: give the standard deviation of the factors at the start, such as .1")
        self.factors, self.spread, self.rng = int(factors), spread, rng
        self.users_: dict[str, np.ndarray] = {}
        self.items_: dict[str, np.ndarray] = {}
        self._restart()

    def predict_one(self, user: str, item: str) -> float:
        return self.mean_ + self._beyond_mean(*self._arrays(str(user), str(item)))

    def learn_one(self, user: str, item: str, rating: float) -> None:
        super().learn_one(user, item, rating)
        of_user, of_item = self._arrays(str(user), str(item))
        self.users_[str(user)], self.items_[str(item)] = of_user, of_item
        self._learn(of_user, of_item, rating - self.mean_)  # the mean has learned already, as in river

    def _arrays(self, user: str, item: str) -> tuple[np.ndarray, np.ndarray]:
        """What is known of the two, or what a newcomer would start with."""
        of_user, of_item = self.users_.get(user), self.items_.get(item)
        if of_user is None or of_item is None:
            new_user, new_item = self._newcomers(of_user is None)
            of_user, of_item = new_user if of_user is None else of_user, new_item if of_item is None else of_item
        return of_user, of_item

    def _start(self, row: int) -> np.ndarray:
        """A new array (1 + factors,): no bias, and this row of the stream, which depends on nothing but ``rng``."""
        while row >= len(self._rows):
            self._rows = np.concatenate([self._rows, self._stream.normal(0, self.spread, (BLOCK, self.factors))])
        return np.concatenate([[0.0], self._rows[row]])

    def _restart(self) -> None:
        self._stream, self._rows = np.random.RandomState(self.rng), np.empty((0, self.factors))

    @abstractmethod
    def _newcomers(self, user_is_new: bool) -> tuple[np.ndarray, np.ndarray]:
        """The arrays that a new user and a new item would start with."""

    @abstractmethod
    def _beyond_mean(self, user: np.ndarray, item: np.ndarray) -> float:
        """``b_u + b_i + p_u . q_i``"""

    @abstractmethod
    def _learn(self, user: np.ndarray, item: np.ndarray, rest: float) -> None:
        """Change both arrays in place, so that what is beyond the mean comes closer to ``rest``."""

    def _kept(self) -> dict:
        return {"mean": self.mean_, "seen": self.seen_,
                **{name: [pd.Index(list(known), dtype="str"), np.array(list(known.values()))]
                   for name, known in (("users", self.users_), ("items", self.items_))}}

    def _take(self, kept: dict) -> None:
        self.mean_, self.seen_ = kept["mean"], kept["seen"]
        self.users_, self.items_ = (dict(zip(ids, arrays.copy(), strict=True)) for ids, arrays in (kept["users"], kept["items"]))
        self._restart()


class OnlineMF(_OnlineFactors):
    """Biased matrix factorisation by one step of gradient descent a rating; ``factors=0``: two biases.

    The model of `SVD` (Koren, Bell, Volinsky 2009). With the error ``e = r - (mu + b_u + b_i + p_u . q_i)``, of which mu has
    learned already: ``b <- b + lr_bias (e - l2_bias b)``, ``p <- p + lr (e q - l2 p)``, ``q <- q + lr (e p - l2 q)``, all from
    the values before the step.

    factors : length of p and q. lr, lr_bias : learning rates. l2, l2_bias : penalties.
    spread : standard deviation of the factors at the start. rng : int, or None for another start every time.

    It is the model of ``river.reco.BiasedMF`` (and ``Baseline``), whose rate is along the gradient of ``e^2``: its .025 is .05
    here. Whoever is new gets the next numbers of one ``RandomState(rng)``, the user before the item: so a stream that is
    predicted and learned in turn starts from river's very numbers.

    Learned: ``mean_, seen_``; ``users_, items_``: id -> ``[b, factors...]``. Raises ValueError for settings that cannot be meant,
    and for a descent that runs away.

    >>> model = OnlineMF(factors=2)
    >>> for _ in range(9):
    ...     model.learn_one("ann", "tea", 5.0); model.learn_one("bob", "tea", 2.0)
    >>> model.predict_one("bob", "tea") < model.predict_one("eve", "tea") < model.predict_one("ann", "tea")
    True
    """

    def __init__(self, factors: int = 10, *, lr: float = 0.1, lr_bias: float = 0.05, l2: float = 0.0, l2_bias: float = 0.0,
                 spread: float = 0.1, rng: int | None = 0):
        super().__init__(factors, spread, rng)
        for name, rate, penalty in (("lr", lr, l2), ("lr_bias", lr_bias, l2_bias)):
            if not 0 < rate < np.inf:
                raise ValueError(f"{name}={rate!r}: give a learning rate above zero, such as .05")
            if not (penalty >= 0 and rate * penalty < 1):
                raise ValueError(f"{name.replace('lr', 'l2')}={penalty!r}: give a number from 0 on, below {1 / rate:g} with "
                                 f"{name}={rate!r}")
        self.lr, self.lr_bias, self.l2, self.l2_bias = lr, lr_bias, l2, l2_bias
        self._rate = np.full(self.factors + 1, float(lr))
        self._shrink = np.full(self.factors + 1, 1 - lr * l2)
        self._rate[0], self._shrink[0] = lr_bias, 1 - lr_bias * l2_bias

    def _newcomers(self, user_is_new: bool) -> tuple[np.ndarray, np.ndarray]:
        drawn = len(self.users_) + len(self.items_)
        return self._start(drawn), self._start(drawn + user_is_new)

    def _beyond_mean(self, user: np.ndarray, item: np.ndarray) -> float:
        return float(user[0] + item[0] + user[1:] @ item[1:])

    def _learn(self, user: np.ndarray, item: np.ndarray, rest: float) -> None:
        error = rest - self._beyond_mean(user, item)
        if not abs(error) < 1e50:  # of NaN it is not, either
            raise ValueError(f"lr={self.lr!r}, lr_bias={self.lr_bias!r}: the descent ran away after {self.seen_:,} ratings.\n"
                             f"To mend it: give smaller rates, such as {min(self.lr, self.lr_bias) / 10:g}")
        step = self._rate * error
        of_user, of_item = step * item, step * user
        of_user[0] = of_item[0] = step[0]
        user *= self._shrink
        user += of_user
        item *= self._shrink
        item += of_item


class KalmanMF(_OnlineFactors):
    """The same model learned by an extended Kalman filter, which finds the length of every step; ``factors=0``: two biases.

    Each user's and item's ``x = [b, factors]`` is believed normal with mean m and covariance C. A rating is
    ``r = mu + b_u + b_i + p_u . q_i + noise``, linear in x_u with slopes ``h = [1, q_i]``, in x_i with ``g = [1, p_u]``. With
    the error e::

        C_u[0, 0] <- C_u[0, 0] + drift                           the user's mood since the last rating
        S = noise + h' C_u h + g' C_i g                          how large e may be
        m_u <- m_u + C_u h e / S,   C_u <- C_u - C_u h h' C_u / S    and so for the item, with g

    A newcomer's first ratings move it far, an old hand's hardly: no learning rate, no penalty. With known items and no drift it
    is the user's ridge regression, carried on rating by rating. A rating costs (1 + factors)^2 steps, a user as many numbers.

    factors : length of p and q. noise : variance of a rating around its mean. prior_bias, prior : variance of a bias and of a
    factor before the first rating. drift : what a user's bias gains in variance with every rating. All four in squared steps
    of the scale. spread : standard deviation at which an item's factors start (a user's start at 0): where all are 0, no slope
    tells them apart. rng : int, or None for another start every time.

    Learned: ``mean_, seen_``; ``users_, items_``: id -> array (2 + factors, 1 + factors), first row m, the others C.
    Raises ValueError for settings that cannot be meant. Sources: Kalman (1960); for factors Lu, Agarwal and Dhillon (2009),
    Gultekin and Paisley (2014).

    >>> model = KalmanMF(factors=0)
    >>> model.learn_one("ann", "tea", 3.0); model.learn_one("ann", "milk", 5.0)
    >>> model.predict_one("ann", "milk") > model.mean_
    True
    """

    def __init__(self, factors: int = 20, *, noise: float = 0.8, prior_bias: float = 0.25, prior: float = 0.15,
                 drift: float = 0.003, spread: float = 0.05, rng: int | None = 0):
        super().__init__(factors, spread, rng)
        for name, value, least in (("noise", noise, "above"), ("prior_bias", prior_bias, "from"), ("prior", prior, "from"),
                                   ("drift", drift, "from")):
            if not (0 < value < np.inf if least == "above" else 0 <= value < np.inf):
                raise ValueError(f"{name}={value!r}: a variance; give a number {least} zero{' on' if least == 'from' else ''}")
        self.noise, self.prior_bias, self.prior, self.drift = noise, prior_bias, prior, drift
        self._prior = np.diag([float(prior_bias)] + [float(prior)] * self.factors)

    def _newcomers(self, user_is_new: bool) -> tuple[np.ndarray, np.ndarray]:
        means = np.zeros(self.factors + 1), self._start(len(self.items_))
        return np.vstack([means[0], self._prior]), np.vstack([means[1], self._prior])

    def _beyond_mean(self, user: np.ndarray, item: np.ndarray) -> float:
        return float(user[0, 0] + item[0, 0] + user[0, 1:] @ item[0, 1:])

    def _learn(self, user: np.ndarray, item: np.ndarray, rest: float) -> None:
        from recsys_kit.models.online_kernel import kalman_step

        kalman_step(user, item, rest, float(self.noise), float(self.drift))
