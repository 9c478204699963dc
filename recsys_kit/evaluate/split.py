"""Three ways to hold data back, and what each of them leaks.

All return disjoint tables that together are the input, and never part one user's events of one instant: what goes into a
basket together is learned from or tested on together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from recsys_kit.data.dataset import fingerprint
from recsys_kit.schema import TIME, USER, SchemaError, moment, validate_events


@dataclass(frozen=True, eq=False)
class Split:
    """Training and test events. ``cut`` is the first instant of the test where the split has one, else None."""

    train: pd.DataFrame
    test: pd.DataFrame
    how: str
    cut: pd.Timestamp | None = None

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over both sides: equal splits, equal fingerprint."""
        return fingerprint(self.train, self.test)

    def __repr__(self) -> str:
        return f"Split({self.how}: {len(self.train):,} train, {len(self.test):,} test)"


def _share(share: float) -> float:
    if not 0 < share < 1:
        raise ValueError(f"test={share!r} is no share: give the part of the events to hold back, between 0 and 1, such as 0.2")
    return share


def _split(events: pd.DataFrame, in_test: np.ndarray, how: str, cut=None) -> Split:
    for side, empty in (("training", in_test.all()), ("test", not in_test.any())):
        if empty:
            raise SchemaError(f"split {how}: the {side} side would be empty.\nTo mend it: choose another cut or share; "
                              f"the events run from {events[TIME].min()} to {events[TIME].max()}")
    return Split(events[~in_test], events[in_test], how, cut)


def by_time(events: pd.DataFrame, *, test: float = 0.2, at=None) -> Split:
    """Everything before one instant is training, everything from it on is test: the split a shop lives with.

    test : share of the events to hold back; the cut falls between two instants, so the share is met as closely as ties allow.
    at : the cut itself (anything `pandas.Timestamp` reads; UTC where it names no zone), instead of ``test``.
    Raises `SchemaError` if a side would be empty, ValueError for a share outside (0, 1).

    What it leaks: nothing of the future. (Users and items that appear only after the cut are in the test: a cold start is
    part of the task.)

    ====  ======  =====
    user  time    side
    ====  ======  =====
    a     Monday  train
    b     Monday  train
    a     Friday  test
    b     Friday  test
    ====  ======  =====
    """
    events = validate_events(events)
    times = events[TIME].to_numpy()
    if at is None:
        instants, counts = np.unique(times, return_counts=True)
        share_from = 1 - np.cumsum(counts)[:-1] / len(times)  # of the test, if it begins with the 2nd, 3rd, ... instant
        cut = pd.Timestamp(instants[1 + np.abs(share_from - _share(test)).argmin()] if len(instants) > 1 else instants[0])
    else:
        cut = moment(at)
    return _split(events, times >= cut.to_datetime64(), "by time", cut)


def leave_last_out(events: pd.DataFrame) -> Split:
    """Each user's last instant (one event, or one basket) is test, all before is training.

    Users with a single instant stay wholly in training. Raises `SchemaError` if nobody has two instants.

    What it leaks: the future of everybody else. Below, b's Friday is learned from before a's Wednesday is guessed, so what
    became popular on Friday is known on Wednesday (Ji et al. 2023, "A critical study on data leakage in recommender systems").

    ====  =========  =====
    user  time       side
    ====  =========  =====
    a     Monday     train
    a     Wednesday  test
    b     Friday     train
    b     Saturday   test
    ====  =========  =====
    """
    events = validate_events(events)
    by_user = events.groupby(USER, sort=False)[TIME]
    last, first = by_user.transform("max"), by_user.transform("min")
    return _split(events, ((events[TIME] == last) & (first < last)).to_numpy(), "leave last out")


def random(events: pd.DataFrame, *, test: float = 0.2, rng=None) -> Split:
    """A random share of the baskets (a user's events of one instant) is test.

    test : share of the baskets to hold back. rng : None, int or numpy Generator.

    What it leaks: each user's own future and everybody else's. Below, a's Friday is learned from before a's Monday is guessed.
    It is here because many papers use it, and to show what it does to a number (chapter 1).

    ====  =========  =====
    user  time       side
    ====  =========  =====
    a     Monday     test
    a     Friday     train
    b     Monday     train
    b     Friday     test
    ====  =========  =====
    """
    events = validate_events(events)
    users = pd.factorize(events[USER])[0]
    instants, when = np.unique(events[TIME].to_numpy(), return_inverse=True)
    basket = np.unique(users * len(instants) + when, return_inverse=True)[1]
    count = basket.max() + 1
    held = np.zeros(count, dtype=bool)
    held[np.random.default_rng(rng).permutation(count)[:round(_share(test) * count)]] = True
    return _split(events, held[basket], "random")
