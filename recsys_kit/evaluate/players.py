"""The kit's rankers as players of a replay: fitted once, fitted again every so often, folded in, or taught event by event."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import sparse

from recsys_kit.evaluate.visits import Visits

DAY = 86_400.0


class Static:
    """A ranker that is fitted once, on what comes before the replay, and never learns again."""

    def __init__(self, model):
        self.model = model

    def begin(self, visits: Visits, first: int) -> None:
        _fit(self.model, visits, first)

    def scores(self, visits: Visits, visit: int) -> np.ndarray:
        return self.model.score([visits.users[visits.user[visit]]], at=_instant(visits, visit))[0]

    def learn(self, visits: Visits, visit: int) -> None:
        pass


class Refitted:
    """A ranker fitted anew on all earlier visits, when it is asked and the last fit is ``days`` old. make() : an unfitted one."""

    def __init__(self, make: Callable, days: float):
        if not days > 0:
            raise ValueError(f"days={days!r}: give the time between two fits, above zero")
        self.make, self.days = make, days

    def begin(self, visits: Visits, first: int) -> None:
        self._fitted = -np.inf

    def scores(self, visits: Visits, visit: int) -> np.ndarray:
        if visits.time[visit] >= self._fitted + self.days * DAY:
            self.model, self._fitted = _fit(self.make(), visits, visit), visits.time[visit]
        return self.model.score([visits.users[visits.user[visit]]], at=_instant(visits, visit))[0]

    def learn(self, visits: Visits, visit: int) -> None:
        pass


class Taught(Static):
    """A ranker with an ``update``: it learns from each visit as it comes; by its ``visit``, if it has one, which spares a table."""

    def learn(self, visits: Visits, visit: int) -> None:
        if hasattr(self.model, "visit"):
            self.model.visit(visits.users[visits.user[visit]], visits.items_of(visit), visits.time[visit])
        else:
            self.model.update(visits.of(visit))


class Variant:
    """One of the ``variants`` of a layered model that another player of the same replay teaches: it costs next to nothing."""

    def __init__(self, player: Taught, name: str):
        self.player, self.name = player, name

    def begin(self, visits: Visits, first: int) -> None:
        pass

    def scores(self, visits: Visits, visit: int) -> np.ndarray:
        return self.player.model.score_variant(self.name, visits.users[visits.user[visit]], at=_instant(visits, visit))

    def learn(self, visits: Visits, visit: int) -> None:
        pass


class FoldedIn:
    """A ranker that scores any history (`score_histories`): items are learned once, the user's history is always today's.

    half_life_days : a touched item counts ``2^(-age / half-life)``, its age since the user last touched it; None: it counts 1.
    refit_days : the items are learned anew when the last fit is so old; None: never.
    """

    def __init__(self, make: Callable, *, half_life_days: float | None = None, refit_days: float | None = None):
        if half_life_days is not None and not half_life_days > 0:
            raise ValueError(f"half_life_days={half_life_days!r}: give a number above zero, or None for no fading")
        self.make, self.half_life_days, self.refit_days = make, half_life_days, refit_days

    def begin(self, visits: Visits, first: int) -> None:
        self.model, self._fitted = _fit(self.make(), visits, first), visits.time[first]
        self._last: list[dict[int, float]] = [{} for _ in visits.users]
        for visit in range(first):
            self.learn(visits, visit)

    def scores(self, visits: Visits, visit: int) -> np.ndarray:
        now = visits.time[visit]
        if self.refit_days and now >= self._fitted + self.refit_days * DAY:
            self.model, self._fitted = _fit(self.make(), visits, visit), now
        mine = self._last[visits.user[visit]]
        columns, since = np.fromiter(mine.keys(), np.int64, len(mine)), np.fromiter(mine.values(), float, len(mine))
        values = np.ones(len(mine)) if self.half_life_days is None else 2 ** ((since - now) / (DAY * self.half_life_days))
        order = np.argsort(columns)
        row = sparse.csr_array((values[order].astype(np.float32), columns[order], [0, len(mine)]), shape=(1, len(visits.items)))
        return self.model.score_histories(row)[0]

    def learn(self, visits: Visits, visit: int) -> None:
        self._last[visits.user[visit]].update(dict.fromkeys(visits.items_of(visit).tolist(), visits.time[visit]))


class WithFallback:
    """A player whose empty lists are filled by another's, such as recent popularity for a newcomer."""

    def __init__(self, player, fallback):
        self.player, self.fallback = player, fallback

    def begin(self, visits: Visits, first: int) -> None:
        self.player.begin(visits, first)
        self.fallback.begin(visits, first)

    def scores(self, visits: Visits, visit: int) -> np.ndarray:
        scores = self.player.scores(visits, visit)
        return self.fallback.scores(visits, visit) if np.isnan(scores).all() else scores

    def learn(self, visits: Visits, visit: int) -> None:
        self.player.learn(visits, visit)
        self.fallback.learn(visits, visit)


def _fit(model, visits: Visits, first: int):
    """Fitted on what comes before a visit; its scores have a column for every item of the replay."""
    return model.fit(visits.before(first), items=visits.catalogue)


def _instant(visits: Visits, visit: int) -> pd.Timestamp:
    return pd.Timestamp(visits.time[visit], unit="s")
