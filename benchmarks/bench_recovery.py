"""How much of the planted strata is recovered: adjusted Rand index as a share of the oracle's, on seeds of the default market.

    python benchmarks/bench_recovery.py [seeds]

Prints one row per seed (k given: 5; k chosen: `strata.choose`), then median and spread. Nothing is asserted. The preparation was
developed on seeds 10 to 14; earlier trials, with block weights set by hand, had seen seeds 0 to 5.
"""

import sys
import time

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from recsys_kit import fusion, load, scale, strata, user_features


def one(seed: int) -> dict:
    """Everything that is measured on one market."""
    data = load("market", seed=seed)
    start = time.perf_counter()
    fused = fusion.Fusion().fit_transform(fusion.UserBlocks().fit_transform(data.events, data.items, rng=seed))
    found = strata.kmeans(fused, 5, rng=seed)
    seconds = time.perf_counter() - start
    truth = data.truth.users["stratum"].loc[found.labels.index]
    oracle = adjusted_rand_score(truth, data.truth.oracle_strata(data.events).loc[truth.index])
    features = user_features(data.events, items=data.items, level=None)
    choice = strata.choose(fused, range(2, 11), rng=seed)
    tables = {"fused": found, "raw": strata.kmeans(features, 5, rng=seed),
              "z-scores": strata.kmeans(scale(features)[0], 5, rng=seed),
              "ward": strata.ward(fused, 5, rng=seed),
              "k chosen": strata.kmeans(fused, choice.k, rng=seed)}
    shares = {name: adjusted_rand_score(truth, made.labels) / oracle for name, made in tables.items()}
    return {"oracle": oracle, **shares, "k": choice.k, "seconds": seconds}


if __name__ == "__main__":
    seeds = [int(text) for text in sys.argv[1:]] or [0, 1, 2, 3, 4]
    table = pd.DataFrame({seed: one(seed) for seed in seeds}).T.rename_axis("seed")
    print(table.round(3).to_string())
    print("\nARI as a share of the oracle's: median (lowest to highest)")
    for name in table.columns[1:-2]:
        values = np.sort(table[name])
        print(f"  {name:<10} {np.median(values):.3f} ({values[0]:.3f} to {values[-1]:.3f})")
