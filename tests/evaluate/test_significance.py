"""The bootstrap interval covers the truth as often as it says, and refuses what it cannot judge."""

import numpy as np
import pytest

from recsys_kit.evaluate.significance import bootstrap_interval


def test_it_covers_the_true_mean_about_as_often_as_its_level_says():
    rng = np.random.default_rng(5)
    inside = []
    for _ in range(300):
        low, high = bootstrap_interval(rng.exponential(size=80), draws=400, rng=rng)
        inside.append(low < 1 < high)
    assert 0.88 < np.mean(inside) < 0.98


def test_it_agrees_with_the_normal_interval_on_many_values():
    values = np.random.default_rng(1).normal(3, 2, 4000)
    low, high = bootstrap_interval(values, rng=0)
    assert high - low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(4000), rel=0.1)


def test_same_seed_same_interval():
    values = np.arange(10.0)
    assert bootstrap_interval(values, rng=4) == bootstrap_interval(values, rng=4) != bootstrap_interval(values, rng=5)


@pytest.mark.parametrize("bad", [[], [1.0], [1.0, np.nan]])
def test_too_little_or_missing_is_refused(bad):
    with pytest.raises(ValueError, match="bootstrap_interval"):
        bootstrap_interval(bad)
