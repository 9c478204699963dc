"""Biased matrix factorisation (SVD) and SVD++: ratings predicted from factors that stochastic gradient descent has learned."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import pandas as pd
from scipy import sparse

from recsys_kit.models.rating import RatingPredictor

DTYPES = ("float32", "float64")
SPREAD = 0.1  # standard deviation of the factors at the start
MOST = 1024  # factors: the inner loop is written out for their number


class _ByDescent(RatingPredictor):
    """What SVD and SVD++ share: settings, the order of learning, the watch over the descent, and the prediction."""

    def __init__(self, factors: int, epochs: int, lr: float, l2: float, scale, dtype: str, rng: int | None):
        for name, value, most in (("factors", factors, MOST), ("epochs", epochs, np.inf)):
            if not 1 <= value <= most or int(value) != value:
                raise ValueError(f"{name}={value!r}: give a whole number from 1 {'on' if most == np.inf else f'to {most}'}")
        if not (lr > 0 and np.isfinite(lr)):
            raise ValueError(f"lr={lr!r}: give a learning rate above zero, such as .005")
        if not (l2 >= 0 and lr * l2 < 1):
            raise ValueError(f"l2={l2!r}: give a number from 0 on; with lr={lr!r} it must stay below {1 / lr:g}")
        if dtype not in DTYPES:
            raise ValueError(f"dtype={dtype!r}: there are {', '.join(map(repr, DTYPES))}")
        self.factors, self.epochs, self.lr, self.l2 = int(factors), int(epochs), lr, l2
        self.scale, self.dtype, self.rng = None if scale is None else tuple(scale), dtype, rng

    def _fit(self, user: np.ndarray, item: np.ndarray, rating: np.ndarray) -> None:
        from recsys_kit.models.svd_kernel import lanes, rows

        # Users and items are numbered as they come, and learned in that order, user by user, as Surprise does it.
        who, what = pd.unique(user), pd.unique(item)
        order, starts = _runs(_numbered(user, who), len(who))
        items, ratings = _numbered(item, what)[order], rating[order].astype(self.dtype)
        start = np.random.RandomState(self.rng)
        vectors = []
        for count in (len(who), len(what), len(what))[:self._tables]:
            vectors.append(rows(count, self.factors, self.dtype))
            vectors[-1][:, :self.factors] = start.normal(0, SPREAD, (count, self.factors))
        biases = np.zeros(len(who), self.dtype), np.zeros(len(what), self.dtype)
        self.mean_ = float(rating.mean()) if self._biased() else 0.0
        numbers = [np.dtype(self.dtype).type(number) for number in (self.mean_, self.lr, self.l2)]
        epoch = self._epoch(starts, items, ratings, vectors, biases, numbers, lanes(vectors[0]))
        beyond = 1e4 * (1 + np.abs(rating).max())  # factors near the root of a rating make ratings
        with np.errstate(all="ignore"):
            for done in range(self.epochs):  # one call a pass: Ctrl-C is heard between them, after some milliseconds
                epoch()
                if not max(np.abs(biases[0]).max(), np.abs(vectors[0]).max()) < beyond:  # of NaN it is not, either
                    raise ValueError(f"lr={self.lr!r}: the descent ran away in epoch {done + 1} (numbers beyond all bounds).\n"
                                     f"To mend it: give a smaller lr, such as {self.lr / 10:g}")
        self.user_bias_, self.item_bias_ = _spread(biases[0], who, len(self.users_)), _spread(biases[1], what, len(self.items_))
        tables = [vector[:, :self.factors] for vector in vectors]
        self.user_vectors_ = _spread(tables[0], who, len(self.users_))
        self.item_vectors_ = _spread(tables[1], what, len(self.items_))
        self._finish(tables, starts, items, who, what)

    _tables = 2

    def _biased(self) -> bool:
        return True

    @abstractmethod
    def _epoch(self, starts, items, ratings, vectors, biases, numbers, width):
        """A function that learns from all ratings once."""

    def _finish(self, tables, starts, items, who, what) -> None:
        """Whatever else is to be kept."""

    def _predict(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        known_user, known_item = user >= 0, item >= 0
        both = known_user & known_item
        raw = self.mean_ + np.where(known_user, self.user_bias_[user], 0) + np.where(known_item, self.item_bias_[item], 0)
        raw[both] += np.einsum("nf,nf->n", self.user_vectors_[user[both]], self.item_vectors_[item[both]])
        return raw


class SVD(_ByDescent):
    """A rating is the mean, plus what the user and the item are off it, plus how their factors agree.

    ``r_ui = mu + b_u + b_i + p_u . q_i`` (Funk 2006; Koren, Bell, Volinsky 2009), learned rating by rating with the error
    ``e = r_ui - prediction``: ``b <- b + lr (e - l2 b)``, ``p <- p + lr (e q - l2 p)``, ``q <- q + lr (e p - l2 q)``.

    factors, epochs, lr, l2 : length of p and q; passes over the ratings; learning rate; penalty.
    biased : False leaves out mu and the biases: ``r_ui = p_u . q_i`` (Salakhutdinov and Mnih 2008).
    scale : (lowest, highest) rating; None: as found.
    dtype : ``"float64"`` is the model that ``surprise.SVD(random_state=rng)`` fits, to about 12 digits; ``"float32"`` is
        the same descent in half the memory and time, predictions differ from it in the fourth digit, the RMSE in about the sixth.
    rng : int, or None for another start every time.

    Learned: ``mean_``, ``user_bias_``, ``item_bias_``, ``user_vectors_`` (users, factors), ``item_vectors_`` (items, factors).
    The order of the events matters: users are learned in the order of their first rating, each user's ratings as they come.
    Not resumable: a million ratings take a second. Raises ValueError for settings that cannot be meant, and for a descent that
    runs away.

    >>> from recsys_kit import load
    >>> rated = load("market", max_users=200).events.dropna(subset="rating")
    >>> model = SVD(factors=8).fit(rated)
    >>> model.predict(rated.head(3)).shape, model.item_vectors_.shape[1]
    ((3,), 8)
    """

    def __init__(self, factors: int = 100, *, epochs: int = 20, lr: float = 0.005, l2: float = 0.02, biased: bool = True,
                 scale: tuple[float, float] | None = None, dtype: str = "float32", rng: int | None = 0):
        super().__init__(factors, epochs, lr, l2, scale, dtype, rng)
        self.biased = biased

    def _biased(self) -> bool:
        return self.biased

    def _epoch(self, starts, items, ratings, vectors, biases, numbers, width):
        from recsys_kit.models.svd_kernel import svd_epoch

        mean, lr, l2 = numbers
        lr_bias = lr if self.biased else lr * 0
        return lambda: svd_epoch(starts, items, ratings, *vectors, *biases, mean, lr, lr_bias, l2, width)


class SVDpp(_ByDescent):
    """SVD that also learns from which items a user rated, whatever the rating (SVD++; Koren 2008).

    ``r_ui = mu + b_u + b_i + q_i . (p_u + n^(-1/2) sum_j y_j)`` over the n items j the user rated. Beside the steps of `SVD`,
    a rating moves all of them: ``y_j <- y_j + lr (e q_i / n^(1/2) - l2 y_j)``. Written so, a user's n ratings cost n^2 steps.

    They need not: with ``w = n^(-1/2) sum_j y_j`` and ``a = 1 - lr l2``, a step is ``w <- a w + lr e q_i``, the same as that
    of p_u; and the error and q_i need only ``x = p_u + w``, whose step is ``x <- a x + 2 lr e q_i``. So a user's ratings run
    with x alone, as in `SVD`. At the end, half of what x gained, ``s = (x - a^n x_0) / 2``, is what each of p_u and w did:
    ``p_u <- a^n p_u + s``, ``y_j <- a^n y_j + s / n^(1/2)``. It is the same model, not an approximation.

    Settings and attributes as `SVD`; ``user_vectors_`` is ``p_u + n^(-1/2) sum_j y_j``, and p and y alone are ``own_vectors_`` and
    ``implicit_vectors_``. An item a user rated twice counts twice in n and in the sum. ``dtype="float64"`` is
    ``surprise.SVDpp(random_state=rng)``.
    """

    _tables = 3

    def __init__(self, factors: int = 20, *, epochs: int = 20, lr: float = 0.007, l2: float = 0.02,
                 scale: tuple[float, float] | None = None, dtype: str = "float32", rng: int | None = 0):
        super().__init__(factors, epochs, lr, l2, scale, dtype, rng)

    def _epoch(self, starts, items, ratings, vectors, biases, numbers, width):
        from recsys_kit.models.svd_kernel import svdpp_epoch

        user = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        again = pd.DataFrame({"user": user, "item": items}).duplicated().to_numpy()
        repeats = np.bincount(user[again], minlength=len(starts) - 1) > 0
        return lambda: svdpp_epoch(starts, items, ratings, repeats, *vectors, *biases, *numbers, width)

    def _finish(self, tables, starts, items, who, what) -> None:
        counts = np.diff(starts)
        shares = sparse.csr_array((np.repeat(1 / np.sqrt(counts), counts), items, starts), shape=(len(counts), len(tables[2])))
        self.own_vectors_, self.implicit_vectors_ = self.user_vectors_, _spread(tables[2], what, len(self.items_))
        self.user_vectors_ = self.own_vectors_ + _spread(shares @ tables[2].astype(float), who, len(self.users_))


def _numbered(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The place of each value in ``order``."""
    place = np.empty(order.max() + 1, dtype=np.int64)
    place[order] = np.arange(len(order))
    return place[values]


def _runs(user: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The order that puts each user's ratings together, and where each user's start in it."""
    return np.argsort(user, kind="stable"), np.append(0, np.cumsum(np.bincount(user, minlength=count)))


def _spread(values: np.ndarray, places: np.ndarray, size: int) -> np.ndarray:
    """``values`` at their places in the sorted ids, float64; zero for whoever has no rating."""
    out = np.zeros((size, *values.shape[1:]))
    out[places] = values
    return out
