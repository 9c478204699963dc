"""The past keeps every visit as it came, and counts fade as their formula says, whatever the order of events."""

import numpy as np
import pytest

from recsys_kit.interest.past import DAY, Fading, Past, Rows, state_of, take_state
from tests.interest.logs import ITEMS, USERS, faded, lived, log, visits

NOW = 60 * DAY


def test_the_past_holds_every_visit_however_often_its_arrays_have_grown():
    given = visits(log(events=700))
    past = lived(given)
    assert past.visits == len(given) > 256 and past.lines == sum(len(items) for _, items, _ in given) > 512
    for visit, (user, items, time) in enumerate(given):
        assert (past.user[visit], past.time[visit], past.items_of(visit).tolist()) == (user, time, items.tolist())
    assert past.latest == given[-1][2]


def test_a_visit_may_be_larger_than_all_that_was_there():
    past = lived([(0, np.arange(2000), 5.0), (0, np.arange(3), 6.0)])
    assert past.items_of(0).tolist() == list(range(2000)) and past.items_of(1).tolist() == [0, 1, 2]


def test_a_history_is_what_was_touched_with_the_time_of_the_last_touch():
    past = lived([(2, np.array([7, 3, 7]), 5.0), (0, np.array([3]), 6.0), (2, np.array([3, 1]), 8.0)])
    items, times = past.history(2)
    assert items.tolist() == [1, 3, 7] and times.tolist() == [8, 8, 5]
    assert past.new_to(2, np.array([9, 3, 9, 4])) == [9, 4] and past.new_to(0, np.array([7])) == [7]
    for nobody in (1, 99):
        assert past.history(nobody)[0].tolist() == [] and past.new_to(nobody, np.array([5, 5])) == [5]


def test_since_is_the_first_visit_not_before_a_time():
    past = lived([(0, np.array([0]), time) for time in (1.0, 4.0, 4.0, 9.0)])
    assert [past.since(time) for time in (0.0, 1.0, 4.0, 4.5, 9.0, 9.5)] == [0, 0, 1, 3, 3, 4]


def test_the_matrix_is_who_touched_what_and_fades_with_the_last_touch():
    given = visits(log())
    past, now = lived(given), given[-1][2] + DAY
    assert past.matrix(ITEMS).toarray().tolist() == (faded(given, now, np.inf) > 0).astype(float).tolist()
    assert past.matrix(ITEMS, now=now, half_life_days=9).toarray() == pytest.approx(faded(given, now, 9), rel=1e-6, abs=1e-30)


def test_an_empty_past_says_so_and_nothing_breaks():
    past = Past()
    assert past.latest == -np.inf and past.visits == past.since(5.0) == 0 and past.matrix(7).toarray().tolist() == [[0] * 7]


def test_a_past_put_together_from_what_was_kept_goes_on_as_the_same():
    given = visits(log())
    past, again = lived(given), Past.put_together(lived(given[:-50]).kept())
    for user, items, now in given[-50:]:
        again.add(user, items, now)
    assert again.kept().keys() == past.kept().keys()
    assert all(np.array_equal(part, past.kept()[name]) for name, part in again.kept().items())
    assert again.last == past.last and again.latest == past.latest


def test_rows_are_zeros_until_changed_and_stay_when_others_come():
    rows = Rows(3)
    rows.of(2)[:] = 7
    assert rows.of(1000).tolist() == [0, 0, 0] and rows.of(2).tolist() == [7, 7, 7] and len(rows.values) > 1000


# Fading -------------------------------------------------------------------------------------------------------------------

def literal(events, at, days, size=4) -> np.ndarray:
    counts = np.zeros(size)
    for item, time, amount in events:
        counts[item] += amount * 2 ** ((time - at) / DAY / days)
    return counts


@pytest.mark.parametrize("rng", range(3))
def test_fading_counts_are_their_formula_in_whatever_order_events_come(rng):
    rng = np.random.default_rng(rng)
    events = list(zip(rng.integers(0, 4, 60), rng.uniform(0, NOW, 60), rng.uniform(0.5, 3, 60), strict=True))
    counts = Fading(4, 7.0)
    for item, time, amount in events:
        counts.add(item, time, amount)
    for at in (NOW, NOW + 30 * DAY, NOW / 2):
        assert counts.at(at) == pytest.approx(literal(events, at, 7.0), rel=1e-9)


def test_fading_stays_its_formula_over_thousands_of_half_lives():
    """2^1024 is no number: counts are brought back on the way, twice, and events from before that still find their place."""
    counts, events = Fading(4, 0.1), []
    for day in np.arange(0, 160, 0.7):
        for item, late in ((int(day) % 4, 0.0), (1, 0.3 * (int(day) % 3))):
            events.append((item, (day - late) * DAY, 1.0 + item))
            counts.add(item, (day - late) * DAY, 1.0 + item)
        assert counts.at(day * DAY) == pytest.approx(literal(events, day * DAY, 0.1), rel=1e-9, abs=1e-200)
    assert counts.zero > 50 * DAY and (counts.values < 2.0 ** 600).all()


def test_a_jump_over_more_half_lives_than_there_are_numbers_leaves_zeros_and_no_nan():
    counts = Fading(3, 1.0)
    counts.add(0, 0.0)
    counts.add(1, 5000 * DAY)
    counts.add(2, 0.0)
    assert counts.at(5001 * DAY).tolist() == [0, 0.5, 0] and counts.at(20_000 * DAY).tolist() == [0, 0, 0]


def test_an_item_twice_in_one_event_counts_twice_and_each_row_gets_its_own_amount():
    counts = Fading((2, 3), 1.0)
    counts.add((slice(None), np.array([1, 1, 2])), 0.0, np.array([[0.25], [0.75]]))
    assert counts.at(DAY).tolist() == [[0, 0.25, 0.125], [0, 0.75, 0.375]] and counts.at(DAY, 1).tolist() == [0, 0.75, 0.375]


def test_rows_that_are_not_there_are_zeros_and_are_made_when_needed():
    counts = Fading((2, 3), 1.0)
    assert counts.at(0.0, 5).tolist() == [0, 0, 0] == counts.at(0.0, 1).tolist() and len(counts.values) == 2
    counts.add((slice(None), np.array([2])), 0.0)
    assert counts.at(0.0, 2).tolist() == [0, 0, 0] != counts.at(0.0, 0).tolist()
    counts.reach(9)
    assert len(counts.values) > 9 and counts.at(0.0, 1).tolist() == [0, 0, 1] and counts.at(0.0, 9).tolist() == [0, 0, 0]


# State --------------------------------------------------------------------------------------------------------------------

class Part:
    def __init__(self):
        self.sums, self.rows, self.levels = Fading((2, 3), 2.0), Rows(3), [Fading(2, 1.0), Fading(3, 1.0)]
        self.table, self.codes, self.names, self.empty = np.zeros(2), np.array([1, 2]), ["a"], []


def test_the_state_of_a_part_is_all_that_changes_and_makes_its_like_go_on_the_same():
    one = Part()
    one.sums.add((1, np.array([0, 2])), 5 * DAY)
    one.rows.of(99)[:] = 4
    one.levels[1].add(2, 7 * DAY)
    one.table = np.array([0.1, 0.2, 0.3])
    other = Part()
    take_state(other, state_of(one))
    for part in (one, other):
        part.sums.add((0, np.array([1])), 9 * DAY)
        part.levels[0].add(1, 9 * DAY)
    assert set(state_of(one)) == {"sums", "rows", "levels", "table"}
    assert other.sums.at(NOW).tolist() == one.sums.at(NOW).tolist() and other.rows.of(99).tolist() == [4, 4, 4]
    assert [level.at(NOW).tolist() for level in other.levels] == [level.at(NOW).tolist() for level in one.levels]
    assert other.table.tolist() == [0.1, 0.2, 0.3] and other.codes.tolist() == [1, 2]


def test_users_of_the_log_are_those_the_tests_count_on():
    given = visits(log())
    assert {user for user, _, _ in given} == set(range(USERS))
    assert {int(item) for _, items, _ in given for item in items} == set(range(ITEMS))
    assert any(len(items) > 1 for _, items, _ in given) and any(len(set(items)) < len(items) for _, items, _ in given)
