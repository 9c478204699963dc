"""Surprise's predictors answer through the kit's interface, with Surprise's own numbers."""

import numpy as np
import pytest
import surprise

from recsys_kit import models
from recsys_kit.models.surprise_ratings import ALGORITHMS, SurpriseRating
from tests.models.rating_conformance import PAIRS, RatingConformance, ratings
from tests.models.test_svd import everything, theirs


class TestBaseline(RatingConformance):
    def make(self):
        return SurpriseRating("BaselineOnly")


class TestSlopeOne(RatingConformance):
    def make(self):
        return SurpriseRating("SlopeOne")


class TestNMF(RatingConformance):
    def make(self):
        return SurpriseRating("NMF", {"n_factors": 4})


class TestCoClustering(RatingConformance):
    def make(self):
        return SurpriseRating("CoClustering")


@pytest.mark.parametrize("name", ["BaselineOnly", "SlopeOne", "NMF", "CoClustering"])
def test_the_numbers_are_those_of_surprise(name):
    events = ratings().sample(frac=1, random_state=2)
    seed = {"random_state": 4} if name in ("NMF", "CoClustering") else {}
    pairs = everything(events)
    ours = SurpriseRating(name, rng=4).fit(events)
    assert np.allclose(ours.predict(pairs), theirs(getattr(surprise, name)(**seed), events, pairs), rtol=1e-12, atol=0)
    assert ours.predict(pairs).std() > 0.1


def test_the_random_predictor_draws_the_same_for_the_same_question_and_leaves_numpy_alone():
    model = SurpriseRating("NormalPredictor", rng=3).fit(ratings())
    np.random.seed(8)
    expected = np.random.RandomState(8).rand()
    first = model.predict(ratings())
    assert np.random.rand() == expected
    assert np.array_equal(first, model.predict(ratings())) and abs(np.corrcoef(first, ratings()["rating"])[0, 1]) < 0.15
    assert abs(first.mean() - ratings()["rating"].mean()) < 0.2


def test_a_random_predictor_can_be_kept(tmp_path):
    model = SurpriseRating("NormalPredictor").fit(ratings())
    assert np.array_equal(models.load(model.save(tmp_path / "m.npz")).predict(PAIRS), model.predict(PAIRS))


def test_options_reach_surprise_and_unknown_ones_are_refused():
    few, many = (SurpriseRating("NMF", {"n_factors": n}).fit(ratings()).predict(ratings()) for n in (1, 12))
    assert not np.allclose(few, many)
    with pytest.raises(ValueError, match="n_clouds"):
        SurpriseRating("NMF", {"n_clouds": 3}).fit(ratings())


def test_an_algorithm_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(ValueError, match="KNNBasic.*BaselineOnly.*neighbours_rating"):
        SurpriseRating("KNNBasic")
    assert len(ALGORITHMS) == 5
