"""The one way to measure: unseen items only, everybody counts."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_kit.evaluate.metrics import per_user, ranking_hits
from recsys_kit.evaluate.protocol import evaluate_auc, evaluate_ranking, relevant_pairs
from recsys_kit.evaluate.split import Split, by_time
from recsys_kit.models.base import Ranker
from recsys_kit.models.popularity import Popularity


def events(rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["user_id", "item_id", "behaviour", "timestamp"]).assign(
        timestamp=lambda t: pd.to_datetime("2024-01-0" + t["timestamp"].astype(str)))


TRAIN = events([("a", "x", "purchase", 1), ("a", "y", "purchase", 1), ("b", "x", "purchase", 2), ("c", "z", "purchase", 2)])
TEST = events([("a", "x", "purchase", 3), ("a", "z", "purchase", 3), ("a", "z", "view", 4), ("b", "y", "return", 4),
               ("d", "x", "view", 4)])
SPLIT = Split(TRAIN, TEST, "by hand", pd.Timestamp("2024-01-03"))


def test_relevant_is_what_is_touched_for_the_first_time_and_not_given_back():
    assert relevant_pairs(SPLIT).to_numpy().tolist() == [["a", "z"], ["d", "x"]]


def test_popularity_ranks_the_unseen():
    result = evaluate_ranking(Popularity().fit(TRAIN), SPLIT, k=1)
    assert result["hit_rate"].to_dict() == {"a": 1.0, "d": 1.0}  # a has x and y: only z is left; d is new: x is the best


def test_what_is_owned_is_said_by_the_split_and_not_by_what_the_model_was_fitted_on():
    """A model that has seen purchases only is not punished with lists full of things the user has viewed."""
    views = events([("a", "z", "view", 1), ("a", "w", "view", 1), ("b", "z", "purchase", 1), ("b", "w", "purchase", 2)])
    parts = Split(views, events([("a", "q", "view", 4)]), "by hand", pd.Timestamp("2024-01-03"))
    catalogue = pd.DataFrame({"item_id": ["q"]})
    model = Popularity().fit(views[views["behaviour"] == "purchase"], items=catalogue)
    assert evaluate_ranking(model, parts, k=1)["hit_rate"].to_dict() == {"a": 1.0}


def test_relevant_and_owned_name_the_behaviours_that_count():
    assert relevant_pairs(SPLIT, relevant=["purchase"]).to_numpy().tolist() == [["a", "z"]]
    assert relevant_pairs(SPLIT, owned=[]).to_numpy().tolist() == [["a", "x"], ["a", "z"], ["d", "x"]]
    assert relevant_pairs(SPLIT, owned=["view"], relevant=["purchase"]).to_numpy().tolist() == [["a", "x"], ["a", "z"]]
    repeats = evaluate_ranking(Popularity().fit(TRAIN), SPLIT, k=1, owned=[])
    assert repeats["hit_rate"].to_dict() == {"a": 1.0, "d": 1.0}  # with repeats allowed x stays on top for a


def test_what_was_given_back_is_no_news_and_what_the_training_never_saw_is():
    train = pd.concat([TRAIN, events([("d", "x", "return", 2)])])
    assert relevant_pairs(Split(train, TEST, "by hand")).to_numpy().tolist() == [["a", "z"]]
    assert relevant_pairs(Split(train, TEST, "by hand"), owned=["purchase"]).to_numpy().tolist() == [["a", "z"], ["d", "x"]]
    cold = Split(events([("a", "z", "view", 1), ("b", "x", "view", 1)]), events([("b", "new", "view", 3)]), "by hand")
    assert relevant_pairs(cold).to_numpy().tolist() == [["b", "new"]]  # not taken for the last item, which the user before has


@pytest.mark.parametrize("names", [["buy"], "purchase"], ids=str)
def test_names_that_are_no_behaviours_are_refused_and_do_not_leave_nobody_to_judge(names):
    for choice in ("relevant", "owned"):
        with pytest.raises(ValueError, match=f"{choice}: .* is no list of behaviours; give one such as"):
            evaluate_ranking(Popularity().fit(TRAIN), SPLIT, **{choice: names})
        with pytest.raises(ValueError, match=choice):
            relevant_pairs(SPLIT, **{choice: names})


def test_a_split_by_hand_may_have_ids_that_are_numbers():
    number = {name: n for n, name in enumerate("abcdxyz")}
    train, test = (table.assign(user_id=table["user_id"].map(number), item_id=table["item_id"].map(number))
                   for table in (TRAIN, TEST))
    parts = Split(train, test, "by hand", SPLIT.cut)
    assert evaluate_ranking(Popularity().fit(train), parts, k=1)["hit_rate"].to_dict() == {"0": 1.0, "3": 1.0}


def test_the_model_is_asked_for_its_list_as_of_the_cut():
    late = pd.concat([TRAIN, events([("b", "z", "purchase", 5)] * 9)])  # a model that learned too much
    fitted = Popularity().fit(late)
    parts = Split(TRAIN, events([("d", "x", "view", 4)]), "by hand", pd.Timestamp("2024-01-03"))
    assert evaluate_ranking(fitted, parts, k=1)["hit_rate"].to_dict() == {"d": 1.0}  # as of the cut x leads, later z
    assert evaluate_auc(fitted, parts).to_dict() == {"d": 1.0}


def test_where_k_is_beyond_the_catalogue_the_places_that_stay_empty_count():
    result = evaluate_ranking(Popularity().fit(TRAIN), SPLIT, k=10)
    assert result["hit_rate"].tolist() == [1, 1] and result["precision"].tolist() == [0.1, 0.1]  # three items, ten places


class Silent(Ranker):
    """Has nothing to say about anybody."""

    def _fit(self, events, items, users):
        pass

    def _score(self, users, at):
        return np.full((len(users), len(self.items_)), np.nan)


def test_users_without_a_recommendation_count_as_zero():
    result = evaluate_ranking(Silent().fit(TRAIN), SPLIT)
    assert result.index.tolist() == ["a", "d"] and (result == 0).all().all()


class Clairvoyant(Ranker):
    """Scores the test's own pairs: the upper end of the measure."""

    def __init__(self, parts):
        self.parts = parts

    def _fit(self, events, items, users):
        pairs = relevant_pairs(self.parts)
        self.table = pd.crosstab(pairs["user_id"], pairs["item_id"]).reindex(columns=self.items_, fill_value=0)

    def _score(self, users, at):
        return self.table.reindex(users, fill_value=0).to_numpy(float)


def test_popularity_stands_between_nothing_and_the_perfect_list(market):
    parts = by_time(market.events, test=0.2)
    known = parts.test["item_id"].isin(parts.train["item_id"])  # a perfect list needs the items in its catalogue
    parts = Split(parts.train, parts.test[known], parts.how, parts.cut)
    models = Popularity(), Clairvoyant(parts)
    popular, perfect = (evaluate_ranking(model.fit(parts.train), parts)["ndcg"].mean() for model in models)
    assert perfect == pytest.approx(1) and 0.01 < popular < 0.9


class Given(Ranker):
    """Scores as a table says, user by item; NaN where the table has no row."""

    def __init__(self, table):
        self.table = table

    def _fit(self, events, items, users):
        pass

    def _score(self, users, at):
        return np.array([[self.table.get((user, item), np.nan) for item in self.items_] for user in users]).reshape(len(users), -1)


ROWS = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("uvwxyz"), st.sampled_from(["view", "purchase", "return"]),
                          st.integers(1, 4)), min_size=1, max_size=25)
TABLE = st.dictionaries(st.tuples(st.sampled_from("abcd"), st.sampled_from("uvwxyz")),
                        st.sampled_from([-np.inf, np.nan, -2.0, 0.0, 0.0, 1.0]), max_size=24)
CHOICES = st.sampled_from([None, (), ("purchase",), ("view", "purchase")])


@given(ROWS, ROWS, TABLE, st.integers(1, 8), CHOICES, CHOICES)
def test_the_whole_measurement_is_what_a_literal_reading_gives(past, future, table, k, relevant, owned):
    train = events(past)
    parts = Split(train, events([(u, i, b, t + 4) for u, i, b, t in future]), "by hand", pd.Timestamp("2024-01-05"))
    result = evaluate_ranking(Given(table).fit(train), parts, k=k, relevant=relevant, owned=owned)
    has = {(u, i) for u, i, b, _ in past if owned is None or b in owned}
    new = {(u, i) for u, i, b, _ in future if (b != "return" if relevant is None else b in relevant)} - has
    catalogue = sorted({i for _, i, _, _ in past})
    lists, wanted = [], sorted({u for u, _ in new})
    for user in wanted:
        said = [(-table.get((user, i), np.nan), i) for i in catalogue if (user, i) not in has]
        said = sorted((cost, i) for cost, i in said if not np.isnan(cost) and cost < np.inf)
        lists += [(user, i, rank) for rank, (_, i) in enumerate(said[:k], 1)]
    hits, n_relevant = ranking_hits(pd.DataFrame(lists, columns=["user_id", "item_id", "rank"]),
                                    pd.DataFrame(sorted(new), columns=["user_id", "item_id"]), wanted, k)
    assert result.index.tolist() == wanted
    pd.testing.assert_frame_equal(result.reset_index(drop=True), pd.DataFrame(per_user(hits, n_relevant)))
    pairs = relevant_pairs(parts, relevant=relevant, owned=owned)
    counts = [(u, i) for u, i, b, _ in future if (b != "return" if relevant is None else b in relevant)]
    assert list(map(tuple, pairs.to_numpy())) == [pair for pair in dict.fromkeys(counts) if pair in new]  # in order of appearance


@given(ROWS, ROWS, TABLE, CHOICES)
def test_auc_over_the_unseen_items_is_what_a_literal_reading_gives(past, future, table, owned):
    train = events(past)
    parts = Split(train, events([(u, i, b, t + 4) for u, i, b, t in future]), "by hand", pd.Timestamp("2024-01-05"))
    result = evaluate_auc(Given(table).fit(train), parts, owned=owned)
    has = {(u, i) for u, i, b, _ in past if owned is None or b in owned}
    new = {(u, i) for u, i, b, _ in future if b != "return"} - has
    known = {i for _, i, _, _ in past}

    def said(user, item):
        score = table.get((user, item), np.nan)
        return -np.inf if np.isnan(score) or item not in known else score

    assert result.index.tolist() == sorted({u for u, _ in new})
    for user, value in result.items():
        unseen = [i for i in known | {i for _, i, b, _ in future if b != "return"} if (user, i) not in has]
        good, other = ([said(user, i) for i in unseen if ((user, i) in new) == yes] for yes in (True, False))
        expected = np.mean([(g > o) + (g == o) / 2 for g in good for o in other]) if other else np.nan
        assert value == pytest.approx(expected, nan_ok=True)


def test_large_auc_requests_are_answered_in_blocks_with_the_same_numbers(market, monkeypatch):
    parts = by_time(market.events, test=0.2)
    model = Popularity().fit(parts.train)
    whole = evaluate_auc(model, parts)
    monkeypatch.setattr("recsys_kit.evaluate.protocol.BLOCK", 150 * len(model.items_))
    pd.testing.assert_series_equal(evaluate_auc(model, parts), whole)
    assert 0.5 < whole.mean() < 1 and len(whole) == len(evaluate_ranking(model, parts))


def test_silence_is_chance_for_auc_and_the_clairvoyant_is_perfect():
    assert evaluate_auc(Silent().fit(TRAIN), SPLIT).to_dict() == {"a": pytest.approx(np.nan, nan_ok=True), "d": 0.5}
    assert evaluate_auc(Clairvoyant(SPLIT).fit(TRAIN), SPLIT)["d"] == 1


def test_a_second_question_to_the_same_split_gets_its_own_answer():
    """What a split asks is kept; another k, model or choice of behaviours must not get the first one's."""
    model = Popularity().fit(TRAIN)
    first = evaluate_ranking(model, SPLIT, k=1)
    assert evaluate_ranking(model, SPLIT, k=1, relevant=["purchase"]).index.tolist() == ["a"]
    assert evaluate_ranking(model, SPLIT, k=1, owned=["view"]).loc["a", "recall"] == 0.5
    assert evaluate_ranking(Silent().fit(TRAIN), SPLIT, k=3)["ndcg"].sum() == 0
    pd.testing.assert_frame_equal(evaluate_ranking(model, SPLIT, k=1), first)


def test_nothing_to_find_is_an_empty_table_and_no_error():
    nothing = Split(TRAIN, events([("a", "x", "purchase", 3)]), "by hand", pd.Timestamp("2024-01-03"))
    result = evaluate_ranking(Popularity().fit(TRAIN), nothing)
    assert result.empty and "map" in result and evaluate_auc(Popularity().fit(TRAIN), nothing).empty
