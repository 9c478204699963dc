"""Settings are chosen on a part of the training events, never on the test: grid and random search that can be taken up again."""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recsys_kit.data.sources import DataError
from recsys_kit.evaluate.protocol import evaluate_ranking
from recsys_kit.evaluate.space import number_of, plain, plan
from recsys_kit.evaluate.split import Split, by_time


@dataclass(frozen=True, eq=False)
class Found:
    """What a search found.

    best : the settings of the best trial (the earliest of equals), value : its value, on the **inner** split: it is the best of
        many and therefore too good; only the test, once, says how good the model is.
    trials : a row per trial, in order: a column per setting, ``value`` (NaN where a model could not be judged) and ``seconds``.
    inner : the inner split; ``fingerprint`` is its own, for the record.
    """

    best: dict[str, Any]
    value: float
    trials: pd.DataFrame
    inner: Split

    @property
    def fingerprint(self) -> str:
        """Of the inner split that decided."""
        return self.inner.fingerprint

    def __repr__(self) -> str:
        return f"Found({self.best}, {self.value:.4f} inside, {len(self.trials)} trials)"


def search(make: Callable[..., Any], space: Mapping[str, Any], events: pd.DataFrame | Split, *, trials: int | None = None,
           metric: str = "ndcg", k: int = 20, relevant: Sequence[str] | None = None, owned: Sequence[str] | None = None,
           judge: Callable[[Any, Split], float] | None = None, test: float = 0.2,
           inner: Callable[[pd.DataFrame], Split] | None = None, items: pd.DataFrame | None = None,
           users: pd.DataFrame | None = None, file: str | Path | None = None, progress: bool | Callable | None = None,
           rng: int | np.random.Generator | None = 0) -> Found:
    """Try settings on an inner split of the training events, and say which were best there.

    make : called with one value per name of ``space``, gives an unfitted model; a model class will do.
    space : name -> list of values, or a range (`space.uniform`, `space.log_uniform`). With lists alone and no ``trials``: a
        **grid**, every combination, the last name changing fastest. Else ``trials`` random draws (Bergstra and Bengio, 2012),
        none twice.
    events : the **training** events, or a `Split`, whose training side alone is looked at.
    metric, k, relevant, owned : the mean of this column of `evaluate_ranking` decides. judge : or this function of the fitted
        model and the inner split, **higher is better**; for ratings ``lambda model, s: -evaluate_ratings(model, s.test).rmse``.
    test, inner : the last share of the training events is the inner test (`split.by_time`); or ``inner(events)`` makes the split,
        for events without time and for papers that split otherwise.
    items, users : tables handed on to every ``fit``.
    file : trials are kept here as JSON lines, whole at any moment: run the same search again and it goes on after the last trial; a
        killed run loses the trial it was in. More ``trials`` may be asked for later. A file of another search is refused.
    progress : a callable that gets (number done, number of all, settings, value); True: a line each to stderr; None: that, where
        stderr is a terminal.
    rng : a number (with ``file``: must be), None or Generator, for the draws.

    A trial without a finite value (a model that diverged) has NaN and is never best; an error in a model ends the search, and the
    trials before it stay in the file. Raises ValueError for an empty or contradictory space and where no trial has a value,
    `SchemaError` where the events cannot be split, `recsys_kit.DataError` for a foreign or damaged file.
    """
    train = events.train if isinstance(events, Split) else events
    parts = by_time(train, test=test) if inner is None else inner(train)
    planned = plan(space, trials, rng, file)
    what = {"search": _name(make), "space": {name: plain(choice) for name, choice in space.items()}, "split": parts.fingerprint,
            "judge": _name(judge) if judge else [metric, k, _listed(relevant), _listed(owned)],
            "draws": None if trials is None else rng if isinstance(rng, int) else "free"}
    log = _Log(file, what)
    done = log.read(planned)
    tell = _teller(progress)
    for number, settings in enumerate(planned[len(done):], len(done) + 1):
        started = time.perf_counter()
        model = make(**settings).fit(parts.train, items=items, users=users)
        value = float(judge(model, parts) if judge else
                      evaluate_ranking(model, parts, k=k, relevant=relevant, owned=owned)[metric].mean())
        done.append({"settings": settings, "value": value if math.isfinite(value) else None,
                     "seconds": round(time.perf_counter() - started, 3)})
        log.write(done)
        tell(number, len(planned), settings, value)
    values = np.array([math.nan if trial["value"] is None else trial["value"] for trial in done])
    if np.isnan(values).all():
        raise ValueError("search: no trial has a finite value; look at the models' scores, and whether the inner test has anything "
                         "to find")
    best = int(np.nanargmax(values))
    table = pd.DataFrame([trial["settings"] for trial in done]).assign(value=values, seconds=[trial["seconds"] for trial in done])
    return Found(done[best]["settings"], float(values[best]), table, parts)


def _listed(names):
    return None if names is None else list(names)


def _name(function) -> str:
    if hasattr(function, "func"):  # functools.partial: what is held fixed belongs to the search
        return f"{_name(function.func)} with {function.args} {function.keywords}"
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', type(function).__qualname__)}"


class _Log:
    """The trials in a file: a first line that says which search this is, then one line per trial."""

    def __init__(self, path: str | Path | None, what: dict[str, Any]):
        self.path = None if path is None else Path(path)
        if self.path is not None and not self.path.parent.is_dir():
            raise DataError(f"{self.path}: there is no folder {self.path.parent}.\nTo mend it: make it, or name another file")
        self.what = what | {"id": hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]}

    def read(self, plan: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if self.path is None or not self.path.exists():
            return []
        try:
            head, *trials = [json.loads(line) for line in self.path.read_text("utf-8").splitlines()]
            same, trials = head["id"] == self.what["id"], trials[:len(plan)]
            for trial, settings in zip(trials, plan, strict=False):
                same &= trial["settings"] == json.loads(json.dumps(settings, default=number_of))
                float(trial["value"] or 0) + float(trial["seconds"])
        except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
            raise DataError(f"{self.path}: no record of a search, or a damaged one ({str(error)[:80]}).\n"
                            f"To mend it: name another file, or remove this one and search again") from None
        if not same:
            other = [name for name in self.what if name != "id" and head.get(name) != self.what[name]]
            raise DataError(f"{self.path}: the record of another search ({', '.join(other) or 'its settings'} differ).\n"
                            f"To mend it: name another file, or remove this one to search anew")
        return [trial | {"settings": settings} for trial, settings in zip(trials, plan, strict=False)]

    def write(self, trials: list[dict[str, Any]]) -> None:
        """The whole file anew beside the old one, then in its place: it is complete at any moment."""
        if self.path is None:
            return
        new = self.path.with_name(f".{self.path.name}.{os.getpid()}.new")
        with new.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(line, default=number_of) + "\n" for line in (self.what, *trials))
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self.path)


def _teller(progress: bool | Callable | None) -> Callable[[int, int, dict, float], None]:
    if callable(progress):
        return progress
    if progress or (progress is None and sys.stderr.isatty()):
        return lambda number, of, settings, value: print(f"{number}/{of}  {value:.4f}  {settings}", file=sys.stderr, flush=True)
    return lambda *_: None
