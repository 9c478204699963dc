"""Shared by all tests: where the real data is, and a small market."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("kit", deadline=None)  # no test asserts a time, a busy machine least of all
settings.load_profile("kit")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets; tests that need it are skipped, visibly, where it is not there."""
    folder = os.environ.get("RECSYS_KIT_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("no real data: set RECSYS_KIT_DATA to the folder that holds it")
    return Path(folder).resolve()


def hears_ctrl_c() -> None:
    """For ``Popen(preexec_fn=...)``: a shell that starts a job in the background has its children ignore SIGINT, tests too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture(scope="session")
def market():
    """The embedded market as every chapter loads it. Shared by all tests: do not change it."""
    from recsys_kit import load

    return load("market")
