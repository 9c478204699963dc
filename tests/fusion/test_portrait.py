"""The portrait keeps every user and every bit, in a file that is whole or refused."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

from recsys_kit import DataError
from recsys_kit.fusion import Portrait, portrait
from recsys_kit.schema import SchemaError
from recsys_kit.strata.result import build
from recsys_kit.strata.table import as_table

USERS = pd.Index([f"u{n:02d}" for n in range(30)], name="user_id")
RNG = np.random.default_rng(0)
VECTORS = pd.DataFrame(RNG.normal(size=(30, 3)), index=USERS, columns=["f01", "f02", "f03"])
STRATA = build("by hand", as_table(VECTORS), np.repeat([0, 1, -1], [15, 10, 5]))
TOPICS = pd.DataFrame(RNG.dirichlet([1, 1], 30), index=USERS, columns=["topic_0", "topic_1"])
FEATURES = pd.DataFrame({
    "spend": np.where(np.arange(30) % 7, RNG.gamma(1, 100, 30), np.nan), "zero": -0.0, "visits": np.arange(30),
    "small": np.arange(30, dtype=np.float32) / 3, "short": np.arange(30, dtype=np.int8), "new": np.arange(30) % 2 == 0,
    "town": pd.array(["Zürich", "京都", ""] * 10, dtype="str"), 2024: 1.5}, index=USERS)


def whole() -> Portrait:
    return portrait(STRATA, membership=STRATA.membership(VECTORS), vectors=VECTORS, topics=TOPICS, features=FEATURES)


def same(one: Portrait, other: Portrait) -> bool:
    assert_frame_equal(one.table, other.table, check_exact=True)
    return one.groups == other.groups and np.signbit(one.table["zero"]).equals(np.signbit(other.table["zero"]))


def test_there_is_one_row_per_user_and_the_groups_say_what_the_columns_are():
    made = whole()
    assert made.table.index.equals(USERS) and made.table.index.name == "user_id"
    assert made.groups == {"stratum": ["stratum"], "membership": ["membership_0", "membership_1"], "topics": ["topic_0", "topic_1"],
                           "vectors": ["f01", "f02", "f03"], "features": [str(name) for name in FEATURES.columns]}
    assert made.table.columns.tolist() == [column for columns in made.groups.values() for column in columns]
    assert made.table["stratum"].equals(STRATA.labels) and repr(made).startswith("Portrait(30 users: 1 stratum, 2 membership")


def test_parts_may_come_in_another_order_with_more_users_or_not_at_all():
    more = pd.concat([FEATURES, FEATURES[:3].set_axis(["x", "y", "z"])]).sample(frac=1, random_state=0)
    assert_frame_equal(portrait(STRATA, features=more).table, portrait(STRATA, features=FEATURES).table)
    assert portrait(STRATA).table.columns.tolist() == ["stratum"] and list(portrait(STRATA).groups) == ["stratum"]


def test_what_is_saved_is_loaded_to_the_last_bit(tmp_path):
    made = whole()
    path = made.save(tmp_path / "portrait.parquet")
    loaded = Portrait.load(path)
    assert same(made, loaded) and loaded.table.dtypes.equals(made.table.dtypes)
    assert [file.name for file in tmp_path.iterdir()] == ["portrait.parquet"]
    assert same(loaded, Portrait.load(str(loaded.save(path))))  # over itself


def test_the_file_is_plain_parquet_that_says_in_json_what_it_is(tmp_path):
    path = whole().save(tmp_path / "p.parquet")
    about = json.loads(pq.read_schema(path).metadata[b"recsys_kit"])
    assert about["format"] == "recsys_kit portrait" and about["version"] == 1 and about["groups"] == whole().groups
    assert pd.read_parquet(path).equals(whole().table)


def test_users_missing_from_a_part_are_counted_and_named():
    with pytest.raises(SchemaError, match="topics: 4 of 30 users are missing, for instance 'u00', 'u01', 'u02'"):
        portrait(STRATA, topics=TOPICS[4:])


def test_what_cannot_be_kept_is_refused():
    for parts, message in [
        ({"features": FEATURES.assign(odd=pd.Series([{1}] * 30, index=USERS))}, "column 'odd' holds object values"),
        ({"features": FEATURES.assign(day=pd.Timestamp("2024-01-01"))}, "column 'day' holds datetime64"),
        ({"features": FEATURES.assign(kind=pd.Categorical(["a"] * 30))}, "column 'kind' holds category"),
        ({"features": FEATURES.assign(f01=1)}, "column 'f01' is in vectors and in features"),
        ({"features": pd.concat([FEATURES, FEATURES[:1]])}, "1 rows of users that already have one, for instance 'u00'"),
        ({"features": FEATURES.to_numpy()}, "features must be a DataFrame"),
        ({"membership": [1, 2]}, "membership must be a DataFrame"),
    ]:
        with pytest.raises(SchemaError, match=message):
            portrait(STRATA, vectors=VECTORS, **parts)
    with pytest.raises(SchemaError, match="holds object values"):
        Portrait(pd.DataFrame({"x": pd.Series([{}], dtype=object)}), {"features": ["x"]})


def test_a_cut_file_is_refused(tmp_path):
    path = whole().save(tmp_path / "p.parquet")
    stored = path.read_bytes()
    for size in (0, 3, 4, 100, len(stored) // 2, len(stored) - 9, len(stored) - 1):
        path.write_bytes(stored[:size])
        with pytest.raises(DataError, match="cut or damaged"):
            Portrait.load(path)


def test_a_file_with_one_damaged_byte_is_refused_or_still_says_the_same(tmp_path):
    made, path = whole(), tmp_path / "p.parquet"
    made.save(path)
    stored, refused = path.read_bytes(), 0
    for place in range(0, len(stored), 127):
        path.write_bytes(stored[:place] + bytes([stored[place] ^ 0x11]) + stored[place + 1:])
        try:
            assert same(made, Portrait.load(path))
        except DataError:
            refused += 1
    assert refused > 0.4 * len(stored) / 127


def test_a_foreign_parquet_another_version_and_no_file_are_told_apart(tmp_path):
    path = tmp_path / "p.parquet"
    FEATURES[["spend"]].to_parquet(path)
    with pytest.raises(DataError, match="a Parquet file, but no portrait"):
        Portrait.load(path)
    stored = pq.read_table(whole().save(path))
    about = json.loads(stored.schema.metadata[b"recsys_kit"])
    later = {**stored.schema.metadata, b"recsys_kit": json.dumps(about | {"version": 2})}
    pq.write_table(stored.replace_schema_metadata(later), path)
    with pytest.raises(DataError, match="a portrait of version 2; .* reads version 1"):
        Portrait.load(path)
    path.write_text("user_id,stratum\nu00,1\n")
    with pytest.raises(DataError, match="no Parquet file"):
        Portrait.load(path)
    with pytest.raises(DataError, match="there is no such file"):
        Portrait.load(tmp_path / "none.parquet")


def test_a_value_changed_by_another_program_is_noticed(tmp_path):
    path = whole().save(tmp_path / "p.parquet")
    stored = pq.read_table(path)
    place = stored.schema.get_field_index("f01")
    other = stored.set_column(place, stored.field(place), pa.array(stored["f01"].to_numpy() + 1e-9))
    pq.write_table(other, path)
    with pytest.raises(DataError, match="its contents are not what was saved"):
        Portrait.load(path)


def test_a_reader_of_the_old_file_never_sees_half_of_the_new_one(tmp_path):
    path = portrait(STRATA).save(tmp_path / "p.parquet")
    before = path.read_bytes()
    with path.open("rb") as reader:
        whole().save(path)
        assert reader.read() == before


def test_where_saving_fails_nothing_is_left_behind_and_the_old_file_stays(tmp_path):
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(OSError):
        whole().save(tmp_path / "folder.parquet")
    assert [file.name for file in tmp_path.iterdir()] == ["folder.parquet"]
    path = portrait(STRATA).save(tmp_path / "p.parquet")
    broken = Portrait(whole().table.astype({"spend": np.float16}).rename(columns={"visits": "spend"}), whole().groups)
    with pytest.raises((ValueError, OSError, pa.ArrowException)):
        broken.save(path)
    assert Portrait.load(path).table.equals(portrait(STRATA).table) and len(list(tmp_path.iterdir())) == 2


def test_ids_that_are_numbers_come_back_as_numbers(tmp_path):
    strata = build("by hand", as_table(VECTORS.set_axis(range(100, 130))), np.zeros(30))
    made = portrait(strata)
    assert_frame_equal(Portrait.load(made.save(tmp_path / "p.parquet")).table, made.table, check_exact=True)


@pytest.mark.parametrize("dtype", ["object", "category", "string"])
def test_ids_that_are_text_of_another_type_become_plain_text(tmp_path, dtype):
    odd = VECTORS.set_axis(USERS.astype(dtype))
    strata = build("by hand", as_table(odd), np.repeat([0, 1, -1], [15, 10, 5]))
    made = portrait(strata, vectors=odd, topics=TOPICS)
    assert_frame_equal(made.table, portrait(STRATA, vectors=VECTORS, topics=TOPICS).table, check_exact=True)
    assert_frame_equal(portrait(STRATA, vectors=odd).table, portrait(STRATA, vectors=VECTORS).table, check_exact=True)
    assert_frame_equal(Portrait.load(made.save(tmp_path / "p.parquet")).table, made.table, check_exact=True)


def test_pandas_own_whole_numbers_become_plain_ones(tmp_path):
    ids = pd.Index(pd.array(range(30), dtype="Int64"))
    made = portrait(build("by hand", as_table(VECTORS.set_axis(ids)), np.zeros(30)))
    assert_frame_equal(Portrait.load(made.save(tmp_path / "p.parquet")).table, made.table, check_exact=True)


def test_ids_that_are_neither_text_nor_numbers_get_a_remedy_of_their_own():
    for ids in (pd.date_range("2024-01-01", periods=30), pd.Index(["u", *range(29)], dtype=object)):
        strata = build("by hand", as_table(VECTORS.set_axis(ids)), np.zeros(30))
        with pytest.raises(SchemaError, match=r'(?s)the user ids hold .*table.index.astype\("str"\)'):
            portrait(strata)


def test_labels_alone_are_not_strata():
    with pytest.raises(SchemaError, match="(?s)portrait takes strata, not a Series.*strata rather than strata.labels"):
        portrait(STRATA.labels)
