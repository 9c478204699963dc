"""Blocks against counts made by hand, and what must hold for any log: order, new users, and each user alone."""

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from recsys_kit import load
from recsys_kit.data.describe import sessions
from recsys_kit.data.interactions import Interactions
from recsys_kit.features import price_level
from recsys_kit.fusion import Fusion, UserBlocks
from recsys_kit.prepare import clean
from recsys_kit.schema import SchemaError

ITEMS = pd.DataFrame({"item_id": ["car", "doll", "green", "black"], "category": ["toy/car", "toy/doll", "tea/green", "tea/black"],
                      "price": [3.0, 5.0, 9.0, 1.0]})


def log(*rows) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "behaviour", "timestamp"])
    return table.assign(timestamp=pd.to_datetime("2024-01-0" + table["timestamp"]).astype("datetime64[s]"))


SHOP = log(("a", "car", "click", "1 09:00"), ("a", "car", "purchase", "1 09:05"), ("a", "green", "click", "1 09:10"),  # one visit
           ("a", "car", "click", "2 23:50"), ("a", "car", "click", "3 00:10"),  # one visit over midnight
           ("b", "black", "click", "1 12:00"), ("b", "green", "click", "4 12:30"), ("b", "green", "return", "5 12:30"))


def equal(one: dict, other: dict, **how) -> None:
    assert list(one) == list(other)
    for name in one:
        assert_frame_equal(one[name], other[name], **how)


def test_a_visit_has_one_vote_and_spreads_it_over_the_categories_it_touches():
    category = UserBlocks().fit_transform(SHOP, ITEMS)["category"] ** 2
    assert category.columns.tolist() == [f"category_{name}" for name in ("tea/black", "tea/green", "toy/car")]
    assert category.loc["a"].tolist() == pytest.approx([0, 1 / 4, 3 / 4])  # half a vote of two for tea
    assert category.loc["b"].tolist() == pytest.approx([1 / 2, 1 / 2, 0])


def test_the_level_says_how_deep_the_path_is_read():
    category = UserBlocks(level=1).fit_transform(SHOP, ITEMS)["category"] ** 2
    assert category.loc["a"].to_dict() == pytest.approx({"category_tea": 1 / 4, "category_toy": 3 / 4})


def test_hours_are_those_in_which_visits_begin_shrunk_smoothed_and_rooted():
    time = UserBlocks().fit_transform(SHOP, ITEMS)["time"] ** 2
    shares = np.zeros((2, 24))
    shares[0, [9, 23]] = 1 / 2
    shares[1, 12] = 1
    mixed = (2 * shares + shares.mean(axis=0)) / 3  # two visits each, and one of the mean user
    kernel = np.array([[np.exp(3.5 * np.cos(np.pi / 12 * (hour - other))) for other in range(24)] for hour in range(24)])
    assert np.allclose(time, mixed @ kernel / kernel[0].sum(), rtol=1e-12)
    assert time.sum(axis=1).tolist() == pytest.approx([1, 1])


def test_an_hour_before_midnight_is_near_the_hour_after():
    users = [(f"u{hour:02d}", "car", "click", f"1 {hour:02d}:00") for hour in range(24)]
    time = UserBlocks().fit_transform(log(*users))["time"]
    away = [np.linalg.norm(time.loc["u23"] - time.loc[f"u{hour:02d}"]) for hour in (0, 1, 5, 11)]
    assert away == sorted(away) and away[0] == pytest.approx(np.linalg.norm(time.loc["u12"] - time.loc["u13"]))


def test_the_price_is_the_price_level_of_the_looks_centred_and_shrunk(market):
    price = UserBlocks().fit_transform(market.events, market.items)["price"]["price_level"]
    looks = market.events[market.events["behaviour"] == "click"]
    level = price_level(looks, market.items)["price_level"]
    n = looks.groupby("user_id").size()
    expected = ((level - level.mean()) * n / (n + 10)).reindex(price.index).fillna(0)
    assert np.allclose(price, expected, rtol=1e-9) and price.std() > 0.02


def test_behaviour_is_the_log_rate_per_look_with_five_looks_of_the_mean_user():
    events = log(*[("a", "car", "click", "1 09:00")] * 4, *[("b", "car", "click", "1 09:00")] * 6,
                 *[("a", "car", "purchase", "1 09:00")] * 2, ("b", "car", "view", "1 09:00"))
    behaviour = UserBlocks().fit_transform(events)["behaviour"]
    assert behaviour.columns.tolist() == ["purchase_per_click"]  # views come before the look
    assert behaviour["purchase_per_click"].tolist() == pytest.approx([np.log((2 + 5 * 0.2) / 9), np.log((0 + 5 * 0.2) / 11)])


def test_without_clicks_the_first_step_of_the_funnel_is_the_look():
    events = log(("a", "car", "view", "1 09:00"), ("a", "car", "cart", "1 09:00"), ("b", "car", "view", "1 09:00"),
                 ("b", "car", "purchase", "1 09:00"), ("b", "car", "return", "1 09:00"))
    assert UserBlocks().fit_transform(events)["behaviour"].columns.tolist() == ["cart_per_view", "purchase_per_view"]


def test_vectors_are_the_singular_vectors_of_the_interest_matrix(market):
    vectors = UserBlocks(vectors=4).fit_transform(market.events, market.items)["vectors"]
    seen = Interactions.from_events(market.events)
    matrix = np.sqrt(seen.matrix.toarray().astype(float))[:, (seen.matrix > 0).sum(axis=0) >= 3]
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    assert np.allclose(np.abs(vectors), np.abs(left[:, :4] * values[:4]), atol=1e-8)
    another_start = UserBlocks(vectors=4).fit_transform(market.events, market.items, rng=7)["vectors"]
    assert np.allclose(vectors, another_start, atol=1e-8)


def test_an_item_of_two_users_makes_no_dimension_and_its_users_get_the_mean_row():
    crowd = [(f"u{user}", item, "click", f"{1 + place} 09:00") for user in range(12) for place, item in
             enumerate(["car", "doll", "green"] if user % 2 else ["doll", "green", "black"]) if (user + place) % 5]
    events = log(*crowd, ("v", "rare", "click", "1 09:00"), ("w", "rare", "click", "1 09:00"))
    vectors = UserBlocks().fit_transform(events)["vectors"]
    assert np.allclose(vectors.loc[["v", "w"]], vectors.drop(index=["v", "w"]).mean(), rtol=1e-9)
    assert np.linalg.norm(vectors.loc["u1"] - vectors.loc["u2"]) > 0.1


def test_there_are_vectors_by_default_only_without_categories(market):
    with_categories, without = UserBlocks(), UserBlocks()
    assert "vectors" not in with_categories.fit_transform(market.events, market.items)
    assert without.fit_transform(market.events)["vectors"].shape == (2000, 16)
    assert without.left_out == {"category": "the items have no categories"}


def random_log(rng: np.random.Generator, users: int, items: int, events: int) -> pd.DataFrame:
    seconds = rng.integers(0, 30 * 86400, events)
    return pd.DataFrame({"user_id": [f"u{n}" for n in rng.integers(0, users, events)],
                         "item_id": [f"i{n}" for n in rng.integers(0, items, events)],
                         "behaviour": rng.choice(["view", "click", "cart", "purchase", "rate", "return"], events),
                         "price": rng.integers(1, 50, events).astype(float),
                         "timestamp": pd.Timestamp("2024-01-01") + pd.to_timedelta(seconds, unit="s")})


@pytest.mark.parametrize("which", ["market", "random"])
def test_the_order_of_events_does_not_matter(which, market):
    small = random_log(np.random.default_rng(3), users=60, items=20, events=900)
    events, items = (market.events, market.items) if which == "market" else (small, None)
    mixed = events.sample(frac=1, random_state=1)
    equal(UserBlocks(vectors=5).fit_transform(events, items, rng=0), UserBlocks(vectors=5).fit_transform(mixed, items, rng=0),
          rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("vectors", [None, 8])
def test_transforming_the_events_learned_from_gives_the_same_blocks(vectors, market):
    blocks = UserBlocks(vectors=vectors)
    made = blocks.fit_transform(market.events, market.items)
    equal(made, blocks.transform(market.events), check_exact=True)
    users = sorted(market.events["user_id"].unique())
    assert all(table.index.tolist() == users and table.notna().all().all() for table in made.values())


def test_new_users_get_the_rows_they_would_get_together_and_alone(market):
    new = market.events["user_id"].isin(market.events["user_id"].unique()[::3])
    blocks = UserBlocks(vectors=8).fit(market.events[~new], market.items)
    together, apart = blocks.transform(market.events), blocks.transform(market.events[new])
    equal({name: table.loc[apart[name].index] for name, table in together.items()}, apart, rtol=1e-9, atol=1e-12)
    user = apart["time"].index[5]
    alone = blocks.transform(market.events[market.events["user_id"] == user])
    equal({name: table.loc[[user]] for name, table in together.items()}, alone, rtol=1e-9, atol=1e-12)


def test_what_was_not_there_at_the_fit_has_no_vote():
    blocks = UserBlocks().fit(SHOP, ITEMS)
    later = log(("c", "doll", "click", "1 09:00"), ("c", "new", "click", "2 09:00"), ("c", "green", "click", "3 09:00"),
                ("d", "new", "click", "1 09:00"))
    category = blocks.transform(later)["category"]
    assert category.loc["c"].tolist() == [0, 1, 0]
    assert np.allclose(category.loc["d"], blocks.transform(SHOP)["category"].mean(), rtol=1e-12)  # no opinion


def test_items_without_a_category_count_as_unknown():
    blocks = UserBlocks()
    category = blocks.fit_transform(log(("a", "car", "click", "1 09:00"), ("b", "odd", "click", "1 09:00")), ITEMS)["category"]
    assert category.columns.tolist() == ["category_toy/car", "category_unknown"] and category.loc["b"].tolist() == [0, 1]
    assert blocks.transform(log(("c", "odder", "click", "1 09:00")))["category"].loc["c"].tolist() == [0, 1]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("level", [None, 1])
def test_a_shop_that_files_nothing_or_only_some_things_is_no_trouble(level):
    some = UserBlocks(level).fit_transform(SHOP, ITEMS.assign(category=["toy/car", None, "tea/green", None], price=np.nan))
    assert (some["category"].loc["b"] ** 2)["category_unknown"] == pytest.approx(0.5)
    nothing = UserBlocks(level).fit(SHOP, ITEMS.assign(category=None))
    assert nothing.left_out["category"] == "the same for every user"


def test_a_user_who_only_returned_things_has_no_opinion_on_anything():
    events = pd.concat([SHOP, log(("c", "car", "return", "1 09:00"))])
    blocks = UserBlocks().fit_transform(events, ITEMS.assign(category=["toy", "toy", "tea", "tea"]))
    assert np.allclose(blocks["category"].loc["c"], blocks["category"].loc[["a", "b"]].mean())
    assert blocks["price"].loc["c"].item() == 0 and blocks["price"].loc["a"].item() != 0
    assert (blocks["time"].loc["c"] < blocks["time"].loc[["a", "b"]].max()).all()


def test_a_block_that_is_the_same_for_all_is_left_out_and_said():
    blocks = UserBlocks()
    made = blocks.fit_transform(SHOP.assign(timestamp=pd.Timestamp("2024-01-01")), ITEMS.drop(columns="price"))  # dates only
    assert list(made) == ["category", "behaviour"]
    assert blocks.left_out == {"time": "the same for every user", "price": "no prices",
                               "vectors": "there are categories, and vectors were not asked for"}
    assert list(blocks.transform(SHOP)) == ["category", "behaviour"]  # what was constant at the fit stays out


def test_where_nothing_tells_users_apart_one_error_says_why():
    same = log(("a", "car", "view", "1 09:00"), ("b", "car", "view", "1 09:00"))
    with pytest.raises(SchemaError, match="(?s)nothing tells these 2 users apart .*price: no prices.*To mend it"):
        UserBlocks().fit(same)
    with pytest.raises(SchemaError, match="nothing tells these 1 users apart"):
        UserBlocks().fit(SHOP[SHOP["user_id"] == "a"], ITEMS)
    with pytest.raises(SchemaError, match="no events but returns"):
        UserBlocks().fit(SHOP.assign(behaviour="return"), ITEMS)
    with pytest.raises(SchemaError, match="the table has no rows"):
        UserBlocks().fit(SHOP[:0])


def test_forty_users_with_one_event_each_are_enough():
    rng = np.random.default_rng(0)
    events = random_log(rng, 1, 6, 40).assign(user_id=[f"u{n}" for n in range(40)], behaviour="view").drop(columns="price")
    blocks = UserBlocks().fit_transform(events)
    assert blocks["time"].shape == (40, 24) and blocks["vectors"].shape[1] <= 5
    assert np.isfinite(Fusion().fit(blocks).transform(blocks)).all().all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(30))
def test_any_small_log_gives_finite_blocks_or_the_one_error(seed):
    rng = np.random.default_rng(seed)
    events = random_log(rng, *rng.integers(1, 9, 2), int(rng.integers(1, 40)))
    items = ITEMS.assign(item_id=[f"i{n}" for n in range(4)]) if seed % 2 else None
    blocks = UserBlocks(vectors=int(rng.integers(1, 9)) if seed % 3 else None)
    try:
        made = blocks.fit_transform(events, items)
    except SchemaError as error:
        assert "nothing tells these" in str(error)
        return
    assert all(np.isfinite(table).all().all() and np.ptp(table, axis=0).max() > 0 for table in made.values())
    equal(made, blocks.transform(events), check_exact=True)


def test_wrong_settings_and_a_transform_before_the_fit_are_told():
    for wrong in ({"level": 0}, {"vectors": 0}, {"vectors": 1.5}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            UserBlocks(**wrong)
    with pytest.raises(RuntimeError, match="call fit"):
        UserBlocks().transform(SHOP)


def test_on_the_market_a_visit_touches_one_category_so_votes_are_whole(market):
    category = UserBlocks().fit_transform(market.events, market.items)["category"] ** 2
    clicks = market.events[market.events["behaviour"] != "return"]
    leaf = clicks["item_id"].map(market.items.set_index("item_id")["category"])
    visits = pd.DataFrame({"user": clicks["user_id"], "visit": sessions(clicks), "leaf": leaf}).drop_duplicates()
    assert len(visits) == visits["visit"].nunique()
    shares = pd.crosstab(visits["user"], visits["leaf"], normalize="index").add_prefix("category_")
    assert np.allclose(category, shares[category.columns], atol=1e-12)


@pytest.mark.parametrize("name, there", [
    ("online-retail", ["time", "price", "vectors"]), ("retailrocket-bench", ["time", "behaviour", "vectors"]),
    ("movielens-100k", ["category", "time"]), ("eshop-clothing", ["category", "price"]),
    ("complete-journey-sample", ["category", "time", "price"])])
def test_real_sets_have_the_blocks_their_columns_allow(real_data, name, there):
    data = load(name)
    events = clean(data.events, not_products=data.not_products).events
    blocks = UserBlocks(level=1).fit_transform(events, data.items)
    assert list(blocks) == there
    fused = Fusion().fit(blocks).transform(blocks)
    assert len(fused) == events["user_id"].nunique() and np.isfinite(fused).all().all()
