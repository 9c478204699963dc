"""Beyond accuracy: literal readings of the formulas, and lists whose values are plain to see."""

from math import log, log2

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_kit.evaluate.beyond import calibration, coverage, diversity, evaluate_beyond, gini, novelty, popularity, serendipity
from recsys_kit.evaluate.protocol import evaluate_ranking
from recsys_kit.evaluate.split import Split, by_time
from recsys_kit.models.popularity import Popularity
from recsys_kit.schema import SchemaError
from tests.evaluate.test_protocol import Given, Silent, events

M, K = 6, 4
LISTS = st.lists(st.lists(st.integers(0, M - 1), max_size=K, unique=True), min_size=1, max_size=5)


def array(lists) -> np.ndarray:
    return np.array([shown + [-1] * (K - len(shown)) for shown in lists])


def same(values, expected) -> bool:
    return values.tolist() == pytest.approx(expected, nan_ok=True)


@given(LISTS, st.lists(st.integers(0, 8), min_size=M, max_size=M))
def test_novelty_popularity_and_coverage_are_what_a_literal_reading_gives(lists, touched):
    novel = [np.mean([-log2(max(touched[i], 1) / 8) for i in shown]) if shown else np.nan for shown in lists]
    popular = [np.mean([touched[i] / 8 for i in shown]) if shown else np.nan for shown in lists]
    assert same(novelty(array(lists), np.array(touched), 8), novel)
    assert same(popularity(array(lists), np.array(touched), 8), popular)
    assert coverage(array(lists), M) == len(set().union(*lists)) / M


@given(LISTS, st.lists(st.sampled_from(["tea", "cup", "", None]), min_size=M, max_size=M))
def test_diversity_by_category_is_the_share_of_pairs_that_differ(lists, labels):
    def differ(i, j):
        return not labels[i] or labels[i] != labels[j]

    pairs = [[differ(i, j) for n, i in enumerate(shown) for j in shown[:n]] for shown in lists]
    assert same(diversity(array(lists), np.array(labels, dtype=object)), [np.mean(p) if p else np.nan for p in pairs])


@given(LISTS, st.integers(0, 99))
def test_diversity_by_vectors_is_the_mean_cosine_distance_of_the_pairs(lists, seed):
    vectors = np.random.default_rng(seed).normal(size=(M, 3))
    vectors[0] = 0

    def distance(i, j):
        lengths = np.linalg.norm(vectors[i]) * np.linalg.norm(vectors[j])
        return 1 - (vectors[i] @ vectors[j] / lengths if lengths else 0)

    pairs = [[distance(i, j) for n, i in enumerate(shown) for j in shown[:n]] for shown in lists]
    assert same(diversity(array(lists), vectors), [np.mean(p) if p else np.nan for p in pairs])


@given(LISTS, LISTS, st.sets(st.integers(0, M - 1)))
def test_serendipity_counts_what_is_relevant_and_not_obvious(lists, obvious, relevant):
    obvious = (obvious * len(lists))[:len(lists)]
    hits = np.isin(array(lists), list(relevant))
    expected = [len((set(shown) & relevant) - set(plain)) / K for shown, plain in zip(lists, obvious, strict=True)]
    assert same(serendipity(array(lists), hits, array(obvious)), expected)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8).filter(any))
def test_gini_is_half_the_relative_mean_difference(counts):
    m, mean = len(counts), np.mean(counts)
    assert gini(counts) == pytest.approx(sum(abs(a - b) for a in counts for b in counts) / (2 * m * m * mean))


def test_gini_of_nothing_or_of_less_than_nothing_is_refused():
    for bad in ([], [0, 0], [1, -1]):
        with pytest.raises(ValueError, match="gini wants"):
            gini(bad)


ROW = st.lists(st.integers(0, 5), min_size=3, max_size=3)


@given(ROW, ROW, st.floats(0.01, 0.5))
def test_calibration_is_the_divergence_of_the_list_from_the_past(past, listed, alpha):
    if sum(past) and sum(listed):
        p, q = np.array(past) / sum(past), np.array(listed) / sum(listed)
        expected = sum(x * log(x / ((1 - alpha) * y + alpha * x)) for x, y in zip(p, q, strict=True) if x)
    else:
        expected = np.nan
    assert same(calibration(np.array([past]), np.array([listed]), alpha=alpha), [expected])


def test_the_same_mix_is_calibrated_and_counts_below_zero_are_refused():
    assert calibration(np.array([[6, 2]]), np.array([[3, 1]]))[0] == pytest.approx(0, abs=1e-12)
    assert calibration(np.array([[1, 0]]), np.array([[0, 1]]))[0] == pytest.approx(log(1 / 0.01))
    with pytest.raises(ValueError, match="below zero"):
        calibration(np.array([[1, -1]]), np.array([[1, 1]]))


TRAIN = events([("a", "t1", "view", 1), ("a", "c1", "view", 1), ("b", "t1", "view", 1), ("b", "t1", "view", 2),
                ("b", "t2", "view", 1), ("c", "c2", "view", 1), ("d", "t1", "view", 1)])
TEST = events([("a", "t2", "view", 4), ("b", "c2", "view", 4), ("new", "t1", "view", 4)])
SPLIT = Split(TRAIN, TEST, "by hand", pd.Timestamp("2024-01-04"))
ITEMS = pd.DataFrame({"item_id": ["t1", "t2", "c1", "c2"], "category": ["tea/green", "tea/black", "cup/tall", "cup/small"]})
MODEL = Given({("a", "t2"): 3.0, ("a", "c2"): 2.0, ("b", "c2"): 3.0, ("b", "c1"): 2.0})


def test_the_table_of_a_small_shop_counted_by_hand():
    """t1 was touched by 3 of 4 users, the others by 1 each: of equals the first id is the more obvious."""
    users, whole = evaluate_beyond(MODEL.fit(TRAIN), SPLIT, items=ITEMS, k=2)
    assert users.index.tolist() == ["a", "b", "new"] == evaluate_ranking(MODEL, SPLIT, k=2).index.tolist()
    assert users["listed"].tolist() == [2, 2, 0]
    assert users["novelty"].tolist() == pytest.approx([2, 2, np.nan], nan_ok=True)
    assert users["popularity"].tolist() == pytest.approx([1 / 4, 1 / 4, np.nan], nan_ok=True)
    assert users["serendipity"].tolist() == [0, 0, 0]  # the obvious lists are c2 t2 for a, c1 c2 for b
    assert users["diversity"].tolist() == pytest.approx([1, 0, np.nan], nan_ok=True)
    past_b = log(1 / 0.01)  # b had tea alone, and is shown cups alone
    assert users["calibration"].tolist() == pytest.approx([0, past_b, np.nan], nan_ok=True, abs=1e-12)
    assert whole.to_dict() == {"coverage": 3 / 4, "gini": pytest.approx(gini([0, 1, 1, 2]))}
    fine = evaluate_beyond(MODEL, SPLIT, items=ITEMS, level=2, k=2)[0]
    assert fine["diversity"].tolist() == pytest.approx([1, 1, np.nan], nan_ok=True)


def test_an_item_nobody_is_shown_makes_the_places_more_uneven_wherever_its_id_stands():
    for unseen in ("a0", "z9"):
        whole = evaluate_beyond(MODEL.fit(TRAIN, items=pd.DataFrame({"item_id": [unseen]})), SPLIT, k=2)[1]
        assert whole.to_dict() == {"coverage": 3 / 5, "gini": pytest.approx(gini([0, 0, 1, 1, 2]))}


def test_a_hit_that_popularity_would_not_have_listed_is_serendipitous():
    users = evaluate_beyond(MODEL.fit(TRAIN), SPLIT, k=1)[0]
    assert users["serendipity"].to_dict() == {"a": 1, "b": 1, "new": 0}  # c2 for a, c1 for b would have been obvious
    assert "diversity" not in users
    repeats = evaluate_beyond(MODEL, SPLIT, k=1, owned=())[0]
    assert repeats["serendipity"].to_dict() == {"a": 1, "b": 1, "new": 0}  # with repeats t1 is obvious for everybody


@pytest.mark.parametrize("owned", [None, ()])
def test_where_the_obvious_list_holds_the_whole_catalogue_nothing_is_serendipitous(owned):
    users = evaluate_beyond(MODEL.fit(TRAIN), SPLIT, k=8, owned=owned)[0]
    assert users["serendipity"].to_dict() == {"a": 0, "b": 0, "new": 0}


def test_a_category_without_a_name_is_none_and_a_broken_table_of_items_is_refused():
    users = evaluate_beyond(MODEL.fit(TRAIN), SPLIT, items=ITEMS.assign(category=["tea", "tea", "", ""]), k=2)[0]
    assert users.loc["b", "diversity"] == 1 and np.isnan(users.loc["b", "calibration"])  # two cups without a category
    with pytest.raises(SchemaError, match="the same item twice"):
        evaluate_beyond(MODEL, SPLIT, items=pd.concat([ITEMS, ITEMS]))
    with pytest.raises(ValueError, match="level=0"):
        evaluate_beyond(MODEL, SPLIT, items=ITEMS, level=0)


def test_the_lists_are_those_of_the_cut():
    late = pd.concat([TRAIN, events([("x", "c2", "view", 5)] * 9)])
    users = evaluate_beyond(Popularity().fit(late), SPLIT, k=1)[0]
    assert users.loc["new", "popularity"] == 3 / 4  # t1, as evaluate_ranking sees it; c2 comes later


def test_silence_has_no_novelty_and_covers_nothing():
    users, whole = evaluate_beyond(Silent().fit(TRAIN), SPLIT, items=ITEMS)
    assert users[["novelty", "popularity", "diversity", "calibration"]].isna().all().all() and whole["coverage"] == 0
    assert np.isnan(whole["gini"]) and (users["listed"] == 0).all()


def test_a_model_of_a_part_of_the_training_and_items_without_category_are_no_error():
    part = Popularity().fit(TRAIN[TRAIN["item_id"] != "t2"])
    users = evaluate_beyond(part, SPLIT, items=ITEMS.iloc[:2].assign(category=["tea", None]), k=3)[0]
    assert users["diversity"].tolist() == pytest.approx([np.nan, 1, 1], nan_ok=True) and users["listed"].tolist() == [1, 2, 3]


def test_popularity_is_popular_everywhere_and_random_lists_are_not(market):
    parts = by_time(market.events, test=0.2)
    rng = np.random.default_rng(0)

    class Noise(Silent):
        def _score(self, users, at):
            return rng.random((len(users), len(self.items_)))

    (plain, one), (noise, two) = (evaluate_beyond(model.fit(parts.train), parts, items=market.items)
                                  for model in (Popularity(), Noise()))
    assert plain["popularity"].mean() > 3 * noise["popularity"].mean() and plain["novelty"].mean() < noise["novelty"].mean() - 1
    assert one["coverage"] < 0.3 < 0.9 < two["coverage"] and two["gini"] < 0.3 < 0.9 < one["gini"]
    assert plain["serendipity"].mean() < noise["serendipity"].mean() + 0.02 and noise["diversity"].mean() > 0.5
