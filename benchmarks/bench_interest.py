"""Layered interest: events per second, a visit against implicit's, cost as history grows, and the drift detector.

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

from recsys_kit import DataError, load
from recsys_kit.evaluate.metrics import ndcg
from recsys_kit.evaluate.visits import Visits
from recsys_kit.interest.drift import PageHinkley
from recsys_kit.interest.live import Live
from recsys_kit.interest.past import Past
from recsys_kit.interest.state import DAY, LAYERS, InterestState
from recsys_kit.interest.trends import Kindred, Space, unit
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
    print(f"updates, {n:,} events: million events a second (ns per event); 5 are wanted")
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


def online_retail() -> Visits:
    """Purchases with a customer and a price: the log of the protocol. Raises DataError where the set is not there."""
    data = load("online-retail")
    events = data.events[lambda e: (e["behaviour"] == "purchase") & (e["price"] > 0) & (e["quantity"] > 0) & e["user_id"].notna()]
    return Visits.from_events(events, items=data.items[data.items["item_id"].isin(events["item_id"])])


# Chosen on 60 to 70 % of the events after learning from the first 60 %: the state's numbers one by one, and implicit's 128 factors.
STATE = {"strata": 16, "asked": {"overall": 100.0, "stratum": 50.0, "long": 1.0, "short": 1.0}, "regression": 1.0,
         "half_lives": {"overall": 2.0, "stratum": 6.0, "long": 120.0, "short": 30.0}}
IMPLICIT = {"implicit ALS, 64 factors": {"factors": 64}, "implicit ALS as it comes, 100 factors": {},
            "implicit ALS, 128 factors, regularization 10": {"factors": 128, "regularization": 10.0}}


def visits() -> None:
    """The visits of online-retail's last 30 %: a list of 20 new items, then the visit is learned; what is owned is at hand.

    All take turns of 500 visits, so that whatever else the machine does falls on each.
    """
    try:
        log = online_retail()
    except DataError:
        return
    from implicit.als import AlternatingLeastSquares

    first = log.at_share(0.7)
    until = first + 1000 if SHORT else len(log)
    owned = np.zeros((len(log.users), len(log.items)), dtype=bool)
    owned[np.repeat(log.user, np.diff(log.starts))[:log.starts[first]], log.item[:log.starts[first]]] = True
    als, players = {}, {"core state": Live(**STATE), "core state without strata": Live(**STATE | {"strata": 0})}
    with warnings.catch_warnings(action="ignore"):
        for name, settings in IMPLICIT.items():
            als[name] = AlternatingLeastSquares(**settings, num_threads=1, use_gpu=False, random_state=0)
            als[name].fit(sparse.csr_matrix(owned.astype(np.float32)), show_progress=False)
    for player in players.values():
        player.begin(log, first)
    have = []
    for visit in range(first, until):
        have.append(np.flatnonzero(owned[log.user[visit]]))
        owned[log.user[visit], log.items_of(visit)] = True
    seconds, gains = dict.fromkeys([*players, *als], 0.0), {name: [] for name in [*players, *als]}
    for start in range(first, until, 500):
        part = range(start, min(start + 500, until))
        mine, bought = [have[visit - first] for visit in part], [log.items_of(visit) for visit in part]
        rows = [sparse.csr_matrix((np.ones(len(h), np.float32), h.astype(np.int32), np.array([0, len(h)], np.int32)),
                                  shape=(1, len(log.items))) for h in mine]
        number, whose, when = log.user[part].tolist(), log.users[log.user[part]].tolist(), log.time[part].tolist()
        shown = {}
        for name, player in players.items():
            visit, began = player.state.visit, time.process_time()
            shown[name] = [visit(user, items, at, 20, exclude=owns)[0]
                           for user, items, at, owns in zip(whose, bought, when, mine, strict=True)]
            seconds[name] += time.process_time() - began
        for name, model in als.items():
            began = time.process_time()
            shown[name] = [model.recommend(user, row, N=20, recalculate_user=True, filter_already_liked_items=True)[0]
                           for user, row in zip(number, rows, strict=True)]
            seconds[name] += time.process_time() - began
        for name, lists in shown.items():
            for columns, items, owns in zip(lists, bought, mine, strict=True):
                wanted = np.setdiff1d(items, owns)
                if len(wanted):
                    hits = np.isin(columns, wanted) & (len(owns) > 0 or name in players)  # ALS says nothing of who has nothing
                    gains[name].append(ndcg(hits[None], np.array([len(wanted)]))[0])
    print(f"\na visit of online-retail ({until - first:,} visits, {len(log.items):,} items): a list of 20, then learn it\n"
          f"  {'':46s} us a visit  nDCG@20  times the core state's")
    for name, took in seconds.items():
        print(f"  {name:46s} {1e6 * took / (until - first):10.1f} {np.mean(gains[name]):8.4f} {took / seconds['core state']:8.1f}")


def window() -> None:
    """What `LayeredInterest` looks back on: the visits of eight half-lives, all others having less than 2^-8 of a vote."""
    print("\nkindred (the kernel over past visits), 2,000 lines a day in visits of 20: us per list, and the visits that vote")
    rng, most = np.random.default_rng(0), 10**6 if SHORT else 10**7
    for size in [10**power for power in range(4, 8) if 10**power <= most]:
        visits, space, past = size // 20, Space(4_000), Past()
        past.visits, past.lines, past.item = visits, size, (4_000 * rng.random(size) ** 2).astype(int)
        past.user, past.time = rng.integers(0, 4_000, visits), START + np.arange(visits) * DAY / 100
        past.starts, space.users.values = np.arange(visits + 1) * 20, rng.normal(size=(4_000, 32)).astype(np.float32)
        kindred, took = Kindred(space, days=4.0), []
        kindred.visitors.values = unit(rng.normal(size=(visits, 32)).astype(np.float32))
        for _ in range(9):
            began = time.process_time()
            for user in range(20):
                kindred.say(past, user, past.latest)
            took.append((time.process_time() - began) / 20)
        print(f"  {size:12,d} events {1e6 * min(took):8.0f} {len(kindred.votes(past, 0, past.latest)[1]):8,d}")


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
    for part in (updates, visits, growth, window, detector, alarms):
        if not sys.argv[1:] or "--short" in sys.argv or part.__name__ in sys.argv:
            part()
