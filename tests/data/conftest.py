"""One default market for all tests of this folder."""

import pytest

from recsys_kit.data.market import generate


@pytest.fixture(scope="session")
def market():
    """The default market, seed 0. Leave it as it is: it is shared."""
    return generate(rng=0)
