"""Strata against plain scikit-learn, and against the number of users: ``python benchmarks/bench_strata.py``.

The data is a mixture of ten round clouds in ten dimensions that overlap a little. Nothing is asserted. A ratio above 1 says that
the kit takes longer; ARI 1 says that the strata are the same. Memory is the peak of what numpy holds beside the data.
"""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pandas as pd
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.metrics import adjusted_rand_score

from recsys_kit import strata

K = 10
SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)


def users(n: int, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """n users x 10 columns, and the cloud of each."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(K, size=n)
    values = rng.normal(size=(n, 10)) + np.random.default_rng(1).normal(scale=1.7, size=(K, 10))[truth]
    return pd.DataFrame(values).add_prefix("f"), truth


def timed(make):
    began = time.perf_counter()
    made = make()
    return time.perf_counter() - began, made


def peak(make) -> float:
    """Megabytes that numpy and Python held at most while ``make`` ran."""
    tracemalloc.start()
    make()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / 1e6


def against_scikit_learn() -> None:
    print(f"{'':22s}{'users':>8s}{'kit s':>8s}{'plain s':>9s}{'ratio':>7s}{'ARI':>7s}{'kit MB':>8s}{'plain MB':>10s}")
    for name, n, ours, theirs in (
            ("kmeans / KMeans", 20_000, lambda data: strata.kmeans(data, K, rng=0),
             lambda data: KMeans(K, n_init=10, random_state=0).fit(data)),
            ("ward / Agglomerative", 5_000, lambda data: strata.ward(data, K), lambda data: AgglomerativeClustering(K).fit(data))):
        data = users(n)[0]
        (kit, made), (plain, model) = timed(lambda: ours(data)), timed(lambda: theirs(data))  # noqa: B023
        ari = adjusted_rand_score(made.labels, model.labels_)
        memory = peak(lambda: ours(data)), peak(lambda: theirs(data))  # noqa: B023
        print(f"{name:22s}{n:8,d}{kit:8.2f}{plain:9.2f}{kit / plain:7.2f}{ari:7.3f}{memory[0]:8.0f}{memory[1]:10.0f}")


def pre_clustered_ward() -> None:
    data, truth = users(10_000)
    seconds, exact = timed(lambda: strata.ward(data, K, exact=len(data)))
    some = data.sample(frac=0.8, random_state=0)
    itself = adjusted_rand_score(exact.labels[some.index], strata.ward(some, K, exact=len(some)).labels)
    print(f"\nWard on 10,000 users, exact: {seconds:.2f} s, ARI with the truth {adjusted_rand_score(truth, exact.labels):.3f}, "
          f"with exact Ward on 80 % of them {itself:.3f}")
    for micro in (500, 2_000):
        seconds, made = timed(lambda: strata.ward(data, K, micro=micro, rng=0))  # noqa: B023
        with_truth, with_exact = (adjusted_rand_score(labels, made.labels) for labels in (truth, exact.labels))
        print(f"  from {micro:5,d} micro-strata: {seconds:.2f} s, ARI with the truth {with_truth:.3f}, "
              f"with exact Ward {with_exact:.3f}")


def against_users() -> None:
    print(f"\n{'seconds at users':22s}" + "".join(f"{n:>9,d}" for n in SIZES) + f"{'slope':>8s}{'MB at the last':>16s}")
    for name, make in (("kmeans", lambda data: strata.kmeans(data, K, rng=0)),
                       ("kmeans, penalty 10", lambda data: strata.kmeans(data, K, penalty=10.0, starts=3, rng=0)),
                       ("kmeans, batch 2,048", lambda data: strata.kmeans(data, K, batch=2_048, rng=0)),
                       ("ward", lambda data: strata.ward(data, K, rng=0))):
        seconds = [timed(lambda: make(users(n)[0]))[0] for n in SIZES]  # noqa: B023
        slope = np.polyfit(np.log(SIZES), np.log(seconds), 1)[0]  # 1: twice the users, twice the time
        data = users(SIZES[-1])[0]
        print(f"{name:22s}" + "".join(f"{second:9.2f}" for second in seconds)
              + f"{slope:8.2f}{peak(lambda: make(data)):16.0f}")  # noqa: B023
    for name, make in (("dbscan", lambda data: strata.dbscan(data, 2.0)), ("hdbscan", lambda data: strata.hdbscan(data)),
                       ("threshold .95", lambda data: strata.threshold(data, 0.95))):
        seconds = [timed(lambda: make(users(n)[0]))[0] for n in SIZES[:3]]  # noqa: B023
        slope = np.polyfit(np.log(SIZES[:3]), np.log(seconds), 1)[0]
        print(f"{name:22s}" + "".join(f"{second:9.2f}" for second in seconds) + f"{'':18s}{slope:8.2f}")


def main() -> None:
    strata.kmeans(users(100)[0], 2, rng=0)  # the imports are not counted
    against_scikit_learn()
    pre_clustered_ward()
    against_users()


if __name__ == "__main__":
    main()
