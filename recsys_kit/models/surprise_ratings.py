"""Rating predictors of the Surprise library behind the kit's interface; its neighbours are in `neighbours_rating`, SVD in `svd`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from recsys_kit.models.rating import RatingPredictor

SEEDED = ("NMF", "CoClustering")
ALGORITHMS = ("BaselineOnly", "SlopeOne", *SEEDED, "NormalPredictor")


class SurpriseRating(RatingPredictor):
    """A predictor of Surprise (Hug 2020) by its name, and its own ``options`` by theirs.

    algorithm : ``"BaselineOnly"``, the mean and the biases of user and item (Koren 2010); ``"SlopeOne"``, the mean difference
        between items (Lemire and Maclachlan 2005); ``"NMF"``, factors that are not negative (Luo et al. 2014);
        ``"CoClustering"``, means of user strata, item strata and their meetings (George and Merugu 2005);
        ``"NormalPredictor"``, a random draw from the normal distribution of the ratings: what knowing nothing scores.
    scale : (lowest, highest) rating; None: as found. rng : int, or None for another start (another draw) every time.

    A saved model keeps its ratings and is fitted anew when it is loaded, so its rng must be an int where the algorithm draws. The
    random draws come in the order of the pairs asked for. Raises ValueError for an algorithm that is not there and for options
    that Surprise does not know.

    >>> from recsys_kit import load
    >>> rated = load("market", max_users=200).events.dropna(subset="rating")
    >>> bool((SurpriseRating("BaselineOnly").fit(rated).predict(rated.head(3)) >= 1).all())
    True
    """

    def __init__(self, algorithm: str = "BaselineOnly", options: Mapping[str, Any] | None = None, *,
                 scale: tuple[float, float] | None = None, rng: int | None = 0):
        if algorithm not in ALGORITHMS:
            raise ValueError(f"algorithm={algorithm!r}: there are {', '.join(map(repr, ALGORITHMS))}; neighbours are "
                             f"recsys_kit.models.neighbours_rating, SVD and SVD++ recsys_kit.models.svd")
        self.algorithm, self.options = algorithm, None if options is None else dict(options)
        self.scale, self.rng = None if scale is None else tuple(scale), rng

    def _fit(self, user: np.ndarray, item: np.ndarray, rating: np.ndarray) -> None:
        self.ratings_ = [user, item, rating]
        self._learn()

    def _learn(self) -> None:
        import surprise  # here: it takes half a second to import, and only ratings need it

        # Users and items are numbered as they come, as Surprise does it: what it draws hangs on that.
        (who, user), (what, item) = (pd.factorize(column) for column in self.ratings_[:2])
        by_user, by_item = {}, {}
        for u, i, r in zip(who.tolist(), what.tolist(), self.ratings_[2].tolist(), strict=True):
            by_user.setdefault(u, []).append((i, r))
            by_item.setdefault(i, []).append((u, r))
        table = surprise.Trainset(by_user, by_item, len(user), len(item), len(self.ratings_[2]), (self.low_, self.high_),
                                  dict(zip(user.tolist(), range(len(user)), strict=True)),
                                  dict(zip(item.tolist(), range(len(item)), strict=True)))
        seed = {"random_state": self.rng} if self.algorithm in SEEDED else {}
        quiet = {"verbose": False} if self.algorithm == "BaselineOnly" else {}
        try:
            self._algorithm = getattr(surprise, self.algorithm)(**quiet | seed | (self.options or {}))
        except TypeError as error:
            raise ValueError(f"options={self.options!r}: {error}") from None
        self._algorithm.fit(table)

    def _predict(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        before = np.random.get_state()
        if self.algorithm == "NormalPredictor":
            np.random.seed(self.rng)  # it draws from numpy's common generator, which is put back as it was
        try:
            pairs = zip(user.tolist(), item.tolist(), strict=True)
            return np.array([self._algorithm.predict(u, i, clip=False).est for u, i in pairs])
        finally:
            np.random.set_state(before)

    def _take(self, kept: dict[str, Any]) -> None:
        super()._take(kept)
        self._learn()
