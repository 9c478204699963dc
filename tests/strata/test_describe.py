"""The words are true, say what matters, and are silent about random strata."""

import re

import numpy as np
import pandas as pd
import pytest

from recsys_kit.data.interactions import Interactions
from recsys_kit.features import user_features
from recsys_kit.schema import SchemaError
from recsys_kit.strata import contrasts, describe, random_like

AVERAGE = "like the average user"


def users(n: int = 300) -> tuple[pd.Series, pd.DataFrame]:
    """Two strata, 0 twice as large as 1, and features that have nothing to do with them."""
    rng = np.random.default_rng(0)
    ids = pd.Index([f"u{number:03d}" for number in range(n)])
    labels = pd.Series(np.arange(n) % 3 // 2, index=ids, name="stratum")
    hours = pd.DataFrame(rng.dirichlet(np.full(24, 0.4), n), index=ids, columns=[f"hour_{hour:02d}" for hour in range(24)])
    days = pd.DataFrame(rng.dirichlet(np.ones(7), n), index=ids,
                        columns=[f"weekday_{day}" for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")])
    shares = pd.DataFrame(rng.dirichlet([8, 3, 1], n), index=ids,
                          columns=["behaviour_view", "behaviour_cart", "behaviour_purchase"])
    tastes = pd.DataFrame(rng.dirichlet([2, 2, 2, 2], n), index=ids,
                          columns=["category_tea", "category_toys/cars", "category_lamps", "category_shoes"])
    counts = pd.DataFrame({"recency_days": rng.exponential(30, n), "events": rng.integers(5, 50, n),
                           "spend": rng.lognormal(3, 1, n), "price_level": rng.uniform(size=n),
                           "age": rng.normal(40, 10, n)}, index=ids)
    return labels, pd.concat([counts, shares, hours, days, tastes], axis=1)


def told(labels, features, stratum=1) -> str:
    return describe(labels, features).loc[stratum, "description"]


def test_strata_that_nothing_sets_apart_are_like_the_average_user():
    labels, features = users()
    found = describe(labels, features)
    assert found["description"].tolist() == [AVERAGE] * 2 and found.index.name == "stratum"
    assert found["users"].tolist() == [200, 100] and found["share"].tolist() == pytest.approx([2 / 3, 1 / 3])


@pytest.mark.parametrize(("name", "change", "words"), [
    ("price_level", lambda x: x * 0.3, "cheaper within the category"),
    ("price_level", lambda x: 0.7 + 0.3 * x, "dearer within the category"),
    ("events", lambda x: x * 3, r"more active \(median \d+ events, others \d+\)"),
    ("recency_days", lambda x: x / 9, r"here more recently \(median [\d.]+ days, others \d+\)"),
    ("recency_days", lambda x: x * 9, r"last here longer ago \(median \d+ days, others \d+\)"),
    ("spend", lambda x: x * 5, r"spends more \(median \d+, others \d+\)"),
    ("behaviour_cart", lambda x: x * 2, r"puts more in the cart \([\d.]+% of events, others [\d.]+%\)"),
    ("behaviour_purchase", lambda x: x * 0, r"buys less readily \(0% of events, others [\d.]+%\)"),
    ("category_toys/cars", lambda x: x * 3, r"toys/cars \([\d.]+ x the average\)"),
    ("category_lamps", lambda x: x * 0.01, r"hardly any lamps \(0\.\d+ x the average\)"),
    ("category_lamps", lambda x: x * 0.4, r"little lamps \(0\.\d+ x the average\)"),
    ("age", lambda x: x + 20, r"high age \(mean [56]\d, others [34]\d\)"),
    ("age", lambda x: x - 20, r"low age \(mean [12]\d, others [34]\d\)")])
def test_each_feature_has_its_words(name, change, words):
    labels, features = users()
    features.loc[labels == 1, name] = change(features.loc[labels == 1, name])
    assert re.fullmatch(words, told(labels, features))


@pytest.mark.parametrize(("hours", "words"), [
    ([8, 9, 10], "in the morning (around 9 h UTC)"), ([20, 21, 22], "in the evening (around 21 h UTC)"),
    ([23, 0, 1], "at night (around 0 h UTC)"), ([11, 12, 13], "around noon (around 12 h UTC)")])
def test_hours_are_one_phrase_round_the_clock(hours, words):
    labels, features = users()
    columns = [f"hour_{hour:02d}" for hour in hours]
    features.loc[labels == 1, columns] += 0.4
    assert told(labels, features) == words


def test_the_hour_is_where_the_stratum_rises_above_the_others_not_where_the_whole_shop_is_busy():
    labels, features = users()
    features[["hour_12", "hour_13"]] += 5
    features.loc[labels == 1, ["hour_06", "hour_07", "hour_08"]] += 0.4
    assert told(labels, features).startswith("in the morning (around 7 h UTC)")


@pytest.mark.parametrize(("day", "words"), [("sat", "more at weekends"), ("tue", "more on weekdays")])
def test_weekdays_are_one_phrase(day, words):
    labels, features = users()
    features.loc[labels == 1, f"weekday_{day}"] += 2
    days = features.filter(regex="^weekday")
    features[days.columns] = days.div(days.sum(axis=1), axis=0)
    assert told(labels, features) == words


def test_the_strongest_difference_comes_first_and_a_word_is_said_of_the_right_stratum():
    labels, features = users()
    features.loc[labels == 1, "age"] += 10
    features.loc[labels == 1, "price_level"] = 0.01
    assert re.fullmatch(r"cheaper within the category, high age .*", told(labels, features))
    assert re.fullmatch(r"dearer within the category, low age .*", told(labels, features, 0))


def test_at_most_six_phrases():
    labels, features = users()
    for name in ("recency_days", "events", "spend", "age", "behaviour_cart", "category_tea", "weekday_sat", "hour_08"):
        features.loc[labels == 1, name] = features.loc[labels == 1, name] * 6 + 3
    assert len(re.split(r"\)?, (?![^(]*\))", told(labels, features))) == 6


@pytest.mark.parametrize(("events", "visits", "words"), [(9, 3, "more active"), (3, 9, "comes more often")])
def test_of_events_and_frequency_the_stronger_speaks(events, visits, words):
    labels, features = users()
    features["frequency"] = np.random.default_rng(1).integers(5, 50, len(features))
    features.loc[labels == 1, "events"] *= events
    features.loc[labels == 1, "frequency"] *= visits
    assert re.fullmatch(words + r" \([^)]*\)", told(labels, features))


def test_of_two_behaviours_one_is_told_since_the_other_says_the_same():
    labels, features = users()
    carts = 0.5 + 0.3 * (labels == 1) + 0.1 * features["behaviour_cart"]
    features = features.drop(columns="behaviour_view").assign(behaviour_cart=carts, behaviour_purchase=1 - carts)
    assert told(labels, features).count("of events") == 1


def test_where_medians_are_equal_the_means_are_told():
    labels, features = users()
    features["spend"] = np.where((labels == 1) & (np.arange(len(labels)) % 5 < 2), 70.0, 0.0)
    assert told(labels, features) == "spends more (mean 28, others 0)"


def test_random_strata_are_told_nothing_nineteen_times_of_twenty():
    labels, features = users(60)  # so few that differences of 0.3 come by chance all the time
    texts = [text for seed in range(60) for text in describe(random_like(labels, seed), features)["description"]]
    spoken = np.mean([text != AVERAGE for text in texts])
    assert spoken < 0.12
    loud = contrasts(random_like(labels, 0), features).abs().max(axis=1)
    assert (loud > 0.3).all()


def test_the_effect_is_the_difference_to_all_others_in_standard_deviations():
    labels, features = users()
    labels[:30] = -1
    found = contrasts(labels, features)
    age = features["age"]
    for stratum in (0, 1):
        inside = labels == stratum
        assert found.loc[stratum, "age"] == pytest.approx((age[inside].mean() - age[~inside].mean()) / age.std(ddof=0))
        logged = np.log1p(features["spend"])
        assert found.loc[stratum, "spend"] == pytest.approx((logged[inside].mean() - logged[~inside].mean()) / logged.std(ddof=0))
    assert found.index.tolist() == [0, 1] and "weekend" in found


def test_an_outlier_in_a_long_tail_changes_little():
    labels, features = users()
    features.loc[labels.index[2], ["spend", "age"]] = 1e9, 41  # the first user of stratum 1
    assert abs(contrasts(labels, features).loc[1, "spend"]) < 0.3
    assert told(labels, features) == AVERAGE


def test_noise_is_the_last_row_and_no_stratum():
    labels, features = users()
    labels[::4] = -1
    found = describe(labels, features)
    assert found.index.tolist() == [0, 1, -1] and found.loc[-1, "description"] == "no stratum"
    assert found["users"].sum() == 300 and found["share"].sum() == pytest.approx(1)
    assert describe(labels * 0 - 1, features)["description"].tolist() == ["no stratum"]


def test_one_stratum_one_user_and_constant_features_say_nothing():
    labels, features = users()
    assert told(labels * 0, features, 0) == AVERAGE
    assert told(labels.head(1), features, 0) == AVERAGE
    assert describe(labels, pd.DataFrame({"x": 0.1, "y": 7.0}, index=labels.index))["description"].tolist() == [AVERAGE] * 2
    assert (contrasts(labels, pd.DataFrame({"x": 0.1}, index=labels.index)) == 0).all().all()


def test_users_are_matched_by_id_and_must_have_features():
    labels, features = users()
    features.loc[labels == 1, "price_level"] = 0.01
    assert told(labels, features.sample(frac=1, random_state=0)) == "cheaper within the category"
    with pytest.raises(SchemaError, match="2 of 300 users have a stratum but no features, for instance 'u000'"):
        describe(labels, features[2:])
    with pytest.raises(SchemaError, match="column 'age': 1 missing"):
        describe(labels, features.assign(age=features["age"].where(features["age"] < features["age"].max())))


def basket(labels: pd.Series, likes: dict) -> Interactions:
    """Every user touches three common items; stratum 1 also what it ``likes``: item -> how many of its users."""
    rows = [(user, item) for user in labels.index for item in ("bread", "milk", "eggs")]
    rows += [(user, item) for item, count in likes.items() for user in labels.index[labels == 1][:count]]
    return Interactions.from_events(pd.DataFrame(rows, columns=["user_id", "item_id"]).assign(behaviour="view", timestamp=1e9))


def test_items_are_those_touched_more_than_expected_and_a_rare_one_says_little():
    labels, features = users()
    found = describe(labels, features, interactions=basket(labels, {"rare": 2, "half": 50, "all": 100}), top=2)
    pairs, inside = 300 * 3 + 152, 100 * 3 + 152
    lifts = [(count + 10) / (inside / pairs * count + 10) for count in (100, 50)]
    assert found.loc[1, "items"] == f"all ({lifts[0]:.1f} x); half ({lifts[1]:.1f} x)"
    many = describe(labels, features, interactions=basket(labels, {"all": 100}), top=10)["items"]
    assert many.str.count(";").tolist() == [2, 0] and "bread" in many[0] and "all" not in many[0]  # none below the expected


def test_touching_one_item_often_counts_once():
    labels, features = users()
    one = basket(labels, {"half": 50})
    often = Interactions(one.users, one.items, one.matrix * np.float32(40), one.since)
    assert describe(labels, features, interactions=often)["items"].equals(describe(labels, features, interactions=one)["items"])


def test_items_have_their_titles_or_else_the_end_of_their_category():
    labels, features = users()
    items = pd.DataFrame({"item_id": ["a", "b", "c"], "title": ["Big  mug ", None, None],
                          "category": ["home/mugs", "toys/cars", None]})
    found = describe(labels, features, interactions=basket(labels, {"a": 100, "b": 90, "c": 80}), items=items)
    assert re.fullmatch(r"Big mug \(.*\); cars b \(.*\); c \(.*\)", found.loc[1, "items"])


def test_on_the_market_the_words_are_true(market):
    features = user_features(market.events, items=market.items, level=2)
    true, world = market.truth.users["stratum"].reindex(features.index), market.truth.world
    found = describe(true, features, interactions=Interactions.from_events(market.events), items=market.items)
    for stratum, text in found["description"].items():
        hour = int(re.search(r"around (\d+) h UTC", text)[1])
        assert abs(hour - world.stratum_hours[stratum].argmax()) <= 1
        home = world.categories[world.stratum_taste[stratum] == world.stratum_taste[stratum].max()]
        named = re.findall(r"([a-z]+/[a-z]+) \([\d.]+ x", text)
        assert len(named) == 3 and set(named) <= set(home)
        titles = re.findall(r"([a-z][a-z ]+) \([\d.]+ x\)", found.loc[stratum, "items"])
        leaves = market.items.set_index("title")["category"][titles]
        assert len(leaves) == 3 and set(leaves) <= set(home)
    dearness = pd.Series(world.stratum_price)
    assert "cheaper" in found["description"][dearness.idxmin()] and "dearer" in found["description"][dearness.idxmax()]


def test_on_the_market_random_strata_are_like_the_average_user(market):
    features = user_features(market.events, items=market.items, level=2)
    labels = random_like(market.truth.users["stratum"].reindex(features.index), 0)
    assert set(describe(labels, features)["description"]) == {AVERAGE}


def test_a_column_of_ones_own_called_weekend_is_kept():
    labels, features = users()
    own = contrasts(labels, features.assign(weekend=labels * 2.0))
    assert own.loc[1, "weekend"] == pytest.approx(2 / (2 * labels).std(ddof=0))
