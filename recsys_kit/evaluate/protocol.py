"""One way to measure a ranker: full ranking over unseen items, per user first, the mean from that."""

from __future__ import annotations

import pandas as pd

from recsys_kit.data.interactions import encode
from recsys_kit.evaluate import metrics
from recsys_kit.evaluate.split import Split
from recsys_kit.schema import BEHAVIOUR, ITEM, RETURN, USER


def relevant_pairs(split: Split) -> pd.DataFrame:
    """Distinct (user, item) pairs of the test that the user has not touched in training; returned goods do not count."""
    test = split.test.loc[split.test[BEHAVIOUR] != RETURN, [USER, ITEM]].drop_duplicates()
    known = pd.MultiIndex.from_frame(split.train[[USER, ITEM]].drop_duplicates())
    return test[~pd.MultiIndex.from_frame(test).isin(known)].reset_index(drop=True)


def evaluate_ranking(model, split: Split, *, k: int = 20) -> pd.DataFrame:
    """Rank all unseen items for every test user and compare with what they then touched for the first time.

    model : a fitted ranker (`models.base.Ranker`), fitted on ``split.train`` only.
    Returns one row per user with at least one relevant item (index ``user_id``), columns ``ndcg, recall, precision, hit_rate``.
    Users the model says nothing about count as zero. The mean of a column is the metric.
    """
    relevant = relevant_pairs(split)
    users = pd.Index(relevant[USER].unique(), name=USER).sort_values()
    recommended = model.recommend(users, k, exclude_seen=True, at=split.cut)
    hits, n_relevant = metrics.ranking_hits(recommended, relevant, users, k)
    return pd.DataFrame({"ndcg": metrics.ndcg(hits, n_relevant), "recall": metrics.recall(hits, n_relevant),
                         "precision": metrics.precision(hits), "hit_rate": metrics.hit_rate(hits)}, index=users)


def share_of_new_users(split: Split) -> float:
    """Share of the judged users who have no event in training: a personal model starts cold on them."""
    users = pd.Index(relevant_pairs(split)[USER].unique())
    return float((encode(users, pd.Index(split.train[USER].unique())) < 0).mean())
