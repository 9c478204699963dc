"""SVD and SVD++ against Surprise's on the same folds: ``python benchmarks/bench_svd.py [100k] [1m]``, some 3 minutes for both.

Nothing is asserted. Seconds are CPU seconds of one thread, the two libraries in turn, medians. *fit* is what Surprise does in
``fit`` (its trainset built before) against what the kit does with ids already numbered; *whole* is from a table to a fitted
model. Both sides read, compile and import before the clock starts; what the kit's first use costs in compiling (kept on disk from
then on) is said. RMSE is over all of the fold's test ratings. Needs RECSYS_KIT_DATA.

MovieLens 100K: Surprise's ``KFold(n_splits=5, random_state=0)``, all five folds, in which users come mixed. MovieLens 1M: the
files fold1 to fold5, which are sorted by user; Surprise's own loop finds such ratings in the cache and takes half the time for
each, so the ratio is the smaller one. Surprise's SVD++ has ``cache_ratings=True``; on 1M both do one epoch, and the RMSE after 20
is the kit's alone.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import surprise

from recsys_kit.data.interactions import encode
from recsys_kit.models.svd import SVD, SVDpp

COLUMNS = ["user_id", "item_id", "rating"]
READER = surprise.Reader(rating_scale=(1, 5))
PAIRS = {"SVD": (SVD, surprise.SVD, {}), "SVD++": (SVDpp, surprise.SVDpp, {"cache_ratings": True})}


def folds_100k() -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    path = Path(os.environ["RECSYS_KIT_DATA"]) / "movielens-100k" / "u.data"
    table = pd.read_csv(path, sep="\t", names=[*COLUMNS, "timestamp"], dtype={"user_id": str, "item_id": str})[COLUMNS]
    place = np.arange(len(table))
    np.random.RandomState(0).shuffle(place)  # as surprise.model_selection.KFold(n_splits=5, random_state=0) does it
    parts = np.array_split(place, 5)
    return [(table.iloc[np.concatenate(parts[:n] + parts[n + 1:])], table.iloc[part]) for n, part in enumerate(parts)]


def folds_1m() -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    paths = sorted((Path(os.environ["RECSYS_KIT_DATA"]) / "movielens-1m").glob("fold*.gz"))
    parts = [pd.read_csv(path, names=COLUMNS, dtype={"user_id": str, "item_id": str}) for path in paths]
    return [(pd.concat(parts[:n] + parts[n + 1:], ignore_index=True), parts[n]) for n in range(len(parts))]


def events(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(behaviour="rate", timestamp=pd.Timestamp("2000-01-01"))


def trainset(table: pd.DataFrame):
    return surprise.Dataset.load_from_df(table, READER).build_full_trainset()


def timed(work) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def rmse(predicted, test: pd.DataFrame) -> float:
    return float(np.sqrt(np.mean((predicted - test["rating"]) ** 2)))


def fitted_alone(make, table: pd.DataFrame):
    """The kit's ``_fit`` with the ids numbered before, as Surprise has its trainset."""
    model = make().fit(events(table))
    numbers = encode(table["user_id"], model.users_), encode(table["item_id"], model.items_), table["rating"].to_numpy(float)
    return lambda: model._fit(*numbers)


def compare(name: str, folds, *, epochs: int, repeats: int, errors: int) -> None:
    kit, theirs, options = PAIRS[name]
    table, _ = folds[0]
    made = trainset(table)
    alone = {dtype: fitted_alone(lambda dtype=dtype: kit(epochs=epochs, dtype=dtype, scale=(1, 5)), table)
             for dtype in ("float32", "float64")}
    rows = {"Surprise": [], "float32": [], "float64": []}
    for _ in range(repeats):
        made._global_mean = None  # it is kept from the first fit on
        fit = timed(lambda: theirs(n_epochs=epochs, random_state=0, **options).fit(made))
        rows["Surprise"].append((fit, fit + timed(lambda: trainset(table))))
        for dtype, work in alone.items():
            whole = lambda dtype=dtype: kit(epochs=epochs, dtype=dtype, scale=(1, 5)).fit(events(table))  # noqa: E731
            rows[dtype].append((timed(work), timed(whole)))
    middle = {key: np.median(values, axis=0) for key, values in rows.items()}
    print(f"\n{name}, {len(table):,} ratings, {epochs} epochs, medians of {repeats}")
    print(f"{'':12s}{'fit s':>9s}{'ratio':>8s}{'whole s':>10s}{'ratio':>8s}")
    for key, (fit, whole) in middle.items():
        ratio = middle["Surprise"] / (fit, whole)
        print(f"{key:12s}{fit:9.3f}{ratio[0]:8.1f}{whole:10.3f}{ratio[1]:8.1f}")
    for n, (train, test) in enumerate(folds[:errors]):
        scores = [rmse(kit(dtype=dtype, scale=(1, 5)).fit(events(train)).predict(test), test) for dtype in ("float32", "float64")]
        line = f"fold {n + 1}: RMSE after {kit().epochs} epochs  kit float32 {scores[0]:.6f}  float64 {scores[1]:.6f}"
        if epochs == kit().epochs:
            model = theirs(random_state=0, **options).fit(trainset(train))
            found = [model.predict(user, item).est for user, item in zip(test["user_id"], test["item_id"], strict=True)]
            line += f"  Surprise {rmse(found, test):.6f}"
        print(line)


def main() -> None:
    if "RECSYS_KIT_DATA" not in os.environ:
        print("no real data: set RECSYS_KIT_DATA to the folder that holds it")
        return
    asked = [name for name in sys.argv[1:] if name in ("100k", "1m")] or ["100k", "1m"]
    small = events(pd.DataFrame({"user_id": ["a", "b"], "item_id": ["x", "y"], "rating": [1.0, 2.0]}))
    for name, (kit, _, _) in PAIRS.items():
        for dtype in ("float32", "float64"):
            print(f"{name} {dtype}: first use, compiled or read from disk, {timed(lambda: kit(dtype=dtype).fit(small)):.2f} s")  # noqa: B023
    if "100k" in asked:
        folds = folds_100k()
        compare("SVD", folds, epochs=20, repeats=5, errors=5)
        compare("SVD++", folds, epochs=20, repeats=1, errors=1)
    if "1m" in asked:
        folds = folds_1m()
        compare("SVD", folds, epochs=20, repeats=3, errors=2)
        compare("SVD++", folds, epochs=1, repeats=1, errors=1)


if __name__ == "__main__":
    main()
