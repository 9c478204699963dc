"""Intervals cover the truth as often as they say, tests raise no more false alarms than they say, and a table is paired."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_kit.evaluate.protocol import evaluate_ranking
from recsys_kit.evaluate.significance import bootstrap_interval, compare, compare_users, holm, sign_flip_p
from recsys_kit.evaluate.split import by_time
from recsys_kit.models.popularity import Popularity


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


def test_sign_flips_count_what_a_list_of_all_flips_counts():
    """Eight users: all 256 flips can be listed."""
    d = np.array([0.3, -0.1, 0.4, 0.2, 0.0, 0.5, -0.2, 0.1])
    flips = np.array([[1 if n >> place & 1 else -1 for place in range(8)] for n in range(256)])
    exact = (np.abs(flips @ d) >= abs(d.sum()) - 1e-9).mean()
    assert sign_flip_p(d, draws=20_000, rng=0)[0] == pytest.approx(exact, abs=0.01) and 0.05 < exact < 0.2


def test_sign_flips_raise_a_false_alarm_as_often_as_the_level_says():
    rng = np.random.default_rng(2)
    alarms = sign_flip_p(rng.normal(size=(60, 400)), draws=999, rng=rng) <= 0.05
    assert 0.02 < alarms.mean() < 0.09


def test_a_p_is_never_zero_and_no_difference_is_one():
    assert sign_flip_p(np.ones(50), draws=99, rng=0)[0] == 1 / 100
    assert sign_flip_p(np.zeros(50), draws=99, rng=0)[0] == 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_what_a_literal_reading_gives(p):
    corrected = holm(p)
    for place, value in enumerate(p):
        before = [other for n, other in enumerate(p) if (other, n) <= (value, place)]
        steps = [(len(p) - n) * other for n, other in enumerate(sorted(before))]
        assert corrected[place] == pytest.approx(min(1, max(steps)))


def test_holm_keeps_false_alarms_of_a_whole_table_below_the_level():
    rng = np.random.default_rng(3)
    tables = rng.random((8000, 10))
    assert np.mean([(table <= 0.05).any() for table in tables]) > 0.35
    assert np.mean([(holm(table) <= 0.05).any() for table in tables]) < 0.06
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.5, np.nan])


def results(n=300, rng=0) -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(rng)
    base = rng.random((n, 2))
    index = pd.Index([f"u{place:03d}" for place in range(n)], name="user_id")
    shift = {"base": 0.0, "same": rng.normal(0, 0.2, (n, 2)), "better": 0.07 + rng.normal(0, 0.2, (n, 2)),
             "worse": -0.2 + rng.normal(0, 0.2, (n, 2))}
    return {name: pd.DataFrame(base + change, index=index, columns=["ndcg", "recall"]) for name, change in shift.items()}


def test_the_table_holds_means_paired_differences_intervals_and_corrected_p():
    them = results()
    table = compare_users(them, baseline="base")
    assert table.index.tolist() == [(metric, model) for metric in ("ndcg", "recall") for model in them]
    assert table.loc[("ndcg", "base"), "difference":].isna().all()
    for (metric, model), row in table.drop("base", level="model").iterrows():
        d = (them[model] - them["base"])[metric]
        assert row["mean"] == pytest.approx(them[model][metric].mean()) and row["difference"] == pytest.approx(d.mean())
        half = 1.96 * d.std() / np.sqrt(len(d))
        assert row["high"] - d.mean() == pytest.approx(half, rel=0.15) and d.mean() - row["low"] == pytest.approx(half, rel=0.15)
        assert row["p"] == pytest.approx(sign_flip_p(d, rng=9)[0], abs=0.02)
    others = table.dropna()
    assert others["p_holm"].tolist() == pytest.approx(holm(others["p"]))
    assert (table.xs("better", level="model")["p_holm"] < 0.01).all() and (table.xs("same", level="model")["p_holm"] > 0.05).all()
    narrow, wide = (compare_users(them, baseline="base", level=level) for level in (0.5, 0.99))
    assert (narrow["high"] < wide["high"]).sum() == 6 == (narrow["low"] > wide["low"]).sum()


def test_users_are_paired_by_their_id_and_not_by_their_place():
    them = results()
    shuffled = them | {"better": them["better"].sample(frac=1, random_state=0)}
    pd.testing.assert_frame_equal(compare_users(shuffled, baseline="base"), compare_users(them, baseline="base"))


def test_more_metrics_make_a_larger_family():
    both, one = (compare_users(results(), baseline="base", metrics=metrics) for metrics in (None, ["ndcg"]))
    assert one.index.get_level_values("metric").unique().tolist() == ["ndcg"]
    smallest = [table["p"].min() * table["p"].notna().sum() for table in (both, one)]
    assert [both["p_holm"].min(), one["p_holm"].min()] == pytest.approx(smallest)


def test_what_cannot_be_compared_is_refused():
    them = results()
    cases = {"none of the models": (them, "nobody"), "other users": (them | {"same": them["same"].iloc[:-1]}, "base"),
             "missing or infinite": (them | {"same": them["same"] * np.nan}, "base"),
             "has no metric": (them | {"same": them["same"][["ndcg"]]}, "base"),
             "at least two users": ({name: table.head(1) for name, table in them.items()}, "base")}
    for message, (tables, baseline) in cases.items():
        with pytest.raises(ValueError, match=message):
            compare_users(tables, baseline=baseline)


def test_models_are_compared_as_they_are_evaluated(market):
    parts = by_time(market.events, test=0.2)
    models = {"popular": Popularity().fit(parts.train), "recent": Popularity(7).fit(parts.train)}
    table = compare(models, parts, baseline="popular", k=10, relevant=["purchase"], metrics=["recall"], rng=1)
    expected = [evaluate_ranking(model, parts, k=10, relevant=["purchase"])["recall"].mean() for model in models.values()]
    assert table["mean"].tolist() == pytest.approx(expected)
    bought = {"relevant": ["purchase"], "owned": ["purchase"]}
    again = compare(models, parts, baseline="popular", k=10, **bought)["mean"].xs("recall").tolist()
    assert again == pytest.approx([evaluate_ranking(model, parts, k=10, **bought)["recall"].mean() for model in models.values()])
    assert again != pytest.approx(expected)
    pd.testing.assert_frame_equal(table, compare(models, parts, baseline="popular", k=10, relevant=["purchase"], metrics=["recall"],
                                                 rng=1))
    with pytest.raises(ValueError, match="'top' is none of the models"):
        compare(models, parts, baseline="top")
