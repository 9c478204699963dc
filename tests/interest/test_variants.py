"""Variants of a layered model and its controls: the same life, other layers; strata that know nothing of the user."""

from copy import deepcopy
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest

from recsys_kit import models
from recsys_kit.evaluate.players import Taught, Variant
from recsys_kit.evaluate.replay import replay
from recsys_kit.evaluate.visits import Visits
from recsys_kit.interest.controls import PermutedStrata, RandomStrata
from recsys_kit.interest.layered import CONTROLS, LAYERS, LayeredInterest
from recsys_kit.interest.trends import Space, Stratum
from tests.interest.logs import ITEMS, USERS, catalogue, lived, log, visits

SETTINGS = dict(strata=4, refresh_days=10, burn_in=50, l2=5)
LOG, CATALOGUE = log(), catalogue()
LATER = LOG["timestamp"].iloc[-1] + pd.Timedelta(days=3)
LESS = [layer for layer in LAYERS if layer != "stratum"]
VARIANTS = {"all": LAYERS, "less": LESS, "random": [*LESS, "random_strata"], "permuted": [*LESS, "permuted_strata"]}


def host(variants=VARIANTS) -> LayeredInterest:
    return LayeredInterest([*LAYERS, *CONTROLS], **SETTINGS, variants=variants)


@lru_cache
def fitted() -> LayeredInterest:
    return host().fit(LOG, items=CATALOGUE)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_scores_as_a_model_of_its_layers_alone_does(name):
    alone = LayeredInterest(VARIANTS[name], **SETTINGS).fit(LOG, items=CATALOGUE)
    for user, at in (("u03", None), ("nobody", LATER)):
        assert fitted().score_variant(name, user, at) == pytest.approx(alone.score([user], at=at)[0], rel=1e-6, abs=1e-9)
    early = LOG["timestamp"].iloc[150]
    assert fitted().score_variant(name, "u03", early) == pytest.approx(alone.score(["u03"], at=early)[0], rel=1e-6, abs=1e-9)
    assert np.ptp(fitted().score_variant(name, "u03")) > 0.1


def test_variants_do_not_change_the_model_and_live_on_after_a_reload(tmp_path):
    plain, model = host(None).fit(LOG, items=CATALOGUE), deepcopy(fitted())
    assert np.array_equal(plain.score(["u03"], at=LATER), model.score(["u03"], at=LATER))
    again = models.load(model.save(tmp_path / "model"))
    for one in (model, again):
        one.update(pd.DataFrame({"user_id": "u03", "item_id": ["i01", "i05"], "behaviour": "view", "timestamp": LATER}))
    for name in VARIANTS:
        assert np.array_equal(model.score_variant(name, "u03"), again.score_variant(name, "u03"))


def test_what_the_columns_add_makes_up_the_score():
    model = fitted()
    for user, at in (("u03", None), ("nobody", LATER), ("u03", LOG["timestamp"].iloc[200])):
        parts = model.parts(user, at)
        assert list(parts.index) == list(model.items_) and list(parts.columns) == model.columns_
        assert parts.sum(axis=1).to_numpy() == pytest.approx(model.score([user], at=at)[0])


def test_a_variant_plays_in_the_replay_of_its_host():
    played = Visits.from_events(LOG, items=CATALOGUE)
    teacher = Taught(host())
    rows = replay({"host": teacher, "less": Variant(teacher, "less"), "alone": Taught(LayeredInterest(LESS, **SETTINGS))}, played,
                  first=played.at_share(0.7), k=3)
    assert rows["less/ndcg"].tolist() == pytest.approx(rows["alone/ndcg"].tolist())
    assert (rows["less/ndcg"] != rows["host/ndcg"]).any() and rows["less/ndcg"].mean() > 0


@pytest.mark.parametrize("given", [{"variants": {"a": []}}, {"variants": {"a": "stratum"}}, {"variants": {"a": ["nothing"]}},
                                   {"layers": ["overall"], "variants": {"a": ["stratum"]}}])
def test_a_variant_is_made_of_layers_the_model_has(given):
    with pytest.raises(ValueError, match="give a list of some of"):
        LayeredInterest(**given)


def test_a_variant_that_there_is_not_is_named():
    with pytest.raises(ValueError, match="'none'.*there are all, less"):
        fitted().score_variant("none", "u03")


# Controls -----------------------------------------------------------------------------------------------------------------

def control(kind, strata=4):
    space = Space(ITEMS, factors=5)
    layer = kind(space, strata=strata, days=6)
    lived(visits(LOG), space, layer, refresh=[100])
    return layer


def test_random_strata_hold_each_user_in_one_of_as_many_strata_for_ever():
    layer = control(RandomStrata)
    members = layer.membership(np.arange(4000))
    assert members.shape == (4000, 4) and set(members.ravel()) == {0, 1} and (members.sum(axis=1) == 1).all()
    assert np.abs(members.mean(axis=0) - 0.25).max() < 0.05
    assert np.array_equal(layer.membership(np.arange(50)), members[:50]) and np.array_equal(layer.membership([7])[0], members[7])


def test_permuted_strata_are_the_same_memberships_on_other_users():
    layer, real = control(PermutedStrata), control(Stratum)
    members, true = layer.membership(np.arange(layer.known)), real.membership(np.arange(layer.known))
    assert layer.known == USERS or 0 < layer.known < USERS
    assert np.sort(members, axis=0) == pytest.approx(np.sort(true, axis=0), abs=1e-6)
    assert (np.abs(members - true).max(axis=1) > 1e-3).sum() > layer.known / 2
    assert layer.membership([layer.known + 3])[0] == pytest.approx(members[3 % layer.known], abs=1e-6)
