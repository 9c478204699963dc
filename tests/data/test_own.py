"""A file of one's own: read with a mapping, or refused in words that say how to mend it."""

import gzip

import pandas as pd
import pytest

from recsys_kit import load, schema
from recsys_kit.data.own import BEHAVIOUR_WORDS, SYNONYMS
from recsys_kit.data.sources import DataError
from recsys_kit.schema import SchemaError

CLICKS = "uid,iid,act,ts\n007,a,buy,1430623510\n008,b,pv,1430623511\n"
MAPPING = {"user_id": "uid", "item_id": "iid", "behaviour": "act", "timestamp": "ts"}
COMMON = "user_id,item_id,behaviour,timestamp"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_KIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def file(tmp_path):
    def write(content, name="clicks.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def message(path, columns=None, kind=(DataError, SchemaError)):
    with pytest.raises(kind) as caught:
        load(path, columns=columns)
    return str(caught.value)


def test_a_csv_with_a_mapping(file):
    data = load(file(CLICKS), columns=MAPPING)
    assert data.name == "clicks.csv" and data.items is None
    assert data.events.astype("str").values.tolist() == [["007", "a", "purchase", "2015-05-03 03:25:10"],
                                                         ["008", "b", "view", "2015-05-03 03:25:11"]]
    assert list(data.events.columns) == list(schema.EVENT_COLUMNS)


def test_common_names_need_no_mapping_and_a_path_may_be_text(file):
    path = file(f"{COMMON}\nu1,i1,view,2024-05-31 18:05:00\n")
    assert len(load(str(path)).events) == 1


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(file, delimiter):
    assert len(load(file(CLICKS.replace(",", delimiter)), columns=MAPPING).events) == 2


def test_gzip_byte_order_mark_and_windows_line_ends(file):
    content = b"\xef\xbb\xbf" + CLICKS.replace("\n", "\r\n").encode()
    plain, zipped = file(content), file(gzip.compress(content), "clicks.csv.gz")
    assert load(plain, columns=MAPPING).fingerprint == load(zipped, columns=MAPPING).fingerprint
    assert load(plain, columns=MAPPING).events["user_id"].tolist() == ["007", "008"]


def test_parquet_gives_the_same_table_as_csv(file, tmp_path):
    table = pd.DataFrame({"uid": ["007", "008"], "iid": ["a", "b"], "act": ["buy", "pv"], "ts": [1430623510, 1430623511]})
    table.to_parquet(tmp_path / "clicks.parquet")
    assert load(tmp_path / "clicks.parquet", columns=MAPPING).fingerprint == load(file(CLICKS), columns=MAPPING).fingerprint


def test_numbers_as_ids_in_parquet_become_text(tmp_path):
    times = pd.to_datetime(["2024-01-02", "2024-01-01"])
    pd.DataFrame({"user_id": [17850.0, None], "item_id": [1, 2], "behaviour": "click", "timestamp": times}).to_parquet(
        tmp_path / "c.parquet")
    events = load(tmp_path / "c.parquet").events
    assert events["item_id"].tolist() == ["2", "1"]
    assert events["user_id"].isna().tolist() == [True, False] and events["user_id"][1] == "17850"


def test_a_constant_stands_for_a_column(file):
    data = load(file(CLICKS), columns=MAPPING | {"behaviour": "=rate", "quantity": "=2"})
    assert set(data.events["behaviour"]) == {"rate"} and data.events["quantity"].tolist() == [2.0, 2.0]


def test_columns_nobody_mapped_stay(file):
    data = load(file(f"{COMMON},shop,price\n1,i,view,2024-01-01,north,9\n"), columns={"price": "=3", "user_id": "shop"})
    row = data.events.iloc[0]
    assert (row["user_id"], row["price"], row["user_id_in_file"], row["price_in_file"]) == ("north", 3.0, "1", "9")


def test_missing_users_are_kept_for_cleaning_to_report(file):
    events = load(file(f"{COMMON}\n,i,view,2024-01-01\nNULL,j,view,2024-01-01\nu,k,view,2024-01-01\n")).events
    assert events["user_id"].isna().tolist() == [True, True, False]


def test_category_and_title_become_an_items_table(file):
    path = file(f"{COMMON},cat,name,price\nu,i,buy,2024-01-01,A/B,Lamp,3\nu,j,buy,2024-01-01,,Box,8\n"
                "v,i,buy,2024-01-02,A/B,Lamp,5\n")
    data = load(path, columns={"category": "cat", "title": "name"})
    assert data.items.fillna("-").values.tolist() == [["i", "A/B", "Lamp", 4.0], ["j", "-", "Box", 8.0]]
    assert "category" not in data.events and data.events["price"].tolist() == [3.0, 8.0, 5.0]


def test_two_categories_of_one_item_are_said_and_the_most_frequent_kept(file):
    path = file(f"{COMMON},category\nu,i,buy,2024-01-01,A\nu,i,buy,2024-01-02,B\nu,i,buy,2024-01-03,B\n")
    with pytest.warns(UserWarning, match=r"more than one category: 1 \(first: i\)"):
        assert load(path).items["category"].tolist() == ["B"]


@pytest.mark.parametrize("written, meant", [
    ("Add To Cart", "cart"), ("addtocart", "cart"), ("transaction", "purchase"), ("PV", "view"), ("fav", "favourite"),
    ("rating", "rate"), ("refund", "return"), ("click", "click"), ("购买", "purchase")])
def test_usual_words_for_behaviours_are_understood(file, written, meant):
    assert load(file(f"{COMMON}\nu,i,{written},2024-01-01\n")).events["behaviour"].tolist() == [meant]


def test_no_word_means_two_behaviours():
    words = [word for behaviour, several in SYNONYMS.items() for word in (behaviour, *several)]
    assert len(words) == len(set(words)) == len(BEHAVIOUR_WORDS) and set(SYNONYMS) == set(schema.BEHAVIOURS)


@pytest.mark.parametrize("written", ["2024-05-31 18:05:00", "2024-05-31T18:05:00Z", "2024/5/31 18:05", "2024-06-01 02:05+08:00",
                                     "1717178700", "1717178700.0"])
def test_times_as_they_are_usually_written(file, written):
    assert load(file(f"{COMMON}\nu,i,view,{written}\n")).events["timestamp"][0] == pd.Timestamp("2024-05-31 18:05")


def test_days_without_separators_are_days(file):
    assert load(file(f"{COMMON}\nu,i,view,20240531\n")).events["timestamp"][0] == pd.Timestamp("2024-05-31")


def test_events_are_sorted_and_equal_times_keep_their_order(file):
    events = load(file(f"{COMMON}\nc,1,view,9e8\na,2,view,8e8\nb,3,view,9e8\na,4,view,8e8\n")).events
    assert events["item_id"].tolist() == ["2", "4", "1", "3"]


ROW = "u,i,view,2024-01-01"
REFUSED = {
    "missing column": (CLICKS, {"user_id": "uid", "behaviour": "act", "timestamp": "ts"},
                       ["no column 'item_id'", "'uid', 'iid', 'act', 'ts'", "columns={'item_id': 'iid'}"]),
    "missing behaviour": (CLICKS, {k: v for k, v in MAPPING.items() if k != "behaviour"}, ['columns={"behaviour": "=purchase"}']),
    "rating but no behaviour": (CLICKS.replace("act", "stars"), {k: v for k, v in MAPPING.items() if k != "behaviour"}
                                | {"rating": "stars"}, ['"=rate"', "no column 'behaviour'"]),
    "mapped to nothing": (CLICKS, MAPPING | {"item_id": "idd"}, ["no such column", "Did you mean 'uid'", "'iid'"]),
    "mapped twice": (CLICKS, MAPPING | {"item_id": "uid"}, ["'uid' is mapped twice, to 'user_id' and 'item_id'"]),
    "no common name": (CLICKS, MAPPING | {"usr_id": "uid"}, ["'usr_id' is no common name", "Did you mean 'user_id'"]),
    "turned around": (CLICKS, {"uid": "user_id"}, ["turned around", "{'user_id': 'uid'}"]),
    "no text as name": (CLICKS, MAPPING | {"item_id": 3}, ["'item_id' is given 3"]),
    "header twice": (f"{COMMON},item_id\n{ROW},j\n", None, ["'item_id' more than once"]),
    "unknown behaviour": (f"{COMMON}\n{ROW.replace('view', 'hover')}\n", None,
                          ["unknown behaviour in 1 of 1", "hover", "purchase"]),
    "missing behaviour value": (f"{COMMON}\nu,i,,2024-01-01\n", None, ["unknown behaviour in 1 of 1"]),
    "text as quantity": (f"{COMMON},quantity\n{ROW},three\n", None, ["'quantity': not a number in 1 of 1", "three"]),
    "text as time": (f"{COMMON}\nu,i,view,yesterday\n", None, ["'timestamp': no readable time", "2024-05-31 18:05:00"]),
    "missing time": (f"{COMMON}\nu,i,view,\n{ROW}\n", None, ["missing time in 1 of 2"]),
    "milliseconds": (CLICKS.replace("1430623510", "1430623510000"), MAPPING,
                     ["milliseconds where seconds are expected in 1 of 2", "table['ts'] //= 1000"]),
    "milliseconds of long ago": (CLICKS.replace("1430623510", "978307200000"), MAPPING, ["milliseconds where seconds"]),
    "microseconds": (CLICKS.replace("1430623510", "1430623510000000"), MAPPING, ["microseconds", "//= 1000000"]),
    "future": (CLICKS.replace("1430623510", "4430623510"), MAPPING, ["a time in the future in 1 of 2", "'ts' in the file"]),
    "before shops": (CLICKS.replace("1430623510", "45443"), MAPPING, ["a time before 1990 in 1 of 2"]),
    "negative quantity": (f"{COMMON},quantity\n" + f"{ROW},-1\n" * 5 + f"{ROW},1\n", None,
                          ["negative quantity in 5 of 6", "row 0", "row 2", "'return'"]),
    "missing order": (f"{COMMON},seq\n{ROW},1\n{ROW},\n", None, ["'seq': missing order in 1 of 2"]),
    "empty file": ("", None, ["is empty (0 bytes)"]),
    "blank file": ("\n\n\n", None, ["holds no text"]),
    "header only": (f"{COMMON}\n", None, ["a header ('user_id', 'item_id', 'behaviour', 'timestamp') and no rows"]),
    "header without line end": (COMMON, None, ["no rows"]),
    "cut last line": (CLICKS + "009,c", MAPPING, ["2 fields instead of 4: 009,c", "cut in the middle"]),
    "too many fields": (CLICKS + "009,c,buy,1430623510,5\n", MAPPING, ["5 fields instead of 4"]),
    "open quote": (CLICKS + '009,"c,buy,1430623510\n', MAPPING, ["To mend it"]),
    "cut gzip": (gzip.compress(CLICKS.encode() * 50)[:-9], MAPPING, ["gzip file is cut in the middle"]),
    "damaged gzip": (gzip.compress(CLICKS.encode())[:30] + b"\x00\xff" * 20, MAPPING, ["cut in the middle or damaged"]),
    "cut parquet": (b"PAR1" + b"\x15\x04" * 50, None, ["no Parquet file, or cut in the middle"]),
    "GBK": ("用户,物品,行为,时间\n甲,乙,购买,2024-01-01\n".encode("gbk"), None, ["not UTF-8", "line 1", "iconv -f GB18030"]),
    "Windows-1252": (f"{COMMON}\nu,caf\xe9,view,2024-01-01\n".encode("cp1252"), None, ["byte 0xe9 in line 2", "iconv -f"]),
    "UTF-16": (CLICKS.encode("utf-16"), MAPPING, ["UTF-16, not UTF-8"]),
    "workbook": (b"PK\x03\x04....", None, ["save the sheet as CSV"]),
    "picture": (b"\x89PNG\r\n\x1a\n\x00\x00\x00", None, ["not a text file"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_plain_words(file, case):
    content, columns, words = REFUSED[case]
    text = message(file(content), columns)
    assert [word for word in words if word not in text] == [], text


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", ["category", "string", "str"])
def test_dates_only_load_in_silence_and_a_guess_is_never_made(tmp_path, dtype):
    log = pd.DataFrame({"user_id": ["u", "v"], "item_id": "i", "behaviour": "view", "timestamp": ["2008-04-01", "2008-04-13"]})
    log.to_csv(tmp_path / "log.csv", index=False)
    log.astype({"timestamp": dtype}).to_parquet(tmp_path / "log.parquet")
    for name in ("log.csv", "log.parquet"):
        assert load(tmp_path / name).events["timestamp"].dt.day.tolist() == [1, 13]
    log.assign(timestamp=["13/04/2008", "01/04/2008"]).astype({"timestamp": dtype}).to_parquet(tmp_path / "odd.parquet")
    assert "no readable time in 2 of 2" in message(tmp_path / "odd.parquet")


def test_a_parquet_file_cut_in_the_middle(tmp_path):
    whole, cut = tmp_path / "whole.parquet", tmp_path / "cut.parquet"
    pd.DataFrame({"user_id": range(1000)}).to_parquet(whole)
    cut.write_bytes(whole.read_bytes()[:-20])
    assert "cut in the middle" in message(cut)


def test_a_file_that_is_not_there_suggests_its_neighbours(file):
    path = file(CLICKS)
    assert "did you mean clicks.csv" in message(path.with_name("click.csv"))
    assert "there is no folder" in message(path.parent / "nowhere" / "clicks.csv")


def test_a_folder_is_no_file(file):
    assert "is a folder" in (text := message(file(CLICKS).parent)) and "clicks.csv" in text


def test_a_refused_file_is_refused_again(file):
    path = file(f"{COMMON},quantity\n{ROW},-1\n")
    assert message(path) == message(path)
