"""Page-Hinkley per user is the textbook's, stays calm while nothing changes, and wakes when something does."""

import numpy as np
import pytest

from recsys_kit.interest.drift import PageHinkley


def by_the_book(values, delta, threshold, warmup) -> list[int]:
    """Page-Hinkley as written: the sums of all deviations so far, and their smallest; begun anew after an alarm."""
    alarms, begin = [], 0
    for now in range(len(values)):
        seen = values[begin:now + 1]
        sums = np.append(0, np.cumsum([x - np.mean(seen[:n + 1]) - delta for n, x in enumerate(seen)]))
        if len(seen) >= warmup and sums[-1] - sums.min() > threshold:
            alarms.append(now)
            begin = now + 1
    return alarms


@pytest.mark.parametrize("rng", range(5))
def test_it_is_the_textbooks_also_with_many_users_at_once(rng):
    rng = np.random.default_rng(rng)
    values = np.concatenate([rng.normal(0.3, 0.2, 60), rng.normal(0.9, 0.2, 40)])
    streams = np.stack([values, rng.permutation(values), values[::-1]])
    users = rng.permutation(np.repeat([0, 1, 2], 100))
    place = np.zeros(300, dtype=int)
    for u in range(3):
        place[users == u] = np.arange(100)
    detector = PageHinkley(0.05, 1.5, 8)
    parts = np.array_split(np.arange(300), 7)
    alarms = np.concatenate([detector.watch(users[part], streams[users[part], place[part]]) for part in parts])
    for u in range(3):
        assert place[(users == u) & alarms].tolist() == by_the_book(streams[u], 0.05, 1.5, 8)


def test_it_rarely_sounds_while_nothing_changes_and_soon_when_something_does():
    """Surprises with a spread of 0.25 and a rise by 0.5, a hundred users."""
    rng = np.random.default_rng(0)
    detector = PageHinkley()
    quiet = detector.watch(np.tile(np.arange(100), 300), rng.normal(0.4, 0.25, 30_000))
    assert quiet.mean() < 1 / 3000
    after = detector.watch(np.tile(np.arange(100), 40), rng.normal(0.9, 0.25, 4000)).reshape(40, 100)
    lag = np.where(after.any(axis=0), after.argmax(axis=0) + 1, 99)
    assert np.median(lag) <= 10 and (lag <= 20).mean() > 0.95


def test_a_fall_is_no_alarm():
    assert not PageHinkley(warmup=1).watch([0] * 200, [1.0] * 100 + [0.0] * 100).any()


@pytest.mark.parametrize("wrong", [{"delta": -1}, {"threshold": 0}, {"warmup": 0}, {"threshold": np.nan}], ids=str)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PageHinkley(**wrong)


@pytest.mark.parametrize(("users", "values"), [([0], [np.nan]), ([-1], [1.0]), ([0, 1], [1.0])], ids=str)
def test_values_that_are_none_are_refused(users, values):
    with pytest.raises(ValueError, match="one user number"):
        PageHinkley().watch(users, values)
