"""Ranking a few candidates only. This exists **to reproduce papers** that measured so, and for nothing else.

Metrics among sampled candidates are not small versions of the full metrics: they can put two models in the opposite order
(Krichene and Rendle 2020, "On sampled metrics for item recommendation"; chapter 5 shows it). To find out which model is
better, use `evaluate_ranking`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from recsys_kit.data.interactions import Interactions, encode
from recsys_kit.evaluate import metrics
from recsys_kit.schema import ITEM, USER, coerce_ids, require_columns

POSITIVE = "positive"
BLOCK = 4_000_000  # scores held at once


def evaluate_candidates(model, candidates: pd.DataFrame, *, k: int = 10, exclude_seen: bool | Interactions = False, rng=0,
                        at=None) -> pd.DataFrame:
    """Rank each user's candidates only, and see where the positive ones land.

    model : a fitted ranker. candidates : ``user_id, item_id, positive`` (bool), every pair once, every user with at least one
        positive; leave-one-out protocols have one positive and some 100 negatives per user.
    exclude_seen : True leaves out candidates that the user touched in the model's training, an `Interactions` those touched
        there (some published negatives are training items); False ranks them all.
    rng : None, int or Generator: candidates of equal score stand in random order (no order of the file can win). Candidates with
        -inf or NaN and items unknown to the model are never listed.
    Returns a row per user (index ``user_id``, sorted) with the columns of `metrics.per_user`. No more than a block of scores is
    held at a time. Raises ValueError for candidates that break the rules above.
    """
    require_columns(candidates, (USER, ITEM, POSITIVE), "candidates")
    if k < 1:
        raise ValueError(f"k={k}: ask for at least one item")
    blank = candidates[POSITIVE].isna().sum()
    if blank:
        raise ValueError(f"candidates: {POSITIVE!r} is missing in {blank:,} rows; write True or False")
    ids = [coerce_ids(candidates[column]) for column in (USER, ITEM)]
    users, items = (pd.Index(column.dropna().unique()).sort_values() for column in ids)
    row, item = encode(ids[0], users), encode(ids[1], items)
    order = np.lexsort((item, row))  # the order of the table must not matter
    row, item, positive = row[order], item[order], candidates[POSITIVE].to_numpy(dtype=bool)[order]
    if (row < 0).any() or (item < 0).any():
        raise ValueError("candidates: a user or an item id is missing")
    if ((np.diff(row) == 0) & (np.diff(item) == 0)).any():
        raise ValueError("candidates: a user has the same item twice; give every pair once")
    n_relevant = np.bincount(row[positive], minlength=len(users))
    if (n_relevant == 0).any():
        raise ValueError(f"candidates: user {users[n_relevant.argmin()]!r} has no positive one; leave such users out by name")
    score = _scores(model, users, row, encode(items, model.items_)[item], at)
    if exclude_seen is not False:
        score[_touched(model.seen_ if exclude_seen is True else exclude_seen, users, items, row, item)] = -np.inf
    place = np.lexsort((np.random.default_rng(rng).random(len(row)), -score, row))
    starts = np.searchsorted(row, np.arange(len(users)))
    rank = np.arange(len(row)) - starts[row]  # of place, from 0 within each user: users keep their stretch of rows
    kept = (rank < k) & (score[place] > -np.inf)
    hits = np.zeros((len(users), k), dtype=bool)
    hits[row[kept], rank[kept]] = positive[place][kept]
    return pd.DataFrame(metrics.per_user(hits, n_relevant), index=users.rename(USER))


def _scores(model, users: pd.Index, row: np.ndarray, column: np.ndarray, at) -> np.ndarray:
    """The score of each candidate; -inf where the model does not know the item or has nothing to say."""
    result = np.full(len(row), -np.inf)
    block = max(1, BLOCK // max(len(model.items_), 1))
    for start in range(0, len(users), block):
        scores = model.score(users[start:start + block], at=at)
        mine = np.flatnonzero((row >= start) & (row < start + block) & (column >= 0))
        result[mine] = scores[row[mine] - start, column[mine]]
    return np.where(np.isnan(result), -np.inf, result)


def _touched(seen: Interactions, users: pd.Index, items: pd.Index, row: np.ndarray, item: np.ndarray) -> np.ndarray:
    of, column = seen.pairs(users)
    column = encode(seen.items, items)[column]
    known = of[column >= 0] * len(items) + column[column >= 0]
    return np.isin(row * len(items) + item, known)


def sample_candidates(pairs: pd.DataFrame, items, n: int, *, seen: Interactions | None = None, rng=0) -> pd.DataFrame:
    """For every (user, relevant item) pair a candidate list of its own: the item and ``n`` others drawn evenly.

    pairs : ``user_id, item_id``, one row per user, and at least one (ValueError). items : ids to draw from; never drawn are the
        user's own relevant item and what ``seen`` says the user touched. Where fewer than ``n`` are left, all of them are taken.
    Returns ``user_id, item_id, positive`` for `evaluate_candidates`.
    """
    if not len(pairs):
        raise ValueError("sample_candidates: no pairs; look whether the split's test holds anything new")
    users, items = pd.Index(coerce_ids(pairs[USER])), pd.Index(coerce_ids(pd.Series(items)).unique())
    if users.has_duplicates:
        raise ValueError("sample_candidates: one relevant item per user; take the first, or one at random")
    rng = np.random.default_rng(rng)
    positive = encode(pairs[ITEM], items)
    of, column = seen.pairs(users) if seen is not None else (np.empty(0, int), np.empty(0, int))
    column = encode(seen.items, items)[column] if seen is not None else column
    bounds = np.searchsorted(of, np.arange(len(users) + 1))
    drawn = []
    for place in range(len(users)):
        free = np.ones(len(items) + 1, dtype=bool)  # one place more: -1 is an item that cannot be drawn anyway
        free[column[bounds[place]:bounds[place + 1]]] = free[positive[place]] = free[-1] = False
        free = np.flatnonzero(free)
        drawn.append(rng.choice(free, min(n, len(free)), replace=False))
    others = pd.DataFrame({USER: users.repeat([len(d) for d in drawn]), ITEM: items[np.concatenate(drawn)], POSITIVE: False})
    own = pd.DataFrame({USER: users, ITEM: coerce_ids(pairs[ITEM]).to_numpy(), POSITIVE: True})
    return pd.concat([own, others], ignore_index=True)
