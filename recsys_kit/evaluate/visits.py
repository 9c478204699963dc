"""A log as visits in time order: what a shop sees one after the other, and what a replay plays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from recsys_kit.data.interactions import encode
from recsys_kit.evaluate.protocol import _listed
from recsys_kit.schema import BEHAVIOUR, ITEM, RETURN, TIME, USER, coerce_items, validate_events


@dataclass(frozen=True, eq=False)
class Visits:
    """Events sorted by time and gathered into visits: all events of one user at one instant, such as the lines of a basket.

    Attributes
    ----------
    events : the events in the order they are played; ``item`` (number in ``items``) and ``wanted`` (may be asked for) per event.
    users, items : the ids behind the numbers, each sorted. catalogue : the table of items, a row for each of ``items``.
    user, time : per visit the user's number, and the instant in seconds since 1970 (float64).
    starts : visit v holds the events ``starts[v]`` to ``starts[v + 1]``, so there is one more of these than visits.
    """

    events: pd.DataFrame
    users: pd.Index
    items: pd.Index
    catalogue: pd.DataFrame
    user: np.ndarray
    time: np.ndarray
    starts: np.ndarray
    item: np.ndarray
    wanted: np.ndarray

    @classmethod
    def from_events(cls, events: pd.DataFrame, *, items: pd.DataFrame | None = None, wanted: Sequence[str] | None = None) -> Visits:
        """Gather events into visits, in order of first appearance. Returns are no visits and are left out.

        items : the table of items, which may name more than the events do. wanted : behaviours that a list is judged by, such as
        ``["purchase"]``; None: all. An item named twice in one visit, with the same behaviour, is there once.
        Raises `SchemaError` for events that break the contract, ValueError for what is no behaviour.
        """
        events = validate_events(events)
        events = events[events[BEHAVIOUR] != RETURN].sort_values(TIME, kind="stable", ignore_index=True)
        events = events.drop_duplicates([USER, TIME, ITEM, BEHAVIOUR], ignore_index=True)
        users = pd.Index(events[USER].unique()).sort_values()
        known = pd.DataFrame({ITEM: []}, dtype="str") if items is None else coerce_items(items)
        catalogue = pd.Index(events[ITEM].unique()).union(pd.Index(known[ITEM])).sort_values()
        user, seconds = encode(events[USER], users), events[TIME].to_numpy().astype("datetime64[s]").astype(np.int64)
        visit = pd.MultiIndex.from_arrays([user, seconds]).factorize()[0]
        order = np.argsort(visit, kind="stable")
        events, visit = events.iloc[order].reset_index(drop=True), visit[order]
        starts = np.searchsorted(visit, np.arange(visit[-1] + 2 if len(visit) else 1))
        named = np.ones(len(events), dtype=bool) if wanted is None else events[BEHAVIOUR].isin(_listed(wanted, "wanted")).to_numpy()
        table = known.set_index(ITEM).reindex(catalogue).rename_axis(ITEM).reset_index()
        return cls(events, users, catalogue, table, user[order][starts[:-1]], seconds[order][starts[:-1]].astype(float), starts,
                   encode(events[ITEM], catalogue), named)

    def __len__(self) -> int:
        return len(self.user)

    def at_share(self, share: float) -> int:
        """The first visit that begins at or after this share of the events. Raises ValueError outside [0, 1]."""
        if not 0 <= share <= 1:
            raise ValueError(f"share={share!r}: give a part of the events, from 0 to 1")
        return int(np.searchsorted(self.starts[:-1], share * len(self.events)))

    def items_of(self, visit: int) -> np.ndarray:
        """Numbers of the items of one visit, in the order of its events."""
        return self.item[self.starts[visit]:self.starts[visit + 1]]

    def of(self, visit: int) -> pd.DataFrame:
        """The events of one visit."""
        return self.events.iloc[self.starts[visit]:self.starts[visit + 1]]

    def before(self, visit: int) -> pd.DataFrame:
        """All events of earlier visits."""
        return self.events.iloc[:self.starts[visit]]
