"""What a stream of behaviour looks like: sessions, the funnel, the long tail."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recsys_kit.schema import (BEHAVIOUR, CART, CLICK, FAVOURITE, ITEM, PURCHASE, RATE, SESSION, TIME, USER, VIEW)

# The usual convention; Catledge and Pitkow (1995) put it at 25.5 minutes, 1.5 standard deviations above the mean pause.
SESSION_GAP = pd.Timedelta(minutes=30)
FUNNEL = (VIEW, CLICK, FAVOURITE, CART, PURCHASE, RATE)


def gini(counts) -> float:
    """Gini coefficient of non-negative counts: 0 when all are equal, near 1 when one has everything.

    ``G = sum_i (2 i - n - 1) x_(i) / (n sum x)`` with x sorted upwards (Gini 1912). Raises ValueError for no or negative counts.

    >>> gini([1, 1, 1, 1]), gini([0, 0, 0, 4])
    (0.0, 0.75)
    """
    x = np.sort(np.asarray(counts, dtype=float))
    if x.size == 0 or x[0] < 0 or not np.isfinite(x).all():
        raise ValueError("gini wants at least one count, none of them negative or missing")
    n, total = x.size, x.sum()
    return float(((2 * np.arange(1, n + 1) - n - 1) @ x) / (n * total)) if total else 0.0


def top_share(counts, share: float = 0.01) -> float:
    """Share of everything that the top ``share`` of the items holds (at least one item).

    >>> top_share([50, 25, 15, 10], share=0.25)
    0.5
    """
    x = np.sort(np.asarray(counts, dtype=float))[::-1]
    return float(x[:max(1, round(share * x.size))].sum() / x.sum()) if x.sum() else 0.0


def sessions(events: pd.DataFrame, gap: pd.Timedelta | str = SESSION_GAP) -> pd.Series:
    """Number the sessions: one whole number per event, aligned with ``events``.

    Where an event has the source's own ``session_id``, that decides (together with the user). Among the others a new session
    starts with a user's first event and after every pause longer than ``gap`` (30 minutes by convention).

    >>> t = pd.to_datetime(["2024-01-01 09:00", "2024-01-01 09:20", "2024-01-01 11:00"])
    >>> sessions(pd.DataFrame({"user_id": ["a", "a", "a"], "timestamp": t})).tolist()
    [0, 0, 1]
    """
    users = pd.factorize(events[USER], use_na_sentinel=False)[0]
    own = pd.factorize(events[SESSION])[0] if SESSION in events else np.full(len(events), -1)
    number = own * (users.max(initial=0) + 1) + users  # one number per (session_id, user) ...
    loose = np.flatnonzero(own < 0)
    times = events[TIME].to_numpy()[loose]
    order = np.lexsort((times, users[loose]))
    new = (np.diff(users[loose][order], prepend=-2) != 0)
    new[1:] |= np.diff(times[order]) > np.timedelta64(pd.Timedelta(gap))
    number[loose[order]] = number.max(initial=0) + np.cumsum(new)  # ... and numbers beyond them for events without one
    return pd.Series(pd.factorize(number)[0], index=events.index, name="session")


def funnel(events: pd.DataFrame) -> pd.DataFrame:
    """How many (user, item) pairs reach each behaviour, from view to rating.

    One row per behaviour that occurs: ``events``, ``pairs`` (distinct user-item pairs) and ``conversion``, the pairs divided by
    the pairs of the first row. Counting pairs and not events keeps someone who views an item nine times from counting nine times.
    """
    seen = [b for b in FUNNEL if (events[BEHAVIOUR] == b).any()]
    of = {b: events.loc[events[BEHAVIOUR] == b, [USER, ITEM]] for b in seen}
    table = pd.DataFrame({"events": {b: len(rows) for b, rows in of.items()},
                          "pairs": {b: len(rows.drop_duplicates()) for b, rows in of.items()}})
    return table.assign(conversion=table["pairs"] / table["pairs"].iloc[0]) if seen else table.assign(conversion=[])
