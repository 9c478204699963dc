"""Beyond accuracy: what the lists are like, whether or not they hit. Coverage, novelty, diversity, serendipity, bias, calibration.

All take ``lists``, positions of items (users, k) with the best first and -1 where a list is shorter, as ``model.top`` gives them.
A user without a list has no diversity and no novelty: such a value is **NaN**, and the mean is over the users who have one; say how
many these are. `coverage` and `gini` are about all lists together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse

from recsys_kit.data.interactions import Interactions, encode
from recsys_kit.evaluate.protocol import task
from recsys_kit.evaluate.split import Split
from recsys_kit.schema import CATEGORY, ITEM, coerce_items


def coverage(lists: np.ndarray, n_items: int) -> float:
    """Catalogue coverage: share of the items that stand in at least one list (Ge, Delgado-Battenfeld and Jannach, 2010).

    It grows with the number of users asked, so compare only over the same users. *Prediction coverage* and *user coverage* in
    other libraries (Microsoft's `catalog_coverage` is this one) are the share of pairs and of users that get anything.

    >>> coverage(np.array([[0, 1], [1, -1]]), 4)
    0.5
    """
    return len(np.unique(lists[lists >= 0])) / n_items


def gini(counts) -> float:
    """How unevenly the places in all lists fall on the items: 0 all alike, near 1 everything on one item (Gini, 1912).

    ``sum_i (2 i - m - 1) c_i / (m sum c)`` with the counts c sorted upwards. Items never listed belong in it as zeros: without
    them the same lists look fairer.

    >>> gini([0, 0, 0, 4]), gini([1, 1, 1, 1])
    (0.75, 0.0)
    """
    c = np.sort(np.asarray(counts, dtype=float))
    if not c.size or c[0] < 0 or not c.sum() > 0:
        raise ValueError("gini wants counts of at least one item, none below zero, not all zero")
    return float(((2 * np.arange(1, c.size + 1) - c.size - 1) * c).sum() / (c.size * c.sum()))


def novelty(lists: np.ndarray, touched: np.ndarray, n_users: int) -> np.ndarray:
    """Mean self-information of the listed items in bits, ``mean_i -log2(touched_i / n)`` (Zhou et al., 2010); one per user.

    touched : (m,) users who touched each item in training, of ``n_users``. An item nobody touched counts as touched by one, so
    that no single item is infinitely new. Others take log to base 10 or e, the share of events instead of users, or divide by the
    largest value possible (RecTools, Elliot): the order of two models stays mostly the same, the number does not.

    >>> novelty(np.array([[0, 1]]), np.array([8, 2]), 8)
    array([1.])
    """
    return _mean(lists, -np.log2(np.maximum(touched, 1) / n_users))


def popularity(lists: np.ndarray, touched: np.ndarray, n_users: int) -> np.ndarray:
    """Average recommendation popularity: mean share of users who touched the listed items (ARP: Yin et al., 2012); one per user.

    The plainest measure of popularity bias; some (Abdollahpouri et al., 2019) count events instead of a share of users.

    >>> popularity(np.array([[0, 1], [1, -1]]), np.array([8, 2]), 8)
    array([0.625, 0.25 ])
    """
    return _mean(lists, touched / n_users)


def diversity(lists: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Mean distance of two items of a list (intra-list distance: Ziegler et al., 2005; Zhang and Hurley, 2008); one per user.

    ``2 / (L (L-1)) sum_{i<j} d(i, j)`` over the L listed items. features : (m,) labels: d is 0 within a category, else 1, and an
    item without one (NaN, None, "") differs from all; or (m, d) vectors: d is 1 - cosine, and a vector of zeros is at distance 1
    from all. NaN for a list of fewer than two. Ziegler's own intra-list *similarity* is a sum, so it grows with the list; others
    divide by L^2 and count each item's distance 0 to itself.

    >>> diversity(np.array([[0, 1, 2]]), np.array(["tea", "tea", "cup"])).round(3)
    array([0.667])
    """
    features = np.asarray(features)
    there = lists >= 0
    n = there.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        if features.ndim == 1:
            code = pd.factorize(pd.Series(features).replace("", None))[0]
            mix = _spread(lists, code, code.max(initial=-1) + 1)
            same = (np.asarray(mix.multiply(mix - (mix > 0)).sum(axis=1)).ravel()) / 2
            return np.where(n > 1, 1 - same / (n * (n - 1) / 2), np.nan)
        length = np.linalg.norm(features, axis=1, keepdims=True)
        unit = np.divide(features, length, out=np.zeros(features.shape), where=length > 0)
        known = (unit ** 2).sum(axis=1)  # 1, or 0 for a vector of zeros
        total = np.stack([unit[row[row >= 0]].sum(axis=0) for row in lists]) if len(lists) else np.empty((0, unit.shape[1]))
        alike = (total ** 2).sum(axis=1) - np.where(there, known[lists], 0).sum(axis=1)  # over ordered pairs of different places
        return np.where(n > 1, 1 - alike / (n * (n - 1)), np.nan)


def serendipity(lists: np.ndarray, hits: np.ndarray, obvious: np.ndarray) -> np.ndarray:
    """Share of the k places with an item that is relevant and that the obvious list does not hold (Ge et al., 2010); one per user.

    ``|relevant in list and not in obvious| / k``. hits : (users, k) bool for ``lists``. obvious : the lists of a primitive model,
    popularity as a rule, (users, any). Others weigh by unexpectedness or by distance to the history: ask which before comparing.

    >>> serendipity(np.array([[3, 4]]), np.array([[True, True]]), np.array([[4, 5]]))
    array([0.5])
    """
    row = np.arange(len(lists))[:, None] * (max(lists.max(initial=0), obvious.max(initial=0)) + 2)  # no user's items are another's
    expected = np.isin(row + lists, row + obvious)
    return (hits & ~expected).mean(axis=1)


def calibration(history: np.ndarray, listed: np.ndarray, *, alpha: float = 0.01) -> np.ndarray:
    """How far the list's mix of categories is from that of the user's past: Kullback-Leibler, in nats (Steck, 2018); one per user.

    ``sum_c p_c log(p_c / q~_c)`` with p the past's shares, q the list's and ``q~ = (1 - alpha) q + alpha p``; 0 is the same mix.
    history, listed : (users, categories) counts, not negative. NaN for a user without one of the two. Steck weighs the list by rank
    and the past by age; this is his measure with equal weights. *Calibration* of probabilities (chapter 11) is another thing.

    >>> calibration(np.array([[3, 1]]), np.array([[1, 1]]), alpha=0.01).round(3)
    array([0.128])
    """
    history, listed = np.asarray(history, dtype=float), np.asarray(listed, dtype=float)
    if (history < 0).any() or (listed < 0).any():
        raise ValueError("calibration wants counts, none below zero")
    with np.errstate(invalid="ignore", divide="ignore"):
        p, q = history / history.sum(axis=1, keepdims=True), listed / listed.sum(axis=1, keepdims=True)
        terms = p * np.log(p / ((1 - alpha) * q + alpha * p))
    return np.where(p == 0, 0.0, terms).sum(axis=1)


def evaluate_beyond(model, split: Split, *, items: pd.DataFrame | None = None, level: int = 1, k: int = 20,
                    relevant: Sequence[str] | None = None, owned: Sequence[str] | None = None) -> tuple[pd.DataFrame, pd.Series]:
    """The same lists that `evaluate_ranking` judges, seen from the other side.

    items : the items table; its ``category``, cut to ``level`` parts, gives diversity and calibration (without: left out).
    Returns per user (the same index as `evaluate_ranking`) ``listed`` (items in the list), ``novelty`` (bits), ``popularity``,
    ``serendipity`` (over the k most touched items the user does not own) and, with categories, ``diversity`` and ``calibration``;
    and for all lists together ``coverage`` and ``gini``, over the model's catalogue (NaN where nobody got a list).
    Raises `SchemaError` for items that break the contract, ValueError for a level below 1.
    """
    asked = task(split, relevant=relevant, owned=owned)
    lists = asked.top(model, k, split.cut)
    past = Interactions.from_events(split.train, items=model.items_)
    columns = encode(past.items, model.items_)
    touched = np.zeros(len(model.items_))
    np.add.at(touched, columns[columns >= 0], past.matrix.count_nonzero(axis=0)[columns >= 0])
    n = len(past.users)
    rows = {"listed": (lists >= 0).sum(axis=1), "novelty": novelty(lists, touched, n), "popularity": popularity(lists, touched, n),
            "serendipity": serendipity(lists, asked.hits(lists, model.items_), _obvious(asked, touched, model.items_, k))}
    if items is not None and CATEGORY in items:
        code = _categories(items, model.items_, level)
        rows["diversity"] = diversity(lists, np.where(code < 0, None, code))
        n = code.max(initial=-1) + 1  # an item of the past that the model does not know has no category here
        history = past.rows(asked.users) @ _members(np.append(code, -1)[columns], n)
        rows["calibration"] = calibration(history.toarray(), _spread(lists, code, n).toarray())
    counts = np.bincount(lists[lists >= 0], minlength=len(model.items_))
    whole = {"coverage": coverage(lists, len(model.items_)), "gini": gini(counts) if counts.sum() else np.nan}
    return pd.DataFrame(rows, index=asked.users), pd.Series(whole)


def _mean(lists: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Mean of one number per item over each list; NaN for an empty one."""
    there = lists >= 0
    n = there.sum(axis=1)
    return np.where(n > 0, np.where(there, value[lists], 0).sum(axis=1) / np.maximum(n, 1), np.nan)


def _spread(lists: np.ndarray, code: np.ndarray, categories: int) -> sparse.csr_array:
    """Items of each category in each list, (users, categories); -1 is no category, or no item."""
    row, place = np.nonzero(lists >= 0)
    of = code[lists[row, place]]
    known = of >= 0
    return sparse.csr_array((np.ones(known.sum()), (row[known], of[known])), shape=(len(lists), max(categories, 1)))


def _members(code: np.ndarray, categories: int) -> sparse.csr_array:
    """Which item is of which category: (items, categories) 0 and 1."""
    known = np.flatnonzero(code >= 0)
    return sparse.csr_array((np.ones(len(known)), (known, code[known])), shape=(len(code), max(categories, 1)))


def _categories(items: pd.DataFrame, catalogue: pd.Index, level: int) -> np.ndarray:
    """The number of each item's category, cut to ``level`` parts of its path; -1 where it has none."""
    if level < 1:
        raise ValueError(f"level={level!r}: give the number of parts of the category's path to look at, from 1 on")
    items = coerce_items(items)
    paths = pd.Series(items[CATEGORY].to_numpy(), index=items[ITEM]).reindex(catalogue).replace("", None)
    return pd.factorize(paths.astype("str").str.split("/").str[:level].str.join("/"))[0]


def _obvious(asked, touched: np.ndarray, catalogue: pd.Index, k: int) -> np.ndarray:
    """The k most touched items that each user does not own, as positions in ``catalogue``."""
    order = np.argsort(-touched, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    lists = np.full((len(asked.users), k), -1)
    if asked.owned is None:
        lists[:, :len(order)] = order[:k]
        return lists
    row, column = asked.owned.pairs(asked.users)
    column = encode(asked.owned.items, catalogue)[column]
    row, column = row[column >= 0], column[column >= 0]
    for user in range(len(lists)):
        mine = place[column[slice(*np.searchsorted(row, [user, user + 1]))]]
        free = np.setdiff1d(np.arange(min(k + len(mine), len(order))), mine)[:k]
        lists[user, :len(free)] = order[free]
    return lists
