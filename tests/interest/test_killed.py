"""A process that is killed while it saves leaves a whole file: what stood there before, or all of what it wrote."""

import multiprocessing
import os
import signal
import time

import numpy as np
import pandas as pd
import pytest

from recsys_kit import models
from recsys_kit.interest.layered import LayeredInterest
from recsys_kit.interest.state import InterestState
from tests.interest.logs import catalogue, log

TRIES = 12
USERS = ["u00", "u07", "u14"]


def state():
    vectors = np.random.default_rng(0).normal(size=(20, 64))
    kept = InterestState().start(catalogue(), vectors)
    kept.numbers([f"stranger {n}" for n in range(2000)], new=True)  # a few megabytes, which take a while to write
    return kept.update(log())


def layered():
    return LayeredInterest(strata=3, burn_in=50, refresh_days=60).fit(log(), items=catalogue())


def scores(model) -> np.ndarray:
    if isinstance(model, InterestState):
        return np.array([model.scores(user) for user in USERS])
    return model.score(USERS)


def save_on_and_on(model, path, begun):
    begun.set()
    while True:
        model.save(path)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs a system that can fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("make", [state, layered])
def test_a_process_killed_while_it_saves_leaves_a_whole_file(make, tmp_path):
    context, rng = multiprocessing.get_context("fork"), np.random.default_rng(0)
    old, later = make(), make()
    later.update(log(rng=1).assign(timestamp=lambda table: table["timestamp"] + pd.Timedelta(days=400)))
    said = {"old": scores(old), "later": scores(later)}
    assert not np.array_equal(said["old"], said["later"])
    path, found, half_written = tmp_path / "model.npz", [], 0
    began = time.perf_counter()
    old.save(path)
    once = time.perf_counter() - began
    for attempt in range(TRIES):
        old.save(path)
        begun = context.Event()
        child = context.Process(target=save_on_and_on, args=(later, path, begun))
        child.start()
        assert begun.wait(10)
        time.sleep(rng.uniform(0, 2 * once))
        while attempt % 2 and not any(tmp_path.glob(".*.new")):  # every other one: while a file is being written
            pass
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        assert child.exitcode == -signal.SIGKILL
        for rest in tmp_path.glob(".*.new"):
            half_written += 1
            rest.unlink()
        again = scores(models.load(path))
        found += [name for name, values in said.items() if np.array_equal(again, values)]
    assert len(found) == TRIES and "old" in found
    assert half_written, "no process was killed in the middle of a save"
