"""Full ranking, top-k and all metrics for every user of MovieLens 1M, against pandas: ``python benchmarks/bench_metrics.py``.

Fold 5 of the published five is the test, the rest is training (6,040 users x 3,706 items, 1,000,209 ratings); k = 20, training
items left out. Two ways to do it in pandas, both giving the same ndcg, recall, precision, hit rate, MAP and MRR to 1e-12:

* rank:  all scores of a block of users as one long table, an anti-join with what is owned, ``groupby.rank``, a join with the test;
* top:   NumPy chooses the top k (`argpartition`), pandas does the rest with joins and group-bys, as is usual in libraries.

Seconds are CPU seconds of one thread, the best of three (rank: one). Scoring is timed apart: a random table stands for a
model that costs nothing, EASE for one that costs something. Wanted: the kit at least 10 times as fast.
"""

from __future__ import annotations

import gzip
import os
import resource
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from recsys_kit.evaluate.protocol import evaluate_ranking
from recsys_kit.evaluate.split import Split
from recsys_kit.models.base import Ranker
from recsys_kit.schema import coerce_events

K = 20
BLOCK = 500  # users at a time, in pandas


def folds(where: Path) -> Split:
    def read(number: int) -> pd.DataFrame:
        with gzip.open(where / f"fold{number}.user-movie-rating.dat.gz", "rt") as file:
            return pd.read_csv(file, header=None, names=["user_id", "item_id", "rating"])

    def events(table: pd.DataFrame) -> pd.DataFrame:
        return coerce_events(table.assign(behaviour="rate", timestamp=pd.Timestamp(2003, 1, 1)))

    train = pd.concat([read(number) for number in (1, 2, 3, 4)], ignore_index=True)
    return Split(events(train), events(read(5)), "fold 5")


class Given(Ranker):
    """Scores that cost nothing: a view of a small random table, another stretch of it for every user."""

    def _fit(self, events, items, users):
        self.places_ = {user: place for place, user in enumerate(sorted(events["user_id"].unique()))}
        self.noise = np.random.default_rng(0).random(2 * len(self.items_) + len(self.places_))

    def _score(self, users, at):
        places = [self.places_[user] for user in users]
        if places == list(range(places[0], places[0] + len(places))):  # neighbours: no copy at all
            return np.lib.stride_tricks.sliding_window_view(self.noise, len(self.items_))[places[0]:places[-1] + 1]
        return self.noise[np.array(places)[:, None] + np.arange(len(self.items_))]


def measure_joined(joined: pd.DataFrame, pairs: pd.DataFrame) -> dict[str, float]:
    """The metrics from a table of hits (user_id, rank) by group-bys; users without a hit count as zero."""
    n = pairs.groupby("user_id").size()
    hits = joined.sort_values(["user_id", "rank"])
    hits["gain"] = 1 / np.log2(hits["rank"] + 1)
    hits["precise"] = (hits.groupby("user_id").cumcount() + 1) / hits["rank"]
    by = hits.groupby("user_id")
    ideal = pd.Series(np.cumsum(1 / np.log2(np.arange(2, K + 2))), index=range(1, K + 1))[n.clip(upper=K)].to_numpy()
    table = pd.DataFrame({"ndcg": by["gain"].sum(), "found": by.size(), "precise": by["precise"].sum(), "first": by["rank"].min()})
    table = table.reindex(n.index)
    return {"ndcg": (table["ndcg"] / ideal).fillna(0).mean(), "recall": (table["found"] / n).fillna(0).mean(),
            "precision": (table["found"] / K).fillna(0).mean(), "hit_rate": table["found"].notna().mean(),
            "map": (table["precise"] / n).fillna(0).mean(), "mrr": (1 / table["first"]).fillna(0).mean()}


def by_rank(model, split: Split) -> tuple[dict[str, float], float]:
    """Everything in pandas: a long table of all scores per block of users."""
    pairs, owned = (side[["user_id", "item_id"]].drop_duplicates() for side in (split.test, split.train))
    users, found, scoring = sorted(pairs["user_id"].unique()), [], 0.0
    for start in range(0, len(users), BLOCK):
        block = users[start:start + BLOCK]
        clock = time.process_time()
        scores = np.ascontiguousarray(model.score(block))
        scoring += time.process_time() - clock
        long = pd.DataFrame({"user_id": np.repeat(np.array(block, dtype=object), scores.shape[1]),
                             "item_id": np.tile(model.items_.to_numpy(dtype=object), len(block)), "score": scores.ravel()})
        mine = owned[owned["user_id"].isin(block)].astype(object)
        long = long.merge(mine, how="left", indicator=True)
        long = long[long["_merge"] == "left_only"]
        long = long.assign(rank=long.groupby("user_id")["score"].rank(method="first", ascending=False))
        found.append(long[long["rank"] <= K].merge(pairs.astype(object))[["user_id", "rank"]])
    return measure_joined(pd.concat(found), pairs), scoring


def by_top(model, split: Split) -> tuple[dict[str, float], float]:
    """Top k by NumPy over a block, the rest in pandas."""
    pairs, owned = (side[["user_id", "item_id"]].drop_duplicates() for side in (split.test, split.train))
    users, tables, scoring = sorted(pairs["user_id"].unique()), [], 0.0
    place, column = pd.Series(range(len(users)), index=users), pd.Series(range(len(model.items_)), index=model.items_)
    owned = owned[owned["user_id"].isin(users)]
    row, item = place[owned["user_id"]].to_numpy(), column[owned["item_id"]].to_numpy()
    for start in range(0, len(users), BLOCK):
        block = users[start:start + BLOCK]
        clock = time.process_time()
        scores = np.array(model.score(block))
        scoring += time.process_time() - clock
        mine = (row >= start) & (row < start + BLOCK)
        scores[row[mine] - start, item[mine]] = -np.inf
        best = np.argpartition(-scores, K, axis=1)[:, :K]
        best = np.take_along_axis(best, np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1), axis=1)
        tables.append(pd.DataFrame({"user_id": np.repeat(block, K), "item_id": model.items_[best.ravel()],
                                    "rank": np.tile(np.arange(1, K + 1), len(block))}))
    joined = pd.concat(tables).merge(pairs, on=["user_id", "item_id"])
    return measure_joined(joined[["user_id", "rank"]], pairs), scoring


def kit(model, split: Split) -> tuple[dict[str, float], float]:
    fresh = Split(split.train, split.test, split.how)  # nothing encoded before
    inside, spent = model.score, [0.0]

    def score(users, *, at=None):
        clock = time.process_time()
        result = inside(users, at=at)
        spent[0] += time.process_time() - clock
        return result

    model.score = score
    try:
        return evaluate_ranking(model, fresh, k=K).mean().to_dict(), spent[0]
    finally:
        del model.score


def timed(how, model, split: Split, times: int) -> tuple[dict[str, float], float, float]:
    best = None
    for _ in range(times):
        clock = time.process_time()
        found, scoring = how(model, split)
        whole = time.process_time() - clock
        best = min(best or (found, np.inf, 0), (found, whole, scoring), key=lambda one: one[1] - one[2])
    return best


def main() -> None:
    where = Path(os.environ.get("RECSYS_KIT_DATA", "")) / "movielens-1m"
    if not (where / "fold1.user-movie-rating.dat.gz").exists():
        return print("MovieLens 1M's folds are not on this machine (RECSYS_KIT_DATA)")
    split = folds(where)
    models = {"free": Given().fit(split.train)}
    try:
        from recsys_kit.models.ease import EASE
        models["EASE"] = EASE(300).fit(split.train)
    except ImportError:
        pass
    evaluate_ranking(models["free"], split, k=K)  # compile
    print(f"{'':22}{'all':>9}{'scoring':>9}{'rest':>9}   CPU seconds")
    for name, model in models.items():
        ours, whole, scoring = timed(kit, model, split, 3)
        rest = whole - scoring
        print(f"{name + ', kit':22}{whole:9.3f}{scoring:9.3f}{rest:9.3f}")
        again = timed(lambda m, s: (evaluate_ranking(m, s, k=K).mean().to_dict(), 0.0), model, split, 3)[1]
        print(f"{name + ', kit, next model':22}{again:9.3f}{'':18}   the split is encoded already; scoring included")
        for how, function, times in (("pandas, rank", by_rank, 1), ("pandas, top", by_top, 3)):
            theirs, they, their_scoring = timed(function, model, split, times)
            assert all(abs(theirs[metric] - ours[metric]) < 1e-12 for metric in theirs), (theirs, ours)
            print(f"{name + ', ' + how:22}{they:9.3f}{their_scoring:9.3f}{they - their_scoring:9.3f}   the kit is "
                  f"{(they - their_scoring) / rest:.1f} times as fast without scoring, {they / whole:.1f} times with it")
    unit = 2**20 if sys.platform == "darwin" else 2**10
    print(f"peak memory of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit:,.0f} MB")


if __name__ == "__main__":
    main()
