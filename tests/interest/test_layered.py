"""Layered interest keeps the promises of every ranker, learns its weights from visits, and continues after a reload."""

import inspect
from copy import deepcopy
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from recsys_kit import models
from recsys_kit.interest import tastes
from recsys_kit.interest.layered import LAYERS, LayeredInterest
from tests.interest.logs import catalogue, log
from tests.models.conformance import RankerConformance

SETTINGS = dict(strata=4, refresh_days=10, burn_in=50, l2=5)
LOG, CATALOGUE = log(), catalogue()
USERS = [*sorted(LOG["user_id"].unique()), "nobody"]
LATER = LOG["timestamp"].iloc[-1] + pd.Timedelta(days=3)


class TestLayeredInterest(RankerConformance):
    def make(self):
        return LayeredInterest(**SETTINGS)


def made(*given, **settings) -> LayeredInterest:
    return LayeredInterest(*given, **SETTINGS | settings)


@lru_cache
def _whole(**settings) -> LayeredInterest:
    return made(**settings).fit(LOG, items=CATALOGUE)


def fitted(events=LOG, items=CATALOGUE, **settings) -> LayeredInterest:
    if events is LOG and items is CATALOGUE:
        return deepcopy(_whole(**settings))
    return made(**settings).fit(events, items=items)


def cut(share=0.6) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The log before and after a moment."""
    moment = LOG["timestamp"].iloc[int(share * len(LOG))]
    return LOG[LOG["timestamp"] < moment], LOG[LOG["timestamp"] >= moment]


def event(user, *items, time=LATER, behaviour="view") -> pd.DataFrame:
    return pd.DataFrame({"user_id": user, "item_id": items, "behaviour": behaviour, "timestamp": time})


def by_visit(events) -> list[pd.DataFrame]:
    return [visit for _, visit in events.groupby(["timestamp", "user_id"])]


def same(left: LayeredInterest, right: LayeredInterest, at=LATER):
    """To the last bit, weights and what they were learned with included."""
    assert left.columns_ == right.columns_ and left.weights_.tolist() == right.weights_.tolist()
    assert left._weighing[""].squares.tolist() == right._weighing[""].squares.tolist()
    for moment in (None, at):
        assert np.array_equal(left.score(USERS, at=moment), right.score(USERS, at=moment))


def test_a_visit_is_an_update_without_a_table():
    by_table, by_visit = fitted(), fitted()
    by_table.update(event("u04", "i05", "i02", "i05")).update(event("newcomer", "i03", time=LATER + pd.Timedelta(days=1)))
    by_visit.visit("u04", by_visit.items_.get_indexer(["i05", "i02", "i05"]), LATER.timestamp())
    same(by_table, by_visit.visit("newcomer", [3], LATER.timestamp() + 86_400), at=LATER + pd.Timedelta(days=2))
    for k in (5, len(CATALOGUE)):
        pd.testing.assert_frame_equal(by_table.recommend(USERS, k), by_visit.recommend(USERS, k))


@pytest.mark.parametrize("items, seconds", [([], 1.7e9), ([-1], 1.7e9), ([20], 1.7e9), ([1.5], 1.7e9), ([1], 1.7e12),
                                            ([1], np.nan), ([1], np.inf), ([1], LATER)])
def test_a_visit_that_cannot_be_is_refused_and_nothing_is_learned(items, seconds):
    model, before = fitted(), fitted()
    with pytest.raises(ValueError, match="give positions from 0 to 19, at least one, and unix seconds"):
        model.visit("u04", items, seconds)
    same(model, before)


@pytest.mark.parametrize("user", [7, 7.0, np.float64(7), "7"], ids=repr)
def test_a_user_is_the_same_one_by_visit_and_by_table_whatever_kind_the_id_is(user):
    table = LOG.assign(user_id=LOG["user_id"].str[1:].astype(int))
    model = made().fit(table, items=CATALOGUE)
    model.visit(user, [3], LATER.timestamp())
    again = made().fit(table, items=CATALOGUE).update(event("7", "i03"))
    assert len(model._number) == table["user_id"].nunique() and np.array_equal(model.score(["7"]), again.score([7]))
    pd.testing.assert_frame_equal(model.parts(user), again.parts("7"))


@pytest.mark.parametrize("user", [None, np.nan, pd.NA], ids=repr)
def test_a_visit_of_nobody_is_refused_and_nothing_is_learned(user):
    model, before = fitted(), fitted()
    with pytest.raises(ValueError, match="visit: a user without an id"):
        model.visit(user, [3], LATER.timestamp())
    same(model, before)


# Layers and weights -------------------------------------------------------------------------------------------------------

def test_every_layer_has_its_columns_and_a_score_is_their_weighted_sum_around_the_mean_of_what_may_be_wanted():
    model = fitted()
    assert model.columns_ == ["popular", "rising", "stratum", "kindred", "domain", "recent_domain", "taste",
                              "recent_taste", "missed", "words"]
    for user in ("u03", "nobody"):
        number = model._number.get(user, 10_000)
        columns = np.column_stack([column for layer in model._layers.values()
                                   for column in layer.say(model._past, number, LATER.timestamp())])
        free = ~np.isin(model.items_, LOG.loc[LOG["user_id"] == user, "item_id"])
        expected = (columns - columns[free].mean(axis=0)) @ model.weights_
        assert model.score([user], at=LATER)[0] == pytest.approx(expected) and np.ptp(expected) > 0.1
        assert model.score([user], at=LATER)[0][free].mean() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("repeats", [False, True])
def test_a_step_of_the_weights_goes_up_the_numerical_gradient_of_the_log_likelihood(repeats):
    model = fitted(repeats=repeats, refresh_days=1000)  # so that the visit itself brings no refresh about
    user = "u04"
    had = LOG.loc[LOG["user_id"] == user, "item_id"]
    owned = np.isin(model.items_, had)
    wanted = [had.iloc[0], *model.items_[~owned][:2], model.items_[~owned][0]]
    x = np.column_stack([column for layer in model._layers.values()
                         for column in layer.say(model._past, model._number[user], LATER.timestamp())])
    may = np.full(len(owned), True) if repeats else ~owned
    new = np.unique(model.items_.get_indexer(wanted))
    new = new[may[new]]
    assert len(new) == (3 if repeats else 2) and 1 < may.sum()

    def likelihood(weights):
        score = x @ weights
        return np.mean(score[new] - np.log(np.exp(score[may]).sum()))

    before, squares, h = model.weights_, model._weighing[""].squares, 1e-5
    slope = np.array([likelihood(before + h * one) - likelihood(before - h * one) for one in np.eye(len(before))]) / (2 * h)
    model.update(event(user, *wanted))
    assert model._weighing[""].squares == pytest.approx(squares + slope ** 2, rel=1e-5)
    assert model.weights_ - before == pytest.approx(0.07 * slope / np.sqrt(squares + slope ** 2), rel=1e-4, abs=1e-9)
    assert np.abs(slope).max() > 0.1 and likelihood(model.weights_) > likelihood(before)


def test_a_visit_with_nothing_new_teaches_the_weights_nothing_unless_repeats_are_wanted():
    old = LOG.loc[LOG["user_id"] == "u04", "item_id"].iloc[0]
    for repeats in (False, True):
        model = fitted(repeats=repeats)
        before = model.weights_.tolist()
        assert (model.update(event("u04", old)).weights_.tolist() == before) is not repeats


def test_weights_stand_where_they_began_until_the_burn_in_is_over():
    visits = len(by_visit(LOG))
    begun = [0.1, 0.3, 0.1, 1.0, 0.1, 0.1, 0.5, 0.1, -0.5, 1.0]
    assert fitted(burn_in=visits).weights_.tolist() == begun
    assert np.not_equal(fitted(burn_in=visits).update(event("u04", *CATALOGUE["item_id"])).weights_, begun).any()
    assert np.not_equal(fitted(burn_in=visits - 20).weights_, begun).all()


def test_whoever_always_does_what_one_layer_says_gives_it_weight():
    """Everybody buys from the category they always buy from, at random within it."""
    rng = np.random.default_rng(0)
    users = rng.integers(0, 20, 1200)
    items = rng.integers(0, 50, 1200) * 4 + users % 4
    table = pd.DataFrame({"user_id": [f"u{n}" for n in users], "item_id": [f"i{n:03d}" for n in items], "behaviour": "view",
                          "timestamp": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(1200), "h")})
    shop = pd.DataFrame({"item_id": [f"i{n:03d}" for n in range(200)], "category": [f"c{n % 4}" for n in range(200)]})
    model = LayeredInterest(["overall", "domain"], burn_in=100, rate=0.2).fit(table, items=shop)
    weights = dict(zip(model.columns_, model.weights_, strict=True))
    assert weights["domain"] > 0.5 > 0.2 > abs(weights["popular"])
    listed = model.recommend(["u1"], 10)["item_id"].str[1:].astype(int)
    assert (listed % 4 == 1).all()


@pytest.mark.parametrize(("drop", "gone"), [(["category"], ["domain", "recent_domain"]), (["title"], ["words"]),
                                            (["category", "title"], ["domain", "recent_domain", "words"])], ids=str)
def test_a_layer_without_its_texts_is_left_out(drop, gone):
    model = fitted(items=CATALOGUE.drop(columns=drop))
    whole = fitted()
    assert sorted(set(whole.columns_) - set(model.columns_)) == gone and len(model.weights_) == len(model.columns_)
    assert np.isfinite(model.score(USERS)).all()


def test_layers_are_those_that_are_named():
    model = made(["taste", "overall"]).fit(LOG, items=CATALOGUE)
    assert model.columns_ == ["taste", "recent_taste", "popular", "rising"] and model.settings()["layers"] == ["taste", "overall"]
    for layers in (["domain"], ["words", "domain"]):
        with pytest.raises(ValueError, match="none of them without categories and titles"):
            made(layers).fit(LOG)


# Time ---------------------------------------------------------------------------------------------------------------------

def test_to_ask_changes_nothing():
    first, rest = cut(0.8)
    quiet, asked = fitted(first), fitted(first)
    for visit in by_visit(rest):
        moment = visit["timestamp"].iloc[0]
        asked.recommend([visit["user_id"].iloc[0]], 3, at=moment + pd.Timedelta(days=100))
        asked.score(["u04", "nobody", visit["user_id"].iloc[0]], at=moment)
        asked.update(visit)
        quiet.update(visit)
    same(quiet, asked)


def test_asked_once_more_for_the_same_moment_it_knows_what_came_in_between():
    model, quiet = fitted(), fitted()
    model.score(["u01"], at=LATER)
    for each in (model, quiet):
        each.update(event("u05", "i01", "i02"))
    assert np.array_equal(model.score(["u01"], at=LATER), quiet.score(["u01"], at=LATER))


@pytest.mark.parametrize("repeats", [False, True])
def test_one_visit_at_a_time_is_the_same_as_all_at_once_and_as_fitting_them(repeats):
    first, rest = cut()
    single, once = fitted(first, repeats=repeats), fitted(first, repeats=repeats).update(rest)
    for visit in by_visit(rest):
        single.update(visit)
    same(single, once)
    same(once, fitted(repeats=repeats))


@pytest.mark.parametrize("day", [0.5, 5, 9, 12, 40, 85])
def test_asked_for_an_earlier_moment_it_answers_as_if_fitted_on_what_was_before(day):
    """On a log shorter than the days between two refreshes, too."""
    moment = LOG["timestamp"].iloc[0] + pd.Timedelta(days=day)
    early = fitted(LOG[LOG["timestamp"] < moment])
    assert np.array_equal(fitted().score(USERS, at=moment), early.score(USERS, at=moment))
    assert not np.array_equal(early.score(USERS), fitted().score(USERS))


def test_what_it_says_of_a_moment_does_not_change_when_later_visits_come():
    """Interest has faded up to that moment, however long before it the last visit was."""
    model, moment = fitted(), LATER + pd.Timedelta(days=20)
    said, parts = model.score(USERS, at=moment), model.parts("u03", at=moment)
    model.update(event("u05", "i01", "i02", time=moment + pd.Timedelta(days=1)))
    assert np.array_equal(model.score(USERS, at=moment), said) and not np.array_equal(model.score(USERS), said)
    pd.testing.assert_frame_equal(model.parts("u03", at=moment), parts)


def test_before_the_first_event_nobody_is_told_anything():
    assert np.ptp(fitted(items=CATALOGUE.drop(columns=["category"])).score(USERS, at="2020-01-01")) == 0


def test_at_the_moment_of_the_last_visit_it_has_been_seen_and_a_second_before_it_has_not():
    model, without = fitted().update(event("u04", "i01", "i02")), fitted()
    assert np.array_equal(model.score(USERS, at=LATER), model.score(USERS))
    moment = LATER - pd.Timedelta(seconds=1)
    late = fitted().score(USERS, at=moment)
    assert np.array_equal(model.score(USERS, at=moment), late) and not np.array_equal(late, without.score(USERS, at=LATER))


def test_what_comes_late_is_seen_when_it_comes():
    """An event from before the last visit counts as one of now, and no clock goes back."""
    last = LOG["timestamp"].max()
    late, now = event("u04", "i07", "i05", time="2023-05-01"), event("u04", "i07", "i05", time=last)
    same(fitted().update(late), fitted().update(now))
    assert fitted().update(late)._past.latest == last.timestamp()


def test_vectors_are_learned_anew_every_so_many_days_and_no_visit_sooner(monkeypatch):
    refreshed = []
    learn = LayeredInterest._refresh
    monkeypatch.setattr(LayeredInterest, "_refresh", lambda self, now: (refreshed.append(now), learn(self, now)))
    made().fit(LOG, items=CATALOGUE)
    days, first = np.array(refreshed) / 86_400, LOG["timestamp"].iloc[0].timestamp() / 86_400
    moments = LOG["timestamp"].to_numpy().astype("datetime64[s]").astype(float) / 86_400
    expected = [first]
    for moment in moments:
        if moment >= expected[-1] + 10:
            expected.append(moment)
    assert days.tolist() == expected[1:] and all(10 <= b - a < 12 for a, b in pairwise(days)) and len(days) >= 7


def test_a_short_log_is_learned_from_whole_at_its_end():
    week = LOG[LOG["timestamp"] < LOG["timestamp"].iloc[0] + pd.Timedelta(days=7)]
    model = made(["taste"]).fit(week, items=CATALOGUE)
    assert np.ptp(model.score([week["user_id"].iloc[0]])) > 0.1


def test_a_moment_far_away_and_a_clock_that_jumps_leave_no_nan():
    model = fitted()
    assert np.isfinite(model.score(USERS, at="2290-01-01")).all()
    model.update(event("u04", "i03", time="2024-09-01")).update(event("u05", "i04", time="2026-01-01"))
    assert np.isfinite(model.score(USERS)).all() and np.isfinite(model.weights_).all()
    assert model.score(["u01"])[0].argmax() >= 0 and np.ptp(model.score(["u01"])) > 0.1


# Who and what -------------------------------------------------------------------------------------------------------------

def test_an_unknown_item_is_refused_and_nothing_has_changed():
    model = fitted()
    with pytest.raises(ValueError, match="not in the catalogue, such as 'new'"):
        model.update(pd.concat([event("u04", "i01"), event("newcomer", "new")]))
    same(model, fitted())
    pd.testing.assert_frame_equal(model.recommend(USERS, 20), fitted().recommend(USERS, 20))
    assert "newcomer" not in model._number


def test_returns_are_no_visits_and_a_log_of_nothing_else_says_nothing():
    model = fitted()
    model.update(event("u04", "i01", "i02", behaviour="return"))
    same(model, fitted())
    mixed = pd.concat([event("u04", "i01"), event("u04", "i02", behaviour="return"), event("u05", "i02", behaviour="return")])
    same(model.update(mixed), fitted().update(event("u04", "i01")))
    empty = fitted(LOG.assign(behaviour="return"), CATALOGUE.drop(columns="category"))
    assert np.ptp(empty.score(USERS), axis=1) == pytest.approx(0, abs=1e-12)
    begun = empty.update(LOG)
    assert np.isfinite(begun.score(USERS)).all() and np.ptp(begun.score(["u04"])) > 1


def test_a_newcomer_is_shown_what_the_shop_wants_and_after_a_first_visit_more():
    model = fitted()
    before = model.score(["stranger", "nobody"])
    assert before[0].tolist() == before[1].tolist()
    model.update(event("stranger", "i19"))
    own, nobody = model.score(["stranger", "nobody"], at=LATER)
    assert not np.allclose(own, nobody) and "i19" not in model.recommend(["stranger"], 20)["item_id"].tolist()
    assert "i19" in model.recommend(["nobody"], 20)["item_id"].tolist()


def test_with_repeats_what_is_owned_is_ranked_with_the_rest():
    user = LOG["user_id"].mode()[0]
    table, last = LOG, LOG["timestamp"].max()
    for day in range(1, 40):  # one item, again and again
        table = pd.concat([table, event(user, "i17", time=last + pd.Timedelta(hours=3 * day))])
    often, once = fitted(table, repeats=True, burn_in=2), fitted(table, burn_in=2)
    for model in (often, once):
        assert "i17" in model.recommend([user], 20, exclude_seen=False)["item_id"].tolist()
        assert "i17" not in model.recommend([user], 20)["item_id"].tolist()
    assert often.recommend([user], 1, exclude_seen=False)["item_id"].tolist() == ["i17"]
    assert often.score([user])[0].mean() == pytest.approx(0, abs=1e-9) != once.score([user])[0].mean()


def test_whoever_has_everything_gets_scores_and_no_list():
    model = fitted().update(event("u04", *CATALOGUE["item_id"]))
    model.update(event("u04", "i01", time=LATER + pd.Timedelta(days=1)))
    assert np.isfinite(model.score(["u04"])).all() and model.recommend(["u04"], 5).empty


@pytest.mark.filterwarnings("error")
def test_a_log_at_one_instant_of_users_all_alike_is_learned_without_complaint():
    table = pd.concat([event(f"u{n:02d}", f"i{n % 3:02d}") for n in range(30)])
    model = fitted(table)
    assert np.isfinite(model.score(USERS)).all() and len(model.recommend(["u00"], 5)) == 5


# In a file ----------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("share, many", [(0.1, 3), (0.6, 3), (0.6, 0)])
def test_a_reload_goes_on_to_the_last_bit(share, many, tmp_path, monkeypatch):
    """Also when the file was written between two refreshes, and several come after it; on either side of EASE."""
    monkeypatch.setattr(tastes, "MANY", many)
    first, rest = cut(share)
    model = fitted(first)
    assert (model._layers["taste"].weights is None) is (many == 0)
    again = models.load(model.save(tmp_path / "model.npz"))
    same(model, again)
    for part in np.array_split(np.arange(len(rest)), 3):
        same(model.update(rest.iloc[part]), again.update(rest.iloc[part]))
    early = rest["timestamp"].iloc[len(rest) // 2]
    same(model, again, at=early)
    model.update(event("stranger", "i19"))
    same(model, models.load(again.update(event("stranger", "i19")).save(tmp_path / "model.npz")))


def test_visits_after_a_reload_are_counted_in_double_precision_as_before(tmp_path):
    first, rest = cut(0.2)
    never, model = fitted(first), fitted(first)
    for place, visit in enumerate(by_visit(rest[rest["behaviour"] != "return"])):
        if place == 6:
            model = models.load(model.save(tmp_path / "model.npz"))
        for one in (never, model):
            one.visit(visit["user_id"].iloc[0], one.items_.get_indexer(visit["item_id"]), visit["timestamp"].iloc[0].timestamp())
    same(never, model)


def test_to_save_changes_nothing(tmp_path):
    first, rest = cut()
    model = fitted(first)
    model.save(tmp_path / "model.npz")
    same(model.update(rest), fitted(first).update(rest))


# Settings -----------------------------------------------------------------------------------------------------------------

WRONG = [{name: value} for name in ("short_days", "long_days", "taste_days", "refresh_days", "rate", "l2", "strata", "burn_in")
         for value in (0, -1, np.nan, np.inf)] + [{"strata": 0.5}, {"strata": 2.5}, {"burn_in": 1.5}]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_settings_that_cannot_be_meant_are_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}=.*: give a"):
        LayeredInterest(**wrong)


@pytest.mark.parametrize("layers", [[], "overall", ["overall", "mood"]], ids=str)
def test_layers_that_are_none_are_refused(layers):
    with pytest.raises(ValueError, match="give a list of some of overall, stratum"):
        LayeredInterest(layers)


@pytest.mark.parametrize(("setting", "value"), [("short_days", 40.0), ("long_days", 5.0), ("taste_days", 3.0), ("strata", 2),
                                                ("refresh_days", 30.0), ("burn_in", 150), ("rate", 0.5), ("repeats", True),
                                                ("l2", 90.0), ("layers", LAYERS[:-1])], ids=str)
def test_every_setting_matters(setting, value):
    assert not np.allclose(fitted(**{setting: value}).score(USERS, at=LATER), fitted().score(USERS, at=LATER))
    assert setting in inspect.signature(LayeredInterest).parameters


@pytest.mark.filterwarnings("error")
def test_weights_however_large_leave_no_nan_where_an_owned_item_stands_far_above_the_others():
    model = fitted(rate=1000.0)
    assert np.abs(model.weights_).max() > 100
    assert np.isfinite(model.weights_).all() and np.isfinite(model.score(USERS, at=LATER)).all()
