"""How far a stratum lies from all other users in every feature, and how far random strata of its size would."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recsys_kit.schema import SchemaError
from recsys_kit.strata.labels import as_labels, numbered
from recsys_kit.strata.result import totals
from recsys_kit.strata.table import as_table

SHUFFLES = 99  # the bound is the 95th of them
HOURS = [f"hour_{hour:02d}" for hour in range(24)]
LOGGED = ("recency_days", "events", "frequency", "session_length", "spend")
SHARES = ("hour_", "weekday_", "behaviour_", "category_")
WEEKEND = "weekend"


def contrasts(labels: pd.Series, features: pd.DataFrame) -> pd.DataFrame:
    """Effect sizes, strata x features: ``(mean of the stratum - mean of all other users) / standard deviation of all users``.

    labels : ``Strata.labels``; noise (-1) is no row, but its users are among the others. features : what
    `features.user_features` returns, or any numbers; a row for each of these users. Compared as they are, but for

    * long tails, as ``log(1 + x)``: the five columns of `features.activity`, and any other column, shares apart, that is never
      negative and has a skewness above 2;
    * hours, where all 24 columns are there: smoothed over their neighbours (weights 1 2 3 2 1), as few users have events in each;
    * ``weekend``, a column added where Saturday and Sunday are there and no other is called so.

    A constant feature has the effect 0, and so has everything where there is one stratum only. Raises `SchemaError` for users
    without features, labels that are missing or come twice, and broken features (see `as_table`).
    """
    labels = as_labels(labels, "contrasts")
    return effects(labels, comparable(labels, features))


def comparable(labels: pd.Series, features: pd.DataFrame) -> pd.DataFrame:
    """The features of the labelled users, on the scales that `contrasts` names."""
    missing = labels.index.difference(features.index)
    if len(missing):
        raise SchemaError(f"{len(missing):,} of {len(labels):,} users have a stratum but no features, for instance {missing[0]!r}."
                          f"\nTo mend it: make the features from the same events as the strata")
    table = pd.DataFrame(as_table(features.loc[labels.index]).values, index=labels.index, columns=features.columns)
    long = [name for name, column in table.items() if name in LOGGED or (
        not str(name).startswith(SHARES) and column.min() >= 0 and column.skew() > 2)]
    table[long] = np.log1p(table[long].clip(lower=0))
    if {"weekday_sat", "weekday_sun"} <= set(table) and WEEKEND not in table:
        table[WEEKEND] = table["weekday_sat"] + table["weekday_sun"]
    if set(HOURS) <= set(table):
        table[HOURS] = smooth(table[HOURS].to_numpy())
    return table


def smooth(day: np.ndarray) -> np.ndarray:
    """Hours (last axis, 24) averaged with their neighbours round the clock, weights 1 2 3 2 1."""
    return sum(weight * np.roll(day, shift, axis=-1) for shift, weight in zip(range(-2, 3), (1, 2, 3, 2, 1), strict=True)) / 9


def effects(labels: pd.Series, table: pd.DataFrame) -> pd.DataFrame:
    """`contrasts` of columns that are comparable already."""
    place, strata = numbered(labels)
    return pd.DataFrame(_apart(_standard(table), place, len(strata)), index=strata, columns=table.columns)


def chance(labels: pd.Series, table: pd.DataFrame) -> pd.Series:
    """For each stratum the largest effect in any column that random strata of the same sizes stay under, 95 times of 100.

    The maximum over all columns makes one bound hold for all of them at once (Westfall and Young, 1993).
    """
    place, strata = numbered(labels)
    standard, rng = _standard(table), np.random.default_rng(0)
    largest = [np.abs(_apart(standard, rng.permutation(place), len(strata))).max(axis=1) for _ in range(SHUFFLES)]
    return pd.Series(np.sort(largest, axis=0)[round(0.95 * (SHUFFLES + 1)) - 1], index=strata)


def _standard(table: pd.DataFrame) -> np.ndarray:
    values = table.to_numpy()
    spread = values.std(axis=0)
    flat = spread <= 1e-9 * np.abs(values).max(axis=0)  # a constant, but for rounding
    return (values - values.mean(axis=0)) / np.where(flat, np.inf, spread)


def _apart(standard: np.ndarray, place: np.ndarray, k: int) -> np.ndarray:
    """Mean of each group less the mean of all others. As the columns' means are 0 that is ``sum / n_c * n / (n - n_c)``."""
    sums, sizes = totals(standard, place, k)
    others = len(standard) - sizes
    return sums / sizes[:, None] * np.where(others > 0, len(standard) / np.maximum(others, 1), 0)[:, None]
