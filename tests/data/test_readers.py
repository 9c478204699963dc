"""Every reader takes its set in the publisher's own form. The rows here are invented; the forms are exact."""

import gzip
import zipfile

import pandas as pd
import pytest

from recsys_kit.data import readers
from recsys_kit.data.readers_rda import read_rda
from recsys_kit.data.sources import DataError, check_zip
from recsys_kit.schema import SchemaError
from tests.data.forms import ESHOP, RETAIL, R, all_forms, as_rda, as_uci_csv, print_of, read, zipped

def test_online_retail_is_the_same_table_in_every_form(tmp_path):
    prints = {name: print_of(tables) for name, tables in all_forms(RETAIL, tmp_path)}
    assert len(prints) == 4 and len(set(prints.values())) == 1, prints


def test_online_retail_real_rows_are_the_same_in_every_form(real_data, tmp_path):
    with gzip.open(real_data / "online-retail" / "online_retail.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = "".join(line for number, line in zip(range(2501), file, strict=False))
    prints = {name: print_of(tables) for name, tables in all_forms(rows, tmp_path)}
    assert len(prints) == 4 and len(set(prints.values())) == 1, prints


@pytest.fixture
def retail(tmp_path):
    (tmp_path / "data.csv").write_text(as_uci_csv(RETAIL))
    return read(tmp_path, "online-retail")


def test_a_cancelled_invoice_is_a_return_with_positive_quantity(retail):
    returned = retail["events"].query("session_id == 'C500002'").iloc[0]
    assert (returned["behaviour"], returned["quantity"]) == ("return", 2.0)


def test_no_row_is_dropped_and_odd_values_stay(retail):
    events = retail["events"]
    assert len(events) == 6
    correction = events.query("session_id == '500003'").iloc[0]
    assert (correction["behaviour"], correction["quantity"], correction["price"]) == ("purchase", -10.0, 0.0)
    assert pd.isna(correction["user_id"])


def test_a_customer_number_is_text_without_a_decimal_point(retail):
    assert retail["events"]["user_id"].dropna().unique().tolist() == ["10001", "10002"]


def test_an_item_has_its_most_frequent_title_and_median_price(retail):
    items = retail["items"].set_index("item_id")
    assert items.loc["20002", "title"] == "RED BOX"
    assert items.loc["20002", "price"] == pytest.approx(0.1)  # median of 0.1, 0.1, 0.0, 0.3
    assert items.loc["10001A", "title"] == "BLUE LAMP, LARGE"
    assert pd.isna(items.loc["30003", "title"])


def test_users_have_their_country(retail):
    assert retail["users"].to_dict("list") == {"user_id": ["10001", "10002"], "country": ["Norway", "EIRE"]}


def test_events_are_sorted_and_equal_times_keep_their_order(tmp_path):
    rows = [f"5{i:05d},{i:05d},BOX,1,2011-01-0{1 + i % 3} 09:00:00,1.0,10001.0,Norway\n" for i in range(300)]
    (tmp_path / "data.csv").write_text(RETAIL.splitlines(keepends=True)[0] + "".join(rows))
    events = read(tmp_path, "online-retail")["events"]
    assert events["timestamp"].is_monotonic_increasing
    assert events["item_id"].tolist() == [f"{i:05d}" for day in range(3) for i in range(day, 300, 3)]


def test_a_csv_in_windows_1252_is_read(tmp_path):
    (tmp_path / "data.csv").write_bytes(RETAIL.replace("RED BOX", "£1 BOX").encode("cp1252"))
    assert "£1 BOX" in read(tmp_path, "online-retail")["items"]["title"].tolist()


def test_retailrocket_events_csv(tmp_path):
    (tmp_path / "events.csv").write_text("timestamp,visitorid,event,itemid,transactionid\n"
                                         "1433221332117,257597,view,355908,\n"
                                         "1433221331999,7,transaction,5,4000\n"
                                         "1433221332500,7,addtocart,9,\n")
    events = read(tmp_path, "retailrocket")["events"]
    assert events["behaviour"].tolist() == ["purchase", "view", "cart"]
    assert events["timestamp"].astype(str).tolist() == ["2015-06-02 05:02:11", "2015-06-02 05:02:12", "2015-06-02 05:02:12"]
    assert events["user_id"].tolist() == ["7", "257597", "7"]
    assert events["transaction_id"].tolist()[0] == "4000" and events["transaction_id"].isna().tolist() == [False, True, True]


def test_an_unknown_event_name_is_refused(tmp_path):
    (tmp_path / "events.csv").write_text("timestamp,visitorid,event,itemid,transactionid\n1433221332117,1,hover,2,\n")
    with pytest.raises(SchemaError, match="unknown behaviour in 1 of 1 rows"):
        read(tmp_path, "retailrocket")


def test_retailrocket_bench_keeps_the_held_out_purchases_with_the_users(tmp_path):
    events = b"user,item,behaviour,timestamp\n1,6,view,1430623510\n0,6,buy,1430623500\n"
    (tmp_path / "events.csv.gz").write_bytes(gzip.compress(events))
    (tmp_path / "test_buy.csv.gz").write_bytes(gzip.compress(b"user,item,value\n0,4,1.0\n1,7,1.0\n"))
    tables = read(tmp_path, "retailrocket-bench")
    assert tables["events"]["behaviour"].tolist() == ["purchase", "view"]
    assert tables["users"].to_dict("list") == {"user_id": ["0", "1"], "held_out_purchase": ["4", "7"]}


@pytest.mark.parametrize("packed_twice", [False, True])
def test_eshop_clothing_from_the_publishers_zip(tmp_path, packed_twice):
    content = zipped(**{"e-shop clothing 2008.csv": ESHOP, "e-shop clothing 2008 data description.txt": "words"})
    content = zipped(**{"e-shop data and description.zip": content}) if packed_twice else content
    (tmp_path / "clickstream+data+for+online+shopping.zip").write_bytes(content)
    tables = read(tmp_path, "eshop-clothing")
    events, items = tables["events"], tables["items"].set_index("item_id")
    assert events[["user_id", "session_id", "seq"]].values.tolist() == [["1", "1", 1], ["1", "1", 2], ["2", "2", 1], ["2", "2", 2]]
    assert set(events["behaviour"]) == {"click"} and events["timestamp"].dt.hour.eq(0).all()
    assert items["category"].to_dict() == {"A1": "trousers", "B4": "skirts", "P7": "sale"}
    assert items.loc["P7", ["colour", "location", "photography", "price"]].tolist() == ["white", "bottom right", "profile", 38.0]
    assert items["above_mean_price"].to_dict() == {"A1": False, "B4": True, "P7": False}
    assert tables["users"]["country"].tolist() == ["Poland", "Czech Republic"]


JOURNEY = {
    "transactions_sample": "household_id,store_id,basket_id,product_id,quantity,sales_value,week,transaction_timestamp\n"
                           "2,3,31,700,2.0,3.0,5,2017-01-28 19:06:53\n1,3,30,701,0.0,0.0,1,2017-01-01 09:00:00\n",
    "products": "product_id,manufacturer_id,department,brand,product_category,product_type,package_size\n"
                "700,2,GROCERY,National,ICE CREAM/MILK,CONES,22 LB\n701,2,MISCELLANEOUS,National,,,\n"
                "702,9,DELI,Private,HAM,,1 LB\n",
    "demographics": "household_id,age,income\n1,65+,35-49K\n"}


@pytest.fixture(params=["csv", "rda"])
def journey(request, tmp_path):
    for name, text in JOURNEY.items():
        content = text.encode() if request.param == "csv" else as_rda(name, text)
        (tmp_path / f"{name}.{request.param}").write_bytes(content)
    return read(tmp_path, "complete-journey-sample")


def test_complete_journey_has_category_paths_and_paid_prices(journey):
    events, items = journey["events"], journey["items"].set_index("item_id")
    assert items["category"].to_dict() == {"700": "GROCERY/ICE CREAM-MILK/CONES", "701": "MISCELLANEOUS", "702": "DELI/HAM"}
    assert events["user_id"].tolist() == ["1", "2"]
    assert events["timestamp"].astype(str).tolist() == ["2017-01-01 09:00:00", "2017-01-28 19:06:53"]
    assert pd.isna(events["price"][0]) and events["price"][1] == 1.5
    assert items.loc["700", "price"] == 1.5 and items["price"].isna().sum() == 2
    assert journey["users"].to_dict("list") == {"user_id": ["1"], "age": ["65+"], "income": ["35-49K"]}


def test_complete_journey_is_the_same_table_in_both_forms(tmp_path):
    prints = set()
    for form in ("csv", "rda"):
        (tmp_path / form).mkdir()
        for name, text in JOURNEY.items():
            (tmp_path / form / f"{name}.{form}").write_bytes(text.encode() if form == "csv" else as_rda(name, text))
        prints.add(print_of(read(tmp_path / form, "complete-journey-sample")))
    assert len(prints) == 1


def rda_of(*vectors, names=("x",)):
    return gzip.compress(b"RDX3\nX\n" + R.ints(3, 0, 0, 5) + b"UTF-8" + R.frame("t", dict(zip(names, vectors, strict=True))))


def test_an_r_file_with_short_forms_of_vectors():
    numbers = R.short("compact_intseq", R.reals(3, 5, 2))
    texts = R.short("deferred_string", R.dotted(R.reals(1, 900000, 40128000000, 0.5, float("nan")), R.whole(0)))
    wrapped = R.short("wrap_string", R.dotted(R.texts("a", None), R.whole(0, 0)))
    assert read_rda(rda_of(numbers))["x"].tolist() == [5.0, 7.0, 9.0]
    assert read_rda(rda_of(texts))["x"].fillna("-").tolist() == ["1", "9e+05", "4.0128e+10", "0.5", "-"]
    assert read_rda(rda_of(wrapped))["x"].fillna("-").tolist() == ["a", "-"]


def test_an_r_file_with_whole_numbers_and_factors():
    table = read_rda(rda_of(R.whole(7, -(2**31)), R.factor(["low", "high"], [2, -(2**31)]), names=("n", "f")))
    assert table["n"].fillna(-1).tolist() == [7.0, -1.0] and table["f"].fillna("-").tolist() == ["high", "-"]


def test_an_r_file_cut_anywhere_is_refused():
    whole = gzip.decompress(rda_of(R.texts("a", "bcd"), R.reals(1, 2), names=("t", "n")))
    assert read_rda(whole).shape == (2, 2)
    for length in range(len(whole)):
        with pytest.raises(DataError):
            read_rda(whole[:length])


@pytest.mark.parametrize("data, why", [
    (rda_of(R.texts("a"))[:-20], "cut or damaged"), (b"RDX3\nX\n" + R.ints(3, 0), "cut or damaged"), (b"PAR1", "no R data file"),
    (b"RDX2\nX\n" + R.ints(2, 0, 0, 3), "type 3"), (b"RDX2\nX\n" + R.ints(2, 0, 0, 254), "no data frame")])
def test_a_broken_r_file_is_refused(data, why):
    with pytest.raises(DataError, match=why):
        read_rda(data)


def test_movielens_from_the_official_zip(tmp_path):
    def film(number, title, *genres):
        return f"{number}|{title}|01-Jan-1995||http://x|" + "|".join("1" if g in genres else "0" for g in range(19)) + "\n"

    (tmp_path / "ml-100k.zip").write_bytes(zipped(**{
        "ml-100k/u.data": "196\t2\t3\t881250949\n7\t1\t5\t881250000\n",
        "ml-100k/u.item": (film(1, 'Café "Noir" (1995)', 5, 14) + film(2, "Known (1994)", 8)).encode("latin-1"),
        "ml-100k/u.user": "7|24|M|technician|01002\n196|53|F|other|94043\n"}))
    tables = read(tmp_path, "movielens-100k")
    assert tables["events"]["rating"].tolist() == [5.0, 3.0] and set(tables["events"]["behaviour"]) == {"rate"}
    assert tables["items"]["title"].tolist() == ['Café "Noir" (1995)', "Known (1994)"]
    assert tables["items"][["category", "genres"]].values.tolist() == [["Comedy", "Comedy|Romance"], ["Drama", "Drama"]]
    assert tables["users"]["zip_code"].tolist() == ["01002", "94043"] and tables["users"]["age"].tolist() == [24, 53]


def test_most_frequent_value_and_ties():
    table = pd.DataFrame({"k": list("aaabb"), "v": ["x", "y", "y", "z", "c"]})
    assert readers.most_frequent(table, "k", "v").to_dict() == {"a": "y", "b": "c"}


def test_a_row_with_too_few_fields_is_refused(tmp_path):
    (tmp_path / "data.csv").write_text(RETAIL + "500009,200")
    with pytest.raises(DataError, match="cut in the middle"):
        read(tmp_path, "online-retail")


def climbing(tmp_path, name, mode=0o644):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    with zipfile.ZipFile(path := tmp_path / "x.zip", "w") as archive:
        archive.writestr(info, "../../target")
    return path


@pytest.mark.parametrize("name", ["../u.data", "/u.data", "a/../../u.data", "..\\u.data", "C:/u.data"])
def test_a_zip_that_climbs_out_of_its_folder_is_refused(tmp_path, name):
    with pytest.raises(DataError, match="points outside"):
        check_zip(climbing(tmp_path, name))


def test_a_zip_with_a_link_is_refused(tmp_path):
    with pytest.raises(DataError, match="is a link"):
        check_zip(climbing(tmp_path, "u.data", 0o120777))


def test_a_zip_bomb_is_refused(tmp_path):
    (path := tmp_path / "bomb.zip").write_bytes(zipped(**{"events.csv": b"0" * 20_000_000}))
    with pytest.raises(DataError, match="would unpack to 20,000,000"):
        check_zip(path)


def test_a_bomb_inside_a_zip_is_refused(tmp_path):
    (path := tmp_path / "bomb.zip").write_bytes(zipped(**{"inner.zip": zipped(**{"events.csv": b"0" * 20_000_000})}))
    with pytest.raises(DataError, match="would unpack"):
        check_zip(path)


def test_an_honest_zip_is_not_refused(tmp_path):
    (path := tmp_path / "good.zip").write_bytes(zipped(**{"ml-100k/u.data": "1\t2\t3\t881250949\n" * 5000}))
    check_zip(path)
