"""The layered state says what the formulas say, whatever comes in and in whatever order; and it survives a restart."""

import itertools

import numpy as np
import pandas as pd
import pytest

from recsys_kit import DataError, models
from recsys_kit.interest.state import ASKED, LAYERS, InterestState
from recsys_kit.models.store import NotFittedError
from recsys_kit.schema import SchemaError
from tests.interest.plain import DAY, ITEMS, MEMBERSHIP, VECTORS, log, plain_layers

NOW = pd.Timestamp("2024-06-01")


def started(**settings) -> InterestState:
    return InterestState(**settings).start(ITEMS, VECTORS, MEMBERSHIP)


def one(user="u0", item="i1", time="2024-01-01", behaviour="view") -> pd.DataFrame:
    return pd.DataFrame({"user_id": [user], "item_id": [item], "behaviour": [behaviour], "timestamp": [pd.Timestamp(time)]})


def same(left: InterestState, right: InterestState, at=NOW, rtol=1e-9):
    for user in ("u0", "u1", "u4", "nobody"):
        pd.testing.assert_frame_equal(left.layers(user, at), right.layers(user, at), rtol=rtol, atol=1e-12)


SETTINGS = [{}, {"weights": {"purchase": 3.0}}, {"half_lives": {"overall": None, "domain": 0.5, "short": 0.1}}, {"regression": 0.0}]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("user", ["u0", "u1", "u4", "nobody"])
def test_every_layer_is_the_sum_of_its_formula_over_the_whole_log(settings, user):
    expected = plain_layers(log(), user, NOW, weights=settings.get("weights"), half_lives=settings.get("half_lives"),
                            kappa=settings.get("regression", 5.0) or 1e-300)
    pd.testing.assert_frame_equal(started(**settings).update(log()).layers(user, NOW), expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("rng", range(4))
def test_the_order_in_which_events_come_does_not_matter(rng):
    table = log(rng=rng)
    shuffled = table.sample(frac=1, random_state=rng)
    late = started(half_lives={"short": 0.1})
    for start in range(0, len(shuffled), 37):
        late.update(shuffled.iloc[start:start + 37])
    same(late, started(half_lives={"short": 0.1}).update(table))


def test_one_event_at_a_time_is_the_same_as_all_at_once():
    single = started()
    for row in range(60):
        single.update(log().iloc[[row]])
    same(single, started().update(log().head(60)))


def test_the_same_event_twice_counts_twice():
    twice = started().update(one()).update(one())
    assert twice.trend()[0].tolist() == [0, 2, 0, 0, 0, 0] and twice.evidence("u0")["long"] == 2


def test_interest_halves_with_its_half_life():
    state = started(half_lives={"overall": 2, "long": 8}).update(one())
    at = pd.Timestamp("2024-01-09")
    assert state.trend(at)[0][1] == pytest.approx(1 / 16) and state.evidence("u0", at)["long"] == pytest.approx(0.5)


def test_without_fading_an_event_counts_for_ever():
    state = started(half_lives=dict.fromkeys(LAYERS)).update(one())
    assert state.trend(pd.Timestamp("2150-01-01"))[0][1] == 1 and state.evidence("u0", "2150-01-01")["short"] == 1


def test_a_clock_that_jumps_leaves_no_nan_and_the_state_goes_on():
    state = started(half_lives={"overall": 1e-3, "stratum": 1e-3, "domain": 1e-3, "long": 1e-3, "short": 1e-3})
    state.update(log()).update(one("u1", "i2", "2025-01-01")).update(one("u1", "i3", "2024-01-01"))
    layers = state.layers("u1")
    assert np.isfinite(layers.to_numpy()).all() and layers["overall"].tolist() == [0, 0, 1, 0, 0, 0]
    assert state.evidence("u1")["domain"] == 1 and np.isfinite(state.people_[:, 1:]).all()
    assert np.isfinite(state.layers("u1", "2900-01-01").to_numpy()).all()


def test_fading_over_thousands_of_half_lives_stays_exact():
    """Scales are brought back many times on the way; what is left is what the formula says."""
    table = log(400, days=400)
    state = started(half_lives={"overall": 0.2, "domain": 0.2})
    for start in range(0, len(table), 10):
        state.update(table.iloc[start:start + 10])
    at = table["timestamp"].max()
    expected = plain_layers(table, "u1", at, half_lives={"overall": 0.2, "domain": 0.2})
    pd.testing.assert_frame_equal(state.layers("u1", at), expected, rtol=1e-9, atol=1e-15)


def test_asked_for_the_past_it_answers_as_of_the_latest_event():
    state = started().update(log())
    latest = log()["timestamp"].max()
    for user in ("u0", "u1"):
        own = log().query("user_id == @user")["timestamp"].max()
        pd.testing.assert_frame_equal(state.layers(user, "2023-01-01"), state.layers(user, own))
    assert state.trend("2023-01-01")[0].tolist() == state.trend(latest)[0].tolist() == state.trend()[0].tolist()


def test_a_moment_can_be_unix_seconds():
    state = started().update(log())
    for seconds in (NOW.timestamp(), int(NOW.timestamp()), np.int64(NOW.timestamp()), np.float64(NOW.timestamp())):
        pd.testing.assert_frame_equal(state.layers("u0", seconds), state.layers("u0", NOW))
    with pytest.raises(ValueError, match="give a time"):
        state.layers("u0", float("nan"))


def test_short_interest_returns_to_the_long_one_as_recent_events_fade():
    state = started(half_lives={"long": None, "short": 1}, regression=2.0)
    state.update(pd.concat([one(item="i1", time="2024-01-01")] * 10)).update(pd.concat([one(item="i3", time="2024-03-01")] * 10))
    days = [state.layers("u0", at) for at in pd.date_range("2024-03-01", periods=9)]
    far = [float((day["short"] - day["long"]).abs().max()) for day in days]
    assert all(later < earlier for earlier, later in itertools.pairwise(far)) and far[-1] < far[0] / 30


def test_without_regression_short_interest_is_the_plain_mean_of_recent_events():
    state = started(regression=0.0, half_lives={"short": 1}).update(one(item="i1")).update(one(item="i3", time="2024-03-01"))
    assert state.layers("u0")["short"].to_numpy() == pytest.approx(VECTORS @ VECTORS[3])


def test_more_evidence_leans_less_on_what_stands_behind():
    """One purchase moves a newcomer a little, ten move him much more."""
    few, many = (started().update(pd.concat([one("new", "i1")] * n)).layers("new")["long"]["i1"] for n in (1, 10))
    own = VECTORS[1] @ VECTORS[1]
    assert few == pytest.approx(own / 6) and many == pytest.approx(own * 10 / 15)


def test_a_user_never_seen_has_only_the_shops_trend():
    layers = started().update(log()).layers("nobody")
    assert layers["overall"].sum() == pytest.approx(1) and (layers.drop(columns="overall") == 0).all(axis=None)


def test_a_user_with_a_membership_and_no_event_has_his_stratums_trend():
    state = started().update(one("u2", "i4"))
    assert state.layers("u1")["stratum"].tolist() == [0, 0, 0, 0, 1, 0]
    assert (state.layers("u0")["stratum"] == 0).all()


def test_an_event_that_weighs_nothing_leaves_no_trace():
    state = started(weights={"purchase": 1.0}).update(log())
    before, people = state.clock_, state.people_.copy()
    state.update(one("u0", "i1", "2025-01-01", "view"))
    assert state.clock_ == before and np.array_equal(state.people_, people)
    assert started().update(one(behaviour="return")).trend()[0].sum() == 0


def test_an_item_without_category_or_vector_is_silent_in_these_layers_alone():
    state = InterestState().start(ITEMS, pd.DataFrame(VECTORS[[0]], index=["i0"])).update(one(item="i4"))
    assert state.layers("u0").loc["i4"].tolist() == [1, 0, 0, 0]
    assert state.evidence("u0")["domain"] == state.evidence("u0")["long"] == 0


def test_vectors_fade_also_at_an_event_of_an_item_that_has_none():
    """Asked at that event's time, the vector layers are as if it had not been."""
    vectors = np.where(np.arange(6)[:, None] == 4, 0.0, VECTORS)
    without = InterestState(half_lives={"short": 2}).start(ITEMS, vectors).update(one(time="2024-01-01"))
    before = without.layers("u0", "2024-01-08")[["long", "short"]]
    pd.testing.assert_frame_equal(without.update(one(item="i4", time="2024-01-08")).layers("u0")[["long", "short"]], before)


def test_the_state_has_only_the_layers_it_was_given():
    items = ITEMS[["item_id"]]
    assert InterestState().start(items).active == ("overall",)
    assert InterestState().start(ITEMS, VECTORS).active == ("overall", "domain", "long", "short")
    hard = InterestState().start(items, membership=pd.Series({"u0": "b", "u1": "a"})).update(one())
    assert hard.active == ("overall", "stratum") and hard.trend()[1].tolist() == [[0] * 6, [0, 1, 0, 0, 0, 0]]


def test_vectors_by_id_and_in_order_are_the_same():
    by_id = pd.DataFrame(VECTORS, index=[f"i{n}" for n in range(6)]).sample(frac=1, random_state=0)
    same(InterestState().start(ITEMS, by_id, MEMBERSHIP).update(log()), started().update(log()))


def test_categories_are_the_same_with_a_slash_too_many():
    sloppy = ITEMS.assign(category=ITEMS["category"].map(lambda path: f"/{path}//", na_action="ignore"))
    same(InterestState().start(sloppy, VECTORS, MEMBERSHIP).update(log()), started().update(log()))


@pytest.mark.parametrize("weights", [None, dict.fromkeys(LAYERS, 1.0), {"domain": 2.0}, {"long": 1.0, "stratum": -3.0}], ids=str)
def test_scores_are_the_weighted_sum_of_the_layers_and_lists_are_their_best(weights):
    state = started().update(log())
    for user in ("u0", "u1", "u4", "nobody"):
        total = (state.layers(user, NOW) * pd.Series(weights or ASKED).reindex(LAYERS).fillna(0)).sum(axis=1)
        assert state.scores(user, NOW, weights) == pytest.approx(total.to_numpy(), rel=1e-5, abs=1e-6)
        columns, values = state.top(user, 3, NOW, exclude=[2], weights=weights)
        best = pd.Series(state.scores(user, NOW, weights)).drop(2).sort_values(ascending=False, kind="stable").head(3)
        assert columns.tolist() == best.index.tolist() and values == pytest.approx(best.to_numpy(), rel=1e-5, abs=1e-6)


def test_what_layers_are_asked_can_be_a_setting_and_is_kept(tmp_path):
    asked = {"domain": 2.0, "long": -1.0}
    state, plain = started(asked=asked).update(log()), started().update(log())
    for there in (state, models.load(state.save(tmp_path / "state.npz"))):
        assert np.array_equal(there.scores("u1", NOW), plain.scores("u1", NOW, asked))
        assert there.recommend("u1", 4, NOW)["score"].tolist() == plain.recommend("u1", 4, NOW, weights=asked)["score"].tolist()
        assert there.scores("u1", NOW, {"overall": 1.0}).tolist() == plain.scores("u1", NOW, {"overall": 1.0}).tolist()


def test_a_large_catalogue_is_scored_as_its_layers_say():
    rng = np.random.default_rng(0)
    items = pd.DataFrame({"item_id": [f"{n:04d}" for n in range(1300)], "category": [f"c{n % 7}" for n in range(1300)]})
    state = InterestState().start(items, rng.normal(size=(1300, 6)), pd.Series({"0": "a", "1": "b"}))
    state.learn(rng.integers(0, 2, 5000), rng.integers(0, 1300, 5000), np.ones(5000), np.full(5000, 1.7e9))
    expected = (state.layers("1") * pd.Series(ASKED)).sum(axis=1)
    assert state.scores("1") == pytest.approx(expected.to_numpy(), rel=1e-5, abs=1e-6)
    shown, _ = state.top("1", 200, exclude=np.arange(0, 1300, 3))
    assert shown.tolist() == pd.Series(state.scores("1"))[np.arange(1300) % 3 > 0].nlargest(200, keep="first").index.tolist()


@pytest.mark.parametrize("spread", [0.0, 1.0, 4.0])
def test_lists_are_those_of_exact_scores_although_vectors_are_rounded_on_the_way(spread):
    """Also with lengths all over the place, equal items, some without a vector, and weights that take away."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3000, 37)) * np.exp(spread * rng.normal(size=(3000, 1)))
    vectors[::50], vectors[1::50] = 0.0, vectors[2::50]
    state = InterestState().start(pd.DataFrame({"item_id": [f"{n:04d}" for n in range(3000)]}), vectors)
    user = rng.integers(0, 40, 4000)
    state.learn(state.numbers([str(n) for n in range(40)], new=True)[user], (3000 * rng.random(4000) ** 3).astype(int),
                np.ones(4000), np.full(4000, 1.7e9))
    for name in range(40):
        weights = {"overall": [30.0, -5.0][name % 2], "long": 1.0, "short": -0.3}
        exact = state.layers(str(name))[list(weights)] @ pd.Series(weights)
        hidden = rng.integers(0, 3000, 100)
        exact.iloc[hidden] = -np.inf
        columns, values = state.top(str(name), 20, exclude=hidden, weights=weights)
        assert values == pytest.approx(np.sort(exact)[:-21:-1], rel=1e-5)
        assert values == pytest.approx(exact.iloc[columns].to_numpy(), rel=1e-5)


# Bytes in units of 1, as the longest has the length 181: the best lose .49 in each number, most numbers of the others gain .49.
HALF, MOST, LONGEST = np.repeat([1.0, 0.0], 8), np.repeat([1.0, 0.0], [14, 2]), np.append([120, 120, 60, 19], np.zeros(12))
UNLUCKY = {"items": (np.full((1, 16), 40.0), np.full(16, 30.49), 30.34 + 0.17 * MOST, [1]),
           "wishes": ([np.full(16, 45.0), 44.0 + HALF], 10 + 20 * HALF, 30 - 20 * HALF + np.eye(16)[15], [2, 1])}


@pytest.mark.parametrize("case", UNLUCKY)
def test_lists_are_exact_where_rounding_puts_the_best_below_all_others(case):
    wished, best, other, beta = UNLUCKY[case]
    vectors = np.vstack([LONGEST, *wished, *[other] * 500, *[best] * 20])
    state = InterestState().start(pd.DataFrame({"item_id": [f"{n:03d}" for n in range(len(vectors))]}), vectors)
    n = len(wished)
    state.learn(state.numbers(["u"] * n, new=True), range(1, 1 + n), beta, [1.7e9] * n)
    columns, _ = state.top("u", 20, exclude=range(1 + n), weights={"long": 1.0})
    assert columns.tolist() == list(range(len(vectors) - 20, len(vectors)))


def test_equal_scores_are_in_the_order_of_ids():
    state = InterestState().start(pd.DataFrame({"item_id": [f"{n:04d}" for n in range(1000)]}))
    assert state.top("nobody", 20, exclude=[3])[0].tolist() == [0, 1, 2, *range(4, 21)]


@pytest.mark.parametrize("beta", [None, [2.0, 0.0, 1.0]])
def test_a_visit_is_a_list_and_then_what_is_learned_from_it(beta):
    twice, at_once = started().update(log()), started().update(log())
    for user, day in (("u1", 0), ("new", 1), ("u4", 1), ("new", -30)):
        at = NOW + pd.Timedelta(days=day)
        expected = twice.top(user, 3, at, exclude=[2])
        twice.learn(np.repeat(twice.numbers([user], new=True), 3), [4, 1, 4], beta or np.ones(3), np.full(3, at.timestamp()))
        shown = at_once.visit(user, [4, 1, 4], at, 3, beta=beta, exclude=[2])
        assert [part.tolist() for part in shown] == [part.tolist() for part in expected]
    kept = twice._kept()
    assert all(np.array_equal(kept[name], value) for name, value in at_once._kept().items() if isinstance(value, np.ndarray))
    assert at_once.clock_ == (NOW + pd.Timedelta(days=1)).timestamp()


@pytest.mark.parametrize(("wrong", "message"), [
    ({"items": [1, 6]}, "event 1 cannot"), ({"beta": [1.0, -1.0]}, "event 1 cannot"), ({"beta": [1.0]}, "one length"),
    ({"at": pd.Timestamp("2200-01-01")}, "event 0 cannot"), ({"exclude": [6]}, "positions"),
    ({"k": 0}, "at least one"), ({"weights": {"taste": 1.0}}, "finite numbers"), ({"at": np.nan}, "give a time")], ids=str)
def test_a_visit_that_cannot_be_learned_is_refused_whole(wrong, message):
    state = started().update(log())
    before = state._kept()["people_"].copy(), state.shop_.copy()
    with pytest.raises(ValueError, match=message):
        state.visit("new", **({"items": [0, 1], "at": NOW, "k": 3} | wrong))
    assert state.numbers(["new"]).tolist() == [-1]
    assert np.array_equal(state._kept()["people_"], before[0]) and np.array_equal(state.shop_, before[1])


WAYS = {"update": lambda state, at: state.update(one(time=at)), "visit": lambda state, at: state.visit("u0", [0], at, 1),
        "learn": lambda state, at: state.learn([0], [0], [1.0], [at.timestamp()])}


@pytest.mark.parametrize("way", WAYS)
def test_a_clock_may_be_a_day_fast_and_no_more(way):
    """A far future event would hold the clock: all that is asked later would be answered as of then."""
    now, state = pd.Timestamp.now("UTC").tz_localize(None), started().update(log())
    with pytest.raises(ValueError, match="in the future"):
        WAYS[way](state, now + pd.Timedelta(hours=25))
    assert state.clock_ == log()["timestamp"].max().timestamp()
    WAYS[way](state, now + pd.Timedelta(hours=23))
    assert state.clock_ == pytest.approx(now.timestamp() + 23 * 3600, abs=1)


def test_what_is_recommended_is_that_of_the_moment():
    state = started(half_lives={"short": 1}, regression=1.0).update(log()).update(one("u1", "i3", "2024-05-31"))
    shown = [state.recommend("u1", 6, at) for at in ("2024-05-31", "2024-07-31")]
    for at, table in zip(("2024-05-31", "2024-07-31"), shown, strict=True):
        assert table["score"].tolist() == state.top("u1", 6, at)[1].tolist()
        pd.testing.assert_frame_equal(table.set_index("item_id")[list(LAYERS)],
                                      (state.layers("u1", at) * pd.Series(ASKED))[list(LAYERS)].loc[table["item_id"]])
    assert shown[0].set_index("item_id")["short"]["i3"] > 1.5 * shown[1].set_index("item_id")["short"]["i3"]


def test_a_list_says_what_each_layer_adds():
    state = started().update(log())
    shown = state.recommend("u1", 4, NOW, exclude=["i2", "elsewhere"])
    assert shown.columns.tolist() == ["item_id", "score", "rank", *LAYERS] and shown["rank"].tolist() == [1, 2, 3, 4]
    assert "i2" not in set(shown["item_id"])
    assert shown[list(LAYERS)].sum(axis=1).to_numpy() == pytest.approx(shown["score"].to_numpy(), rel=1e-5)


def test_a_list_is_as_long_as_the_catalogue_allows():
    state = started().update(log())
    assert len(state.top("u0", 50)[0]) == 6 and state.top("u0", 6, exclude=[0, 1, 2, 3])[0][2:].tolist() == [-1] * 4
    assert len(state.recommend("u0", 50, exclude=["i0"])) == 5
    with pytest.raises(ValueError, match="at least one"):
        state.top("u0", 0)
    with pytest.raises(ValueError, match="positions"):
        state.top("u0", 2, exclude=[6])


BAD = {"a time in the future": (one(time=pd.Timestamp.now() + pd.Timedelta(days=400)), ValueError, "future"),
       "an item of another catalogue": (one(item="elsewhere"), ValueError, "not in the catalogue, such as 'elsewhere'"),
       "an unknown behaviour": (one(behaviour="stare"), SchemaError, "unknown behaviour"),
       "no rows": (one().head(0), SchemaError, "no rows")}


@pytest.mark.parametrize("name", BAD)
def test_events_that_cannot_be_learned_are_refused_and_none_of_them_is_learned(name):
    bad, error, message = BAD[name]
    state = started().update(log())
    kept = state._kept()
    with pytest.raises(error, match=message):
        state.update(pd.concat([one("someone new"), bad]) if len(bad) else bad)
    assert all(np.array_equal(kept[part], value) for part, value in state._kept().items() if isinstance(value, np.ndarray))
    assert state.numbers(["someone new"]).tolist() == [-1]


def test_a_user_without_an_id_is_refused_and_joins_nothing():
    state = started().update(log())
    for nobody in (None, np.nan):
        for act in (lambda one: state.visit(one, [1], 1.7e9, 3), lambda one: state.numbers(["someone new", one], new=True)):
            with pytest.raises(ValueError, match="a user without an id"):
                act(nobody)
    assert state.numbers(["someone new", None]).tolist() == [-1, -1]


@pytest.mark.parametrize("wrong", [{"user": 9}, {"user": -1}, {"item": 6}, {"beta": -1.0}, {"beta": np.nan}, {"beta": np.inf},
                                   {"seconds": np.nan}, {"seconds": -np.inf}, {"seconds": 1e12}], ids=str)
def test_arrays_with_one_bad_event_are_refused_whole(wrong):
    state = started().update(log())
    event = {"user": 0, "item": 0, "beta": 1.0, "seconds": 1.7e9} | wrong
    before = state.trend()[0].tolist()
    with pytest.raises(ValueError, match="event 1 cannot be learned.*\nTo mend it"):
        state.learn([0, event["user"]], [0, event["item"]], [1.0, event["beta"]], [1.7e9, event["seconds"]])
    assert state.trend()[0].tolist() == before
    with pytest.raises(ValueError, match="one length"):
        state.learn([0, 1], [0], [1.0], [1.7e9])


@pytest.mark.parametrize(("settings", "message"), [
    ({"half_lives": {"short": 0}}, "short has 0; give a number of days above zero"), ({"half_lives": {"long": -1}}, "above zero"),
    ({"half_lives": {"long": np.nan}}, "above zero"), ({"half_lives": {"item": 3}}, "'item' is no layer"),
    ({"weights": {"view": -1}}, "from 0 on"), ({"regression": -1}, "0 for none"), ({"regression": np.inf}, "0 for none"),
    ({"asked": {"item": 1}}, "asked: 'item'"), ({"asked": {"long": np.nan}}, "finite numbers"),
    ({"drift": {"speed": 1}}, "'speed' is no setting"), ({"drift": {"layer": "overall"}}, "cannot be watched"),
    ({"drift": {"factor": 0}}, "above 0"), ({"drift": {"threshold": 0}}, "threshold=0")], ids=str)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        InterestState(**settings)


@pytest.mark.parametrize(("vectors", "membership", "message"), [
    (VECTORS[:3], None, "shape \\(3, 3\\) for 6 items"), (VECTORS * np.nan, None, "no finite number in row 0"),
    (pd.DataFrame(VECTORS[:1], index=["zzz"]), None, "'zzz' is not in the catalogue"),
    (pd.DataFrame(VECTORS[:2], index=["i1", "i1"]), None, "'i1' is there twice"),
    (None, -MEMBERSHIP, "user 'u0'"), (None, MEMBERSHIP.iloc[[0, 0]], "there twice")],
    ids=lambda value: value if isinstance(value, str) else "")
def test_vectors_and_memberships_that_do_not_fit_are_refused(vectors, membership, message):
    with pytest.raises(ValueError, match=message):
        InterestState().start(ITEMS, vectors, membership)


def test_before_the_start_it_says_so():
    for ask in (lambda s: s.update(log()), lambda s: s.layers("u0"), lambda s: s.top("u0", 3), lambda s: s.save("state.npz")):
        with pytest.raises(NotFittedError, match="call start"):
            ask(InterestState())


def test_a_reloaded_state_goes_on_to_the_last_bit(tmp_path):
    state = started(drift={"warmup": 2, "threshold": 0.5}, half_lives={"overall": None}).update(log(60))
    again = models.load(state.save(tmp_path / "state.npz"))
    assert again.settings() == state.settings() and again.active == state.active
    for table in (None, log(80, rng=3, users=9, days=300)):  # as it is, and after more events, also of new users
        if table is not None:
            state.update(table)
            again.update(table)
        for user in ("u0", "u1", "u8", "nobody"):
            pd.testing.assert_frame_equal(again.layers(user, NOW), state.layers(user, NOW), check_exact=True)
            assert np.array_equal(again.scores(user, NOW), state.scores(user, NOW))
    assert all(np.array_equal(again._kept()[name], value) for name, value in state._kept().items() if isinstance(value, np.ndarray))


def test_a_state_without_events_and_one_without_layers_can_be_kept(tmp_path):
    for state in (started(), InterestState().start(ITEMS[["item_id"]]).update(log())):
        again = models.load(state.save(tmp_path / "state.npz"))
        assert again.top("u0", 2)[0].tolist() == state.top("u0", 2)[0].tolist()


def test_a_state_file_cut_short_is_refused_and_a_failed_write_leaves_the_old_state(tmp_path, monkeypatch):
    path = started().update(log()).save(tmp_path / "state.npz")
    whole = path.read_bytes()
    monkeypatch.setattr("recsys_kit.models.store.np.savez", lambda file, **parts: (_ for _ in ()).throw(OSError("no space left")))
    with pytest.raises(OSError, match="no space"):
        started().save(path)
    assert path.read_bytes() == whole and list(tmp_path.iterdir()) == [path]
    path.write_bytes(whole[:-200])
    with pytest.raises(DataError, match="no model|damaged"):
        models.load(path)


def test_after_an_alarm_a_users_half_lives_are_short_and_recover():
    state = started(drift={"layer": "long", "warmup": 3, "threshold": 0.5, "delta": 0.05, "factor": 0.25, "recovery": 4},
                    half_lives={"long": 10.0})
    for day in range(20):
        state.update(one("u0", "i1", pd.Timestamp("2024-01-01") + pd.Timedelta(days=day))).update(one("u1", "i1", "2024-01-01"))
    assert state.evidence("u0")["alarms"] == 0 and state.evidence("u0")["pace"] == 1
    other = f"i{int(np.argmin(VECTORS @ VECTORS[1] / np.linalg.norm(VECTORS, axis=1)))}"
    day = 20
    while state.evidence("u0")["alarms"] == 0:
        state.update(one("u0", other, pd.Timestamp("2024-01-01") + pd.Timedelta(days=day)))
        day += 1
    told = state.evidence("u0")
    assert day <= 22 and told["pace"] == 0.25 and told["alarmed"] == pd.Timestamp("2024-01-01") + pd.Timedelta(days=day - 1)
    later = state.evidence("u0", told["alarmed"] + pd.Timedelta(days=10))
    assert later["long"] == pytest.approx(told["long"] / 16)  # ten days: four of his half-lives of two and a half
    assert state.evidence("u1")["pace"] == 1 and state.evidence("u1")["alarms"] == 0
    paces = []
    for _ in range(8):
        state.update(one("u0", other, pd.Timestamp("2024-01-01") + pd.Timedelta(days=day)))
        paces.append(state.evidence("u0")["pace"])
    assert paces[0] == pytest.approx(0.25 + 0.75 / 4) and all(a < b for a, b in itertools.pairwise(paces)) and paces[-1] > 0.9


@pytest.mark.parametrize("layer", ["domain", "long", "short"])
def test_every_layer_of_a_user_can_be_watched(layer):
    state = started(drift={"layer": layer, "warmup": 3, "threshold": 1.0, "delta": 0.05})
    other = f"i{int(np.argmin(VECTORS @ VECTORS[1] / np.linalg.norm(VECTORS, axis=1)))}"
    hours = pd.date_range("2024-01-01", periods=40, freq="h")
    events = pd.concat([one("u0", "i1" if place < 30 else other, hour) for place, hour in enumerate(hours)])
    assert state.update(events.iloc[:30]).evidence("u0")["alarms"] == 0
    assert state.update(events.iloc[30:]).evidence("u0")["alarms"] >= 1


def test_a_late_event_is_not_shown_to_the_detector():
    state = started(drift={"layer": "long", "warmup": 1, "threshold": 0.01, "delta": 0.0})
    state.update(pd.concat([one(time="2024-05-01")] * 5))
    before = state.people_[0, 6:11].tolist()
    assert state.update(one(item="i3", time="2024-04-01")).people_[0, 6:11].tolist() == before
    assert state.evidence("u0")["long"] == pytest.approx(5 + 2 ** (-30 / 180))


def test_time_in_days_is_what_the_seconds_of_the_array_way_say():
    by_array = started()
    user = by_array.numbers(log()["user_id"], new=True)
    seconds = (log()["timestamp"] - pd.Timestamp("1970-01-01")).dt.total_seconds().to_numpy()
    by_array.learn(user, [int(i[1]) for i in log()["item_id"]], np.ones(len(log())), seconds)
    same(by_array, started().update(log()))
    assert seconds[-1] - seconds[0] > 100 * DAY
