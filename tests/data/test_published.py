"""Published splits: read from their publishers' forms, told by their fingerprint, refused when they are anything else."""

import gzip
import io
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recsys_kit.data import catalog, fetch, published, readers_published
from recsys_kit.data.dataset import fingerprint
from recsys_kit.data.published import SPLITS
from recsys_kit.data.sources import DataError
from recsys_kit.schema import validate_events

CARDS = Path(__file__).parents[2] / "datasets"
# Three users, a handful of pairs, in each publisher's form. User 10 comes before user 9 in the alphabet, and after it as a number.
TRAIN = {9: [1, 3], 10: [0, 2, 11]}
TEST = {9: (2, [0, 11]), 10: (3, [1, 3])}  # of 10 the positive was drawn as a negative too
LISTS = {"train.txt": "10 11 0 2\n9 1 3\n", "test.txt": "9 2\n10 3\n"}
NCF = {"ml-1m.train.rating": "10\t11\t5\t978300019\n9\t1\t3\t978300020\n9\t3\t1\t978300021\n"
                             "10\t2\t5\t978300022\n10\t0\t5\t978300023\n",
       "ml-1m.test.rating": "9\t2\t5\t978824351\n10\t3\t3\t978300174\n",
       "ml-1m.test.negative": "(9,2)\t0\t11\n(10,3)\t1\t3\n"}
CMN = {"train_user_item.tsv": "10\t11\n9\t1\n9\t3\n10\t2\n10\t0\n",
       "test_user_positive_negatives.tsv": "9\t2\t0 11\n10\t3\t1 3\n"}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """An empty RECSYS_KIT_DATA, and a cache of this test's own."""
    monkeypatch.setenv("RECSYS_KIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("RECSYS_KIT_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def put(place, name, files):
    folder = place / SPLITS[name].folder
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())


def npz(test=TEST, train=TRAIN):
    pairs = np.array([(user, item, 1) for user in train for item in train[user]])
    buffer = io.BytesIO()
    np.savez(buffer, train_data=pairs, test_data=np.array(test, dtype=object))
    return buffer.getvalue()


@pytest.fixture
def accepted(monkeypatch):
    """Let a split's fingerprint be that of the few rows above, as read from the given files."""
    def accept(name, place, files, **more):
        put(place, name, files)
        tables = SPLITS[name].reader(catalog.find(SPLITS[name])[0])
        print_ = fingerprint(tables["train"], tables["test"], tables.get("candidates"))
        monkeypatch.setitem(SPLITS, name, replace(SPLITS[name], fingerprint=print_, **more))
        return published.published(name)
    return accept


def pairs_of(table):
    return list(zip(table["user_id"], table["item_id"], strict=True))


TRAIN_PAIRS = [("9", "1"), ("9", "3"), ("10", "0"), ("10", "2"), ("10", "11")]
TEST_PAIRS = [("9", "2"), ("10", "3")]


@pytest.mark.parametrize("name, files", [
    ("gowalla-lightgcn", LISTS), ("gowalla-lightgcn", {f"{name}.gz": gzip.compress(text.encode()) for name, text in LISTS.items()}),
    ("spectralcf-ml1m", {f"{name[:-4]}_users.dat": text for name, text in LISTS.items()}),
    ("ncf-ml1m", NCF), ("cmn-citeulike-a", CMN), ("cmn-citeulike-a", {"citeulike-a.npz": npz()})],
    ids=["lists", "gzipped", "spectralcf", "ncf", "cmn text", "cmn archive"])
def test_every_publishers_form_becomes_events_of_one_time_sorted_by_user_and_item(accepted, place, name, files):
    data = accepted(name, place, files)
    assert (pairs_of(data.train), pairs_of(data.test)) == (TRAIN_PAIRS, TEST_PAIRS)
    for table in (data.train, data.test):
        assert list(table.columns) == ["user_id", "item_id", "behaviour", "timestamp"]
        assert validate_events(table) is table
        assert table["timestamp"].nunique() == 1 and set(table["behaviour"]) == {"click"}
    assert (data.name, data.fingerprint) == (name, SPLITS[name].fingerprint)
    assert (data.candidates is None) == (SPLITS[name].reader is readers_published.user_lists)


@pytest.mark.parametrize("name, files", [
    ("ncf-ml1m", NCF), ("cmn-citeulike-a", CMN), ("cmn-citeulike-a", {"citeulike-a.npz": npz()})],
    ids=["ncf", "cmn text", "cmn archive"])
def test_candidates_are_the_positive_and_its_negatives_each_item_once(accepted, place, name, files):
    table = accepted(name, place, files).candidates
    assert table["positive"].dtype == bool
    assert list(table.itertuples(index=False, name=None)) == [
        ("9", "0", False), ("9", "2", True), ("9", "11", False), ("10", "1", False), ("10", "3", True)]


def test_the_archive_and_its_content_as_text_are_the_same_split(accepted, place):
    text = accepted("cmn-citeulike-a", place, CMN).fingerprint
    (place / "citeulike-a" / "train_user_item.tsv").unlink()
    assert accepted("cmn-citeulike-a", place, {"citeulike-a.npz": npz()}).fingerprint == text


def test_an_archive_that_would_run_something_is_refused_before_it_does(place):
    class Bomb:
        def __reduce__(self):
            return Path.touch, (place / "ran",)
    put(place, "cmn-citeulike-a", {"citeulike-a.npz": npz(test={9: (2, [Bomb()])})})
    with pytest.raises(DataError, match="holds more than numbers: pathlib"):
        published.published("cmn-citeulike-a")
    assert not (place / "ran").exists()


def test_the_repositorys_zip_is_read_where_it_lies(accepted, place):
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        for name, text in NCF.items():
            archive.writestr(f"neural_collaborative_filtering-master/Data/{name}", text)
    assert pairs_of(accepted("ncf-ml1m", place, {"master.zip": buffer.getvalue()}).test) == TEST_PAIRS


def test_the_order_of_a_published_file_means_nothing(accepted, place):
    first = accepted("gowalla-lightgcn", place, LISTS).fingerprint
    turned = {"train.txt": "9 3 1\n10 2 0 11\n", "test.txt": "10 3\n9 2\n"}
    assert accepted("gowalla-lightgcn", place, turned).fingerprint == first


# Refused -----------------------------------------------------------------------------------------------------------------

def test_a_split_that_is_not_here_says_where_it_is_published_and_where_to_put_it(place):
    for name, split in SPLITS.items():
        with pytest.raises(DataError) as caught:
            published.published(name)
        for words in (f"python -m recsys_kit fetch {name}", split.page, split.files[0][0], str(place / split.folder)):
            assert words in str(caught.value)


def test_an_unknown_name_gets_the_nearest_and_all():
    with pytest.raises(DataError, match="Did you mean 'gowalla-lightgcn'.\nThere are ncf-ml1m, spectralcf-ml1m"):
        published.published("gowalla")


def test_one_pair_less_is_another_split(accepted, place):
    accepted("gowalla-lightgcn", place, LISTS)
    put(place, "gowalla-lightgcn", {"train.txt": "10 11 0\n9 1 3\n"})
    with pytest.raises(DataError, match="not the split as published: 4 train, 2 test .*fingerprint"):
        published.published("gowalla-lightgcn")


@pytest.mark.parametrize("name, files", [
    ("gowalla-lightgcn", LISTS | {"train.txt": "10 11 x\n"}), ("gowalla-lightgcn", LISTS | {"train.txt": ""}),
    ("gowalla-lightgcn", {f"{name}.gz": gzip.compress(text.encode())[:-9] for name, text in LISTS.items()}),
    ("ncf-ml1m", NCF | {"ml-1m.test.negative": "9,2,0\n"}), ("ncf-ml1m", NCF | {"ml-1m.test.rating": "9\n"}),
    ("cmn-citeulike-a", CMN | {"test_user_positive_negatives.tsv": "9\t2\n"}),
    ("cmn-citeulike-a", {"citeulike-a.npz": npz()[:-40]}),
    ("cmn-citeulike-a", {"citeulike-a.npz": b"PK no archive"})])
def test_a_broken_file_gets_one_clear_error(place, name, files):
    put(place, name, files)
    with pytest.raises(DataError) as caught:
        published.published(name)
    assert str(place / SPLITS[name].folder) in str(caught.value) and "get it again" in str(caught.value)


def test_the_official_training_pairs_are_accepted_by_their_number_where_only_derived_ones_were_at_hand(accepted, place):
    derived = {"derived_train_user_item_rating.tsv": "10\t11\t5\n9\t1\t3\n9\t4\t1\n10\t2\t5\n10\t0\t5\n"}  # 9 has 4 in place of 3
    rest = {name: text for name, text in NCF.items() if "test" in name}
    tables = accepted("ncf-ml1m", place, derived | rest, pairs=5)
    accepted("ncf-ml1m", place, {}, rest=fingerprint(tables.test, tables.candidates))
    put(place, "ncf-ml1m", {"ml-1m.train.rating": NCF["ml-1m.train.rating"]})
    assert pairs_of(published.published("ncf-ml1m").train) == TRAIN_PAIRS
    put(place, "ncf-ml1m", {"ml-1m.train.rating": "9\t1\t3\t978300020\n"})
    with pytest.raises(DataError, match="not the split as published: 1 train"):
        published.published("ncf-ml1m")
    (place / "movielens-1m" / "ncf" / "ml-1m.train.rating").unlink()
    put(place, "ncf-ml1m", {"derived_train_user_item_rating.tsv": "10\t11\t5\n9\t1\t3\n9\t3\t1\n10\t2\t5\n10\t0\t5\n"})
    with pytest.raises(DataError, match="not the split as published: 5 train"):
        published.published("ncf-ml1m")


# Some of the users -------------------------------------------------------------------------------------------------------

def test_max_users_keeps_whole_users_in_all_tables_and_the_seed_picks_them(accepted, place):
    whole = accepted("ncf-ml1m", place, NCF)
    seen = set()
    for seed in range(8):
        small = published.published("ncf-ml1m", max_users=1, seed=seed)
        [user] = set(small.train["user_id"])
        seen.add(user)
        for part in ("train", "test", "candidates"):
            table = getattr(whole, part)
            assert getattr(small, part).equals(table[table["user_id"] == user].reset_index(drop=True))
        assert small.fingerprint != whole.fingerprint
    assert seen == {"9", "10"}
    assert published.published("ncf-ml1m", max_users=2).fingerprint == whole.fingerprint
    assert published.published("ncf-ml1m", max_users=0).fingerprint == whole.fingerprint
    with pytest.raises(DataError, match="max_users=-1"):
        published.published("ncf-ml1m", max_users=-1)


# Real splits, cards, fetching --------------------------------------------------------------------------------------------

@pytest.fixture
def real(real_data, tmp_path_factory, monkeypatch):
    """The real splits, each parsed once for all tests here."""
    monkeypatch.setenv("RECSYS_KIT_DATA", str(real_data))
    monkeypatch.setenv("RECSYS_KIT_CACHE", str(tmp_path_factory.getbasetemp() / "published"))


@pytest.mark.parametrize("name", SPLITS)
def test_the_copy_at_hand_has_the_splits_fingerprint_and_size(real, name):
    data = published.published(name)
    assert data.fingerprint == SPLITS[name].fingerprint
    counts = [int(number.replace(",", "")) for number in re.findall(r"\d+(?:,\d{3})*", SPLITS[name].size)]
    assert counts == [len(table) for table in (data.train, data.test, data.candidates) if table is not None]
    assert len(data.train) == (SPLITS[name].pairs or len(data.train))


def test_traps_that_are_counted_are_true(real):
    sizes = published.published("ncf-ml1m").candidates.groupby("user_id").size()
    assert (sizes == 99).sum() == 156 and (sizes == 100).sum() == 5884
    data = published.published("spectralcf-ml1m")
    assert len(set(data.train["user_id"]) - set(data.test["user_id"])) == 535
    data = published.published("cmn-citeulike-a")
    both = data.candidates.merge(data.train, on=["user_id", "item_id"])
    assert f"{len(both) / (~data.candidates['positive']).sum():.1%}" == "0.2%"


def test_every_split_has_a_card_that_agrees_with_it():
    text = (CARDS / "published-splits.md").read_text("utf-8")
    for name, split in SPLITS.items():
        [section] = [part for part in text.split("\n## ") if part.startswith(f"{name}:")]
        assert all(words in section for words in (split.size, split.licence, split.page, split.folder, split.fingerprint[:12]))
        assert all(trap.split(":")[0] in section for trap in split.traps)


def test_a_fetched_split_is_checked_and_kept(place, monkeypatch, accepted):
    accepted("gowalla-lightgcn", place, LISTS)
    for file in (place / "gowalla-lightgcn").iterdir():
        file.unlink()
    content = dict(LISTS)
    monkeypatch.setattr(fetch, "download", lambda address, target, **_: target.write_text(content[address.rsplit("/", 1)[1]]))
    assert fetch.fetch("gowalla-lightgcn").name == "train.txt"
    assert pairs_of(published.published("gowalla-lightgcn").train) == TRAIN_PAIRS
    assert dict(published.splits()[["name", "where"]].to_numpy())["gowalla-lightgcn"] == "in the cache"


def test_a_download_that_is_not_the_split_is_removed(place, monkeypatch):
    monkeypatch.setattr(fetch, "download", lambda address, target, **_: target.write_text("9 1 3\n"))
    with pytest.raises(DataError, match="could not be fetched"):
        fetch.fetch("gowalla-lightgcn")
    assert not list(catalog.download_folder("gowalla-lightgcn").glob("*.txt"))
