"""Time and peak memory of the market simulator against the number of events: ``python benchmarks/bench_market.py``.

Every size runs in a process of its own, so that the peak is its own. Sizes are drawn without exposures, with 75 events
per user as in the default market; the last row adds exposures. The slope is that of log seconds on log events.
"""

import json
import subprocess
import sys

import numpy as np

SIZES = (150_000, 500_000, 1_500_000, 5_000_000)

RUN = """
import json, resource, sys, time
from dataclasses import replace
from recsys_kit.data.market import DEFAULT, generate
events, exposures = int(sys.argv[1]), sys.argv[2] == "True"
settings = replace(DEFAULT, events=events, users=events // 75, exposures=exposures)
start = time.perf_counter()
data = generate(settings, rng=0)
seconds = time.perf_counter() - start
unit = 2**20 if sys.platform == "darwin" else 2**10
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
print(json.dumps({"events": len(data.events), "seconds": seconds, "peak_mb": peak}))
"""


def measure(events: int, exposures: bool = False) -> dict:
    done = subprocess.run([sys.executable, "-c", RUN, str(events), str(exposures)], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def main() -> None:
    print(f"{'events':>12} {'seconds':>9} {'peak MB':>9}")
    rows = [measure(size) for size in SIZES]
    for row in rows:
        print(f"{row['events']:>12,} {row['seconds']:>9.2f} {row['peak_mb']:>9.0f}")
    with_lists = measure(SIZES[2], exposures=True)
    print(f"{with_lists['events']:>12,} {with_lists['seconds']:>9.2f} {with_lists['peak_mb']:>9.0f}  with exposures")
    slope = np.polyfit(np.log([row["events"] for row in rows]), np.log([row["seconds"] for row in rows]), 1)[0]
    print(f"slope of log seconds on log events: {slope:.2f}")


if __name__ == "__main__":
    main()
