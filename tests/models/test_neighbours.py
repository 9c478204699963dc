"""Neighbours are found as their formulas say, speak for what they touched, and for nobody of whom nothing is known."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.metrics.pairwise import cosine_similarity

from recsys_kit.data.interactions import Interactions
from recsys_kit.models.neighbours import ItemKNN, UserKNN
from recsys_kit.models.neighbours_kernel import COSINE, most_similar
from recsys_kit.schema import SchemaError
from tests.models.conformance import RankerConformance, history


class TestItemsByCosine(RankerConformance):
    def make(self):
        return ItemKNN(5)


class TestUsersByJaccard(RankerConformance):
    def make(self):
        return UserKNN(5, similarity="jaccard", shrinkage=2)


def rated(rng=0) -> pd.DataFrame:
    """A history in which half of the events have a rating, and some pairs several."""
    table = history(rng)
    stars = np.random.default_rng(100 + rng).integers(1, 6, len(table)).astype(float)
    return table.assign(rating=np.where(table["behaviour"] == "view", np.nan, stars))


def literal(table: pd.DataFrame, similarity: str, between: str, shrinkage: float = 0) -> dict:
    """Similarities by the formulas, pair by pair, in plain Python: {(a, b): similarity}, and {a: {the other side: x}}."""
    x: dict = {}
    if similarity == "adjusted cosine":
        ratings: dict = {}
        for row in table.dropna(subset="rating").itertuples():
            ratings.setdefault(row.user_id, {}).setdefault(row.item_id, []).append(row.rating)
        for user, mine in ratings.items():
            mine = {item: sum(all_) / len(all_) for item, all_ in mine.items()}
            mean = sum(mine.values()) / len(mine)
            x[user] = {item: rating - mean for item, rating in mine.items()}
    else:
        for row in table.itertuples():
            x.setdefault(row.user_id, {})[row.item_id] = 1.0
    if between == "items":
        turned: dict = {}
        for user, mine in x.items():
            for item, value in mine.items():
                turned.setdefault(item, {})[user] = value
        x = turned
    found = {}
    for a in x:
        for b in x:
            both = [c for c in x[a] if c in x[b]]
            if a == b or not both:
                continue
            dot = sum(x[a][c] * x[b][c] for c in both)
            if similarity == "jaccard":
                s = len(both) / len(set(x[a]) | set(x[b]))
            else:
                over = both if similarity == "adjusted cosine" else None
                size = math.sqrt(sum(v * v for c, v in x[a].items() if over is None or c in over)
                                 * sum(v * v for c, v in x[b].items() if over is None or c in over))
                s = dot / size if size else 0.0
            found[a, b] = s * len(both) / (len(both) + shrinkage)
    return found, x


def best(found: dict, a, n: int) -> list:
    mine = sorted(((-s, b) for (one, b), s in found.items() if one == a and s > 0))
    return [(b, -s) for s, b in mine[:n]]


every_similarity = pytest.mark.parametrize("similarity", ["cosine", "adjusted cosine", "jaccard"])


@every_similarity
@pytest.mark.parametrize("shrinkage", [0, 3])
def test_item_neighbours_and_scores_are_those_of_a_literal_loop(similarity, shrinkage):
    table = rated()
    model = ItemKNN(4, similarity=similarity, shrinkage=shrinkage).fit(table)
    found, x = literal(table, similarity, "items", shrinkage)
    for user in ("u03", "u11"):
        expected = dict.fromkeys(model.items_, 0.0)
        for j in x:
            if user in x[j]:
                for i, s in best({pair: round(s, 12) for pair, s in found.items()}, j, 4):
                    expected[i] += found[j, i] * x[j][user] if s else 0
        assert np.allclose(model.score([user])[0], list(expected.values()), atol=1e-9)
    assert any(abs(s) > 0.1 for s in found.values())


@every_similarity
@pytest.mark.parametrize("shrinkage", [0, 3])
def test_user_neighbours_and_scores_are_those_of_a_literal_loop(similarity, shrinkage):
    table = rated(3)
    model = UserKNN(6, similarity=similarity, shrinkage=shrinkage).fit(table)
    found, x = literal(table, similarity, "users", shrinkage)
    for user in ("u03", "u11"):
        neighbours = best({pair: round(s, 12) for pair, s in found.items()}, user, 6)
        expected = dict.fromkeys(model.items_, 0.0)
        for v, _ in neighbours:
            for item, value in x[v].items():
                expected[item] += found[user, v] * value
        assert np.allclose(model.score([user])[0], list(expected.values()), atol=1e-9)
        told = model.alike([user])
        assert sorted(told["neighbour"]) == sorted(v for v, _ in neighbours)
        assert np.allclose(told["similarity"], [s for _, s in neighbours]) and (told["user_id"] == user).all()


def test_cosine_is_that_of_scikit_learn():
    table = history(1)
    model = ItemKNN(1000).fit(table)
    touched = (Interactions.from_events(table).matrix.toarray() > 0).astype(float)
    expected = cosine_similarity(touched.T)
    np.fill_diagonal(expected, 0)
    assert np.allclose(model.similarity_.toarray(), expected) and expected.max() > 0.3


@given(st.lists(st.lists(st.integers(0, 2), min_size=5, max_size=5), min_size=2, max_size=7), st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_of_equal_similarities_those_of_the_lower_columns_are_kept(rows, n):
    matrix = sparse.csr_array(np.array(rows, float))
    kept = most_similar(matrix, matrix.T.tocsr(), np.arange(len(rows)), kind=COSINE, n=n).toarray()
    whole = most_similar(matrix, matrix.T.tocsr(), np.arange(len(rows)), kind=COSINE, n=len(rows)).toarray()
    for mine, all_ in zip(kept, whole, strict=True):
        order = [j for j in np.argsort(-all_, kind="stable") if all_[j] > 0][:n]
        assert sorted(order) == np.flatnonzero(mine).tolist() and np.array_equal(mine[order], all_[order])


def test_what_was_touched_often_counts_as_what_was_touched_once():
    table = history()
    again = pd.concat([table, table[table["user_id"] == "u03"]])
    assert np.array_equal(ItemKNN(5).fit(again).score(["u03", "u04"]), ItemKNN(5).fit(table).score(["u03", "u04"]))


def test_weights_say_which_events_count_and_the_strongest_stands_for_the_pair():
    table = pd.DataFrame({"user_id": list("aaabb"), "item_id": list("xxyxy"), "timestamp": pd.Timestamp("2024-01-01"),
                          "behaviour": ["view", "purchase", "view", "view", "cart"]})
    model = ItemKNN(weights={"view": 1, "purchase": 3}).fit(table)
    assert model.touched_.matrix.toarray().tolist() == [[3, 1], [1, 0]]
    assert model.score(["a"])[0] == pytest.approx([1 * 3 / math.sqrt(10), 3 * 3 / math.sqrt(10)])
    assert np.isfinite(ItemKNN(weights={"view": 1, "cart": -1}).fit(table).score(["a"])).all()


def test_shrinkage_distrusts_what_few_have_in_common():
    table = pd.DataFrame({"user_id": list("aabbccdd"), "item_id": ["p", "q", "p", "q", "p", "q", "r", "s"], "behaviour": "view",
                          "timestamp": pd.Timestamp("2024-01-01")})
    plain, shrunk = (ItemKNN(shrinkage=s).fit(table).similarity_.toarray() for s in (0, 2))
    assert plain[0, 1] == plain[2, 3] == pytest.approx(1)
    assert shrunk[0, 1] == pytest.approx(3 / 5) and shrunk[2, 3] == pytest.approx(1 / 3)


def test_who_has_no_history_or_no_neighbour_gets_no_list_and_no_error():
    table = pd.concat([history(), history().head(1).assign(user_id="loner", item_id="odd")])
    for model in (ItemKNN(5).fit(table), UserKNN(5).fit(table)):
        assert np.isnan(model.score(["nobody", "loner"])).all() and model.recommend(["nobody", "loner"], 3).empty


def test_dislike_speaks_against_an_item():
    table = pd.DataFrame([("a", "x", 5), ("a", "y", 5), ("a", "z", 1), ("b", "x", 5), ("b", "y", 4), ("b", "z", 1), ("c", "x", 1),
                          ("c", "z", 5)], columns=["user_id", "item_id", "rating"])
    table = table.assign(behaviour="rate", timestamp=pd.Timestamp("2024-01-01"))
    scores = dict(zip("xyz", ItemKNN(similarity="adjusted cosine").fit(table).score(["c"])[0], strict=True))
    assert scores["y"] < 0  # c rated below her mean what the others rated like y


def test_whoever_is_unlike_is_no_neighbour():
    found, _ = literal(rated(), "adjusted cosine", "items")
    model = ItemKNN(10, similarity="adjusted cosine").fit(rated())  # more than ten others, some with fewer than ten alike
    alike = pd.Series({pair: s > 1e-12 for pair, s in found.items()}).groupby(level=0).sum()
    assert min(found.values()) < -0.1 and alike.min() < 10
    assert (model.similarity_.data > 0).all() and model.similarity_.nnz == alike.clip(upper=10).sum()


def test_adjusted_cosine_without_ratings_is_refused():
    for table in (history(), history().assign(rating=np.nan)):
        with pytest.raises(SchemaError, match="compares ratings(.|\n)*take 'cosine'"):
            ItemKNN(similarity="adjusted cosine").fit(table)


@pytest.mark.parametrize(("wrong", "say"), [({"similarity": "euclid"}, "there are 'cosine'"), ({"neighbours": 0}, "whole number"),
                                            ({"neighbours": 2.5}, "whole number"), ({"shrinkage": -1}, "from 0 on"),
                                            ({"shrinkage": float("nan")}, "from 0 on")], ids=str)
def test_settings_that_make_no_sense_are_refused(wrong, say):
    with pytest.raises(ValueError, match=say):
        ItemKNN(**wrong)


@pytest.mark.parametrize("make", [ItemKNN, UserKNN])
def test_asked_for_an_earlier_moment_only_what_came_before_it_speaks(make):
    table = history()
    moment = table["timestamp"].iloc[200]
    short = make(7).fit(table)
    before = short.touched_.rows(["u05"], before=moment)
    assert 0 < before.nnz < short.touched_.rows(["u05"]).nnz
    early = table[(table["user_id"] == "u05") & (table["timestamp"] < moment)]
    again = make(7).fit(pd.concat([table, early.assign(user_id="twin")]))
    if make is ItemKNN:  # the twin's events change the similarities a little: compare with the formula
        assert np.allclose(short.score(["u05"], at=moment)[0], (before @ short.similarity_).toarray()[0])
    else:
        nearest = again.alike(["u05"], at=moment).iloc[0]
        assert nearest["neighbour"] == "twin" and nearest["similarity"] == pytest.approx(1)  # later touches would set them apart


def test_users_learn_on_exactly_also_what_is_new_or_repeated():
    first, later = history().iloc[:250], history().iloc[250:].assign(user_id=lambda t: t["user_id"].where(t.index % 3 > 0, "late"))
    catalogue = history()[["item_id"]].drop_duplicates()
    weights = {"view": 1, "purchase": 4}
    whole = UserKNN(9, weights=weights).fit(pd.concat([first, later]))
    onward = UserKNN(9, weights=weights).fit(first, items=catalogue).update(later.head(60)).update(later.tail(-60))
    users = [*whole.touched_.users]
    assert np.allclose(onward.score(users), whole.score(users))
    assert (onward.touched_.since == whole.touched_.since).all()


def test_ratings_cannot_be_learned_on():
    with pytest.raises(NotImplementedError, match="fit it again"):
        UserKNN(similarity="adjusted cosine").fit(rated()).update(rated())


def test_neighbours_of_an_item_are_told_best_first():
    model = ItemKNN(5).fit(history())
    told = model.alike("i03", 3)
    row = pd.Series(model.similarity_.toarray()[model.items_.get_loc("i03")], index=model.items_).sort_values(ascending=False)
    assert told["item_id"].tolist() == row.index[:3].tolist() and told["similarity"].tolist() == row.iloc[:3].tolist()
    with pytest.raises(ValueError, match="not in the catalogue"):
        model.alike("nowhere")
