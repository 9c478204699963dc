"""One way to measure a ranker: full ranking over unseen items, per user first, the mean from that.

What counts is said by two lists of behaviours, the same for every model whatever it was fitted on:

* ``relevant``: a test event of one of these makes an item relevant (None: of any but a return);
* ``owned``: a training event of one of these takes the item out of the user's ranking (None: of any; (): nothing, repeats count).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from recsys_kit.data.interactions import EVERYTHING, Interactions, encode
from recsys_kit.evaluate import metrics
from recsys_kit.evaluate.split import Split
from recsys_kit.schema import BEHAVIOUR, BEHAVIOURS, ITEM, RETURN, USER


def relevant_pairs(split: Split, *, relevant: Sequence[str] | None = None, owned: Sequence[str] | None = None) -> pd.DataFrame:
    """Distinct (user, item) pairs that the test holds and a ranking should find, in order of appearance."""
    wanted = tuple(b for b in BEHAVIOURS if b != RETURN) if relevant is None else relevant
    test = split.test.loc[split.test[BEHAVIOUR].isin(wanted), [USER, ITEM]]
    train = split.train if owned is None else split.train[split.train[BEHAVIOUR].isin(owned)]
    users, items = pd.Index(test[USER].unique()), pd.Index(test[ITEM].unique())
    code = encode(test[USER], users) * len(items) + encode(test[ITEM], items)
    row, column = encode(train[USER], users), encode(train[ITEM], items)
    known = (row * len(items) + column)[(row >= 0) & (column >= 0)]
    first = np.sort(np.unique(code, return_index=True)[1])
    return test.iloc[first[~np.isin(code[first], known)]].reset_index(drop=True)


def evaluate_ranking(model, split: Split, *, k: int = 20, relevant: Sequence[str] | None = None,
                     owned: Sequence[str] | None = None) -> pd.DataFrame:
    """Rank all items the user does not own for every test user, and compare with what became relevant.

    model : a fitted ranker (`models.base.Ranker`), fitted on ``split.train`` or a part of it.
    relevant, owned : behaviours, see above; for example ``relevant=["purchase"], owned=["purchase"]``.
    Returns one row per user with at least one relevant item (index ``user_id``), columns ``ndcg, recall, precision, hit_rate``.
    Users the model says nothing about count as zero. The mean of a column is the metric.
    """
    pairs = relevant_pairs(split, relevant=relevant, owned=owned)
    users = pd.Index(pairs[USER].unique(), name=USER).sort_values()
    weights = EVERYTHING if owned is None else dict.fromkeys(owned, 1.0)
    seen = Interactions.from_events(split.train, weights=weights) if weights else False
    recommended = model.recommend(users, k, exclude_seen=seen, at=split.cut)
    hits, n_relevant = metrics.ranking_hits(recommended, pairs, users, k)
    return pd.DataFrame({"ndcg": metrics.ndcg(hits, n_relevant), "recall": metrics.recall(hits, n_relevant),
                         "precision": metrics.precision(hits), "hit_rate": metrics.hit_rate(hits)}, index=users)
