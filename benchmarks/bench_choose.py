"""Does each index find the planted number of strata, what does it cost, and what would the gap statistic add?

    python benchmarks/bench_choose.py [seeds]

Prints the k that every index of `strata.choose` votes for on markets with five strata, beside the gap statistic (made here: the kit
leaves it out) and the seconds of both, and then the time of `choose` against the number of users. Nothing is asserted.
"""

import sys
import time
from functools import partial

import numpy as np
import pandas as pd

from recsys_kit import fusion, load, strata

KS = range(1, 11)


def gap(table: pd.DataFrame, references: int = 10, rng=0) -> tuple[int | None, int]:
    """The k of the gap statistic (Tibshirani, Walther and Hastie, 2001): by its 1-standard-error rule, and where it is highest.

    ``gap(k) = mean log W_k of references - log W_k``; a reference is uniform in the box along the principal axes of the table.
    """
    rng = np.random.default_rng(rng)
    values = table.to_numpy() - table.to_numpy().mean(axis=0)
    turned = values @ np.linalg.svd(values, full_matrices=False)[2].T
    low, high = turned.min(axis=0), turned.max(axis=0)
    within = np.log([[strata.kmeans(pd.DataFrame(cloud), k, rng=1).inertia for k in KS] for cloud in
                     (turned, *(rng.uniform(low, high, turned.shape) for _ in range(references)))])
    gaps = within[1:].mean(axis=0) - within[0]
    error = within[1:].std(axis=0) * np.sqrt(1 + 1 / references)
    first = [k for k, now, later, wide in zip(KS, gaps, gaps[1:], error[1:], strict=False) if now >= later - wide]
    return first[0] if first else None, KS[int(gaps.argmax())]


def one(seed: int) -> dict:
    """Votes and seconds on one market."""
    data = load("market", seed=seed)
    fused = fusion.Fusion().fit_transform(fusion.UserBlocks().fit_transform(data.events, data.items, rng=seed))
    began = time.perf_counter()
    choice = strata.choose(fused, KS[1:], rng=seed)
    chosen = time.perf_counter()
    rule, highest = gap(fused)
    return {**choice.votes, "k": choice.k, "gap": rule or "none", "gap highest": highest,
            "seconds": f"{chosen - began:.1f}", "gap seconds": f"{time.perf_counter() - chosen:.1f}"}


def main() -> None:
    seeds = [int(text) for text in sys.argv[1:]] or [10, 11, 12, 13, 14]
    print(pd.DataFrame({seed: one(seed) for seed in seeds}).T.rename_axis("seed").to_string())
    rng = np.random.default_rng(0)
    print(f"\n{'users':>10}{'seconds':>10}   of choose, k = 2 to 10, five resamples, three starts")
    for users in (1_000, 10_000, 100_000):
        table = pd.DataFrame(rng.normal(size=(users, 10)) + 4 * np.eye(10)[rng.integers(0, 5, users)])
        began = time.perf_counter()
        strata.choose(table, KS[1:], method=partial(strata.kmeans, starts=3), resamples=5, rng=0)
        print(f"{users:>10,}{time.perf_counter() - began:>10.1f}")


if __name__ == "__main__":
    main()
