"""A change of taste on the market, whose date is known: how long each method needs to follow, and what the delay costs.

    python benchmarks/bench_drift.py [--short] [--views] [markets]

Nothing is asserted. All clicks are learned from (--short: those of the watched; --views: every behaviour, without the layered
models, which would take long). Watched are the users whose taste changes and who clicked on
two days before and two after, and as many who only pretend: another user's date, and a category they care little for.

*Follows*: the risen category's share of the list of 20 has grown by at least half of what the true interest moved, compared with
the first list after the change. *Lag*: days from the change to that list, which is made when the user comes. Who has not followed
by the last visit is censored there; the median is that of Kaplan and Meier (1958). *Regret*: the share of the best list's expected
clicks that a list misses, mean over visits after the change. The bar: at most half the lag of EASE refitted daily on everything,
without fading. Settings were chosen by nDCG, but the short half-life of the layered model only after lags with memories of 15 and
20 days had been seen on markets 0 to 3. On markets 10 to 13, played once and afterwards, it needed .41 of the time of EASE.
"""

import sys
import time

import numpy as np
import pandas as pd

from recsys_kit import load
from recsys_kit.evaluate.players import DAY, FoldedIn, Static, Taught
from recsys_kit.evaluate.replay import best
from recsys_kit.evaluate.visits import Visits
from recsys_kit.interest.layered import LayeredInterest
from recsys_kit.interest.state import ASKED, HALF_LIVES, InterestState
from recsys_kit.models.ease import EASE
from recsys_kit.models.puresvd import PureSVD

SHORT, VIEWS = "--short" in sys.argv, "--views" in sys.argv
MARKETS = int(next((word for word in sys.argv[1:] if word.isdigit()), 1 if SHORT else 4))
K, L2 = 20, 100.0


class Mornings:
    """EASE fitted anew each day on all that lies before. half_life_days : of a user's history; None: no fading."""

    def __init__(self, half_life_days=None):
        self.half_life_days = half_life_days

    def begin(self, visits, first):
        self.day, self.player = -1, None

    def scores(self, visits, visit):
        if visits.time[visit] // DAY != self.day:
            self.day, first = visits.time[visit] // DAY, visit
            if self.half_life_days:
                self.player = FoldedIn(lambda: EASE(L2), half_life_days=self.half_life_days)
                self.player.begin(visits, first)
            else:
                self.answers = EASE(L2).fit(visits.before(first), items=visits.catalogue).score(visits.users)
        return self.player.scores(visits, visit) if self.half_life_days else self.answers[visits.user[visit]]

    def learn(self, visits, visit):
        if self.player:
            self.player.learn(visits, visit)


class State:
    """The state, its item vectors learned once, before the first change."""

    def __init__(self, short=1.0, **settings):
        self.short, self.settings = short, settings

    def begin(self, visits, first):
        svd = PureSVD(16).fit(visits.before(first), items=visits.catalogue)
        z = svd.item_vectors_ / np.maximum(np.linalg.norm(svd.item_vectors_, axis=1, keepdims=True), 1e-12)
        self.state = InterestState(**self.settings).start(visits.catalogue, z)
        self.weights = {layer: ASKED[layer] * (self.short if layer == "short" else 1) for layer in self.state.active}
        self.ids, self.numbers, self.alarms = visits.users.tolist(), self.state.numbers(visits.users, new=True), []
        for visit in range(first):
            self.learn(visits, visit)

    def learn(self, visits, visit):
        items, user = visits.items_of(visit), visits.user[visit]
        ones = np.ones(len(items))
        self.state.learn(np.full(len(items), self.numbers[user]), items, ones, ones * visits.time[visit])
        if self.settings:
            told = self.state.evidence(self.ids[user])
            if told["alarms"] and told["alarmed"].timestamp() == visits.time[visit]:
                self.alarms.append(visit)

    def scores(self, visits, visit):
        return self.state.scores(self.ids[visits.user[visit]], visits.time[visit], self.weights)


METHODS = {"EASE, fitted once": lambda: Static(EASE(L2)), "EASE, refitted daily": Mornings,
           "EASE, refitted daily, history fading (30 d)": lambda: Mornings(30.0), "state": State,
           "state, with detector": lambda: State(drift={}), "state, short-term layer x 3": lambda: State(3.0),
           "state, a third of its half-lives": lambda: State(half_lives={layer: days / 3 for layer, days in HALF_LIVES.items()}),
           "layered": lambda: Taught(LayeredInterest()),
           "layered, one half-life": lambda: Taught(LayeredInterest(recent_days=120.0))}


def watched(data, clicks, rng) -> pd.DataFrame:
    """Per user: is the change real, its date, the category that rises, and by how much."""
    drifts, truth = data.truth.drifts.set_index("user_id"), data.truth

    def came(dates):
        mine = clicks[clicks["user_id"].isin(dates.index)]
        later = mine["timestamp"] >= mine["user_id"].map(dates)
        days = mine["timestamp"].dt.normalize().groupby([mine["user_id"], later]).nunique().unstack(fill_value=0)
        return days.index[(days.reindex(columns=[False, True], fill_value=0) >= 2).all(axis=1)]
    real = drifts.loc[came(drifts["date"]), ["date", "to", "moved"]].assign(real=True)
    rest = pd.Index(clicks["user_id"].unique()).difference(drifts.index)
    lent = real.iloc[rng.integers(0, len(real), len(rest))].set_axis(rest).assign(real=False)
    low = truth.interest(clicks["timestamp"].min()).loc[rest].rank(axis=1) <= 10
    lent["to"] = [rng.choice(row.index[row]) for _, row in low.iterrows()]
    lent = lent.loc[came(lent["date"])]
    return pd.concat([real, lent.iloc[rng.permutation(len(lent))[:len(real)]]])


def play(player, visits, begin, wanted) -> dict:
    """The list before each wanted visit."""
    player.begin(visits, begin)
    lists = {}
    for visit in range(begin, len(visits)):
        if wanted[visit]:
            lists[visit] = best(player.scores(visits, visit), K)
        player.learn(visits, visit)
    return lists


def median(lag, seen) -> float:
    share, at = 1.0, np.unique(lag[seen])
    for t in at:
        share *= 1 - (lag[seen] == t).sum() / (lag >= t).sum()
        if share <= 0.5:
            return t
    return np.inf


def market(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Lags (a row per method and user) and regrets (a row per method and visit of a changed user), of one market."""
    data, rng = load("market", seed=seed), np.random.default_rng(seed)
    clicks = data.events[data.events["behaviour"] != "return"] if VIEWS else data.events[data.events["behaviour"] == "click"]
    people = watched(data, clicks, rng)
    if SHORT:
        clicks = clicks[clicks["user_id"].isin(people.index)]
    visits = Visits.from_events(clicks, items=data.items)
    who = visits.users[visits.user]
    start = people["date"].map(lambda date: date.timestamp()).reindex(who).to_numpy()
    begin = int(np.searchsorted(visits.time, people["date"].min().timestamp()))
    wanted = visits.time >= start  # False for who is not watched
    paths = visits.catalogue["category"].to_numpy()
    where, lags, regrets = data.truth.item_numbers(visits.items), [], []
    worth = {visit: data.truth.oracle_scores([who[visit]], pd.Timestamp(visits.time[visit], unit="s"))[0, where]
             for visit in np.flatnonzero(wanted)[::4] if people.loc[who[visit], "real"]}
    for name, make in METHODS.items():
        if VIEWS and name.startswith("layered"):
            continue
        began, player = time.process_time(), make()
        lists = play(player, visits, begin, wanted)
        for user, row in people.iterrows():
            mine = np.flatnonzero(wanted & (who == user))
            part = np.array([(paths[lists[visit]] == row["to"]).sum() / K for visit in mine])
            hit = np.flatnonzero(part >= part[0] + row["moved"] / 2)
            stop = hit[0] if len(hit) else len(mine) - 1
            lags.append((name, row["real"], (visits.time[mine[stop]] - start[mine[0]]) / DAY, stop, bool(len(hit))))
        regrets += [(name, 1 - value[lists[visit]].sum() / np.sort(value)[-K:].sum()) for visit, value in worth.items()]
        print(f"  market {seed}: {name:45s} {time.process_time() - began:6.1f} s", file=sys.stderr, flush=True)
        if getattr(player, "alarms", None):
            alarm = np.isin(np.arange(len(visits)), player.alarms)
            real = people["real"].reindex(who)
            rates = [f"{1e3 * alarm[part].mean():.1f} ({label})" for label, part in {
                "changed": wanted & (real == True).to_numpy(), "pretending": wanted & (real == False).to_numpy()}.items()]  # noqa: E712
            print(f"  market {seed}: alarms per 1,000 visits after the date: {', '.join(rates)}")
    first = []
    for user, row in people[people["real"]].iterrows():
        mine = np.flatnonzero(wanted & (who == user))
        hit = [visit for visit in mine if (paths[visits.items_of(visit)] == row["to"]).any()]
        first.append(("own first click there (bound)", True, (visits.time[hit[0] if hit else mine[-1]] - start[mine[0]]) / DAY, 0,
                      bool(hit)))
    return (pd.DataFrame(lags + first, columns=["method", "real", "days", "visits", "followed"]),
            pd.DataFrame(regrets, columns=["method", "regret"]))


def table(lags: pd.DataFrame, regrets: pd.DataFrame) -> pd.DataFrame:
    rows = {}
    for name, some in lags.groupby("method", sort=False):
        real, pretend = some[some["real"]], some[~some["real"]]
        rows[name] = {"median days": median(real["days"].to_numpy(), real["followed"].to_numpy()),
                      "median visits": median(real["visits"].to_numpy(), real["followed"].to_numpy()),
                      "followed": real["followed"].mean(), "pretending": pretend["followed"].mean(),
                      "regret": regrets.loc[regrets["method"] == name, "regret"].mean()}
    found = pd.DataFrame(rows).T
    days = found["median days"].clip(upper=180)  # a median that is not reached is longer than the log
    found.insert(1, "of daily", days / days["EASE, refitted daily"])
    return found


if __name__ == "__main__":
    pd.set_option("display.width", 200)
    everything = []
    for seed in range(MARKETS):
        everything.append(market(seed))
        print(f"market {seed}, {int(everything[-1][0].groupby('method')['real'].sum().iloc[0])} changed users\n"
              f"{table(*everything[-1]).round(2).to_string()}\n", flush=True)
    if MARKETS > 1:
        pooled = table(*(pd.concat(parts) for parts in zip(*everything, strict=True)))
        print(f"all {MARKETS} markets\n{pooled.round(2).to_string()}")
