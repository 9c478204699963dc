"""How long loading takes: the import, Online Retail parsed from its CSV, and the same from the cache.

    RECSYS_KIT_DATA=... python benchmarks/bench_load.py

Every run is a fresh process with a cache folder of its own; the table shows medians. Without real data only the import and
the embedded market are timed.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

RUNS = 5
TIMED = "import time; start = time.perf_counter(); {code}; print(time.perf_counter() - start)"
WARM = "from recsys_kit.data import catalog; import pyarrow.csv, pyarrow.parquet; "  # modules are the import's own row


def seconds(before: str, code: str, cache: str) -> float:
    """One fresh process: run ``before`` untimed, then ``code``, with ``cache`` as the cache folder."""
    run = subprocess.run([sys.executable, "-c", before + TIMED.format(code=code)], capture_output=True, text=True, check=True,
                         env=os.environ | {"RECSYS_KIT_CACHE": cache})
    return float(run.stdout.split()[-1])


def cold(before: str, code: str) -> float:
    with tempfile.TemporaryDirectory() as cache:
        return seconds(before, code, cache)


def main() -> None:
    rows = [("import recsys_kit", "0.5", [cold("", "import recsys_kit") for _ in range(RUNS)]),
            ("import and first use of load", "", [cold("", "from recsys_kit import load") for _ in range(RUNS)]),
            ("market", "", [cold(WARM, "catalog.load('market')") for _ in range(RUNS)])]
    if os.environ.get("RECSYS_KIT_DATA"):
        retail = "catalog.load('online-retail')"
        rows.append(("online-retail, CSV parsed", "4", [cold(WARM, retail) for _ in range(RUNS)]))
        with tempfile.TemporaryDirectory() as cache:
            seconds(WARM, retail, cache)
            rows.append(("online-retail, from the cache", "0.3", [seconds(WARM, retail, cache) for _ in range(RUNS)]))
        fingerprint = f"data = {retail}; start = time.perf_counter(); data.fingerprint"
        rows.append(("online-retail, its fingerprint", "", [cold(WARM, fingerprint) for _ in range(RUNS)]))
    print(f"{'what':32} {'under':>6} {'median s':>9} {'slowest':>8}   ({RUNS} runs)")
    for what, target, times in rows:
        print(f"{what:32} {target:>6} {statistics.median(times):9.3f} {max(times):8.3f}")


if __name__ == "__main__":
    main()
