"""SVD and SVD++ are the models that Surprise fits, rating by rating; their arithmetic is checked against plain loops."""

import numpy as np
import pandas as pd
import pytest
import surprise

from recsys_kit.models.svd import SVD, SVDpp
from recsys_kit.schema import SchemaError
from tests.models.rating_conformance import PAIRS, RatingConformance, ratings


class TestSVD(RatingConformance):
    def make(self):
        return SVD(factors=8, lr=0.02)


class TestSVDUnbiased(RatingConformance):
    def make(self):
        return SVD(factors=8, lr=0.05, epochs=60, biased=False)


class TestSVDpp(RatingConformance):
    def make(self):
        return SVDpp(factors=8, lr=0.02)


def trainset(events):
    reader = surprise.Reader(rating_scale=(events["rating"].min(), events["rating"].max()))
    return surprise.Dataset.load_from_df(events[["user_id", "item_id", "rating"]], reader).build_full_trainset()


def theirs(model, events, pairs):
    model.fit(trainset(events))
    return np.array([model.predict(user, item).est for user, item in zip(pairs["user_id"], pairs["item_id"], strict=True)])


def everything(events):
    """All pairs of known users and items, and some unknown ones."""
    pairs = pd.merge(events[["user_id"]].drop_duplicates(), events[["item_id"]].drop_duplicates(), how="cross")
    return pd.concat([pairs, PAIRS], ignore_index=True)


MODELS = {
    "SVD": (lambda f, s: SVD(f, epochs=7, dtype="float64", rng=s), lambda f, s: surprise.SVD(f, 7, random_state=s)),
    "SVD of one lane": (lambda f, s: SVD(3, epochs=7, dtype="float64", rng=s), lambda f, s: surprise.SVD(3, 7, random_state=s)),
    "SVD without biases": (lambda f, s: SVD(f, epochs=7, biased=False, lr=0.02, dtype="float64", rng=s),
                           lambda f, s: surprise.SVD(f, 7, biased=False, lr_all=0.02, random_state=s)),
    "SVD, large steps": (lambda f, s: SVD(f, epochs=7, lr=0.05, l2=0.3, dtype="float64", rng=s),
                         lambda f, s: surprise.SVD(f, 7, lr_all=0.05, reg_all=0.3, random_state=s)),
    "SVD++": (lambda f, s: SVDpp(f, epochs=7, dtype="float64", rng=s),
              lambda f, s: surprise.SVDpp(f, 7, random_state=s, cache_ratings=True)),
    "SVD++, large steps": (lambda f, s: SVDpp(f, epochs=7, lr=0.05, l2=0.3, dtype="float64", rng=s),
                           lambda f, s: surprise.SVDpp(f, 7, lr_all=0.05, reg_all=0.3, random_state=s, cache_ratings=True)),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("form", ["as it comes", "items rated again"])
def test_in_float64_it_is_the_model_that_surprise_fits(name, form):
    ours, reference = MODELS[name]
    events = ratings(rng=3).sample(frac=1, random_state=5)  # users in an order that is not that of their ids
    if form == "items rated again":
        again = events.sample(60, random_state=1).assign(rating=2.0)
        events = pd.concat([events, again, again.head(9), again.head(9)])  # also twice in a row
        if name == "SVD without biases":
            events = events.sort_values("user_id", kind="stable")
    pairs = everything(events)
    if "without" in name:  # Surprise says the mean of an unknown user there
        pairs = pairs.head(-len(PAIRS))
    expected = theirs(reference(21, 4), events, pairs)
    np.testing.assert_allclose(ours(21, 4).fit(events).predict(pairs), expected, rtol=1e-10, atol=0)
    assert expected.std() > 0.1


def test_float32_differs_from_it_in_the_fourth_digit_at_most():
    events = ratings()
    pairs = everything(events)
    for make in (SVD, SVDpp):
        double, single = (make(epochs=20, dtype=dtype).fit(events).predict(pairs) for dtype in ("float64", "float32"))
        gap = np.abs(double - single).max()
        assert 0 < gap < 1e-4


def test_attributes_are_what_the_formula_says():
    events = ratings()
    model = SVDpp(factors=5, dtype="float64").fit(events)
    user, item = "u03", events.loc[events["user_id"] == "u03", "item_id"].iloc[0]
    mine = events.loc[events["user_id"] == user, "item_id"]
    u, i = model.users_.get_loc(user), model.items_.get_loc(item)
    whole = model.own_vectors_[u] + model.implicit_vectors_[model.items_.get_indexer(mine)].sum(axis=0) / np.sqrt(len(mine))
    assert np.allclose(model.user_vectors_[u], whole, rtol=1e-12)
    by_hand = model.mean_ + model.user_bias_[u] + model.item_bias_[i] + whole @ model.item_vectors_[i]
    assert np.isclose(model.predict(pd.DataFrame({"user_id": [user], "item_id": [item]}))[0], by_hand, rtol=1e-12)


@pytest.mark.parametrize("make", [SVD, SVDpp])
class TestBadInput:
    def test_a_descent_that_runs_away_names_the_learning_rate(self, make):
        with pytest.raises(ValueError, match=r"lr=5.0: the descent ran away in epoch \d+ .*\n.*smaller lr, such as 0.5"):
            make(lr=5.0, l2=0.0).fit(ratings())

    def test_so_does_one_that_is_still_finite_when_it_ends(self, make):
        model = make(factors=4, epochs=1, lr=1.0, l2=0.0, dtype="float64")
        with pytest.raises(ValueError, match="lr=1.0: the descent ran away in epoch 1"):
            model.fit(ratings().head(60))

    def test_and_leaves_no_model_that_looks_fitted(self, make):
        model = make().fit(ratings())
        model.lr = 50.0
        with pytest.raises(ValueError, match="ran away"):
            model.fit(ratings())
        with pytest.raises(RuntimeError, match="call fit"):
            model.predict(PAIRS)

    @pytest.mark.parametrize(("name", "value"), [("factors", 0), ("factors", 2.5), ("factors", 2000), ("epochs", 0), ("lr", 0),
                                                 ("lr", np.nan), ("l2", -1), ("l2", 1e6), ("dtype", "float16")])
    def test_settings_that_cannot_be_meant_are_refused_by_name(self, make, name, value):
        with pytest.raises(ValueError, match=f"^{name}="):
            make(**{name: value})

    def test_a_rating_off_the_scale_is_refused(self, make):
        with pytest.raises(SchemaError, match="off the scale from 1 to 4"):
            make(scale=(1, 4)).fit(ratings())

    def test_one_user_one_item_one_rating(self, make):
        one = ratings().head(1)
        assert make().fit(one).predict(one).tolist() == one["rating"].tolist()

    def test_one_user_or_one_item(self, make):
        for column in ("user_id", "item_id"):
            table = ratings().assign(**{column: "only"})
            assert np.isfinite(make().fit(table).predict(table)).all()

    def test_users_and_items_that_are_only_named_are_as_good_as_unknown(self, make):
        model = make().fit(ratings(), items=pd.DataFrame({"item_id": ["new"]}), users=pd.DataFrame({"user_id": ["fresh"]}))
        pairs = pd.DataFrame({"user_id": ["fresh", "nobody", "u01"], "item_id": ["i00", "i00", "new"]})
        plain = make().fit(ratings())
        assert np.array_equal(model.predict(pairs), plain.predict(pairs)) and model.predict(pairs)[0] == model.predict(pairs)[1]


def test_another_seed_is_another_start_and_none_is_new_every_time():
    first, second, third, fourth = (SVD(rng=rng).fit(ratings()).predict(PAIRS) for rng in (0, 1, None, None))
    assert not np.array_equal(first, second) and not np.array_equal(third, fourth)


def test_an_interrupted_fit_leaves_no_model_that_looks_fitted(monkeypatch):
    model = SVD().fit(ratings())

    def interrupted(*_):
        raise KeyboardInterrupt
    monkeypatch.setattr("recsys_kit.models.svd_kernel.svd_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(ratings())
    with pytest.raises(RuntimeError, match="call fit"):
        model.predict(PAIRS)
