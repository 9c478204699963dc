"""Models that learn one rating at a time: against plain arithmetic, a general formula for normal numbers, and ridge regression."""

import numpy as np
import pandas as pd
import pytest

from recsys_kit import models
from recsys_kit.models.online_rating import KalmanMF, OnlineMean, OnlineMF
from tests.models.rating_conformance import ratings

MAKE = {"mean": OnlineMean, "biases by descent": lambda: OnlineMF(0), "biases by Kalman": lambda: KalmanMF(0),
        "factors by descent": lambda: OnlineMF(4, l2=0.02, l2_bias=0.01), "factors by Kalman": lambda: KalmanMF(4)}
every = pytest.mark.parametrize("make", MAKE.values(), ids=MAKE.keys())
PAIRS = [("u01", "i00"), ("u02", "i07"), ("nobody", "i00"), ("u03", "nowhere"), ("nobody", "nowhere")]


def stream(rng=0):
    return list(ratings(rng)[["user_id", "item_id", "rating"]].itertuples(index=False, name=None))


def learned(model, rows):
    for row in rows:
        model.learn_one(*row)
    return model


def asked(model):
    return [model.predict_one(*pair) for pair in PAIRS]


# What all of them promise ------------------------------------------------------------------------------------------------

@every
def test_asking_changes_nothing(make):
    quiet, asked_often = make(), make()
    for row in stream():
        asked(asked_often)
        asked_often.predict_one(*row[:2])
        quiet.learn_one(*row)
        asked_often.learn_one(*row)
    assert asked(asked_often) == asked(quiet)


@every
def test_whoever_has_learned_nothing_predicts_about_zero_and_the_mean_is_what_it_begins_with(make):
    model = make()
    assert abs(model.predict_one("a", "x")) < 0.2
    assert learned(model, stream()).mean_ == pytest.approx(np.mean([rating for *_, rating in stream()]))
    assert model.predict_one("nobody", "nowhere") == pytest.approx(model.mean_, abs=0.2)


@every
@pytest.mark.parametrize("rows", [0, 150])
def test_a_saved_model_goes_on_as_if_it_had_never_been_away(make, rows, tmp_path):
    here = learned(make(), stream()[:rows])
    there = models.load(here.save(tmp_path / "model.npz"))
    assert type(there) is type(here) and there.settings() == here.settings() and asked(there) == asked(here)
    later = [(f"later {user}", item, rating) for user, item, rating in stream()[rows:]]  # newcomers draw on where the first stopped
    assert asked(learned(there, later)) == asked(learned(here, later))
    assert there.seen_ == len(stream()) and there.predict_one("later u03", "i02") == here.predict_one("later u03", "i02")


@every
def test_a_rating_that_is_none_is_refused_and_leaves_no_trace(make):
    model, before = learned(make(), stream()[:50]), learned(make(), stream()[:50])
    for rating in (np.nan, np.inf):
        with pytest.raises(ValueError, match="rating of 'i00' by 'new'"):
            model.learn_one("new", "i00", rating)
    assert asked(model) == asked(before) and model.seen_ == 50


@pytest.mark.parametrize("make", [OnlineMF, KalmanMF])
def test_ids_are_told_apart_as_text(make):
    model = make()
    learned(model, [(8, 4, 2.0), (7, np.int64(3), 5.0)])
    assert model.predict_one("7", "3") == model.predict_one(7, 3) != model.predict_one("8", "3")


# Against plain arithmetic ------------------------------------------------------------------------------------------------

def by_descent(rows, factors, lr, lr_bias, l2, l2_bias, spread, rng):
    """River's biased factorisation, in the loops of its definition; the factors are drawn when somebody is first asked for."""
    draw = np.random.RandomState(rng)
    b, p, mean, said = {}, {}, 0.0, []
    for n, (user, item, rating) in enumerate(rows):
        for one in (("user", user), ("item", item)):
            if one not in p:
                b[one], p[one] = 0.0, [draw.normal(0, spread) for _ in range(factors)]
        u, i = ("user", user), ("item", item)
        said.append(mean + b[u] + b[i] + sum(x * y for x, y in zip(p[u], p[i], strict=True)))
        mean += (rating - mean) / (n + 1)
        e = rating - (mean + b[u] + b[i] + sum(x * y for x, y in zip(p[u], p[i], strict=True)))
        b[u], b[i] = b[u] + lr_bias * (e - l2_bias * b[u]), b[i] + lr_bias * (e - l2_bias * b[i])
        p[u], p[i] = ([x + lr * (e * y - l2 * x) for x, y in zip(p[u], p[i], strict=True)],
                      [y + lr * (e * x - l2 * y) for x, y in zip(p[u], p[i], strict=True)])
    return said


@pytest.mark.parametrize("factors", [0, 3])
def test_descent_is_the_definition_step_by_step_from_the_very_numbers_drawn(factors):
    settings = dict(lr=0.1, lr_bias=0.05, l2=0.03, l2_bias=0.01, spread=0.1, rng=73)
    model, said = OnlineMF(factors, **settings), []
    for user, item, rating in stream():
        said.append(model.predict_one(user, item))
        model.learn_one(user, item, rating)
    np.testing.assert_allclose(said, by_descent(stream(), factors, **settings), rtol=1e-10)


def test_more_newcomers_than_are_drawn_at_once_start_from_one_stream():
    rows = [(f"u{n}", f"i{n}", 3.0 + n % 3) for n in range(1200)]
    model, said = OnlineMF(2, rng=5), []
    for user, item, rating in rows:
        said.append(model.predict_one(user, item))
        model.learn_one(user, item, rating)
    np.testing.assert_allclose(said, by_descent(rows, 2, 0.1, 0.05, 0.0, 0.0, 0.1, 5), rtol=1e-10)


def conditioned(mean, covariance, slopes, noise, error):
    """A normal vector after one noisy number that is linear in it, by the general formula."""
    gain = covariance @ slopes / (slopes @ covariance @ slopes + noise)
    return mean + gain * error, covariance - np.outer(gain, slopes @ covariance)


@pytest.mark.parametrize("factors", [0, 3])
def test_the_kalman_filter_is_the_normal_posterior_of_user_and_item_together_forgetting_how_they_hang_together(factors):
    model, k = KalmanMF(factors, noise=0.7, prior_bias=0.3, prior=0.2, drift=0.01, spread=0.3), factors + 1
    prior = np.diag([0.3] + [0.2] * factors)
    starts = np.random.RandomState(0).normal(0, 0.3, (40, factors))
    state, items = {}, 0
    mean = 0.0
    for n, (user, item, rating) in enumerate(stream()):
        u, i = ("user", user), ("item", item)
        state.setdefault(u, (np.zeros(k), prior))
        if i not in state:
            state[i], items = (np.append(0, starts[items]), prior), items + 1
        mean += (rating - mean) / (n + 1)
        (x, at_x), (y, at_y) = state[u], state[i]
        at_x = at_x + np.diag([0.01] + [0.0] * factors)
        both = np.block([[at_x, np.zeros((k, k))], [np.zeros((k, k)), at_y]])
        slopes = np.concatenate([[1], y[1:], [1], x[1:]])
        means, both = conditioned(np.append(x, y), both, slopes, 0.7, rating - mean - x[0] - y[0] - x[1:] @ y[1:])
        state[u], state[i] = (means[:k], both[:k, :k]), (means[k:], both[k:, k:])
        model.learn_one(user, item, rating)
    for known, kind in ((model.users_, "user"), (model.items_, "item")):
        for name, array in known.items():
            np.testing.assert_allclose(array[0], state[kind, name][0], atol=1e-10)
            np.testing.assert_allclose(array[1:], state[kind, name][1], atol=1e-10)
    assert np.std([array[0, 0] for array in model.users_.values()]) > 0.1


def test_with_known_items_it_is_ridge_regression_rating_by_rating():
    rng, factors, noise, prior = np.random.default_rng(2), 3, 0.5, 0.4
    slopes = np.column_stack([np.ones(30), rng.normal(0, 1, (30, factors))])
    said = slopes @ [0.5, 1.0, -1.0, 0.3] + rng.normal(0, 0.7, 30)
    model = KalmanMF(factors, noise=noise, prior_bias=prior, prior=prior, drift=0.0)
    model.seen_ = 10**15  # a mean that is known, and does not move
    for n, row in enumerate(slopes):
        model.items_[f"i{n}"] = np.vstack([np.append(0, row[1:]), np.zeros((factors + 1, factors + 1))])
    learned(model, [("ann", f"i{n}", rating) for n, rating in enumerate(said)])
    precision = slopes.T @ slopes / noise + np.eye(factors + 1) / prior
    np.testing.assert_allclose(model.users_["ann"][0], np.linalg.solve(precision, slopes.T @ said / noise), rtol=1e-8)
    np.testing.assert_allclose(model.users_["ann"][1:], np.linalg.inv(precision), rtol=1e-8, atol=1e-12)


def test_first_ratings_move_a_newcomer_far_and_later_ones_less_and_a_drift_keeps_users_moving():
    def moves(**settings):
        model, steps = learned(KalmanMF(0, **settings), [("other", "tea", 3.0)] * 50), []
        for _ in range(40):
            before = model.predict_one("ann", "tea")
            model.learn_one("ann", "tea", before + 1.0)
            steps.append(model.predict_one("ann", "tea") - before)
        return np.array(steps)

    still, drifting = moves(drift=0.0), moves(drift=0.05)
    assert still[0] > 2 * still[10] > 3 * still[39] > 0
    assert drifting[39] > 3 * still[39]


# What cannot be meant ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("make", "name", "value"), [
    (OnlineMF, "factors", -1), (OnlineMF, "factors", 2.5), (OnlineMF, "lr", 0), (OnlineMF, "lr_bias", np.nan), (OnlineMF, "l2", -1),
    (OnlineMF, "l2_bias", 100), (OnlineMF, "spread", -0.1), (KalmanMF, "factors", -1), (KalmanMF, "noise", 0),
    (KalmanMF, "prior", -1), (KalmanMF, "prior_bias", np.inf), (KalmanMF, "drift", np.nan), (KalmanMF, "spread", np.nan)])
def test_settings_that_cannot_be_meant_are_refused_by_name(make, name, value):
    with pytest.raises(ValueError, match=f"^{name}="):
        make(**{name: value})


def test_a_descent_that_runs_away_names_its_rates():
    with pytest.raises(ValueError, match=r"lr=9, lr_bias=0.05: the descent ran away after \d+ ratings.\n.*such as 0.005"):
        learned(OnlineMF(4, lr=9), stream() * 5)


# Do they learn? ----------------------------------------------------------------------------------------------------------

def test_each_sees_more_than_the_one_before_it():
    """Two tastes, two kinds of items: a mean sees nothing, biases see strict users, factors who likes what."""
    rng = np.random.default_rng(4)
    user, item = rng.integers(0, 60, 9000), rng.integers(0, 40, 9000)
    rating = 3 + rng.normal(0, 0.5, 60)[user] + np.where(user % 2 == item % 2, 0.7, -0.7) + rng.normal(0, 0.4, 9000)
    rows = pd.DataFrame({"user": user, "item": item, "rating": rating}).itertuples(index=False, name=None)
    errors = {name: [] for name in MAKE}
    makes = {name: make() for name, make in MAKE.items()}
    for u, i, r in rows:
        for name, model in makes.items():
            errors[name].append(r - model.predict_one(u, i))
            model.learn_one(u, i, r)
    late = {name: np.sqrt(np.mean(np.square(off[4500:]))) for name, off in errors.items()}
    assert late["mean"] > late["biases by descent"] + 0.05 > late["factors by descent"] + 0.2
    assert late["biases by Kalman"] < late["biases by descent"] and late["factors by Kalman"] < late["factors by descent"] < 0.6
