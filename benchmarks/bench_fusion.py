"""Seconds and peak memory from events to fused vectors, topics and separating features: ``python benchmarks/bench_fusion.py``.

Every data set runs in a process of its own, so that the peak is its own (loading included); sets that are not on this machine
are skipped. Wanted: the market under 1 s, online-retail under 3 s, market-case-2 (100,000 users) under 15 s and 3 GB, blocks
and fusion together. How much of the planted strata is recovered: `benchmarks/bench_recovery.py`.
"""

from __future__ import annotations

import json
import subprocess
import sys

SETS = ("market", "online-retail", "retailrocket-bench", "complete-journey-sample", "movielens-100k", "market-case-1",
        "market-case-2")

RUN = """
import json, resource, sys, time
from recsys_kit import Interactions, clean, load, user_features
from recsys_kit.data.sources import DataError
from recsys_kit.fusion import Fusion, Topics, UserBlocks, separating
try:
    data = load(sys.argv[1])
except DataError:
    sys.exit(print("null"))
events = clean(data.events, not_products=data.not_products).events if data.truth is None else data.events
seconds, clock = {}, [time.perf_counter()]
def step(name):
    seconds[name] = time.perf_counter() - clock[0]
    unit = 2**20 if sys.platform == "darwin" else 2**10
    seconds["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    clock[0] = time.perf_counter()
blocks = UserBlocks(level=2).fit_transform(events, data.items); step("blocks")
fused = Fusion(10).fit_transform(blocks); step("fusion")
peak = seconds["peak_mb"]
counts = Interactions.from_events(events); clock[0] = time.perf_counter()
Topics(5, rng=0).fit(counts); step("topics")
features = user_features(events, items=data.items); clock[0] = time.perf_counter()
separating(features, fused["f01"] > 0, rng=0); step("F")
separating(features, fused["f01"] > 0, score="mutual_information", rng=0); step("information")
print(json.dumps(seconds | {"peak_mb": peak, "users": len(fused), "events": len(events)}))
"""


def measure(name: str) -> dict | None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", RUN, name], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def main() -> None:
    columns = ("users", "events", "blocks", "fusion", "peak_mb", "topics", "F", "information")
    print(f"{'':24}" + "".join(f"{name:>12}" for name in columns) + "   seconds; features told apart by 99 shuffles")
    for name in SETS:
        row = measure(name)
        if row is None:
            print(f"{name:24}{'not on this machine':>24}")
        else:
            whole = ("users", "events", "peak_mb")
            print(f"{name:24}" + "".join(f"{row[column]:12,.{0 if column in whole else 2}f}" for column in columns))


if __name__ == "__main__":
    main()
