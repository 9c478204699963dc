"""A search sees training events alone, tries what the space says, and goes on where it was stopped."""

import json
from functools import partial

import numpy as np
import pandas as pd
import pytest

from recsys_kit import DataError, SchemaError
from recsys_kit.evaluate.protocol import evaluate_ranking
from recsys_kit.evaluate.search import search
from recsys_kit.evaluate.space import Between, log_uniform, uniform
from recsys_kit.evaluate.split import Split, by_time, random
from recsys_kit.models.popularity import Popularity
from tests.models.conformance import history

EVENTS = history()
SPLIT = by_time(EVENTS, test=0.25)


class Blend:
    """A stand-in for a model: what it is fitted on is kept, its value is said by its settings."""

    made: list["Blend"] = []

    def __init__(self, a, b=0):
        self.a, self.b = a, b
        Blend.made.append(self)

    def fit(self, events, *, items=None, users=None):
        self.seen, self.items = events, items
        return self


def value(model, inner) -> float:
    return -(model.a - 3) ** 2 - model.b


@pytest.fixture(autouse=True)
def none_made():
    Blend.made.clear()


def test_a_grid_tries_every_combination_in_order_and_the_best_is_best():
    found = search(Blend, {"a": [1, 3, 5], "b": [0, 2]}, EVENTS, judge=value)
    assert found.trials[["a", "b"]].to_numpy().tolist() == [[1, 0], [1, 2], [3, 0], [3, 2], [5, 0], [5, 2]]
    assert found.trials["value"].tolist() == [-4, -6, 0, -2, -4, -6]
    assert found.best == {"a": 3, "b": 0} and found.value == 0 and "6 trials" in repr(found)


def test_of_equal_values_the_earliest_wins():
    assert search(Blend, {"a": [2, 4]}, EVENTS, judge=value).best == {"a": 2}
    assert search(Blend, {"a": [4, 2]}, EVENTS, judge=value).best == {"a": 4}


def test_only_training_events_are_seen_and_the_inner_test_lies_after_the_inner_training():
    def judge(model, inner):
        assert model.seen is inner.train and inner.test["timestamp"].max() < SPLIT.cut
        assert inner.train["timestamp"].max() < inner.cut <= inner.test["timestamp"].min()
        return 1.0

    found = search(Blend, {"a": [1, 2]}, SPLIT, judge=judge, items=EVENTS[["item_id"]].drop_duplicates())
    assert len(found.inner.train) + len(found.inner.test) == len(SPLIT.train) and len(Blend.made) == 2
    assert len(found.inner.test) == pytest.approx(0.2 * len(SPLIT.train), rel=0.1) and Blend.made[0].items is not None


def test_another_test_changes_nothing():
    space = {"half_life_days": [None, 1.0, 30.0]}
    other = Split(SPLIT.train, SPLIT.test.assign(item_id="i00"), SPLIT.how, SPLIT.cut)
    first, second = (search(Popularity, space, parts) for parts in (SPLIT, other))
    assert first.best == second.best
    assert first.fingerprint == second.fingerprint == search(Popularity, space, SPLIT.train).fingerprint
    pd.testing.assert_series_equal(first.trials["value"], second.trials["value"])


def test_rankers_are_judged_by_the_metric_asked_for_on_the_inner_split():
    found = search(Popularity, {"half_life_days": [None, 1.0]}, SPLIT, metric="recall", k=3, relevant=["purchase"], owned=[])
    inner = by_time(SPLIT.train, test=0.2)
    expected = [evaluate_ranking(Popularity(days).fit(inner.train), inner, k=3, relevant=["purchase"], owned=[])["recall"].mean()
                for days in (None, 1.0)]
    assert found.trials["value"].tolist() == pytest.approx(expected) and expected[0] != expected[1]


def test_events_without_time_want_an_inner_split_of_their_own():
    still = EVENTS.assign(timestamp=EVENTS["timestamp"].iloc[0])
    with pytest.raises(SchemaError, match="side would be empty"):
        search(Blend, {"a": [1]}, still, judge=value)
    assert search(Blend, {"a": [1]}, EVENTS, judge=value, inner=partial(random, rng=0)).inner.how == "random"
    small, large = (search(Blend, {"a": [1]}, EVENTS, judge=value, test=share).inner.test for share in (0.1, 0.4))
    assert len(small) < len(large) / 2


def test_random_draws_repeat_with_their_seed_and_more_trials_begin_with_the_same():
    space = {"a": log_uniform(1, 1000), "b": uniform(0, 1)}
    short, long, other = (search(Blend, space, EVENTS, judge=value, trials=n, rng=seed).trials[["a", "b"]].to_numpy().tolist()
                          for n, seed in ((3, 1), (6, 1), (6, 2)))
    assert long[:3] == short and long != other and len({tuple(row) for row in long}) == 6


def test_a_small_space_is_not_drawn_from_twice():
    found = search(Blend, {"a": [1, 2, 3]}, EVENTS, judge=value, trials=50)
    assert sorted(found.trials["a"]) == [1, 2, 3]


def test_ranges_are_drawn_as_they_say():
    rng = np.random.default_rng(0)
    draws = [log_uniform(1, 10_000).draw(rng) for _ in range(2000)]
    assert 1 <= min(draws) and max(draws) <= 10_000
    assert np.histogram(np.log10(draws), 4, (0, 4))[0] == pytest.approx(500, rel=0.2)
    flat = [uniform(-1, 1).draw(rng) for _ in range(2000)]
    assert np.histogram(flat, 4, (-1, 1))[0] == pytest.approx(500, rel=0.2)
    whole = [uniform(1, 4, whole=True).draw(rng) for _ in range(2000)]
    assert all(isinstance(n, int) for n in whole) and np.bincount(whole)[1:] == pytest.approx(500, rel=0.2)
    few = [log_uniform(1, 4, whole=True).draw(rng) for _ in range(2000)]
    assert set(few) == {1, 2, 3, 4} and np.bincount(few)[1] > 2.5 * np.bincount(few)[4]
    for bad in (lambda: Between(2, 1), lambda: log_uniform(0, 1)):
        with pytest.raises(ValueError, match="give low < high"):
            bad()


@pytest.mark.parametrize(("space", "more", "message"), [
    ({}, {}, "nothing to choose from"), ({"a": []}, {}, "nothing to choose from for 'a'"),
    ({"a": uniform(0, 1)}, {}, "say how many trials"), ({"a": [1]}, {"trials": 0}, "at least one"),
    ({"a": [1]}, {"trials": 1, "file": "x", "rng": None}, "give rng a number")])
def test_an_empty_or_contradictory_space_is_refused(space, more, message):
    with pytest.raises(ValueError, match=message):
        search(Blend, space, EVENTS, judge=value, **more)


def test_a_model_that_diverges_is_never_best_and_all_of_them_are_an_error():
    def judge(model, inner):
        return np.nan if model.a > 1 else -5.0 if model.a else np.inf

    found = search(Blend, {"a": [0, 2, 1]}, EVENTS, judge=judge)
    assert found.best == {"a": 1} and found.trials["value"].isna().tolist() == [True, True, False]
    with pytest.raises(ValueError, match="no trial has a finite value"):
        search(Blend, {"a": [2, 3]}, EVENTS, judge=judge)


def stop_at(number: int):
    """Judges as `value` does, until the person at the keyboard has had enough."""
    def value_until(model, inner):
        if len(Blend.made) == number:
            raise KeyboardInterrupt
        return value(model, inner)
    value_until.__qualname__ = "judge"
    return value_until


def test_a_stopped_search_loses_only_the_trial_it_was_in(tmp_path):
    file, space = tmp_path / "trials.jsonl", {"a": [1, 2, 3, 4], "b": [0, 1]}
    with pytest.raises(KeyboardInterrupt):
        search(Blend, space, EVENTS, judge=stop_at(6), file=file)
    assert len(file.read_text().splitlines()) == 1 + 5 and len(list(tmp_path.iterdir())) == 1
    Blend.made.clear()
    found = search(Blend, space, EVENTS, judge=stop_at(99), file=file)
    assert len(Blend.made) == 3
    whole = search(Blend, space, EVENTS, judge=value)
    pd.testing.assert_frame_equal(found.trials.drop(columns="seconds"), whole.trials.drop(columns="seconds"))
    assert found.best == whole.best
    Blend.made.clear()
    assert search(Blend, space, EVENTS, judge=stop_at(99), file=file).best == whole.best and not Blend.made


def test_more_draws_go_on_after_the_ones_there_are(tmp_path):
    file, space = tmp_path / "trials.jsonl", {"a": log_uniform(1, 9)}
    search(Blend, space, EVENTS, judge=value, trials=3, file=file)
    more = search(Blend, space, EVENTS, judge=value, trials=5, file=file)
    assert len(Blend.made) == 5 and len(more.trials) == 5
    assert len(search(Blend, space, EVENTS, judge=value, trials=2, file=file).trials) == 2


def test_the_record_of_another_search_is_refused_and_kept(tmp_path):
    file = tmp_path / "trials.jsonl"
    search(Blend, {"a": [1, 2]}, EVENTS, judge=value, file=file)
    kept = file.read_text()
    others = {"space": dict(space={"a": [1, 3]}), "split": dict(events=EVENTS.iloc[:300]), "judge": dict(judge=stop_at(99)),
              "search": dict(make=partial(Blend, b=1)), "draws": dict(trials=2)}
    for name, change in others.items():
        with pytest.raises(DataError, match=f"another search.*{name}"):
            search(**(dict(make=Blend, space={"a": [1, 2]}, events=EVENTS, judge=value, file=file) | change))
    assert file.read_text() == kept


@pytest.mark.parametrize("damage", [lambda text: text[:-20], lambda text: "", lambda text: "no json", lambda text: "[1]\n" + text,
                                    lambda text: text.replace('"seconds"', '"second"')])
def test_a_damaged_record_is_refused(tmp_path, damage):
    file = tmp_path / "trials.jsonl"
    search(Blend, {"a": [1, 2]}, EVENTS, judge=value, file=file)
    file.write_text(damage(file.read_text()))
    with pytest.raises(DataError, match="damaged"):
        search(Blend, {"a": [1, 2]}, EVENTS, judge=value, file=file)


def test_settings_that_are_not_what_the_search_would_try_are_refused(tmp_path):
    file = tmp_path / "trials.jsonl"
    search(Blend, {"a": [1, 2]}, EVENTS, judge=value, file=file)
    head, first, second = file.read_text().splitlines()
    file.write_text("\n".join([head, second, first]))
    with pytest.raises(DataError, match="its settings differ"):
        search(Blend, {"a": [1, 2]}, EVENTS, judge=value, file=file)


def test_numbers_of_numpy_and_values_that_are_no_number_are_kept(tmp_path):
    file = tmp_path / "trials.jsonl"
    judge = partial(lambda model, inner: np.nan if model.a == 2 else 1.0)
    for _ in range(2):
        found = search(Blend, {"a": np.array([1, 2])}, EVENTS, judge=judge, file=file)
        assert found.best == {"a": 1} and found.trials["value"].isna().tolist() == [False, True]
    assert json.loads(file.read_text().splitlines()[2])["value"] is None


def test_a_folder_that_is_not_there_is_said_before_the_work_begins(tmp_path):
    with pytest.raises(DataError, match="there is no folder"):
        search(Blend, {"a": [1]}, EVENTS, judge=value, file=tmp_path / "no" / "trials.jsonl")
    assert not Blend.made


def test_progress_is_told_where_asked(capsys):
    told = []
    search(Blend, {"a": [1, 3]}, EVENTS, judge=value, progress=lambda *what: told.append(what))
    assert told == [(1, 2, {"a": 1}, -4.0), (2, 2, {"a": 3}, 0.0)]
    search(Blend, {"a": [1, 3]}, EVENTS, judge=value)
    assert capsys.readouterr() == ("", "")
    search(Blend, {"a": [1, 3]}, EVENTS, judge=value, progress=True)
    assert capsys.readouterr() == ("", "1/2  -4.0000  {'a': 1}\n2/2  0.0000  {'a': 3}\n")
