"""Ranking metrics from hits: did the item at rank r of this user's list turn out to be relevant?

All take ``hits``, a boolean array (users, k) with the best rank first, and return one number per user. Users without a list
have a row of False: they count as zero and are never dropped. `ranking_hits` makes ``hits`` from tables of ids.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from recsys_kit.data.interactions import encode
from recsys_kit.schema import ITEM, USER, coerce_ids

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
    users = pd.Index(coerce_ids(pd.Series(users)))
    items = pd.Index(pd.concat([coerce_ids(recommended[ITEM]), coerce_ids(relevant[ITEM])]).unique())
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

    Surprise's FAQ divides by the length of the list instead, which makes a model look better for listing less.

    >>> precision(np.array([[True, False, True, False]]))
    array([0.5])
    """
    return hits.mean(axis=1)


def recall(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """Share of the relevant items found among the k: ``sum_r hit_r / |relevant|``; 0 for a user without relevant items.

    Some papers (Mult-VAE: Liang et al., 2018) divide by min(k, |relevant|), so that a perfect list gives 1.

    >>> recall(np.array([[True, False]]), np.array([4]))
    array([0.25])
    """
    return hits.sum(axis=1) / np.maximum(n_relevant, 1)


def hit_rate(hits: np.ndarray) -> np.ndarray:
    """1 where at least one of the k is relevant, else 0 (Deshpande and Karypis, 2004).

    With one relevant item per user it is recall@k; some libraries call the total of hits over that of relevant items HR.

    >>> hit_rate(np.array([[False, True], [False, False]]))
    array([1., 0.])
    """
    return hits.any(axis=1).astype(float)


def ndcg(hits: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """Normalised discounted cumulative gain with binary gains (Järvelin and Kekäläinen, 2002).

    ``sum_r hit_r / log2(r + 1)`` divided by the same sum for a perfect list, which has its min(k, |relevant|) hits on top.
    With graded relevance (scikit-learn's `ndcg_score` on ratings, or gains of ``2^rel - 1``) it is another number, and so it is
    where the ideal is summed over k places whatever there is to find.

    >>> ndcg(np.array([[False, True]]), np.array([1])).round(4)
    array([0.6309])
    """
    discount = 1 / np.log2(np.arange(2, hits.shape[1] + 2))
    best = np.concatenate([[1.0], np.cumsum(discount)])  # the 1.0 stands in for 'no relevant item': 0 hits / 1 = 0
    return hits @ discount / best[np.minimum(n_relevant, hits.shape[1])]


def average_precision(hits: np.ndarray, n_relevant: np.ndarray, by: str = "relevant") -> np.ndarray:
    """Average precision: ``sum_r hit_r * precision@r`` over the k places, divided by one of two things; its mean is **MAP**.

    by="relevant": by ``|relevant|`` (the definition of information retrieval: Buckley and Voorhees, 2000). Whoever has more than
        k relevant items cannot reach 1. So does Microsoft Recommenders' `map`.
    by="min": by ``min(k, |relevant|)``, so that a perfect list gives 1. So do Kaggle, RecBole, implicit, Microsoft's `map_at_k`
        and the studies of Ferrari Dacrema et al. (2019, 2021).
    Some divide by the number of hits; scikit-learn's `average_precision_score` agrees with both forms where k is the whole
    catalogue and no two scores are equal. 0 for a user without relevant items. Raises ValueError for another ``by``.

    >>> hits = np.array([[True, False, True]])
    >>> average_precision(hits, np.array([4])).round(4), average_precision(hits, np.array([4]), by="min").round(4)
    (array([0.4167]), array([0.5556]))
    """
    if by not in ("relevant", "min"):
        raise ValueError(f"by={by!r}: give 'relevant' (divide by the relevant items) or 'min' (by min(k, relevant items))")
    places = hits.shape[1]
    precise = np.cumsum(hits, axis=1) / np.arange(1, places + 1)
    return (precise * hits).sum(axis=1) / np.maximum(np.minimum(n_relevant, places) if by == "min" else n_relevant, 1)


def reciprocal_rank(hits: np.ndarray) -> np.ndarray:
    """``1 / rank`` of the first hit among the k, 0 where there is none; its mean is **MRR** (Voorhees, 1999).

    Cut at k as in RecBole; libraries that rank the whole catalogue first (LightFM) never give 0.

    >>> reciprocal_rank(np.array([[False, True, True], [False, False, False]]))
    array([0.5, 0. ])
    """
    return np.where(hits.any(axis=1), 1 / (hits.argmax(axis=1) + 1), 0.0)


def auc(scores: np.ndarray, relevant: np.ndarray, left_out: np.ndarray | None = None) -> np.ndarray:
    """Chance that a relevant item scores above one that is not, ties counting half (Hanley and McNeil, 1982); one per user.

    ``1/(P N) sum_p sum_n [s_p > s_n] + [s_p = s_n]/2`` over the P relevant and the N other items that are not left out.

    scores : (n, m); -inf and NaN ('never') are equal to each other and below every number. relevant, left_out : (n, m) bool.
    NaN where a user has no relevant item, or nothing else. A model with nothing to say has .5 here, which is chance: the one
    metric in which silence does not count as zero. scikit-learn's `roc_auc_score` is the same for one user; where a library
    pools the pairs of all users first (RecBole's AUC, its GAUC does not), that is another number.

    >>> auc(np.array([[3.0, 1.0, 2.0, 1.0]]), np.array([[True, True, False, False]]))
    array([0.625])
    """
    scores = np.where(np.isnan(scores), -np.inf, scores)
    result = np.full(len(scores), np.nan)
    for row, (score, wanted) in enumerate(zip(scores, relevant, strict=True)):
        among = np.ones(len(score), dtype=bool) if left_out is None else ~left_out[row]
        good, other = score[among & wanted], np.sort(score[among & ~wanted])
        if len(good) and len(other):
            below, upto = np.searchsorted(other, good, "left"), np.searchsorted(other, good, "right")
            result[row] = (below + upto).mean() / (2 * len(other))
    return result


def per_user(hits: np.ndarray, n_relevant: np.ndarray) -> dict[str, np.ndarray]:
    """All metrics that hits give, by name: ``ndcg, recall, precision, hit_rate, map, mrr, map_min``.

    ``map`` divides by the relevant items, ``map_min`` by min(k, relevant items): see `average_precision`.
    """
    return {"ndcg": ndcg(hits, n_relevant), "recall": recall(hits, n_relevant), "precision": precision(hits),
            "hit_rate": hit_rate(hits), "map": average_precision(hits, n_relevant), "mrr": reciprocal_rank(hits),
            "map_min": average_precision(hits, n_relevant, by="min")}
