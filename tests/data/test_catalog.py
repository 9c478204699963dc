"""Sets by name: found, refused, cut down to some users; and the cards in datasets/ agree with the catalogue."""

import gzip
import re
from pathlib import Path

import numpy as np
import pytest

from recsys_kit import load
from recsys_kit.data.catalog import MARKETS, NAMES, SETS, datasets
from recsys_kit.data.sources import DataError
from tests.data.forms import ESHOP, RETAIL, print_of, read, zipped

CARDS = Path(__file__).parents[2] / "datasets"


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("RECSYS_KIT_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def data(tmp_path, monkeypatch):
    """An empty RECSYS_KIT_DATA."""
    monkeypatch.setenv("RECSYS_KIT_DATA", str(tmp_path))
    return tmp_path


def put(data, folder, name, content):
    (data / folder).mkdir(exist_ok=True)
    (data / folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


# Real sets -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", [name for name, item in SETS.items() if item.fingerprint])
def test_the_copy_at_hand_has_the_catalogues_fingerprint_and_size(real_data, name):
    data = load(name)
    assert data.fingerprint == SETS[name].fingerprint
    events, users, items = (int(n.replace(",", "")) for n in re.findall(r"\d+(?:,\d{3})*", SETS[name].size))
    assert (len(data.events), data.events["user_id"].nunique()) == (events, users)
    assert items == (data.events["item_id"].nunique() if data.items is None else len(data.items))


@pytest.mark.parametrize("name, folder, archive, member", [
    ("eshop-clothing", "eshop-clothing", "clickstream+data+for+online+shopping.zip", ""),
    ("movielens-100k", "movielens-100k", "ml-100k.zip", "ml-100k/")])
def test_the_publishers_zip_gives_the_same_fingerprint(real_data, tmp_path, name, folder, archive, member):
    files = {member + p.name.removesuffix(".gz"): gzip.decompress(p.read_bytes()) if p.suffix == ".gz" else p.read_bytes()
             for p in (real_data / folder).iterdir()}
    (tmp_path / archive).write_bytes(zipped(**files))
    assert print_of(read(tmp_path, name)) == SETS[name].fingerprint


def test_online_retail_counts_as_published(real_data):
    events = load("online-retail").events
    returned = events["behaviour"] == "return"
    assert events["user_id"].isna().sum() == 135_080 and returned.sum() == 9_288
    assert events["quantity"].where(~returned, -events["quantity"]).sum() == 5_176_450
    assert (str(events["timestamp"].min()), str(events["timestamp"].max())) == ("2010-12-01 08:26:00", "2011-12-09 12:50:00")


def test_postage_and_fees_of_online_retail_come_with_it_and_are_as_many_as_the_card_says(real_data):
    data = load("online-retail")
    assert "POST" in data.not_products and data.events["item_id"].isin(data.not_products).sum() == 2_916
    assert set(data.not_products) <= set(data.items["item_id"])
    assert "2,916 rows" in (CARDS / "online-retail.md").read_text("utf-8")


def test_a_cut_copy_of_a_whole_set_is_refused(real_data, data):
    whole = gzip.decompress((real_data / "eshop-clothing" / "e-shop clothing 2008.csv.gz").read_bytes())
    put(data, "eshop-clothing", "e-shop clothing 2008.csv", whole[: whole.rindex(b"\n", 0, len(whole) // 2) + 1])
    with pytest.raises(DataError, match="not the whole set as published.*fingerprint.*expected"):
        load("eshop-clothing")


# Found, not found, broken ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name, meant", [("online-retial", "online-retail"), ("Market", "market"), ("movielens", "movielens-100k")])
def test_an_unknown_name_gets_the_nearest_and_all(name, meant):
    with pytest.raises(DataError) as caught:
        load(name)
    assert f"Did you mean '{meant}'" in str(caught.value) and all(known in str(caught.value) for known in NAMES)


def test_a_set_that_is_not_here_says_what_to_do(data):
    with pytest.raises(DataError) as caught:
        load("online-retail")
    for words in ("python -m recsys_kit fetch online-retail", "Online Retail.xlsx", "data.csv", str(data / "online-retail")):
        assert words in str(caught.value)


def test_without_a_data_folder_the_error_names_the_variable(monkeypatch):
    monkeypatch.delenv("RECSYS_KIT_DATA", raising=False)
    with pytest.raises(DataError, match="set RECSYS_KIT_DATA"):
        load("eshop-clothing")


def test_a_set_without_a_download_says_so(data):
    with pytest.raises(DataError) as caught:
        load("retailrocket")
    assert "account" in str(caught.value) and "python -m recsys_kit fetch" not in str(caught.value)


def test_the_subset_is_not_taken_for_the_whole(data):
    put(data, "retailrocket", "events.csv.gz", gzip.compress(b"user,item,behaviour,timestamp\n1,6,view,1430623510\n"))
    with pytest.raises(DataError, match="is another table: it begins 'user,item,behaviour,timestamp'"):
        load("retailrocket")


def test_a_data_folder_that_is_not_there_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("RECSYS_KIT_DATA", str(tmp_path / "gone"))
    with pytest.raises(DataError, match="RECSYS_KIT_DATA names"):
        load("online-retail")


def test_a_table_that_is_not_the_whole_set_is_refused(data):
    put(data, "online-retail", "data.csv", RETAIL)
    with pytest.raises(DataError, match="6 events .541,909 events"):
        load("online-retail")


def test_another_edition_of_a_sample_is_loaded_with_a_warning(data):
    put(data, "retailrocket", "events.csv", "user,item,behaviour,timestamp\n1,6,view,1430623510\n")
    put(data, "retailrocket", "test_buy.csv", "user,item,value\n1,4,1.0\n")
    with pytest.warns(UserWarning, match="another edition.*1 events"):
        assert len(load("retailrocket-bench").events) == 1


@pytest.mark.parametrize("folder, name, content", [
    ("online-retail", "online_retail.csv.gz", gzip.compress(RETAIL.encode() * 100)[:-30]),
    ("online-retail", "data.csv", RETAIL + "500009,200"),
    ("online-retail", "data.csv", RETAIL.replace("UnitPrice", "Preis")),
    ("online-retail", "data.csv", RETAIL.replace("2010-12-01 08:26:00", "some day")),
    ("online-retail", "data.csv", RETAIL.replace(",6,2010", ",six,2010")),
    ("online-retail", "Online Retail.xlsx", b"PK\x03\x04 no workbook"),
    ("online-retail", "online+retail.zip", zipped(**{"Online Retail.xlsx": RETAIL})[:-30]),
    ("eshop-clothing", "e-shop clothing 2008.csv", ESHOP.replace("2008;4;2;1", "2008;14;2;1")),
])
def test_a_broken_file_gets_one_clear_error(data, folder, name, content):
    put(data, folder, name, content)
    with pytest.raises(DataError) as caught:
        load(folder)
    assert name in str(caught.value) and "again" in str(caught.value) and caught.value.__cause__ is None


def test_the_data_folder_comes_before_the_downloads(data, monkeypatch, tmp_path):
    cached = tmp_path / "cache" / "downloads" / "eshop-clothing"
    cached.mkdir(parents=True)
    monkeypatch.setenv("RECSYS_KIT_CACHE", str(tmp_path / "cache"))
    (cached / "e-shop clothing 2008.csv").write_text(ESHOP)
    assert datasets().set_index("name").loc["eshop-clothing", "where"] == "in the cache"
    put(data, "eshop-clothing", "e-shop clothing 2008.csv", ESHOP)
    assert datasets().set_index("name").loc["eshop-clothing", "where"] == "in RECSYS_KIT_DATA"


def test_columns_are_for_files(market):
    with pytest.raises(DataError, match="needs none"):
        load("market", columns={"user_id": "uid"})


# Some of the users -------------------------------------------------------------------------------------------------------

def test_max_users_keeps_whole_histories(market):
    small = load("market", max_users=40)
    users = set(small.events["user_id"])
    assert len(users) == 40
    whole = market.events[market.events["user_id"].isin(users)].reset_index(drop=True)
    assert whole.equals(small.events)
    assert set(small.users["user_id"]) == users and set(small.exposures["user_id"]) <= users
    assert len(small.items) == len(market.items)


def test_the_seed_picks_the_users(tmp_path):
    rows = "".join(f"u{i % 50},i,view,2024-01-01\n" for i in range(200)) + ",i,view,2024-01-01\n"
    (path := tmp_path / "c.csv").write_text("user_id,item_id,behaviour,timestamp\n" + rows)

    def chosen(seed):
        return set(load(path, max_users=20, seed=seed).events["user_id"])

    assert chosen(1) == chosen(1) and chosen(1) != chosen(2)
    assert all(isinstance(user, str) for user in chosen(1))
    assert len(load(path, max_users=20).events) == 80


def test_more_users_than_there_are_is_everything(market):
    assert load("market", max_users=10**6).fingerprint == market.fingerprint
    with pytest.raises(DataError, match="max_users=-1"):
        load("market", max_users=-1)


def test_every_market_has_its_settings_and_own_name():
    from recsys_kit.data import market

    assert all(hasattr(market, item.settings) for item in MARKETS.values())
    assert load("market-case-1", max_users=3).name == "market-case-1"


def test_the_markets_seed_makes_the_market(market):
    assert load("market").fingerprint == market.fingerprint != load("market", seed=1).fingerprint


# The cards ---------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", SETS)
def test_every_set_has_a_card_that_agrees_with_the_catalogue(name):
    item, card = SETS[name], (CARDS / f"{name}.md").read_text(encoding="utf-8")
    assert card.startswith(f"# {name}: ")
    for fact in (item.size, item.licence, item.page, item.fingerprint[:12], *item.traps):
        assert fact in card, fact


def test_the_index_lists_every_card_and_no_other():
    linked = set(re.findall(r"^\|.*?\]\(([\w-]+)\.md\)", (CARDS / "README.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert linked == set(SETS) == {p.stem for p in CARDS.glob("*.md")} - {"README", "published-splits"}


def test_the_table_of_sets_names_licence_and_place(data):
    table = datasets().set_index("name")
    assert list(table.index) == list(NAMES) and not table.isna().any().any()
    assert table.loc["online-retail", "where"] == "not here: fetch online-retail"
    assert table.loc["market", "where"] == "made from a seed"
    assert np.all(table["licence"].str.len() > 3)
