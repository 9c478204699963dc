"""Collaborative filtering by neighbours: items that the same users touched, users who touched the same items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np
import pandas as pd
from scipy import sparse

from recsys_kit.data.interactions import Interactions, encode, event_weights
from recsys_kit.models.base import Ranker
from recsys_kit.models.neighbours_kernel import ADJUSTED, COSINE, JACCARD, most_similar
from recsys_kit.schema import ITEM, RATING, TIME, USER, SchemaError, coerce_ids, validate_events

KINDS = {"cosine": COSINE, "adjusted cosine": ADJUSTED, "jaccard": JACCARD}


class Neighbours(Ranker):
    """What user- and item-neighbours share: who touched what, and how alike two columns or rows of it are.

    ``x_ui`` is the weight of the strongest event of user u with item i: without ``weights``, 1 for whatever was touched. (How
    often is left out on purpose: someone who looked twenty times is one witness, and lists get worse where she counts twenty.)

    The similarity of a and b (two items, or two users), with ``n_ab`` the number of users (items) that have both:

    * ``"cosine"``: ``sum x_a x_b / (|x_a| |x_b|)`` (Sarwar et al., 2001);
    * ``"jaccard"``: ``n_ab / (n_a + n_b - n_ab)``, of those that have one, the share that have both (Jaccard, 1901);
    * ``"adjusted cosine"``: of ratings, less the mean of the user's ratings, ``d_ui = r_ui - mean_u(r)``:
      ``sum d_a d_b / sqrt(sum d_a^2 sum d_b^2)``, each sum over the ``n_ab`` that have both (Sarwar et al., 2001); between users,
      the correlation of Resnick et al. (1994) around the mean of all that a user rated. Events without a rating are not looked at,
      an item rated twice has the mean; where nothing is rated, fitting raises `SchemaError`. ``d`` also takes the place of ``x``
      in the scores: a neighbour speaks for what was rated above the mean, and against what was rated below.

    Each is multiplied by ``n_ab / (n_ab + shrinkage)``, which distrusts what few have in common (Bell and Koren, 2007). Only
    similarities above zero count, at most ``neighbours`` of them, of equal ones those of the lower ids; nobody is their own
    neighbour. A user without a history gets no list, nor does one for whom no neighbour speaks.

    neighbours : from 1 on. shrinkage : users (or items), from 0 on. weights : per behaviour; behaviours not named, and those with
    a weight that is not above zero, are left out (None: all but returns). With ``at``, what a user first touched before it speaks
    with the weight it has in the end; to keep later events out of that, fit on the events before ``at``.
    Raises ValueError for other settings.
    """

    def __init__(self, neighbours: int = 100, *, similarity: str = "cosine", shrinkage: float = 0.0,
                 weights: Mapping[str, float] | None = None):
        if similarity not in KINDS:
            raise ValueError(f"similarity={similarity!r}: there are {', '.join(map(repr, KINDS))}")
        if isinstance(neighbours, bool) or not float(neighbours).is_integer() or neighbours < 1:
            raise ValueError(f"neighbours={neighbours!r}: give a whole number from 1 on")
        if not 0 <= shrinkage < np.inf:
            raise ValueError(f"shrinkage={shrinkage!r}: give a number of users (or items) from 0 on")
        self.neighbours, self.similarity, self.shrinkage, self.weights = int(neighbours), similarity, shrinkage, weights

    def _touched(self, events: pd.DataFrame) -> Interactions:
        """``x`` of every pair, or its deviation ``d``, with the first moment of the pair."""
        worth = event_weights(events, self.weights)
        rated = self.similarity == "adjusted cosine"
        if rated and (RATING not in events or events[RATING].isna().all()):
            raise SchemaError("similarity 'adjusted cosine' compares ratings, and no event has one.\n"
                              "To mend it: take 'cosine' or 'jaccard', which only ask who touched what")
        kept = (worth > 0) & (events[RATING].notna().to_numpy() if rated else True)
        users = pd.Index(events[USER].unique()).sort_values().astype("str")
        code = encode(events[USER], users)[kept] * len(self.items_) + encode(events[ITEM], self.items_)[kept]
        pairs, place = np.unique(code, return_inverse=True)
        since = np.full(len(pairs), np.iinfo(np.int64).max)
        np.minimum.at(since, place, events[TIME].to_numpy()[kept].astype(np.int64))
        user, item = np.divmod(pairs, len(self.items_))
        if rated:
            rating = np.bincount(place, events[RATING].to_numpy()[kept]) / np.bincount(place)
            mean = np.bincount(user, rating, minlength=len(users)) / np.maximum(np.bincount(user, minlength=len(users)), 1)
            x = rating - mean[user]
        else:
            x = np.zeros(len(pairs))
            np.maximum.at(x, place, worth[kept])
        starts = np.searchsorted(user, np.arange(len(users) + 1))
        return Interactions(users, self.items_, sparse.csr_array((x, item, starts), shape=(len(users), len(self.items_))), since)

    def _nearest(self, vectors: sparse.csr_array, back: sparse.csr_array, own: np.ndarray) -> sparse.csr_array:
        return most_similar(vectors, back, own, kind=KINDS[self.similarity], n=self.neighbours, shrinkage=self.shrinkage)


def spoken_for(scores: sparse.csr_array) -> np.ndarray:
    """Scores as a dense array, with NaN in the rows of users for whom nothing speaks."""
    dense = scores.toarray()
    dense[~(dense != 0).any(axis=1)] = np.nan
    return dense


class ItemKNN(Neighbours):
    """Item-based collaborative filtering: ``s_ui = sum_(j touched by u) sim(j, i) x_uj``, i among the neighbours of j.

    Each item the user touched speaks for the ``neighbours`` items most similar to it (Deshpande and Karypis, 2004). What a
    similarity is, the settings and the errors: see `Neighbours`. With ``at``, what the user touched from then on does not speak.

    >>> events = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("xyxyx"), "behaviour": "view", "timestamp": 1e9})
    >>> ItemKNN().fit(events).recommend(["c"], 1)[["item_id", "score"]].round(3).to_numpy().tolist()
    [['y', 0.816]]
    """

    def _fit(self, events: pd.DataFrame, items, users) -> None:
        self.touched_ = self._touched(events)
        back = self.touched_.matrix
        self.similarity_ = self._nearest(back.T.tocsr(), back, np.arange(len(self.items_)))

    def _score(self, users: pd.Index, at: pd.Timestamp | None) -> np.ndarray:
        return spoken_for(self.touched_.rows(users, before=at) @ self.similarity_)

    def alike(self, item, n: int = 10) -> pd.DataFrame:
        """The neighbours of one item, "whoever touched it also touched": ``item_id, similarity``, the most similar first.

        Raises `NotFittedError`, and ValueError for an item that is not in the catalogue.
        """
        self._check_fitted()
        place = int(encode(pd.Series([item]), self.items_)[0])
        if place < 0:
            raise ValueError(f"alike: item {item!r} is not in the catalogue; model.items_ lists it")
        row = self.similarity_[[place]]
        order = np.argsort(-row.data, kind="stable")[:n]
        return pd.DataFrame({ITEM: self.items_[row.indices[order]], "similarity": row.data[order]})


class UserKNN(Neighbours):
    """User-based collaborative filtering: ``s_ui = sum_(v neighbour of u) sim(u, v) x_vi`` (Resnick et al., 1994).

    Nothing is learned but the table itself; neighbours are found when a list is asked for. So `update` is exact and costs what
    adding to the table costs (not for the adjusted cosine, where each new rating moves a mean). What a similarity is, the settings
    and the errors: see `Neighbours`. With ``at``, what the user touched from then on does not count towards who is alike.

    >>> events = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("xyxzx"), "behaviour": "view", "timestamp": 1e9})
    >>> UserKNN().fit(events).recommend(["c"], 2)[["item_id", "score"]].round(3).to_numpy().tolist()
    [['y', 0.707], ['z', 0.707]]
    """

    def _fit(self, events: pd.DataFrame, items, users) -> None:
        self._keep(self._touched(events))

    def _keep(self, touched: Interactions) -> None:
        self.touched_, self.by_item_ = touched, touched.matrix.T.tocsr()

    def update(self, events: pd.DataFrame) -> Self:
        """Learn on from later events; items must be of the catalogue (ValueError), users may be new."""
        self._check_fitted()
        if self.similarity == "adjusted cosine":
            return super().update(events)
        events = validate_events(events)
        self._learn_seen(events)
        old, new = self.touched_, self._touched(events)
        users = old.users.union(new.users).sort_values().astype("str")
        parts = [(np.repeat(users.get_indexer(part.users), np.diff(part.matrix.indptr)), part.matrix.indices, part.matrix.data,
                  part.since) for part in (old, new)]
        row, item, x, since = map(np.concatenate, zip(*parts, strict=True))
        pairs, place = np.unique(row * len(self.items_) + item, return_inverse=True)
        strongest, first = np.zeros(len(pairs)), np.full(len(pairs), np.iinfo(np.int64).max)
        np.maximum.at(strongest, place, x)
        np.minimum.at(first, place, since)
        starts = np.searchsorted(pairs, np.arange(len(users) + 1) * len(self.items_))
        matrix = sparse.csr_array((strongest, pairs % len(self.items_), starts), shape=(len(users), len(self.items_)))
        self._keep(Interactions(users, self.items_, matrix, first))
        return self

    def alike(self, users, *, at=None) -> pd.DataFrame:
        """The neighbours of these users: ``user_id, neighbour, similarity``, the most similar first. Raises `NotFittedError`."""
        self._check_fitted()
        users = pd.Index(coerce_ids(pd.Series(users)))
        found = self._alike(users, at).tocoo()
        order = np.lexsort((-found.data, found.row))
        return pd.DataFrame({USER: users[found.row[order]], "neighbour": self.touched_.users[found.col[order]],
                             "similarity": found.data[order]})

    def _alike(self, users: pd.Index, at) -> sparse.csr_array:
        return self._nearest(self.touched_.rows(users, before=at), self.by_item_, encode(users, self.touched_.users))

    def _score(self, users: pd.Index, at: pd.Timestamp | None) -> np.ndarray:
        return spoken_for(self._alike(users, at) @ self.touched_.matrix)
