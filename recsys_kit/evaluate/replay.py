"""Prequential evaluation (Dawid, 1984; Gama et al., 2013): guess each visit, then learn from it, in the order of time.

A split asks once, with one cut. A shop asks at every visit, and whoever learns on has an advantage that a split cannot show. Here
any number of *players* go through the same visits: each ranks all items before the visit is seen, is judged, and then sees it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from recsys_kit.data.sources import DataError
from recsys_kit.evaluate.visits import Visits
from recsys_kit.schema import ITEM, TIME, USER

EVERY = 500  # visits between two checkpoints


class Player(Protocol):
    """What takes part in a replay."""

    def begin(self, visits: Visits, first: int) -> None:
        """Learn from everything before visit ``first``. No later event may be looked at."""

    def scores(self, visits: Visits, visit: int) -> np.ndarray:
        """Score of every item, (len(visits.items),), for this user at this instant; NaN and -inf are never listed."""

    def learn(self, visits: Visits, visit: int) -> None:
        """See the visit."""


def replay(players: Mapping[str, Player], visits: Visits, *, first: int, judged_from: int | None = None, until: int | None = None,
           k: int = 20, repeats: bool = False, checkpoint: str | Path | None = None, progress: bool = False) -> pd.DataFrame:
    """Play the visits ``first`` to ``until``; those from ``judged_from`` on count.

    Before a visit is seen, all items the user has not touched are ranked (``repeats=True``: all items). A visit counts if it holds
    a wanted item that is new to the user (``repeats=True``: any wanted item); these are what the list is judged by.

    Returns one row per visit that counts: ``user_id, timestamp, wanted`` (how many), ``newcomer`` (no earlier visit), and
    ``<player>/ndcg``, ``<player>/recall``, in which at most k items can be found, so the best possible value is always 1.
    checkpoint : a JSON file of the results so far, written whole every so many visits. Where it is there already, what it holds is
        not ranked again; the players see those visits, and go on. Raises `recsys_kit.DataError` if it is of another replay.
    progress : a line every so many visits to stderr. Raises ValueError for cuts that leave nothing to play.
    """
    until, judged_from = len(visits) if until is None else until, first if judged_from is None else judged_from
    if not 0 < first <= judged_from < until <= len(visits):
        raise ValueError(f"first={first}, judged_from={judged_from}, until={until} of {len(visits):,} visits: give a first visit "
                         f"after the beginning, and visits to judge")
    if k < 1:
        raise ValueError(f"k={k}: ask for at least one item")
    about = _about(players, visits, first, judged_from, until, k, repeats)
    rows, done = _resume(checkpoint, about)
    owned = np.zeros((len(visits.users), len(visits.items)), dtype=bool)
    owned[np.repeat(visits.user, np.diff(visits.starts))[:visits.starts[first]], visits.item[:visits.starts[first]]] = True
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discount)
    for player in players.values():
        player.begin(visits, first)
    for visit in range(first, until):
        user, span = visits.user[visit], slice(visits.starts[visit], visits.starts[visit + 1])
        wanted = np.unique(visits.item[span][visits.wanted[span]])
        if not repeats:
            wanted = wanted[~owned[user, wanted]]
        if visit >= max(judged_from, done) and len(wanted):
            row = [visit, len(wanted)]
            for player in players.values():
                hits = np.isin(best(player.scores(visits, visit), k, None if repeats else owned[user]), wanted)
                most = min(k, len(wanted))
                row += [float(hits @ discount[:len(hits)] / ideal[most - 1]), float(hits.sum() / most)]
            rows.append(row)
        owned[user, visits.item[span]] = True
        for player in players.values():
            player.learn(visits, visit)
        if (visit + 1 - first) % EVERY == 0 and visit >= done:
            _keep(checkpoint, about, rows, visit + 1)
            if progress:
                print(f"replay: {visit + 1 - first:,} of {until - first:,} visits", file=sys.stderr, flush=True)
    _keep(checkpoint, about, rows, until)
    return _table(rows, players, visits)


def best(scores: np.ndarray, k: int, hidden: np.ndarray | None = None) -> np.ndarray:
    """Numbers of the k best items, best first, equal scores in the order of the catalogue; fewer where fewer can be listed.

    >>> best(np.array([.1, .3, np.nan, .3]), 2).tolist()
    [1, 3]
    """
    scores = np.where(np.isnan(scores), -np.inf, scores)
    if hidden is not None:
        scores = np.where(hidden, -np.inf, scores)
    if k < len(scores):
        least = -np.partition(-scores, k - 1)[k - 1]
        candidates = np.flatnonzero(scores >= least)  # all that tie with the last one, so that their order can decide
    else:
        candidates = np.arange(len(scores))
    candidates = candidates[scores[candidates] > -np.inf]
    return candidates[np.argsort(-scores[candidates], kind="stable")][:k]


def compare_visits(table: pd.DataFrame, *, baseline: str, metric: str = "ndcg", level: float = 0.95, draws: int = 2000,
                   rng=0) -> pd.DataFrame:
    """The players of a replay in one table: mean over visits, difference to the baseline and its paired interval.

    Visits of one user are alike, so users are drawn with replacement, each with all their visits, and the mean over these visits
    is taken (cluster bootstrap; Field and Welsh, 2007). Returns per player ``mean, difference, low, high``, the baseline with NaN.
    Raises ValueError for an unknown baseline or fewer than two users.
    """
    names = [name.removesuffix(f"/{metric}") for name in table.columns if name.endswith(f"/{metric}")]
    if baseline not in names:
        raise ValueError(f"compare_visits: the baseline {baseline!r} is none of the players: {', '.join(map(repr, names))}")
    users, number = np.unique(table[USER], return_inverse=True)
    if len(users) < 2:
        raise ValueError("compare_visits wants at least two users")
    values = table[[f"{name}/{metric}" for name in names]].to_numpy()
    sums = np.stack([np.bincount(number, column, minlength=len(users)) for column in values.T], axis=1)
    counts = np.bincount(number, minlength=len(users))
    rng = np.random.default_rng(rng)
    drawn = np.stack([np.bincount(rng.integers(0, len(users), len(users)), minlength=len(users)) for _ in range(draws)])
    means = (drawn @ sums) / (drawn @ counts)[:, None]
    base = names.index(baseline)
    low, high = np.quantile(means - means[:, [base]], [(1 - level) / 2, (1 + level) / 2], axis=0)
    mean = values.mean(axis=0)
    result = pd.DataFrame({"mean": mean, "difference": mean - mean[base], "low": low, "high": high},
                          index=pd.Index(names, name="player"))
    result.iloc[base, 1:] = np.nan
    return result


def _table(rows: list, players: Mapping[str, Player], visits: Visits) -> pd.DataFrame:
    columns = ["visit", "wanted", *(f"{name}/{metric}" for name in players for metric in ("ndcg", "recall"))]
    table = pd.DataFrame(rows, columns=columns).astype({"visit": int, "wanted": int}).set_index("visit")
    seen = pd.Series(visits.user).duplicated().to_numpy()
    who = visits.user[table.index]
    table.insert(0, USER, visits.users[who])
    table.insert(1, TIME, pd.to_datetime(visits.time[table.index], unit="s", utc=False))
    table.insert(3, "newcomer", ~seen[table.index])
    return table


def _about(players, visits: Visits, *numbers) -> dict:
    lines = pd.util.hash_pandas_object(visits.events[[USER, TIME, ITEM]], index=False).to_numpy()
    lines = lines * np.arange(1, len(lines) + 1, dtype=np.uint64)  # so that their order counts
    return {"players": list(players), "events": [int(lines.sum()), int(lines[visits.wanted].sum()), len(visits.items)],
            "numbers": [int(number) for number in numbers]}


def _resume(checkpoint, about: dict) -> tuple[list, int]:
    if checkpoint is None or not Path(checkpoint).exists():
        return [], 0
    try:
        kept = json.loads(Path(checkpoint).read_text(encoding="utf-8"))
        rows, done, of = kept["rows"], kept["done"], kept["about"]
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{checkpoint}: no checkpoint of a replay.\nTo mend it: name another file, or remove this one") from None
    if of != about:
        raise DataError(f"{checkpoint}: the checkpoint of a replay of other players, visits or cuts.\n"
                        f"To mend it: name another file, or remove this one to begin anew")
    return rows, done


def _keep(checkpoint, about: dict, rows: list, done: int) -> None:
    if checkpoint is None:
        return
    path = Path(checkpoint)
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        new.write_text(json.dumps({"about": about, "done": done, "rows": rows}), encoding="utf-8")
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)
