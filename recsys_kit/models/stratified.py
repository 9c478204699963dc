"""Popularity within the user's stratum: what people like this one took, leaning on what everybody took."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from recsys_kit.data.interactions import encode, event_weights
from recsys_kit.models.base import Ranker
from recsys_kit.schema import ITEM, USER, coerce_ids
from recsys_kit.strata.labels import as_labels, numbered
from recsys_kit.strata.result import Strata


class StratumPopularity(Ranker):
    """``s_ui = (n_ci + prior p_i) / (n_c + prior)``: the share of item i among the events of u's stratum c, shrunk to all users'.

    ``n_ci`` are the (weighted) events of the members of c with item i, ``n_c`` their sum, ``p_i`` the share of i among all
    events. It is the mean of a Dirichlet posterior whose prior is overall popularity (Gelman et al., 2013, section 3.4).

    labels : strata found by `recsys_kit.strata`, or a Series user id -> stratum. A user of noise (-1) or without a label, and one
        nobody has heard of, gets the overall list; a user with a label and no events gets the list of her stratum.
    prior : events of the whole shop that each stratum is given on top of its own; 0: the stratum alone, large: the shop.
    weights : ``beta`` per behaviour, as `Popularity`, none below zero: a share is made of counts.

    ``at`` changes only what counts as seen: shares are of all events. Labels are kept in the model's file. Raises ValueError for a
    negative prior or weight and without labels, `SchemaError` for bad ones.
    """

    def __init__(self, labels: Strata | pd.Series | None = None, *, prior: float = 1000.0,
                 weights: Mapping[str, float] | None = None):
        if not 0 <= prior < np.inf:
            raise ValueError(f"prior={prior!r}: give a number of events from 0 on")
        below = [name for name, beta in (weights or {}).items() if beta < 0]
        if below:
            raise ValueError(f"weights: {below[0]!r} is below zero, and a share is made of counts; give 0 to leave a behaviour out")
        self.labels, self.prior, self.weights = labels, prior, weights

    def settings(self) -> dict[str, Any]:
        """The arguments the model was made with, but for the labels: those count as learned."""
        return {"prior": self.prior, "weights": self.weights}

    def _fit(self, events: pd.DataFrame, items, users) -> None:
        if self.labels is None:
            raise ValueError("StratumPopularity has no labels; give it strata, or a Series by user id")
        labels = as_labels(self.labels.labels if isinstance(self.labels, Strata) else self.labels, "StratumPopularity")
        self.members_ = pd.Index(coerce_ids(pd.Series(labels.index)))
        self.stratum_, strata = numbered(labels)
        self.counts_ = np.zeros((len(strata) + 1, len(self.items_)))  # the last row: users of no stratum
        self._add(events)

    def _add(self, events: pd.DataFrame) -> None:
        place = self._strata(events[USER]), encode(events[ITEM], self.items_)
        np.add.at(self.counts_, place, event_weights(events, self.weights))

    def _strata(self, users) -> np.ndarray:
        """Row of ``counts_`` of each user."""
        place = encode(users, self.members_)
        return np.where(place >= 0, self.stratum_[place], -1) % len(self.counts_)

    def _score(self, users: pd.Index, at: pd.Timestamp | None) -> np.ndarray:
        overall = self.counts_.sum(axis=0) / max(self.counts_.sum(), 1e-300)
        total = self.counts_.sum(axis=1, keepdims=True) + self.prior
        shares = np.divide(self.counts_ + self.prior * overall, total, out=np.tile(overall, (len(total), 1)), where=total > 0)
        shares[-1] = overall
        return shares[self._strata(users)]
