"""Metrics against hand-counted fractions, a slow literal oracle, and scikit-learn."""

from math import log2

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score, roc_auc_score

from recsys_kit.evaluate.metrics import (
    auc,
    average_precision,
    hit_rate,
    ndcg,
    per_user,
    precision,
    ranking_hits,
    recall,
    reciprocal_rank,
)

ITEMS = "abcdefgh"
LISTS = st.lists(st.sampled_from(ITEMS), max_size=6, unique=True)
CASES = st.lists(st.tuples(LISTS, st.sets(st.sampled_from(ITEMS))), min_size=1, max_size=5)


def tables(case):
    listed = [(f"u{n}", item, rank) for n, (shown, _) in enumerate(case) for rank, item in enumerate(shown, 1)]
    wanted = [(f"u{n}", item) for n, (_, relevant) in enumerate(case) for item in sorted(relevant)]
    return (pd.DataFrame(listed, columns=["user_id", "item_id", "rank"]), pd.DataFrame(wanted, columns=["user_id", "item_id"]),
            [f"u{n}" for n in range(len(case))])


@given(CASES, st.integers(1, 7))
def test_all_metrics_are_what_a_literal_reading_of_their_formulas_gives(case, k):
    hits, n_relevant = ranking_hits(*tables(case), k)
    for user, (shown, relevant) in enumerate(case):
        found = [item in relevant for item in shown[:k]]
        gain = sum(1 / log2(rank + 1) for rank, hit in enumerate(found, 1) if hit)
        best = sum(1 / log2(rank + 1) for rank in range(1, min(k, len(relevant)) + 1))
        assert precision(hits)[user] == pytest.approx(sum(found) / k)
        assert recall(hits, n_relevant)[user] == pytest.approx(sum(found) / len(relevant) if relevant else 0)
        assert hit_rate(hits)[user] == any(found)
        assert ndcg(hits, n_relevant)[user] == pytest.approx(gain / best if relevant else 0)
        precise = sum(sum(found[:rank]) / rank for rank in range(1, len(found) + 1) if found[rank - 1])
        for by, most in (("relevant", len(relevant)), ("min", min(k, len(relevant)))):
            assert average_precision(hits, n_relevant, by=by)[user] == pytest.approx(precise / most if relevant else 0)
        assert reciprocal_rank(hits)[user] == pytest.approx(max((1 / rank for rank, hit in enumerate(found, 1) if hit), default=0))


SCORES = st.sampled_from([-np.inf, np.nan, -1.0, 0.0, 0.5, 0.5, 2.0])
PLACES = st.lists(st.tuples(SCORES, st.booleans(), st.booleans()), min_size=1, max_size=9)


@given(PLACES)
def test_auc_is_the_share_of_pairs_in_the_right_order_with_ties_counting_half(places):
    scores, relevant, left_out = (np.array([column]) for column in zip(*places, strict=True))
    said = [-np.inf if np.isnan(score) else score for score, _, _ in places]
    good = [s for s, (_, wanted, out) in zip(said, places, strict=True) if wanted and not out]
    other = [s for s, (_, wanted, out) in zip(said, places, strict=True) if not wanted and not out]
    value = auc(scores, relevant.astype(bool), left_out.astype(bool))[0]
    if good and other:
        assert value == pytest.approx(sum((g > o) + (g == o) / 2 for g in good for o in other) / (len(good) * len(other)))
    else:
        assert np.isnan(value)


def test_hand_counted_fractions():
    hits, n_relevant = ranking_hits(*tables([(["a", "b", "c", "d"], {"b", "d", "h"})]), 4)
    assert precision(hits)[0] == 2 / 4 and recall(hits, n_relevant)[0] == pytest.approx(2 / 3) and hit_rate(hits)[0] == 1
    assert ndcg(hits, n_relevant)[0] == pytest.approx((1 / log2(3) + 1 / log2(5)) / (1 + 1 / log2(3) + 1 / 2))


def test_hand_counted_average_precision_and_reciprocal_rank():
    """Hits at 2 and 3 of 4 places, 5 relevant items: precision there is 1/2 and 2/3."""
    hits, n_relevant = np.array([[False, True, True, False]]), np.array([5])
    assert average_precision(hits, n_relevant)[0] == pytest.approx((1 / 2 + 2 / 3) / 5)
    assert average_precision(hits, n_relevant, by="min")[0] == pytest.approx((1 / 2 + 2 / 3) / 4)
    assert reciprocal_rank(hits)[0] == 1 / 2
    with pytest.raises(ValueError, match="by='hits'"):
        average_precision(hits, n_relevant, by="hits")


def test_a_perfect_list_gives_one_everywhere_but_where_k_is_too_short_to_hold_it():
    short = {name: value[0] for name, value in per_user(np.ones((1, 4), dtype=bool), np.array([8])).items()}
    assert short == {"ndcg": 1, "recall": 0.5, "precision": 1, "hit_rate": 1, "map": 0.5, "mrr": 1, "map_min": 1}
    assert all(value[0] == 1 for value in per_user(np.ones((1, 4), dtype=bool), np.array([4])).values())


def test_average_precision_and_auc_agree_with_scikit_learn_over_the_whole_catalogue():
    rng = np.random.default_rng(4)
    scores, truth = rng.permuted(np.tile(np.arange(30.0), (20, 1)), axis=1), rng.random((20, 30)) < 0.2
    truth[:, 0] = True
    hits = np.take_along_axis(truth, np.argsort(-scores, axis=1), axis=1)
    theirs = [average_precision_score(truth[n], scores[n]) for n in range(20)]
    for by in ("relevant", "min"):
        assert average_precision(hits, truth.sum(axis=1), by=by) == pytest.approx(theirs)
    tied = np.floor(scores / 7)
    assert auc(tied, truth) == pytest.approx([roc_auc_score(truth[n], tied[n]) for n in range(20)])


def test_ndcg_agrees_with_scikit_learn():
    rng = np.random.default_rng(3)
    scores, truth = rng.permuted(np.tile(np.arange(30.0), (20, 1)), axis=1), rng.random((20, 30)) < 0.2
    truth[:, 0] = True
    order = np.argsort(-scores, axis=1)[:, :10]
    ours = ndcg(np.take_along_axis(truth, order, axis=1), truth.sum(axis=1))
    theirs = [ndcg_score(truth[[n]], scores[[n]], k=10) for n in range(20)]
    assert ours == pytest.approx(theirs) and 0.05 < np.mean(theirs) < 0.95


def test_ids_that_came_as_numbers_are_found():
    listed = pd.DataFrame({"user_id": [1, 1, 2], "item_id": [5, 6, 6], "rank": [1, 2, 1]})
    wanted = pd.DataFrame({"user_id": [1, 2], "item_id": [6, 5]})
    for users in ([1, 2], ["1", "2"]):
        hits, n_relevant = ranking_hits(listed, wanted, users, 2)
        assert hits.tolist() == [[False, True], [False, False]] and n_relevant.tolist() == [1, 1]


def test_a_user_without_a_list_counts_as_zero_and_is_not_dropped():
    hits, n_relevant = ranking_hits(*tables([(["a"], {"a"}), ([], {"b"})]), 2)
    assert ndcg(hits, n_relevant).tolist() == [1.0, 0.0]


def test_a_relevant_item_named_twice_counts_once_and_ranks_beyond_k_do_not_count():
    listed, wanted, users = tables([(["a", "b", "c"], {"c"})])
    hits, n_relevant = ranking_hits(listed, pd.concat([wanted, wanted]), users, 2)
    assert n_relevant.tolist() == [1] and not hits.any()


def test_ranks_from_zero_and_missing_ids_are_refused():
    listed, wanted, users = tables([(["a", "b"], {"a"})])
    with pytest.raises(ValueError, match="below 1"):
        ranking_hits(listed.assign(rank=[0, 1]), wanted, users, 2)
    with pytest.raises(ValueError, match="missing"):
        ranking_hits(listed, wanted.assign(item_id=None), users, 2)


def test_a_list_that_names_an_item_or_a_rank_twice_is_refused():
    listed, wanted, users = tables([(["a", "b"], {"a"})])
    for column, value in (("item_id", "a"), ("rank", 1)):
        with pytest.raises(ValueError, match="twice"):
            ranking_hits(listed.assign(**{column: value}), wanted, users, 2)
