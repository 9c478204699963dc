"""A replay whose process is killed in the middle goes on from its checkpoint and ends as if nothing had been."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pandas as pd

from recsys_kit.evaluate import replay as file
from recsys_kit.evaluate.players import Taught
from recsys_kit.evaluate.replay import replay
from recsys_kit.evaluate.visits import Visits
from recsys_kit.models import Popularity
from tests.models.conformance import history

CHILD = textwrap.dedent("""
    import sys, time
    from recsys_kit.evaluate import replay as file
    from recsys_kit.evaluate.players import Taught
    from recsys_kit.evaluate.visits import Visits
    from recsys_kit.models import Popularity
    from tests.models.conformance import history

    class Slow(Taught):
        def learn(self, visits, visit):
            time.sleep(0.005)
            super().learn(visits, visit)

    file.EVERY = 20
    file.replay({"recent": Slow(Popularity(2))}, Visits.from_events(history(users=25, items=20, events=500)), first=100,
                checkpoint=sys.argv[1])
    """)


def test_a_replay_killed_in_the_middle_goes_on_from_its_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(file, "EVERY", 20)
    path = tmp_path / "replay.json"
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], env=os.environ | {"PYTHONPATH": "."})
    until = time.monotonic() + 120
    while not path.exists() and child.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    time.sleep(0.3)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL, "it ended before it was killed"

    visits = Visits.from_events(history(users=25, items=20, events=500))
    asked = []

    class Asked(Taught):
        def scores(self, visits, visit):
            asked.append(visit)
            return super().scores(visits, visit)

    again = replay({"recent": Asked(Popularity(2))}, visits, first=100, checkpoint=path)
    pd.testing.assert_frame_equal(again, replay({"recent": Taught(Popularity(2))}, visits, first=100))
    assert 120 <= asked[0] < len(visits) - 20 and len(again) > len(asked) > 0
