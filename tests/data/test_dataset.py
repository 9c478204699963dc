"""Equal tables have equal fingerprints; any other value, type, name or order has another."""

import subprocess
import sys

import pandas as pd
import pytest

from recsys_kit.data.dataset import Dataset, fingerprint

TIMES = pd.to_datetime(["2024-01-01", "2024-01-02"]).astype("datetime64[s]")
TABLE = pd.DataFrame({"user_id": ["a", "b"], "n": [1.0, 2.0], "timestamp": TIMES})


@pytest.mark.parametrize("other", [
    TABLE.assign(n=[1.0, 2.5]), TABLE.assign(n=[1, 2]), TABLE.iloc[::-1], TABLE.rename(columns={"n": "m"}), TABLE.head(1),
    TABLE.assign(user_id=["a", None]), TABLE.assign(user_id=["ab", ""]), TABLE[["n", "user_id", "timestamp"]]])
def test_a_change_shows(other):
    assert fingerprint(other) != fingerprint(TABLE)


def test_the_index_and_a_copy_do_not_matter():
    assert fingerprint(TABLE.set_axis([5, 9])) == fingerprint(TABLE.copy(deep=True)) == fingerprint(TABLE)


def test_a_column_with_a_zone_has_one_fingerprint_in_every_process():
    code = ("import pandas as pd; from recsys_kit.data.dataset import fingerprint; "
            "print(fingerprint(pd.DataFrame({'seen': pd.to_datetime(['2024-01-01T10:00+02:00'], utc=True), 'o': [{'a': 1}]})))")
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout for _ in range(2)]
    assert runs[0] == runs[1]


def test_a_category_counts_as_its_text():
    assert fingerprint(TABLE.assign(user_id=TABLE["user_id"].astype("category"))) == fingerprint(TABLE)


def test_a_table_more_shows():
    sets = Dataset("x", TABLE), Dataset("x", TABLE, items=TABLE), Dataset("x", TABLE, users=TABLE)
    assert len({data.fingerprint for data in sets}) == 3
