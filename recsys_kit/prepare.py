"""Cleaning that says what it removed and why, and scaling that learns from training data only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from recsys_kit.schema import (
    BEHAVIOUR, ITEM, PRICE, PURCHASE, QUANTITY, RETURN, TIME, USER, SchemaError, coerce_events)

REASON = "reason"


@dataclass(frozen=True, eq=False)
class Cleaned:
    """What is left, what went, and the account of it.

    events : the rows kept, in their order. removed : the rows taken out, with the column ``reason``.
    report : one row per reason, in the order of the steps: ``rows`` removed and ``left`` afterwards.
    Always ``len(events) + len(removed)`` equals the number of rows that came in.
    """

    events: pd.DataFrame
    removed: pd.DataFrame
    report: pd.DataFrame


def clean(events: pd.DataFrame, *, duplicate_key: Sequence[str] | None = None, outliers: str | None = None,
          not_products: Sequence[str] = ()) -> Cleaned:
    """Take out, in this order and each with its reason: rows without a user or an item, items that are no products, quantities
    or prices that are not above zero, duplicates, cancellations together with the purchases they cancel, and outliers.

    events : an events table as it came (`schema.coerce_events` must accept it).
    duplicate_key : columns that make two rows the same; None: all of them. The first of equal rows stays.
    outliers : ``"tukey"`` or ``"mad"`` (see `fences`): a purchase whose log quantity or log price lies outside goes; the report
        says where a rule cannot tell. None: keep.
    not_products : item ids that stand for postage, fees, corrections.

    A return cancels the latest earlier purchase by the same user of the same item in the same quantity; both go. A return
    without such a purchase (bought before the table begins, or in another quantity) goes alone.

    A row whose price is missing is kept: unknown is not zero. Raises `SchemaError` for a table of the wrong shape.
    """
    events = coerce_events(events)
    reasons, left, report = np.full(len(events), "", dtype=object), np.ones(len(events), dtype=bool), []

    def take_out(reason: str, find) -> None:
        places = np.flatnonzero(left)
        gone = places[np.asarray(find(events.iloc[places]), dtype=bool)]
        reasons[gone], left[gone] = reason, False
        report.append((reason, len(gone), int(left.sum())))

    take_out("no user id", lambda rows: rows[USER].isna())
    take_out("no item id", lambda rows: rows[ITEM].isna())
    take_out("no product", lambda rows: rows[ITEM].isin(list(not_products)))
    numbers = [column for column in (QUANTITY, PRICE) if column in events]
    for column in numbers:
        take_out(f"{column} not above zero", lambda rows, column=column: rows[column] <= 0)
    take_out("duplicate", lambda rows: rows.duplicated(duplicate_key))
    take_out("cancelled purchase", _cancelled)
    take_out("return", lambda rows: rows[BEHAVIOUR] == RETURN)
    for column in numbers if outliers else ():
        low, high = _log_fences(events[left], column, outliers)
        told = outliers if np.isfinite(high) else f"{outliers}: cannot tell, most values are equal"
        take_out(f"{column} outlier ({told})", lambda rows, column=column, low=low, high=high: (
            (rows[BEHAVIOUR] == PURCHASE) & rows[column].notna() & ~np.log(rows[column]).between(low, high)))
    table = pd.DataFrame(report, columns=[REASON, "rows", "left"]).set_index(REASON)
    return Cleaned(events[left], events[~left].assign(**{REASON: reasons[~left]}), table)


def _cancelled(rows: pd.DataFrame) -> pd.Series:
    """Purchases that a later return of the same user, item and quantity takes back; the latest one first (a stack per key)."""
    key_columns = [USER, ITEM] + ([QUANTITY] if QUANTITY in rows else [])
    key = rows.groupby(key_columns, sort=False, dropna=False).ngroup()
    returned = rows[BEHAVIOUR] == RETURN
    concerned = key.isin(key[returned]) & (returned | (rows[BEHAVIOUR] == PURCHASE))
    candidates = rows.assign(key=key, place=np.arange(len(rows)))[concerned]
    gone = np.zeros(len(rows), dtype=bool)
    open_purchases: dict[int, list[int]] = {}
    # a purchase and its return in the same instant: the purchase came first
    for row in candidates.sort_values([TIME, BEHAVIOUR], kind="stable").itertuples():
        stack = open_purchases.setdefault(row.key, [])
        if row.behaviour == PURCHASE:
            stack.append(row.place)
        elif stack:
            gone[stack.pop()] = True
    return pd.Series(gone, index=rows.index)


def fences(values, rule: str) -> tuple[float, float]:
    """Lower and upper bound beyond which a value counts as an outlier.

    ``"tukey"``: ``[Q1 - 3 IQR, Q3 + 3 IQR]``, the "far out" fences (Tukey, 1977).
    ``"mad"``: ``|0.6745 (x - median) / MAD| <= 3.5`` (Iglewicz and Hoaglin, 1993).
    ``"zscore"``: ``mean +- 3 standard deviations``, here to show why it fails: the outlier widens the fence that should stop it.

    Where so many values are equal that the spread (IQR, MAD) is zero, these rules cannot tell what is far: the bounds are infinite.
    Missing values are ignored. Raises ValueError for an unknown rule or no value at all.

    >>> fences([1, 2, 3, 4, 1000], "tukey"), fences([1, 2, 3, 4, 1000], "zscore")[1] > 1000
    ((-4.0, 10.0), True)
    """
    x = np.asarray(values, dtype=float)
    x = x[~np.isnan(x)]
    if x.size == 0:
        raise ValueError("fences: no values to learn the bounds from")
    if rule == "tukey":
        low, high = np.quantile(x, [0.25, 0.75])
        middle, below, above = None, low - 3 * (high - low), high + 3 * (high - low)
        spread = high - low
    elif rule == "mad":
        middle = np.median(x)
        spread = np.median(np.abs(x - middle))
        below, above = middle - 3.5 / 0.6745 * spread, middle + 3.5 / 0.6745 * spread
    elif rule == "zscore":
        middle, spread = x.mean(), x.std()
        below, above = middle - 3 * spread, middle + 3 * spread
    else:
        raise ValueError(f"no outlier rule {rule!r}; there are 'tukey', 'mad' and 'zscore'")
    return (float(below), float(above)) if spread > 0 else (-np.inf, np.inf)


def _log_fences(rows: pd.DataFrame, column: str, rule: str) -> tuple[float, float]:
    """Fences for the logarithm of what was bought; open where nothing was."""
    bought = rows.loc[(rows[BEHAVIOUR] == PURCHASE) & rows[column].gt(0), column]
    return fences(np.log(bought), rule) if len(bought) else (-np.inf, np.inf)


SCALERS = {"zscore": StandardScaler, "minmax": MinMaxScaler}


def scale(train: pd.DataFrame, *others: pd.DataFrame, method: str = "zscore") -> tuple[pd.DataFrame, ...]:
    """Scale feature tables with what the **first** one teaches; the others never influence the numbers.

    ``"zscore"``: ``(x - mean) / standard deviation``; ``"minmax"``: ``(x - min) / (max - min)``, so other tables may leave [0, 1].
    A column that is constant in the first table is only shifted, so it becomes 0 there. Missing values stay missing.
    Returns the tables in order, same index and columns. Raises `SchemaError` for columns that are not numbers (ids, times and
    names have no mean) or hold infinite values, ValueError for an unknown method.

    >>> scale(pd.DataFrame({"x": [0.0, 2.0]}), pd.DataFrame({"x": [4.0]}))[1]["x"].tolist()
    [3.0]
    """
    if method not in SCALERS:
        raise ValueError(f"no scaling {method!r}; there are {', '.join(map(repr, SCALERS))}")
    for table in (train, *others):
        missing = [column for column in train.columns if column not in table.columns]
        if missing or table.empty:
            what = f"no column {missing[0]!r}" if missing else "a table has no rows"
            raise SchemaError(f"features: {what}.\nTo mend it: make all tables with the same features, of at least one user each")
        for column in train.columns:
            if not pd.api.types.is_numeric_dtype(table[column]):
                raise SchemaError(f"column '{column}': {table[column].dtype} values cannot be scaled: an id, a time or a name "
                                  f"has no mean.\nTo mend it: leave it out, or make a number of it (hour of day, counts, shares)")
            if np.isinf(table[column].to_numpy(dtype=float, na_value=np.nan)).any():
                raise SchemaError(f"column '{column}': infinite values.\nTo mend it: look for a division by zero upstream")
    scaler = SCALERS[method]().set_output(transform="pandas").fit(train)
    return tuple(scaler.transform(table[list(train.columns)]) for table in (train, *others))
