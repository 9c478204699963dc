"""Seconds for the steps every chapter takes, on 150,000 and 1.5 million events: ``python benchmarks/bench_foundation.py``."""

from __future__ import annotations

import time
from dataclasses import replace

from recsys_kit import Interactions, Popularity, clean, evaluate_ranking, user_features
from recsys_kit.data.market import DEFAULT, generate
from recsys_kit.evaluate import split


def measure(users: int, events: int) -> dict[str, float]:
    """Seconds per step; the last row is the time of one `Popularity.update` with one event."""
    market = generate(replace(DEFAULT, users=users, events=events, exposures=False), rng=0)
    seconds, made = {}, {"events": market.events}

    def step(name, make):
        began = time.perf_counter()
        made[name] = make()
        seconds[name] = time.perf_counter() - began

    step("fingerprint", lambda: market.fingerprint)
    step("clean", lambda: clean(market.events, outliers="mad"))
    step("features", lambda: user_features(made["clean"].events, items=market.items))
    step("interactions", lambda: Interactions.from_events(made["clean"].events))
    step("split by time", lambda: split.by_time(made["clean"].events))
    step("split at random", lambda: split.random(made["clean"].events, rng=0))
    step("fit popularity", lambda: Popularity(30).fit(made["split by time"].train, items=market.items))
    step("evaluate", lambda: evaluate_ranking(made["fit popularity"], made["split by time"]))
    model, later = made["fit popularity"], made["split by time"].test
    began = time.perf_counter()
    for row in range(100):
        model.update(later.iloc[row:row + 1])
    seconds["update with 1 event"] = (time.perf_counter() - began) / 100
    return seconds


def main() -> None:
    small, large = measure(2_000, 150_000), measure(20_000, 1_500_000)
    print(f"{'step':22s}{'150,000 events':>16s}{'1,500,000 events':>18s}   seconds")
    for name in small:
        print(f"{name:22s}{small[name]:16.4f}{large[name]:18.4f}")


if __name__ == "__main__":
    main()
