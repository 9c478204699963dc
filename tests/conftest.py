"""Shared by all tests: where the real data is, and a small market."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets; tests that need it are skipped, visibly, where it is not there."""
    folder = os.environ.get("RECSYS_KIT_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("no real data: set RECSYS_KIT_DATA to the folder that holds it")
    return Path(folder).resolve()


@pytest.fixture(scope="session")
def market():
    """The embedded market as every chapter loads it. Shared by all tests: do not change it."""
    from recsys_kit import load

    return load("market")
