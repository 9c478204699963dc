"""Ratings predicted from neighbours: the k-nearest-neighbour predictors of the Surprise library behind the kit's interface."""

from __future__ import annotations

import numpy as np

from recsys_kit.models.rating import RatingPredictor

KINDS = {"basic": "KNNBasic", "centred": "KNNWithMeans", "baseline": "KNNBaseline"}
SIMILARITIES = ("msd", "cosine", "pearson", "pearson_baseline")


class KNNRating(RatingPredictor):
    """A rating from those of the ``neighbours`` most similar users who rated the item, or of the most similar items the user rated.

    ``r_ui = b_ui + sum_v sim(u, v) (r_vi - b_vi) / sum_v sim(u, v)`` over the neighbours with a similarity above zero; between
    items likewise. ``kind`` says what b is: ``"basic"`` 0, ``"centred"`` the mean of the user (of the item), ``"baseline"`` the
    overall mean plus the biases of user and item. With fewer than ``at_least`` neighbours basic gives the overall mean, the others
    b; of an unknown user or item, basic and centred give the overall mean, baseline the bias that is known.

    similarity : over what both rated, ``"msd"`` is ``1 / (mean squared difference + 1)``; ``"cosine"``; ``"pearson"``;
        ``"pearson_baseline"`` is the correlation around b, shrunk. between : ``"users"`` or ``"items"``.
    scale : (lowest, highest) rating; None: as found. Computed by Surprise (Hug, 2020; formulas: Koren, 2010); memory grows with
        the square of the number of users (items), and a million ratings take minutes.

    Raises ValueError for settings that are not there, and for the cosine of ratings that are all 0.

    A saved model keeps its ratings and finds the similarities anew when it is loaded.
    """

    def __init__(self, kind: str = "basic", *, neighbours: int = 40, at_least: int = 1, similarity: str = "msd",
                 between: str = "users", scale: tuple[float, float] | None = None):
        for name, value, there in (("kind", kind, tuple(KINDS)), ("similarity", similarity, SIMILARITIES),
                                   ("between", between, ("users", "items"))):
            if value not in there:
                raise ValueError(f"{name}={value!r}: there are {', '.join(map(repr, there))}")
        if not all(number >= 1 and int(number) == number for number in (neighbours, at_least)):
            raise ValueError(f"neighbours={neighbours!r}, at_least={at_least!r}: give whole numbers from 1 on")
        self.kind, self.neighbours, self.at_least = kind, int(neighbours), int(at_least)
        self.similarity, self.between, self.scale = similarity, between, None if scale is None else tuple(scale)

    def _fit(self, user: np.ndarray, item: np.ndarray, rating: np.ndarray) -> None:
        self.ratings_ = [user, item, rating]
        self._learn()

    def _learn(self) -> None:
        import surprise  # here: it takes half a second to import, and only ratings need it

        user, item, rating = (column.tolist() for column in self.ratings_)
        by_user, by_item = {}, {}
        for u, i, r in zip(user, item, rating, strict=True):
            by_user.setdefault(u, []).append((i, r))
            by_item.setdefault(i, []).append((u, r))
        sizes = len(self.users_), len(self.items_), len(rating)
        table = surprise.Trainset(by_user, by_item, *sizes, (self.low_, self.high_), {}, {})
        options = {"name": self.similarity, "user_based": self.between == "users"}
        make = getattr(surprise, KINDS[self.kind])
        self._algorithm = make(k=self.neighbours, min_k=self.at_least, sim_options=options, verbose=False)
        try:
            self._algorithm.fit(table)
        except ZeroDivisionError:
            raise ValueError(f"similarity={self.similarity!r} divides by zero where all that two have in common is rated 0; take "
                             f"'msd', or a scale without 0") from None

    def _predict(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        from surprise import PredictionImpossible

        def one(u: int, i: int) -> float:
            try:
                found = self._algorithm.estimate(u, i)
            except PredictionImpossible:
                return self._algorithm.trainset.global_mean
            return found[0] if isinstance(found, tuple) else found

        return np.array([one(u, i) for u, i in zip(user.tolist(), item.tolist(), strict=True)])

    def _take(self, kept: dict) -> None:
        super()._take(kept)
        self._learn()
