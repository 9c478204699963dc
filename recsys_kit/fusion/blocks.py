"""What a user's events say about the user, in blocks: what, when, how dear, how they act, and learned vectors.

Unlike `recsys_kit.features`, which counts, a block is made to be compared: few events are shrunk towards everybody's mean, so
that a user seen twice is not the most extreme user of all, and what all users share is learned once, so that users who come
later get rows on the same scale.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import pandas as pd

from recsys_kit.features import price_percentiles
from recsys_kit.fusion.measures import Acts, Categories, Hours, Prices, Seen, Vectors
from recsys_kit.schema import SchemaError, coerce_items, validate_events
from recsys_kit.strata.table import whole

VECTORS = 16  # dimensions where there are no categories
SAME = 1e-9   # a column whose values differ by less is constant; all blocks have values of about 1


class UserBlocks:
    """Blocks of numbers about users, learned on one log and made for any other: the input of `Fusion`.

    ``fit(events, items, rng).transform(events)`` gives a dict of DataFrames, each with one row per user of ``events`` (index
    ``user_id``, sorted, the same in every block), float64. Blocks, and when they are there:

    ``"category"``  (``items`` has categories) Square roots of the shares of the categories: ``sqrt(p_c)``, so that Euclidean
        distance between users is the Hellinger distance between their tastes (Rao, 1995; Legendre and Gallagher, 2001). A visit
        has one vote, spread evenly over the categories it touches, since the clicks within a visit follow from each other.
    ``"time"``  Square roots of the shares of visits that begin in each hour of the day (UTC), after shrinking towards the mean
        user with one pseudo-visit and smoothing over the circle of 24 hours with a von Mises kernel (kappa 3.5).
    ``"price"``  (prices are known) Does the user take the dear or the cheap things of a category? Mean percentile of the looks
        (see `recsys_kit.features.price_level`), minus the mean user's, times ``n / (n + 10)`` for n looks at something priced.
    ``"behaviour"``  (more than one behaviour) ``log((n_b + 5 r_b) / (n_look + 5))`` for every behaviour b that comes after the look
        in the funnel: how often a look leads to it, with five looks at the shop's rate ``r_b`` as a start.
    ``"vectors"``  (asked for, or no categories) Right singular vectors of the interest matrix, counts under the square root and
        rows of length 1: ``X V``. Items touched by fewer than 3 users are left out: each would make a dimension of its own for
        one user or two, and say nothing about who else is alike.

    The *look* is the click where there are clicks, else the first behaviour of view, favourite, cart, purchase, rate that occurs:
    what comes before it (a view, where clicks are logged) is what the shop showed. Returns are left out everywhere. A user of
    whom a block knows nothing (only returns, only unknown items) gets the mean user's row: no opinion. A block in which no
    column differs by more than 1e-9 between users is left out; ``left_out`` says which block is missing, and why.

    Parameters
    ----------
    level : how many levels of the category path to keep; None: all. Every category is a column: where there are thousands,
        as in a supermarket, one level or two say more and take less room.
    vectors : dimensions of the block of vectors, fewer where there are too few users or items; None: 16 if there is no
        block of categories, else none.

    Raises `SchemaError` for events that are not fit (see `schema.validate_events`) or if no block tells any two users apart,
    ValueError for a level or a number of vectors below 1, RuntimeError for `transform` before `fit`.

    >>> events = pd.DataFrame({"user_id": ["a", "b"], "item_id": ["x", "y"], "behaviour": "click",
    ...                        "timestamp": ["2024-01-01 09:00", "2024-01-01 21:00"]})
    >>> items = pd.DataFrame({"item_id": ["x", "y"], "category": ["tea/green", "tea/black"]})
    >>> UserBlocks().fit_transform(events, items)["category"].to_numpy().tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """

    def __init__(self, level: int | None = None, vectors: int | None = None):
        self.level = None if level is None else whole(level, 1, "UserBlocks: level")
        self.vectors = None if vectors is None else whole(vectors, 1, "UserBlocks: vectors")

    def fit(self, events: pd.DataFrame, items: pd.DataFrame | None = None, rng=None) -> Self:
        """Learn what all users share: categories, profiles, price percentiles, singular vectors.

        rng : start of the iteration that finds the singular vectors; it changes them by rounding only.
        """
        self.fit_transform(events, items, rng)
        return self

    def fit_transform(self, events: pd.DataFrame, items: pd.DataFrame | None = None, rng=None) -> dict[str, pd.DataFrame]:
        """`fit` and `transform` of the same events in one go."""
        events = validate_events(events)
        items = None if items is None else coerce_items(items)
        seen = Seen.of(events)
        learned, made, left_out = {}, {}, {}

        def keep(name: str, block) -> None:
            table = block if isinstance(block, str) else block.rows(seen)
            if isinstance(table, str):
                left_out[name] = table
            elif np.ptp(table, axis=0).max() <= SAME:
                left_out[name] = "the same for every user"
            else:
                learned[name], made[name] = block, table

        keep("category", Categories.learn(seen, items, self.level))
        keep("time", Hours.learn(seen))
        keep("price", Prices.learn(seen, price_percentiles(events, items)))
        keep("behaviour", Acts.learn(seen))
        vectors = self.vectors or (0 if "category" in learned else VECTORS)
        keep("vectors", Vectors.learn(seen, vectors, np.random.default_rng(rng)))
        if not learned:
            told = "; ".join(f"{name}: {why}" for name, why in left_out.items())
            raise SchemaError(f"nothing tells these {len(seen.users):,} users apart ({told}).\nTo mend it: take more users or a "
                              f"longer time, or pass items= with categories")
        self._blocks, self.left_out = learned, left_out
        return {name: _frame(learned[name], made[name], seen) for name in learned}

    def transform(self, events: pd.DataFrame) -> dict[str, pd.DataFrame]:
        """The same blocks for the users of ``events``, known or new. A user's rows depend on this user's events alone."""
        if not hasattr(self, "_blocks"):
            raise RuntimeError("these UserBlocks have not been fitted; call fit(events, items) first")
        seen = Seen.of(validate_events(events))
        return {name: _frame(block, block.rows(seen), seen) for name, block in self._blocks.items()}


def _frame(measure, rows: np.ndarray, seen: Seen) -> pd.DataFrame:
    return pd.DataFrame(rows, index=seen.users, columns=measure.columns)
