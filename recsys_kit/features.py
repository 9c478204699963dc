"""What a user's events say about the user: one row per user, one column per feature, nothing but numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recsys_kit.data.describe import sessions
from recsys_kit.schema import (
    BEHAVIOUR, BEHAVIOURS, CATEGORY, ITEM, PRICE, PURCHASE, QUANTITY, RETURN, TIME, USER, SchemaError,
    coerce_items, moment, validate_events)

DAY = pd.Timedelta(days=1)


def user_features(events: pd.DataFrame, *, items: pd.DataFrame | None = None, at=None, level: int = 1) -> pd.DataFrame:
    """All features below side by side; index ``user_id`` (sorted), columns float64.

    events : events up to the moment the features describe. items : with ``category`` for category shares and the price level.
    at : the moment recency counts back from; default the latest event. An event at or after ``at`` is refused: it would leak.
    level : how many levels of the category path to keep.

    ========================  ==============================================================================
    ``recency_days``          days from the last event to ``at``
    ``events``                number of events
    ``frequency``             number of sessions
    ``session_length``        events per session
    ``spend``                 sum of price x quantity over purchases (with a price column; quantity 1 if none)
    ``price_level``           mean percentile (0..1) of the touched items' prices among the items of their category
    ``behaviour_<name>``      share of each behaviour that occurs
    ``hour_00`` … ``hour_23``  share of events by hour of day, UTC as everywhere
    ``weekday_mon`` …          share of events by weekday
    ``category_<name>``       share of events by category
    ========================  ==============================================================================

    Shares of one group sum to 1 per user (of categories to 0 for a user who only returned things). Raises `SchemaError` (see
    `schema.validate_events` and `coerce_items`).
    """
    events = validate_events(events)
    items = None if items is None else coerce_items(items)
    at = moment(at)
    if at is not None:
        late = events[TIME] >= at
        if late.any():
            raise SchemaError(f"column '{TIME}': {late.sum():,} of {len(events):,} events are not before at={at}; features would "
                              f"know the future.\nTo mend it: pass events[events.timestamp < at], or the training side of a split")
    # as categories the ids are looked up once and not again for every block
    events = events.assign(**{column: events[column].astype("category") for column in (USER, ITEM)})
    blocks = [activity(events, at), price_level(events, items), behaviour_shares(events), time_shares(events)]
    if items is not None and CATEGORY in items:
        blocks.append(category_shares(events, items, level))
    table = pd.concat([block for block in blocks if block is not None], axis=1).astype("float64")
    return table.set_axis(table.index.astype("str"), axis=0).rename_axis(USER)


def activity(events: pd.DataFrame, at=None) -> pd.DataFrame:
    """Recency, frequency and spend (the RFM of direct marketing; Hughes, 1994), number of events and session length."""
    now = events[TIME].max() if at is None else moment(at)
    rows = events.assign(session=sessions(events))
    by_user = rows.groupby(USER)
    table = pd.DataFrame({"recency_days": (now - by_user[TIME].max()) / DAY, "events": by_user.size(),
                          "frequency": by_user["session"].nunique()})
    table["session_length"] = table["events"] / table["frequency"]
    if PRICE in events:
        paid = rows[PRICE].fillna(0) * (rows[QUANTITY].fillna(1) if QUANTITY in rows else 1)
        table["spend"] = paid.where(rows[BEHAVIOUR] == PURCHASE, 0).groupby(rows[USER]).sum()
    return table


def price_level(events: pd.DataFrame, items: pd.DataFrame | None) -> pd.DataFrame | None:
    """Does the user pick the dear or the cheap things of a category? Mean of `price_percentiles` over the events, 0 to 1.

    A user whose items have no price is in the middle. None where no price is known at all.
    """
    percentile = price_percentiles(events, items)
    if percentile is None:
        return None
    of_event = events[ITEM].map(percentile).astype("float64")
    return of_event.groupby(events[USER]).mean().fillna(0.5).rename("price_level").to_frame()


def price_percentiles(events: pd.DataFrame, items: pd.DataFrame | None) -> pd.Series | None:
    """How dear is an item among the items of its category? item id -> percentile of its price, 0 to 1, missing without a price.

    The price of an item is that of ``items``, else its median price in the events; of n prices in a category the i-th lies at
    ``(i - 1/2) / n``, so an item alone in its category is in the middle. None where no price is known at all.
    """
    known = [table for table in (None if items is None or PRICE not in items else items.set_index(ITEM)[PRICE],
                                 events.groupby(ITEM)[PRICE].median() if PRICE in events else None) if table is not None]
    if not known:
        return None
    price = known[0] if len(known) == 1 else known[0].combine_first(known[1].set_axis(known[1].index.astype("str")))
    group = _categories(price.index.to_series(), items, level=None) if items is not None and CATEGORY in items else \
        pd.Series("all", index=price.index)
    in_group = price.groupby(group.to_numpy())
    return (in_group.rank() - 0.5) / in_group.transform("count")


def behaviour_shares(events: pd.DataFrame) -> pd.DataFrame:
    """Share of each behaviour that occurs in the table, returns included."""
    names = [behaviour for behaviour in BEHAVIOURS if (events[BEHAVIOUR] == behaviour).any()]
    return _shares(events[USER], events[BEHAVIOUR].astype("str"), names, "behaviour_")


def time_shares(events: pd.DataFrame) -> pd.DataFrame:
    """Share of events per hour of the day (24 columns) and per weekday (7)."""
    hours = _shares(events[USER], events[TIME].dt.hour, range(24), "hour_", "{:02d}")
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    weekdays = _shares(events[USER], events[TIME].dt.day_of_week, range(7), "weekday_")
    return hours.join(weekdays.set_axis([f"weekday_{day}" for day in days], axis=1))


def category_shares(events: pd.DataFrame, items: pd.DataFrame, level: int | None = 1) -> pd.DataFrame:
    """Share of events (returns left out) per category, cut to ``level`` levels; items without one count as ``unknown``."""
    kept = events[events[BEHAVIOUR] != RETURN]
    names = _categories(kept[ITEM], items, level)
    table = _shares(kept[USER], names, sorted(names.unique()), "category_")
    return table.reindex(events[USER].drop_duplicates().sort_values(), fill_value=0.0)


def _categories(ids: pd.Series, items: pd.DataFrame, level: int | None) -> pd.Series:
    path = items.set_index(ITEM)[CATEGORY]
    if level is not None:
        path = path.str.split("/").str[:level].str.join("/")
    return ids.map(path).astype("str").fillna("unknown")


def _shares(users: pd.Series, values: pd.Series, names, prefix: str, form: str = "{}") -> pd.DataFrame:
    """Rows that sum to 1: how one user's events spread over ``names``."""
    user_codes, user_ids = pd.factorize(users, sort=True)
    place = pd.Index(names).get_indexer(values)
    counts = np.bincount(user_codes * len(names) + place, minlength=len(user_ids) * len(names)).reshape(len(user_ids), len(names))
    shares = counts / counts.sum(axis=1, keepdims=True)
    return pd.DataFrame(shares, index=pd.Index(user_ids), columns=[prefix + form.format(name) for name in names])
