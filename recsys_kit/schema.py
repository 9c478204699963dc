"""The common tables: their column names, their types, and the errors a broken table gets.

Every name of a column stands here once; the rest of the kit imports it. Two questions are asked apart:

* ``coerce_*``   is this table of the right *shape*? (columns there, types readable, times plausible)
* ``validate_*`` are its *values* fit for a model? (no missing id, no quantity below zero, ...)

Readers coerce, so a raw table can be looked at and cleaned (``prepare.clean``); models and features validate.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

USER, ITEM, BEHAVIOUR, TIME = "user_id", "item_id", "behaviour", "timestamp"
QUANTITY, PRICE, RATING, SESSION, SEQ = "quantity", "price", "rating", "session_id", "seq"
CATEGORY, TITLE = "category", "title"
LIST, POSITION, PROPENSITY, CLICKED = "list_id", "position", "propensity", "clicked"

VIEW, CLICK, FAVOURITE, CART, PURCHASE, RATE, RETURN = BEHAVIOURS = (
    "view", "click", "favourite", "cart", "purchase", "rate", "return")

BEHAVIOUR_TYPE = pd.CategoricalDtype(pd.Index(BEHAVIOURS, dtype="str"))
TRUTHS = {"1": True, "true": True, "0": False, "false": False}

ID_COLUMNS = (USER, ITEM, SESSION, LIST)
EVENT_COLUMNS = (USER, ITEM, BEHAVIOUR, TIME)
EVENT_OPTIONAL = (QUANTITY, PRICE, RATING, SESSION, SEQ)
EXPOSURE_COLUMNS = (USER, ITEM, LIST, POSITION, PROPENSITY, CLICKED, TIME)
NUMERIC = (QUANTITY, PRICE, RATING, PROPENSITY)
WHOLE = (SEQ, POSITION)

NO_TIME = "remove these rows; an event without a time has no place in a history"
EARLIEST = pd.Timestamp("1990-01-01")  # older than any web shop: an earlier time is a wrong unit or a default


class SchemaError(ValueError):
    """A table that breaks the contract. The message names the column, counts the bad rows and says how to mend it."""


def _examples(table: pd.DataFrame, bad) -> str:
    rows = table.loc[bad].head(3)
    return "\n".join(f"  row {index}: {row.to_dict()}" for index, row in rows.iterrows())


def refuse(table: pd.DataFrame, bad, column: str, what: str, mend: str) -> None:
    """Raise one `SchemaError` if any row of the boolean mask ``bad`` is set.

    The message has the form: column, what is wrong, how many rows of how many, the first three, how to mend it.
    """
    count = int(bad.sum())
    if count:
        raise SchemaError(f"column '{column}': {what} in {count:,} of {len(table):,} rows.\n"
                          f"{_examples(table, bad)}\nTo mend it: {mend}")


def require_columns(table: pd.DataFrame, needed, kind: str) -> None:
    """Raise if one of the ``needed`` columns is missing, naming what is there."""
    missing = [column for column in needed if column not in table.columns]
    if missing:
        raise SchemaError(f"{kind}: no column {', '.join(repr(m) for m in missing)}; "
                          f"the table has {', '.join(map(repr, table.columns))}.\nTo mend it: rename the columns, or say which "
                          f"is which when loading: columns={{{missing[0]!r}: 'name in your file'}}")


def coerce_ids(values: pd.Series) -> pd.Series:
    """Ids as text, missing ones as missing. Ids are names: ``007`` is not ``7``, and no mean is ever taken of them."""
    if values.dtype == "str":
        return values
    if isinstance(values.dtype, pd.CategoricalDtype):
        names = coerce_ids(pd.Series(values.cat.categories))
        return pd.Series(np.append(names, None)[values.cat.codes], index=values.index, name=values.name, dtype="str")
    if pd.api.types.is_object_dtype(values):  # mixed: each value by its own kind, so that 7, 7.0 and "7" are one user
        values = values.map(lambda v: int(v) if isinstance(v, float) and v.is_integer() else v)
    elif pd.api.types.is_float_dtype(values):  # 17850.0 is a whole number that met a missing value on its way
        if (values.abs() > 2**53).any():
            raise SchemaError(f"column '{values.name}': ids beyond 2**53 came as decimal numbers, and their last digits are lost.\n"
                              f"To mend it: read this column as text")
        if (values.dropna() % 1 == 0).all():
            values = values.astype("Int64")
    return values.astype("string").astype("str")


def moment(at) -> pd.Timestamp | None:
    """A moment as a UTC timestamp without a zone, from unix seconds or what `pandas.Timestamp` reads; None stays None.

    Raises ValueError for what is no time.
    """
    if at is None:
        return None
    given, at = at, pd.Timestamp(float(at), unit="s") if isinstance(at, (int, float, np.number)) else pd.Timestamp(at)
    if at is pd.NaT:
        raise ValueError(f"at={given!r} is no time; give a time such as 2024-05-31 18:05 (UTC), or unix seconds")
    return at.tz_convert("UTC").tz_localize(None) if at.tz is not None else at


def coerce_time(table: pd.DataFrame, column: str = TIME, now: pd.Timestamp | None = None) -> pd.Series:
    """Times as UTC datetime64[s] without a zone, from datetimes, ISO text, or unix **seconds**.

    Raises `SchemaError` for text that is no time, milliseconds, times before 1990 and times in the future
    (more than a day after ``now``).
    """
    values = table[column].infer_objects()
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        refuse(table, values.isna(), column, "missing time", NO_TIME)
        refuse(table, values.abs() > 1e11, column, "numbers too large for unix seconds (milliseconds or finer?)",
               f"divide them first: table['{column}'] //= 1000")
        times = pd.to_datetime(values, unit="s")
    else:
        times = pd.to_datetime(values, utc=True, errors="coerce", format="ISO8601" if values.dtype in ("str", "object") else None)
        refuse(table, times.isna(), column, "no readable time", "write times as 2024-05-31 18:05:00 (UTC) or as unix seconds")
        times = times.dt.tz_localize(None)
    times = times.astype("datetime64[s]")
    latest = (now or pd.Timestamp.now("UTC").tz_localize(None)) + pd.Timedelta(days=1)
    refuse(table, times > latest, column, "a time in the future", "check the clock, the time zone and the unit (seconds?)")
    refuse(table, times < EARLIEST, column, "a time before 1990", "check the unit: the kit reads plain numbers as unix seconds")
    return times


def _coerce_numbers(table: pd.DataFrame) -> dict[str, pd.Series]:
    columns = {}
    for column in (*NUMERIC, *WHOLE):
        if column in table.columns:
            numbers = pd.to_numeric(table[column], errors="coerce")
            refuse(table, numbers.isna() & table[column].notna(), column, "not a number",
                   "write numbers with a point and without units")
            refuse(table, np.isinf(numbers.astype("float64")), column, "an infinite number", "look for a division by zero upstream")
            if column in WHOLE:
                refuse(table, numbers.isna() | (numbers % 1 != 0), column, "no whole number", "number all rows with 1, 2, 3, ...")
            columns[column] = numbers.astype("float64" if column in NUMERIC else "int64")
    return columns


def coerce_events(table: pd.DataFrame, now: pd.Timestamp | None = None) -> pd.DataFrame:
    """The events table in its common types; extra columns are kept, no row is dropped.

    ``user_id, item_id[, session_id]`` text; ``behaviour`` a category of `BEHAVIOURS`; ``timestamp`` datetime64[s] in UTC;
    ``quantity, price, rating`` float64; ``seq`` int64. Raises `SchemaError`.
    """
    require_columns(table, EVENT_COLUMNS, "events")
    table = table.copy(deep=False)
    columns = {column: coerce_ids(table[column]) for column in ID_COLUMNS if column in table.columns}
    unknown = ~table[BEHAVIOUR].isin(BEHAVIOURS)
    refuse(table, unknown, BEHAVIOUR, "unknown behaviour", f"use one of {', '.join(BEHAVIOURS)}")
    columns[BEHAVIOUR] = table[BEHAVIOUR].astype(BEHAVIOUR_TYPE)
    columns[TIME] = coerce_time(table, now=now)
    return table.assign(**columns, **_coerce_numbers(table))


def coerce_items(table: pd.DataFrame) -> pd.DataFrame:
    """The items table: ``item_id`` text and unique, ``category`` a path with '/', ``price`` float64. Raises `SchemaError`."""
    require_columns(table, (ITEM,), "items")
    texts = {column: table[column].astype("string").astype("str") for column in (CATEGORY, TITLE) if column in table}
    table = table.assign(**{ITEM: coerce_ids(table[ITEM])}, **texts, **_coerce_numbers(table))
    refuse(table, table[ITEM].isna(), ITEM, "missing id", "give every item an id")
    refuse(table, table[ITEM].duplicated(), ITEM, "the same item twice", "keep one row per item")
    return table


def coerce_exposures(table: pd.DataFrame, now: pd.Timestamp | None = None) -> pd.DataFrame:
    """The exposures table: one row per shown item with its position (1 = top), propensity in (0, 1] and ``clicked``."""
    require_columns(table, EXPOSURE_COLUMNS, "exposures")
    clicked = table[CLICKED].astype("string").str.lower().map(TRUTHS)
    refuse(table, clicked.isna(), CLICKED, "neither yes nor no", "write 1 or 0, true or false")
    table = table.assign(**{c: coerce_ids(table[c]) for c in (USER, ITEM, LIST)}, **{TIME: coerce_time(table, now=now)},
                         **_coerce_numbers(table), **{CLICKED: clicked.astype(bool)})
    refuse(table, table[POSITION] < 1, POSITION, "a position below 1", "count positions from 1, the top of the list")
    refuse(table, ~table[PROPENSITY].between(0, 1, inclusive="right"), PROPENSITY, "not a probability above zero",
           "log the probability with which the policy chose the item")
    return table


def require_size(events: pd.DataFrame, *, users: int = 4, items: int = 2, instants: int = 4) -> None:
    """Raise one `SchemaError` where a log is too small, or too uniform, for what is to be shown with it."""
    for column, least, name in ((USER, users, "users"), (ITEM, items, "items"), (TIME, instants, "different times")):
        there = events[column].nunique()
        if there < least:
            raise SchemaError(f"column '{column}': {there:,} {name} in {len(events):,} events; at least {least} are needed here.\n"
                              f"To mend it: take a larger log, or look whether cleaning or the column mapping lost the rows")


def validate_events(events: pd.DataFrame) -> pd.DataFrame:
    """Check that events are fit for a model, and return them. Raises `SchemaError`; drops nothing.

    Asked beyond `coerce_events`: at least one row, no missing id, quantity above zero, no price below zero.
    """
    require_columns(events, EVENT_COLUMNS, "events")
    texts = all(events[column].dtype == "str" for column in (USER, ITEM))
    if not (texts and events[BEHAVIOUR].dtype == BEHAVIOUR_TYPE and events[TIME].dtype == "datetime64[s]"):
        events = coerce_events(events)
    if events.empty:
        raise SchemaError("events: the table has no rows.\nTo mend it: check the file, the filter before, or the split's cut.")
    refuse(events, events[TIME].isna(), TIME, "missing time", NO_TIME)
    refuse(events, events[BEHAVIOUR].isna(), BEHAVIOUR, "missing behaviour", f"use one of {', '.join(BEHAVIOURS)}")
    clean = "prepare.clean(events) removes such rows and reports them"
    for column in (USER, ITEM):
        refuse(events, events[column].isna(), column, "missing id", clean)
    if QUANTITY in events.columns:
        refuse(events, events[QUANTITY] <= 0, QUANTITY, "zero or negative quantity",
               f"{clean}; a quantity taken back is a row of its own with behaviour 'return' and a positive quantity")
    if PRICE in events.columns:
        refuse(events, events[PRICE] < 0, PRICE, "negative price", clean)
    return events
