"""What a search may try: lists of values, and ranges to draw from."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Between:
    """Numbers from ``low`` to ``high`` to draw from: evenly, or evenly in their logarithm; whole numbers with both ends.

    >>> Between(1, 1000, log=True, whole=True).draw(np.random.default_rng(0))
    63
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __post_init__(self):
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(f"Between({self.low}, {self.high}): give low < high" + (", and low > 0 for log" if self.log else ""))

    def draw(self, rng: np.random.Generator) -> float | int:
        """One number; floats with four digits that count, so that what is printed is what was tried."""
        low, high = (self.low - 0.5, self.high + 0.5) if self.whole else (self.low, self.high)
        if self.log:
            value = math.exp(rng.uniform(math.log(low), math.log(high)))
        else:
            value = rng.uniform(low, high)
        value = min(max(value, self.low), self.high)
        return round(value) if self.whole else float(f"{value:.4g}")


def log_uniform(low: float, high: float, *, whole: bool = False) -> Between:
    """Every factor of ten is as likely as every other: for regularisation, learning rates, numbers of neighbours."""
    return Between(low, high, log=True, whole=whole)


def uniform(low: float, high: float, *, whole: bool = False) -> Between:
    """Every number is as likely as every other: for shares and blends."""
    return Between(low, high, whole=whole)


def plan(space: Mapping[str, Any], trials: int | None, rng, file) -> list[dict[str, Any]]:
    """All settings to try, in order. The first n draws of a longer search are those of a shorter one."""
    choices = {name: choice if isinstance(choice, Between) else list(choice) for name, choice in space.items()}
    empty = [name for name, choice in choices.items() if not isinstance(choice, Between) and not choice]
    if not choices or empty:
        where = f" for {empty[0]!r}" if empty else ""
        raise ValueError(f"search: nothing to choose from{where}; give a list of values or a range")
    ranges = [name for name, choice in choices.items() if isinstance(choice, Between)]
    if trials is None:
        if ranges:
            raise ValueError(f"search: {ranges[0]!r} is a range, which no grid can finish; say how many trials=")
        return [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]
    if trials < 1:
        raise ValueError(f"trials={trials}: ask for at least one")
    if file is not None and not isinstance(rng, int):
        raise ValueError("search: with a file give rng a number; other draws could not be taken up again")
    rng, drawn, known = np.random.default_rng(rng), [], set()
    for _ in range(100 * trials):  # a small space may have fewer than trials different settings
        settings = {name: choice.draw(rng) if isinstance(choice, Between) else choice[rng.integers(len(choice))]
                    for name, choice in choices.items()}
        if len(drawn) < trials and repr(settings) not in known:
            known.add(repr(settings))
            drawn.append(settings)
    return drawn


def plain(value):
    """A choice as JSON, for the file's first line."""
    if isinstance(value, Between):
        return {"from": value.low, "to": value.high, "log": value.log, "whole": value.whole}
    return [json.loads(json.dumps(one, default=number_of)) for one in value]


def number_of(value):
    if isinstance(value, np.generic):
        return value.item()
    return repr(value)
