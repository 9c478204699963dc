"""The layers of what the user wants say what their formulas say, summed event by event over a small log."""

import numpy as np
import pandas as pd
import pytest

from recsys_kit.interest import tastes
from recsys_kit.interest.past import DAY, Past
from recsys_kit.interest.tastes import Domain, Missed, Taste, Words
from recsys_kit.models import EASE
from tests.interest.logs import ITEMS, USERS, catalogue, faded, lived, log, visits

GIVEN = visits(log())
LAST = GIVEN[-1][2]


# Taste --------------------------------------------------------------------------------------------------------------------

def ease_by_hand(matrix, l2) -> np.ndarray:
    """Steck's closed form: ``B = I - P / diag(P)``, ``P = (X'X + l2 I)^-1``."""
    inverse = np.linalg.inv(matrix.T @ matrix + l2 * np.eye(matrix.shape[1]))
    return np.eye(matrix.shape[1]) - inverse / np.diag(inverse)


@pytest.fixture(params=[True, False], ids=["by users", "by items"])
def side(request, monkeypatch):
    """The rest holds on either side of EASE."""
    monkeypatch.setattr(tastes, "MANY", 0 if request.param else 1e9)
    return request.param


@pytest.mark.parametrize("user", [0, 7])
def test_taste_is_the_closed_form_on_the_faded_matrix_and_the_faded_history(user, side):
    layer, learned, now = Taste(ITEMS, recent_days=6, days=20, l2=0.5), LAST + DAY, LAST + 9 * DAY
    past = lived(GIVEN, layer)
    layer.refresh(past, learned)
    for said, days in zip(layer.say(past, user, now), (20, 6), strict=True):
        expected = faded(GIVEN, now, days)[user] @ ease_by_hand(faded(GIVEN, learned, 20), 0.5)
        assert said == pytest.approx(np.log(np.maximum(expected, 0) + 0.01), abs=1e-4)
        assert (expected < 0).any() and expected.max() > 0.02 and (layer.weights is None) is side


def test_without_fading_its_weights_are_those_of_ease(side):
    layer = Taste(ITEMS, recent_days=2, days=1e9, l2=3.0)
    layer.refresh(lived(GIVEN), LAST)
    model = EASE(3.0).fit(log())
    assert np.log(np.maximum(model.score_histories(np.eye(ITEMS)), 0) + 0.01) == pytest.approx(
        np.array([layer_of(layer, item) for item in range(ITEMS)]), abs=1e-4)


def layer_of(layer, item) -> np.ndarray:
    """What the layer says to one who touched this item just now, and nothing else."""
    return layer.say(lived([(0, np.array([item]), 5.0)]), 0, 5.0)[0]


def test_what_goes_towards_an_item_is_its_column_of_the_weights(side):
    layer, items, unit = Taste(ITEMS, recent_days=6, days=20, l2=0.5), np.array([2, 4, 7]), np.ones(1, np.float32)
    assert layer.towards(4, items).tolist() == [0, 0, 0]
    layer.refresh(lived(GIVEN), LAST)
    for item in range(ITEMS):
        expected = [layer.goes_with(np.array([one]), unit)[item] for one in items]
        assert layer.towards(item, items) == pytest.approx(expected, abs=1e-5) and np.ptp(expected) > 0.01


def test_taste_has_the_same_to_say_of_every_item_to_who_has_no_history_and_before_it_has_learned(side):
    layer = Taste(ITEMS, recent_days=2, days=20, l2=3.0)
    past = lived(GIVEN)
    assert np.array(layer.say(past, 0, LAST)) == pytest.approx(np.log(0.01))
    layer.refresh(past, LAST)
    assert np.ptp(layer.say(past, 0, LAST)[0]) > 1 and layer.say(past, USERS, LAST)[0] == pytest.approx(np.log(0.01))


def test_a_penalty_too_small_for_the_log_is_one_clear_error(side):
    with pytest.raises(ValueError, match="l2=1e-12 is too small"):
        Taste(ITEMS, recent_days=2, days=20, l2=1e-12).refresh(lived(GIVEN[:3]), LAST)


# Missed -------------------------------------------------------------------------------------------------------------------

def test_chances_are_the_shares_of_the_trend_at_ones_earlier_visits():
    layer, chances = Missed(ITEMS, days=4), np.zeros((USERS, ITEMS))
    past = lived(GIVEN, layer)
    for place, (user, _, now) in enumerate(GIVEN):
        trend = faded(GIVEN[:place], now, 4, last=False).sum(axis=0)
        chances[user] += trend / trend.sum() if place else 0
    for user in (0, 9):
        assert np.exp(layer.say(past, user, LAST)[0]) == pytest.approx(chances[user] + 0.003, rel=1e-4)
    assert layer.say(past, USERS, LAST)[0] == pytest.approx(np.log(0.003)) and chances.min(axis=1).max() > 0


# Domain -------------------------------------------------------------------------------------------------------------------

def domain_by_hand(paths, given, user, now, days) -> np.ndarray:
    total, parts = np.zeros(ITEMS), [(path or "").split("/") for path in paths]
    for depth in range(1, max(map(len, parts)) + 1):
        category = ["/".join(part[:depth]) for part in parts]
        counts = dict.fromkeys(category, 0.0)
        for visitor, items, time in given:
            for item in items:
                counts[category[item]] += (visitor == user) * 2 ** ((time - now) / DAY / days)
        usual = {name: category.count(name) / ITEMS for name in counts}
        total += [np.log((counts[name] + usual[name]) / (sum(counts.values()) + 1)) for name in category]
    return total


@pytest.mark.parametrize("user", [0, 6, USERS, 400])
def test_domain_is_the_users_faded_share_of_each_category_at_every_depth(user):
    paths, now = catalogue()["category"], LAST + 2 * DAY
    layer = Domain(paths, days=9, recent_days=2)
    past = lived(GIVEN, layer)
    for said, days in zip(layer.say(past, user, now), (9, 2), strict=True):
        expected = domain_by_hand([None if pd.isna(path) else path for path in paths], GIVEN, user, now, days)
        assert said == pytest.approx(expected, rel=1e-9) and np.ptp(expected) > 1


def test_without_events_of_ones_own_every_category_has_its_share_of_the_shop():
    layer = Domain(pd.Series(["a/b", "a/c", "d", None]), days=9, recent_days=2)
    assert layer.say(Past(), 0, 5.0)[0] == pytest.approx(np.log([0.5 / 4, 0.5 / 4, 1 / 16, 1 / 16]))


def test_domain_knows_more_users_than_it_began_with():
    layer = Domain(pd.Series(["a", "b"]), days=9, recent_days=2)
    past = lived([(user, np.array([user % 2]), 5.0) for user in range(200)], layer)
    assert layer.say(past, 199, 5.0)[0] == pytest.approx(np.log([0.25, 0.75]))
    assert layer.say(past, 198, 5.0)[0] == pytest.approx(np.log([0.75, 0.25]))


# Words --------------------------------------------------------------------------------------------------------------------

def words_by_hand(titles, touched) -> np.ndarray:
    """tf-idf with ``idf = ln((1 + n) / (1 + df)) + 1``, rows of length one; the cosine to the sum of rows of what was touched."""
    bags = [[word for word in title.lower().split() if word.isalpha() and len(word) > 2] for title in titles]
    vocabulary = sorted({word for bag in bags for word in bag})
    table = np.array([[float(bag.count(word)) for word in vocabulary] for bag in bags])
    table *= np.log((1 + len(bags)) / (1 + (table > 0).sum(axis=0))) + 1
    table /= np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12)
    mine = touched @ table
    return table @ mine / np.linalg.norm(mine)


@pytest.mark.parametrize("user", [0, 11])
def test_words_are_the_cosine_of_titles_with_what_was_touched_each_item_once(user):
    given, titles = GIVEN[:60], catalogue()["title"]
    layer = Words(titles)
    past = lived(given, layer)
    expected = words_by_hand(titles.fillna(""), faded(given, 0.0, np.inf)[user] > 0)
    assert layer.say(past, user, LAST)[0] == pytest.approx(expected, abs=1e-5) and 0 < np.ptp(expected) <= 1
    assert layer.say(past, USERS, LAST)[0].tolist() == [0] * ITEMS


def test_titles_without_a_word_have_nothing_to_say():
    layer = Words(pd.Series(["12", None, "a b"]))
    past = lived([(0, np.array([0, 2]), 5.0)], layer)
    assert layer.say(past, 0, 5.0)[0].tolist() == [0, 0, 0]
