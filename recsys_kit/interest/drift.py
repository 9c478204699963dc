"""Has somebody's behaviour changed? Page-Hinkley, one detector per user, each event O(1)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numba import njit

# Of a state's drift: the layer whose surprise is watched; the detector's three numbers (see `PageHinkley`); what the user's
# half-lives are multiplied by at an alarm, and over how many later events they recover.
DEFAULTS = {"layer": "long", "delta": 0.1, "threshold": 3.0, "warmup": 10, "factor": 0.25, "recovery": 20}
WATCHED = ("domain", "long", "short")
SEEN, MEAN, SUM = range(3)  # what a detector remembers: values seen, their mean, the running sum


@njit(cache=True, inline="always")
def step(seen, value, delta, threshold, warmup):  # pragma: no cover - compiled
    """Show a detector (three numbers, changed in place) one value. True: alarm, and it begins anew."""
    seen[SEEN] += 1.0
    seen[MEAN] += (value - seen[MEAN]) / seen[SEEN]
    seen[SUM] = max(0.0, seen[SUM] + value - seen[MEAN] - delta)
    if seen[SEEN] >= warmup and seen[SUM] > threshold:
        seen[SEEN] = seen[MEAN] = seen[SUM] = 0.0
        return True
    return False


@njit(cache=True)
def _watch(seen, users, values, delta, threshold, warmup, alarms):  # pragma: no cover - compiled
    for place in range(len(users)):
        alarms[place] = step(seen[users[place]], values[place], delta, threshold, warmup)


class PageHinkley:
    """A detector per user that sounds when a value, such as the surprise of each event, has risen for good.

    ``m_t = sum_(i<=t) (x_i - mean_i - delta)`` falls as long as nothing changes, ``mean_i`` being the mean of the first i values;
    alarm when ``m_t - min_(s<=t) m_s > threshold``, with ``m_0 = 0``. Kept as the one number ``max(0, g + x_t - mean_t - delta)``,
    which is the same. After an alarm the user's detector begins anew. (Page, 1954, "Continuous inspection schemes"; Hinkley, 1971.)

    delta : a rise of the mean below this is none. threshold : larger means fewer false alarms, and later true ones: a rise by r is
    noticed after about ``threshold / (r - delta)`` values. warmup : values before the first alarm.
    Raises ValueError for a negative delta, a threshold not above zero, a warmup below 1, and for a value that is no finite number.

    >>> bool(PageHinkley(warmup=1).watch([0] * 20, [0.0] * 10 + [1.0] * 10).any())
    True
    """

    def __init__(self, delta: float = 0.1, threshold: float = 3.0, warmup: int = 10):
        if not 0 <= delta < np.inf or not 0 < threshold < np.inf or not 1 <= warmup < np.inf:
            raise ValueError(f"delta={delta!r}, threshold={threshold!r}, warmup={warmup!r}: give a delta from 0 on, a "
                             f"threshold above 0, and a warmup of at least one value")
        self.delta, self.threshold, self.warmup = delta, threshold, warmup
        self.seen = np.zeros((0, 3))

    def watch(self, users, values) -> np.ndarray:
        """Values in the order they came, each of the user with that number (0, 1, ...). Returns per value whether it gave alarm."""
        users, values = np.ascontiguousarray(users, dtype=np.int64), np.ascontiguousarray(values, dtype=np.float64)
        if users.shape != values.shape or users.ndim != 1 or not np.isfinite(values).all() or (users < 0).any():
            raise ValueError("watch wants one user number (0, 1, ...) and one finite value per event")
        if len(users) and users.max() >= len(self.seen):
            self.seen = np.concatenate([self.seen, np.zeros((max(len(self.seen), users.max() + 1 - len(self.seen)), 3))])
        alarms = np.zeros(len(users), dtype=bool)
        _watch(self.seen, users, values, self.delta, self.threshold, self.warmup, alarms)
        return alarms


def drift_settings(drift: Mapping | None) -> dict | None:
    """What a state was told about drift, filled up with `DEFAULTS`; None stays None. Raises ValueError."""
    if drift is None:
        return None
    unknown = set(drift) - set(DEFAULTS)
    if unknown:
        raise ValueError(f"drift: {sorted(unknown)[0]!r} is no setting; there are {', '.join(DEFAULTS)}")
    drift = DEFAULTS | dict(drift)
    if drift["layer"] not in WATCHED:
        raise ValueError(f"drift: layer={drift['layer']!r} cannot be watched; one of {', '.join(WATCHED)} can")
    PageHinkley(drift["delta"], drift["threshold"], drift["warmup"])
    if not 0 < drift["factor"] <= 1 or not drift["recovery"] >= 1:
        raise ValueError(f"drift: factor={drift['factor']!r}, recovery={drift['recovery']!r}: give a factor above 0, at most 1, "
                         f"and at least one event to recover in")
    return drift
