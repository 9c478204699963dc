"""KNNRating says what Surprise says, and what the formula says."""

import numpy as np
import pandas as pd
import pytest
import surprise

from recsys_kit import models
from recsys_kit.models.neighbours_rating import KINDS, KNNRating
from tests.models.rating_conformance import PAIRS, RatingConformance, ratings


class TestBasic(RatingConformance):
    def make(self):
        return KNNRating()


class TestBaselineBetweenItems(RatingConformance):
    def make(self):
        return KNNRating("baseline", similarity="pearson_baseline", between="items", scale=(1, 5))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("similarity", "between"), [("msd", "users"), ("cosine", "items"), ("pearson", "users")])
def test_it_predicts_what_surprise_predicts(kind, similarity, between):
    table = ratings().sample(120, random_state=0).sort_index()  # so few that some pairs have fewer neighbours than they need
    data = surprise.Dataset.load_from_df(table[["user_id", "item_id", "rating"]], surprise.Reader(rating_scale=(1, 5)))
    theirs = getattr(surprise, KINDS[kind])(k=7, min_k=2, verbose=False, sim_options={"name": similarity,
                                                                                     "user_based": between == "users"})
    theirs.fit(data.build_full_trainset())
    asked = pd.concat([PAIRS, pd.DataFrame([(f"u{u:02d}", f"i{i:02d}") for u in range(0, 20, 3) for i in range(9)],
                                           columns=["user_id", "item_id"])])
    ours = KNNRating(kind, neighbours=7, at_least=2, similarity=similarity, between=between, scale=(1, 5)).fit(table)
    assert np.array_equal(ours.predict(asked), [theirs.predict(u, i).est for u, i in zip(asked["user_id"], asked["item_id"],
                                                                                       strict=True)])


def test_basic_is_the_mean_of_the_nearest_weighted_by_similarity():
    table = ratings()
    grid = table.pivot(index="user_id", columns="item_id", values="rating")
    user, item = table["user_id"].iloc[0], grid.loc[table["user_id"].iloc[0]].index[grid.loc[table["user_id"].iloc[0]].isna()][0]
    difference = ((grid - grid.loc[user]) ** 2).mean(axis=1)  # over what both rated
    similar = (1 / (1 + difference))[grid[item].notna()].nlargest(5)
    expected = (similar * grid.loc[similar.index, item]).sum() / similar.sum()
    pair = pd.DataFrame({"user_id": [user], "item_id": [item]})
    assert KNNRating(neighbours=5).fit(table).predict(pair)[0] == pytest.approx(expected, rel=1e-9)


def test_the_file_holds_ratings_and_no_code(tmp_path):
    model = KNNRating("centred", neighbours=3, scale=(1, 5)).fit(ratings())
    again = models.load(model.save(tmp_path / "m.npz"))
    assert again.settings() == model.settings() and np.array_equal(again.predict(PAIRS), model.predict(PAIRS))


@pytest.mark.parametrize("wrong", [{"kind": "best"}, {"similarity": "euclid"}, {"between": "shops"}, {"neighbours": 0},
                                   {"neighbours": 2.5}, {"at_least": 1.5}], ids=str)
def test_settings_that_are_not_there_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        KNNRating(**wrong)


def test_a_cosine_of_zeros_is_refused_with_a_way_out():
    table = ratings().assign(rating=lambda t: t["rating"] - 1)
    table.loc[table["user_id"].isin(["u01", "u02"]), "rating"] = 0
    with pytest.raises(ValueError, match="rated 0; take 'msd'"):
        KNNRating(similarity="cosine").fit(table)
    assert np.isfinite(KNNRating().fit(table).predict(PAIRS)).all()
