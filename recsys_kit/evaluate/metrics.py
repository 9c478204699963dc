"""Ranking metrics from hits: did the item at rank r of this user's list turn out to be relevant?

All take ``hits``, a boolean array (users, k) with the best rank first, and return one number per user. Users without a list
have a row of False: they count as zero and are never dropped. `ranking_hits` makes ``hits`` from tables of ids.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from recsys_kit.data.interactions import encode
from recsys_kit.schema import ITEM, USER

RANK = "rank"


def ranking_hits(recommended: pd.DataFrame, relevant: pd.DataFrame, users, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Hits per user and rank, and the number of relevant items per user.

    recommended : ``user_id, item_id, rank`` (1 = top); rows beyond rank k are ignored.
    relevant : ``user_id, item_id``; a pair that stands twice counts once.
    users : the n users to judge, in order. Returns ``hits`` (n, k) bool and ``n_relevant`` (n,) int.
    Raises ValueError if a user's list names a rank or an item twice, for a rank below 1, and for a missing id.
    """
    if recommended[RANK].lt(1).any():
        raise ValueError("recommended: a rank below 1; the best item has rank 1")
    if any(table[column].isna().any() for table in (recommended, relevant) for column in (USER, ITEM)):
        raise ValueError("recommended and relevant: a user or an item id is missing")
    users = pd.Index(users)
    items = pd.Index(pd.concat([recommended[ITEM], relevant[ITEM]]).unique())
    row, column = encode(relevant[USER], users), encode(relevant[ITEM], items)
    truth = np.unique(row[row >= 0] * len(items) + column[row >= 0])
    n_relevant = np.bincount(truth // max(len(items), 1), minlength=len(users))
    listed = recommended[recommended[RANK] <= k]
    row, column, rank = encode(listed[USER], users), encode(listed[ITEM], items), listed[RANK].to_numpy(dtype=np.int64)
    row, column, rank = row[row >= 0], column[row >= 0], rank[row >= 0]
    for what in (rank, column):
        place = row * (max(len(items), k) + 1) + what
        if len(np.unique(place)) < len(place):
            raise ValueError("recommended: a user's list names a rank or an item twice; each may stand there once")
    hits = np.zeros((len(users), k), dtype=bool)
    hits[row, rank - 1] = np.isin(row * len(items) + column, truth)
    return hits, n_relevant


def precision(hits: np.ndarray) -> np.ndarray:
    """Share of the k places that hold a relevant item: ``sum_r hit_r / k``. A short list is not excused (k stays k).

    >>> precision(np.array([[True, False, True, False]]))
    array([0.5])
    """
    return hits.mean(axis=1)


def recall(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """Share of the relevant items found among the k: ``sum_r hit_r / |relevant|``; 0 for a user without relevant items.

    >>> recall(np.array([[True, False]]), np.array([4]))
    array([0.25])
    """
    return hits.sum(axis=1) / np.maximum(n_relevant, 1)


def hit_rate(hits: np.ndarray) -> np.ndarray:
    """1 where at least one of the k is relevant, else 0.

    >>> hit_rate(np.array([[False, True], [False, False]]))
    array([1., 0.])
    """
    return hits.any(axis=1).astype(float)


def ndcg(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """Normalised discounted cumulative gain with binary gains (Järvelin and Kekäläinen, 2002).

    ``sum_r hit_r / log2(r + 1)`` divided by the same sum for a perfect list, which has its min(k, |relevant|) hits on top.

    >>> ndcg(np.array([[False, True]]), np.array([1])).round(4)
    array([0.6309])
    """
    discount = 1 / np.log2(np.arange(2, hits.shape[1] + 2))
    best = np.concatenate([[1.0], np.cumsum(discount)])  # the 1.0 stands in for 'no relevant item': 0 hits / 1 = 0
    return hits @ discount / best[np.minimum(n_relevant, hits.shape[1])]
