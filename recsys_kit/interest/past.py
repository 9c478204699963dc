"""What layers of interest look back on: the visits so far, and counts that fade."""

from __future__ import annotations

import numpy as np
from scipy import sparse

DAY = 86_400.0


class Past:
    """Visits in the order they came: user and time of each, and its items. Arrays grow by doubling; numbers are the model's.

    ``last[u]`` gives the items a user touched, each with the time it was last touched.
    """

    def __init__(self):
        self.visits, self.lines = 0, 0
        self.user, self.time, self.starts = np.zeros(64, np.int64), np.zeros(64), np.zeros(65, np.int64)
        self.item = np.zeros(256, np.int64)
        self.last: list[dict[int, float]] = []

    def add(self, user: int, items: np.ndarray, now: float) -> None:
        if self.visits == len(self.user):
            self.user, self.time = (np.append(part, np.zeros_like(part)) for part in (self.user, self.time))
            self.starts = np.append(self.starts, np.zeros_like(self.starts))
        while self.lines + len(items) > len(self.item):
            self.item = np.append(self.item, np.zeros_like(self.item))
        self.user[self.visits], self.time[self.visits] = user, now
        self.item[self.lines:self.lines + len(items)] = items
        self.visits, self.lines = self.visits + 1, self.lines + len(items)
        self.starts[self.visits] = self.lines
        while len(self.last) <= user:
            self.last.append({})
        self.last[user].update(dict.fromkeys(items.tolist(), now))

    @property
    def latest(self) -> float:
        """The time of the last visit, in seconds; -inf before the first."""
        return self.time[self.visits - 1] if self.visits else -np.inf

    def items_of(self, visit: int) -> np.ndarray:
        """Numbers of the items of one visit."""
        return self.item[self.starts[visit]:self.starts[visit + 1]]

    def since(self, time: float) -> int:
        """The first visit not before this time."""
        return int(np.searchsorted(self.time[:self.visits], time))

    def history(self, user: int) -> tuple[np.ndarray, np.ndarray]:
        """What a user touched: numbers of the items, ascending, and when each was last touched."""
        mine = self.last[user] if user < len(self.last) else {}
        items = np.fromiter(mine, np.int64, len(mine))
        order = np.argsort(items)
        return items[order], np.fromiter(mine.values(), float, len(mine))[order]

    def new_to(self, user: int, items: np.ndarray) -> list[int]:
        """Those of the items that the user has not touched, each once."""
        known = self.last[user] if user < len(self.last) else {}
        return [item for item in dict.fromkeys(items.tolist()) if item not in known]

    def matrix(self, n_items: int, *, now: float | None = None, half_life_days: float = np.inf) -> sparse.csr_array:
        """Users x items: 1 where touched, or ``2^(-age / half-life)`` with the age of the last touch at ``now``."""
        parts = [self.history(user) for user in range(len(self.last))] or [self.history(0)]
        items, times = (np.concatenate(side) for side in zip(*parts, strict=True))
        values = np.ones(len(items)) if now is None else 2 ** ((times - now) / (DAY * half_life_days))
        starts = np.append(0, np.cumsum([len(one) for one, _ in parts]))
        return sparse.csr_array((values.astype(np.float32), items, starts), shape=(len(parts), n_items))

    def kept(self) -> dict:
        v = self.visits
        return {"user": self.user[:v].copy(), "time": self.time[:v].copy(), "starts": self.starts[:v + 1].copy(),
                "item": self.item[:self.lines].copy()}

    @classmethod
    def put_together(cls, kept: dict) -> Past:
        past = cls()
        for visit, (user, time) in enumerate(zip(kept["user"], kept["time"], strict=True)):
            past.add(int(user), kept["item"][kept["starts"][visit]:kept["starts"][visit + 1]], float(time))
        return past


class Rows:
    """A row of numbers per user, zeros until they are changed; grows by doubling when a new user comes."""

    def __init__(self, width: int):
        self.values = np.zeros((64, width), np.float32)

    def of(self, user: int) -> np.ndarray:
        """The user's row itself, to read or to change."""
        while user >= len(self.values):
            self.values = np.append(self.values, np.zeros_like(self.values), axis=0)
        return self.values[user]


class Fading:
    """Counts of which an event's part halves every ``days``, at no cost while nothing happens.

    Instead of letting all counts fade, a later event counts for more (forward decay; Cormode et al., 2009); ``at`` divides it out.
    """

    def __init__(self, shape, days: float):
        self.values, self.days, self.zero = np.zeros(shape), days, None

    def add(self, place, now: float, amount=1.0) -> None:
        """Add at an index of the counts; events may come in any order of time. Rows must be there (`reach`)."""
        if self.zero is None:
            self.zero = now
        if now - self.zero > 500 * DAY * self.days:  # 2^1024 would overflow
            self.values *= 2 ** ((self.zero - now) / (DAY * self.days))
            self.zero = now
        np.add.at(self.values, place, np.asarray(amount, float) * 2 ** ((now - self.zero) / (DAY * self.days)))  # never in single

    def at(self, now: float, row=slice(None)) -> np.ndarray:
        """The counts (or a row of them) as they are at a moment; zeros for a row that is not there."""
        if np.isscalar(row) and row >= len(self.values):
            return np.zeros(self.values.shape[1:])
        return self.values[row] * (1.0 if self.zero is None else 2 ** ((self.zero - now) / (DAY * self.days)))

    def mixed(self, now: float, shares: np.ndarray) -> np.ndarray:
        """The rows as they are at a moment, added up by these shares; the same as ``shares @ at(now)``, without a copy of all."""
        return (shares @ self.values) * (1.0 if self.zero is None else 2 ** ((self.zero - now) / (DAY * self.days)))

    def reach(self, row: int) -> None:
        """Have rows up to this one, new ones with zeros."""
        while row >= len(self.values):
            self.values = np.append(self.values, np.zeros_like(self.values), axis=0)


def state_of(thing) -> dict:
    """What changes in a layer, as arrays and numbers, to be kept in a file."""
    found = {}
    for name, value in vars(thing).items():
        if isinstance(value, (Rows, Fading)):
            found[name] = state_of(value)
        elif isinstance(value, list) and value and isinstance(value[0], Fading):
            found[name] = [state_of(one) for one in value]
        elif (value is None or isinstance(value, (int, float)) or sparse.issparse(value)
              or (isinstance(value, np.ndarray) and value.dtype.kind == "f")):
            found[name] = value
    return found


def take_state(thing, state: dict) -> None:
    """Have the state that `state_of` gave of one made alike."""
    for name, value in state.items():
        mine = getattr(thing, name)
        if isinstance(mine, (Rows, Fading)):
            take_state(mine, value)
        elif isinstance(mine, list):
            for one, of_one in zip(mine, value, strict=True):
                take_state(one, of_one)
        else:
            setattr(thing, name, value)
