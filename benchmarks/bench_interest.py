"""The layered interest state: events per second, a visit against implicit's, cost as history grows, and the drift detector.

    python benchmarks/bench_interest.py [--short]

Nothing is asserted. CPU seconds of one thread; the fastest of some runs. Sets that are not on this machine are left out.
"""

from __future__ import annotations

import sys
import time
import warnings

import numpy as np
import pandas as pd
from scipy import sparse

from recsys_kit import DataError, load, strata
from recsys_kit.evaluate.metrics import ndcg
from recsys_kit.evaluate.visits import Visits
from recsys_kit.interest.drift import PageHinkley
from recsys_kit.interest.state import DAY, LAYERS, InterestState
from recsys_kit.models.puresvd import PureSVD

START = 1.6e9
ALL = ("overall", "stratum", "domain", "long", "short")
SHORT = "--short" in sys.argv


def shop(users: int, items: int, layers=ALL, drift=None, rng=0) -> InterestState:
    """A state with 8 soft strata, 32-d vectors, and 100 categories at depth 2 in 10 groups; only with the layers named."""
    rng = np.random.default_rng(rng)
    table = pd.DataFrame({"item_id": [f"{n:06d}" for n in range(items)]})
    if "domain" in layers:
        table["category"] = [f"{n % 10}/{n}" for n in rng.integers(0, 100, items)]
    vectors = rng.normal(size=(items, 32)) / np.sqrt(32) if "long" in layers else None
    names = [f"u{n}" for n in range(users)]
    member = pd.DataFrame(rng.dirichlet(np.full(8, 0.3), users), index=names) if "stratum" in layers else None
    state = InterestState(drift=drift).start(table, vectors, member)
    state.numbers(names, new=True)
    return state


def log(n: int, users: int, items: int, lines: int, rng=0):
    """User, item, beta and seconds of n events over a year: visits of so many lines each; a few items sell most."""
    rng = np.random.default_rng(rng)
    visits = -(-n // lines)
    when = START + np.sort(rng.random(visits)) * 365 * DAY
    return (np.repeat(rng.integers(0, users, visits), lines)[:n], (items * rng.random(n) ** 2).astype(int), np.ones(n),
            np.repeat(when, lines)[:n])


def fastest(state: InterestState, events, runs: int = 20) -> float:
    """Nanoseconds per event, of the fastest run; every run is a later stretch of time than the one before."""
    user, item, beta, seconds = events
    best = np.inf
    for run in range(runs + 1):  # the first one warms up
        later = seconds + run * 40 * DAY
        began = time.process_time()
        state.learn(user, item, beta, later)
        best = min(best, time.process_time() - began if run else np.inf)
    return 1e9 * best / len(user)


def updates() -> None:
    n = 50_000 if SHORT else 200_000
    print(f"updates, {n:,} events: million events a second (ns per event)")
    for users, items in ((4_000, 4_000), (50_000, 10_000)):
        for lines in (1, 5, 20):
            took = fastest(shop(users, items), log(n, users, items, lines))
            print(f"  all five layers   {users:7,d} users {items:7,d} items, {lines:2d} lines a visit {1e3 / took:8.1f} "
                  f"({took:.0f})")
    for name, layers, drift in (("overall", ("overall",), None), ("core (no domain)", ("overall", "stratum", "long"), None),
                                ("overall, domain", ("overall", "domain"), None), ("all and drift", ALL, {})):
        took = fastest(shop(4_000, 4_000, layers, drift), log(n, 4_000, 4_000, 5))
        print(f"  {name:18s}  4,000 users   4,000 items,  5 lines a visit {1e3 / took:8.1f} ({took:.0f})")


def growth() -> None:
    print("\ncost per event as history grows (all layers, 4,000 users): ns per event of the next 10,000; us per list of 20")
    most = 10**6 if SHORT else 10**7
    state, seen = shop(4_000, 4_000), 0
    user, item, beta, seconds = log(most, 4_000, 4_000, 5)
    for size in [10**power for power in range(4, 8) if 10**power <= most]:
        for start in range(seen, size, 10**6):
            part = slice(start, min(size, start + 10**6))
            state.learn(user[part], item[part], beta[part], seconds[part])
        seen = size
        part, took, listed = slice(size - 10_000, size), [], []
        for _ in range(9):
            later = seconds[part] - seconds[part][0] + state.clock_  # they follow on what was learned last
            began = time.process_time()
            state.learn(user[part], item[part], beta[part], later)
            took.append(time.process_time() - began)
            began = time.process_time()
            for number in range(100):
                state.top(f"u{number}", 20)
            listed.append(time.process_time() - began)
        print(f"  {size:12,d} events {1e9 * min(took) / 10_000:8.0f} {1e6 * min(listed) / 100:8.1f}")


def visits() -> None:
    """Every visit of the last fifth of online-retail: a list of 20 new items, then learn the visit; what is owned is at hand."""
    try:
        events = load("online-retail").events.dropna(subset="user_id").query("behaviour == 'purchase'")
    except DataError:
        return
    from implicit.als import AlternatingLeastSquares

    log = Visits.from_events(events)
    first = log.at_share(0.8)
    until = first + 500 if SHORT else len(log)
    before = log.before(first)
    svd = PureSVD(32).fit(before, items=pd.DataFrame({"item_id": log.items}))
    lengths = np.linalg.norm(svd.item_vectors_, axis=1, keepdims=True)
    known = pd.Index(before["user_id"].unique())
    places = pd.DataFrame(svd.vectors(known), index=known)
    places /= np.linalg.norm(places, axis=1, keepdims=True)
    member = strata.kmeans(places, 8, rng=0).membership(places)
    state = InterestState(regression=5.0).start(pd.DataFrame({"item_id": log.items}),
                                                svd.item_vectors_ / np.where(lengths > 0, lengths, 1), member)
    number = state.numbers(log.users[log.user], new=True)
    line, bought = np.repeat(np.arange(len(log)), np.diff(log.starts))[:log.starts[first]], log.item[:log.starts[first]]
    state.learn(number[line], bought, np.ones(len(line)), log.time[line])
    als = AlternatingLeastSquares(factors=64, num_threads=1, use_gpu=False, random_state=0)
    owned = np.zeros((len(log.users), len(log.items)), dtype=bool)
    owned[log.user[line], bought] = True
    with warnings.catch_warnings(action="ignore"):
        als.fit(sparse.csr_matrix(owned.astype(np.float32)), show_progress=False)
        seconds, gains = np.zeros(2), []
        for block in range(first, until, 50):  # in turns, so that whatever else the machine does falls on both
            part = range(block, min(block + 50, until))
            have = [np.flatnonzero(owned[log.user[v]]) for v in part]  # of two visits of one user in a turn the second is not told
            rows = [sparse.csr_matrix((np.ones(len(h), np.float32), h.astype(np.int32), np.array([0, len(h)], np.int32)),
                                      shape=(1, len(log.items))) for h in have]
            whose, when = log.users[log.user[part]].tolist(), log.time[part].tolist()
            lines = [(np.full(len(i), number[v]), i, np.ones(len(i)), np.full(len(i), log.time[v]))
                     for v, i in ((v, log.items_of(v)) for v in part)]
            began = time.process_time()
            theirs = [als.recommend(log.user[v], row, N=20, recalculate_user=True, filter_already_liked_items=True)[0]
                      for v, row in zip(part, rows, strict=True)]
            seconds[1] += time.process_time() - began
            ours = []
            began = time.process_time()
            for user, now, mine, visit in zip(whose, when, have, lines, strict=True):
                ours.append(state.top(user, 20, now, exclude=mine)[0])
                state.learn(*visit)
            seconds[0] += time.process_time() - began
            for v, *lists, mine in zip(part, ours, theirs, have, strict=True):
                wanted = np.setdiff1d(log.items_of(v), mine)
                if len(wanted):
                    gains.append([ndcg(np.isin(list_, wanted)[None], np.array([len(wanted)]))[0] for list_ in lists])
            for v in part:
                owned[log.user[v], log.items_of(v)] = True
    kit, other = 1e6 * seconds / (until - first)
    print(f"\na visit of online-retail ({until - first:,} visits, {len(log.items):,} items): a list of 20, then learn it; us")
    print(f"  core state (overall, stratum, two 32-d vectors) {kit:8.1f}   nDCG@20 {np.mean(gains, axis=0)[0]:.4f}")
    print(f"  implicit ALS, 64 factors, recalculate_user      {other:8.1f}   nDCG@20 {np.mean(gains, axis=0)[1]:.4f}   "
          f"ratio {other / kit:.1f}")


def detector() -> None:
    """Surprises of spread 0.25 (that of 1 - cos in real logs is near it), and a rise after 100 events."""
    rng, n = np.random.default_rng(0), 2_000
    print("\nPage-Hinkley: false alarms per 1,000 events; median events until a rise by 0.5 (0.3) is noticed; share in 50")
    for threshold in (1.0, 2.0, 3.0, 5.0):
        watched = PageHinkley(threshold=threshold)
        false = watched.watch(np.tile(np.arange(n), 500), rng.normal(0.4, 0.25, 500 * n)).mean()
        told = []
        for rise in (0.5, 0.3):
            watched = PageHinkley(threshold=threshold)
            watched.watch(np.tile(np.arange(n), 100), rng.normal(0.4, 0.25, 100 * n))
            sounded = watched.watch(np.tile(np.arange(n), 50), rng.normal(0.4 + rise, 0.25, 50 * n)).reshape(50, n)
            lag = np.where(sounded.any(axis=0), sounded.argmax(axis=0) + 1, 51)
            told += [np.median(lag), (lag <= 50).mean()]
        print(f"  threshold {threshold:3.0f} {1e3 * false:8.2f} {told[0]:6.0f} ({told[2]:.0f}) {told[1]:8.0%} ({told[3]:.0%})")


def alarms() -> None:
    """Real logs, and the same with each user's items in random order over his own times, in which no taste can change."""
    print("\nalarms per 1,000 events, by the layer watched: as it happened, and with each user's items in random order")
    for name in ("market", "online-retail"):
        try:
            data = load(name)
        except DataError:
            continue
        events = data.events.dropna(subset="user_id").query("behaviour != 'return'")
        events = events.sort_values(["user_id", "timestamp"], kind="stable")
        svd = PureSVD(32).fit(events)
        items = pd.DataFrame({"item_id": svd.items_})
        if "category" in data.items:
            items = items.merge(data.items[["item_id", "category"]], how="left")
        lengths = np.linalg.norm(svd.item_vectors_, axis=1, keepdims=True)
        vectors = svd.item_vectors_ / np.where(lengths > 0, lengths, 1)
        order = np.lexsort((np.random.default_rng(0).random(len(events)), events["user_id"].factorize()[0]))
        mixed = events.assign(item_id=events["item_id"].to_numpy()[order])
        for layer in ("long", "short", "domain") if "category" in items else ("long", "short"):
            rates = []
            for table in (events, mixed):
                state = InterestState(drift={"layer": layer}).start(items, vectors).update(table)
                rates.append(1e3 * sum(state.evidence(user)["alarms"] for user in events["user_id"].unique()) / len(table))
            print(f"  {name:14s} {layer:7s} {rates[0]:6.2f} {rates[1]:6.2f}")


if __name__ == "__main__":
    assert ALL == LAYERS
    for part in (updates, growth, visits, detector, alarms):
        if not sys.argv[1:] or "--short" in sys.argv or part.__name__ in sys.argv:
            part()
