"""One way to measure a ranker: full ranking over unseen items, per user first, the mean from that.

What counts is said by two lists of behaviours, the same for every model whatever it was fitted on:

* ``relevant``: a test event of one of these makes an item relevant (None: of any but a return);
* ``owned``: a training event of one of these takes the item out of the user's ranking (None: of any; (): nothing, repeats count).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from recsys_kit.data.interactions import EVERYTHING, Interactions, encode
from recsys_kit.evaluate import metrics
from recsys_kit.evaluate.split import Split
from recsys_kit.schema import BEHAVIOUR, BEHAVIOURS, ITEM, RETURN, USER, coerce_ids

BLOCK = 4_000_000  # scores held at once


def relevant_pairs(split: Split, *, relevant: Sequence[str] | None = None, owned: Sequence[str] | None = None) -> pd.DataFrame:
    """Distinct (user, item) pairs that the test holds and a ranking should find, in order of appearance."""
    test = _wanted(split, relevant)
    return test.iloc[np.sort(_fresh(test, _owned(split, owned))[-1])].reset_index(drop=True)


def _wanted(split: Split, relevant: Sequence[str] | None) -> pd.DataFrame:
    names = tuple(b for b in BEHAVIOURS if b != RETURN) if relevant is None else _listed(relevant, "relevant")
    pairs = split.test.loc[split.test[BEHAVIOUR].isin(names), [USER, ITEM]]
    return pairs.assign(**{column: coerce_ids(pairs[column]) for column in (USER, ITEM)})


def _owned(split: Split, owned: Sequence[str] | None) -> Interactions | None:
    weights = EVERYTHING if owned is None else dict.fromkeys(_listed(owned, "owned"), 1.0)
    return Interactions.from_events(split.train, weights=weights) if weights else None


def _listed(names: Sequence[str], what: str) -> Sequence[str]:
    unknown = [names] if isinstance(names, str) else [name for name in names if name not in BEHAVIOURS]
    if unknown:
        raise ValueError(f"{what}: {unknown[0]!r} is no list of behaviours; give one such as ['purchase'], of "
                         f"{', '.join(BEHAVIOURS)}")
    return names


def _fresh(test: pd.DataFrame, owned: Interactions | None) -> tuple[pd.Index, pd.Index, np.ndarray, np.ndarray, np.ndarray]:
    """Users and items of the test, sorted; row and column of its distinct pairs that are not owned, sorted; their first places."""
    users, items = (pd.Index(test[column].unique(), name=column).sort_values() for column in (USER, ITEM))
    code, first = np.unique(encode(test[USER], users) * len(items) + encode(test[ITEM], items), return_index=True)
    row, item = np.divmod(code, max(len(items), 1))
    if owned is not None:
        width, matrix = len(owned.items), owned.matrix
        mine, its = encode(users, owned.users)[row], encode(items, owned.items)[item]
        known = np.repeat(np.arange(len(owned.users)), np.diff(matrix.indptr)) * width + matrix.indices
        fresh = ~(_within(mine * width + its, known) & (mine >= 0) & (its >= 0))
        row, item, first = row[fresh], item[fresh], first[fresh]
    return users, items, row, item, first


def _within(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Which values stand among sorted others? (`np.isin` hashes or sorts all of them anew, which takes ten times as long.)"""
    place = np.searchsorted(among, values)
    return (place < len(among)) & (np.append(among, 0)[place] == values)


@dataclass(frozen=True, eq=False)
class Task:
    """What a split asks of every model, encoded once: who is judged, by which items, and what they own.

    users : the n users with at least one relevant item, sorted. items : ids of the items of the test, sorted.
    row, item : position in ``users`` and ``items`` of every relevant pair, sorted by both. owned : what is left out, or None.
    """

    users: pd.Index
    items: pd.Index
    row: np.ndarray
    item: np.ndarray
    owned: Interactions | None

    @property
    def n_relevant(self) -> np.ndarray:
        """Relevant items per user, (n,) int, all above zero."""
        return np.bincount(self.row, minlength=len(self.users))

    def hits(self, columns: np.ndarray, items: pd.Index) -> np.ndarray:
        """Which of the listed items are relevant: (n, k) bool, from a model's ``top`` and its ``items_``; -1 is no item."""
        place = np.append(encode(items, self.items), -1)[columns]  # -1, an empty place, finds the -1 at the end
        asked = np.arange(len(self.users))[:, None] * len(self.items) + place
        return _within(asked, self.row * len(self.items) + self.item) & (place >= 0)

    def top(self, model, k: int, at) -> np.ndarray:
        """The model's lists for all users: positions in ``model.items_``, (n, min(k, m)), -1 where a list is shorter."""
        return model.top(self.users, k, exclude_seen=self.owned or False, at=at)[0]


def task(split: Split, *, relevant: Sequence[str] | None = None, owned: Sequence[str] | None = None) -> Task:
    """The split's `Task`, made once for each choice of ``relevant`` and ``owned`` and kept with the split."""
    key = tuple(None if names is None else tuple(names) for names in (relevant, owned))
    made = vars(split).setdefault("_tasks", {})
    if key not in made:
        seen = _owned(split, owned)
        users, items, row, item, _ = _fresh(_wanted(split, relevant), seen)
        judged = np.unique(row)  # users with nothing new in the test are not judged
        made[key] = Task(users[judged], items, np.searchsorted(judged, row), item, seen)
    return made[key]


def evaluate_ranking(model, split: Split, *, k: int = 20, relevant: Sequence[str] | None = None,
                     owned: Sequence[str] | None = None) -> pd.DataFrame:
    """Rank all items the user does not own for every test user, and compare with what became relevant.

    model : a fitted ranker (`models.base.Ranker`), fitted on ``split.train`` or a part of it.
    relevant, owned : behaviours, see above; for example ``relevant=["purchase"], owned=["purchase"]``.
    Returns one row per user with at least one relevant item (index ``user_id``, sorted), columns ``ndcg, recall, precision,
    hit_rate, map, mrr, map_min`` (`metrics.per_user`; ``map`` divides by the relevant items, ``map_min`` by min(k, those)).
    Users the model says nothing about count as zero. The mean of a column is the metric. Raises ValueError for k < 1 and for names
    that are no behaviours.
    """
    asked = task(split, relevant=relevant, owned=owned)
    columns = asked.top(model, k, split.cut)
    hits = np.zeros((len(asked.users), k), dtype=bool)  # a catalogue below k leaves places empty: k stays k
    hits[:, :columns.shape[1]] = asked.hits(columns, model.items_)
    return pd.DataFrame(metrics.per_user(hits, asked.n_relevant), index=asked.users)


def evaluate_auc(model, split: Split, *, relevant: Sequence[str] | None = None, owned: Sequence[str] | None = None) -> pd.Series:
    """AUC per user over all items the user does not own: `metrics.auc` of the whole ranking, not only of its top.

    A relevant item that the model does not know ties with what it never recommends. Arguments and users as `evaluate_ranking`;
    a user whose unseen items are all relevant has NaN. Holds no more than a block of scores at a time.
    """
    asked = task(split, relevant=relevant, owned=owned)
    catalogue = model.items_.union(asked.items)
    own, place = encode(model.items_, catalogue), encode(asked.items, catalogue)
    result = np.empty(len(asked.users))
    block = max(1, BLOCK // max(len(catalogue), 1))
    for start in range(0, len(result), block):
        users = asked.users[start:start + block]
        scores = np.full((len(users), len(catalogue)), -np.inf)
        scores[:, own] = model.score(users, at=split.cut)
        wanted, left_out = np.zeros(scores.shape, dtype=bool), np.zeros(scores.shape, dtype=bool)
        mine = slice(*np.searchsorted(asked.row, [start, start + len(users)]))
        wanted[asked.row[mine] - start, place[asked.item[mine]]] = True
        if asked.owned is not None:
            row, column = asked.owned.pairs(users)
            column = encode(asked.owned.items, catalogue)[column]
            left_out[row[column >= 0], column[column >= 0]] = True
        result[start:start + block] = metrics.auc(scores, wanted, left_out)
    return pd.Series(result, index=asked.users, name="auc")
