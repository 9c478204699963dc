"""Parsed tables are kept once, noticed when stale, and never in the way."""

import os
import subprocess
import sys
import time
import warnings

import pandas as pd
import pytest

from recsys_kit import load
from recsys_kit.data.cache import cache_folder, cached

HEADER = "user_id,item_id,behaviour,timestamp,quantity\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_KIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "parsed"


@pytest.fixture
def source(tmp_path):
    (path := tmp_path / "clicks.csv").write_text(HEADER + "u1,i1,view,2024-01-01,1\nu2,i1,buy,2024-01-02,2\n")
    return path


class Parser:
    """Parses for real, and counts how often."""

    def __init__(self, path):
        self.path, self.calls = path, 0

    def __call__(self):
        self.calls += 1
        times = pd.to_datetime(pd.Series(["2024-01-01", "2024-01-02"])).astype("datetime64[s]")
        table = pd.read_csv(self.path, dtype=str)
        return {"events": table.assign(time=times, word=table["behaviour"].astype("category"), number=[1.5, None])}


def entries(folder):
    return sorted(p.name for p in folder.iterdir())


def test_the_second_time_nothing_is_parsed_and_the_tables_are_equal(source):
    parse = Parser(source)
    first, second = (cached("clicks", (source,), {}, parse) for _ in range(2))
    assert parse.calls == 1
    pd.testing.assert_frame_equal(first["events"], second["events"])
    assert second["events"]["time"].dtype == "datetime64[s]"


def test_a_loaded_set_has_one_fingerprint_parsed_or_cached(source):
    assert load(source).fingerprint == load(source).fingerprint


def test_a_changed_source_is_noticed_and_its_old_entry_removed(source, folder):
    assert load(source).events["quantity"].sum() == 3
    source.write_text(HEADER + "u1,i1,view,2024-01-01,5\n")
    assert load(source).events["quantity"].sum() == 5
    assert len(entries(folder)) == 1


def test_a_change_of_equal_size_and_time_is_noticed(source):
    before = source.stat()
    load(source)
    time.sleep(0.02)
    source.write_text(source.read_text().replace("02,2", "02,7"))
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert source.stat().st_size == before.st_size
    assert load(source).events["quantity"].sum() == 8


def test_another_mapping_is_another_entry(source):
    assert set(load(source).events["behaviour"]) == {"view", "purchase"}
    assert set(load(source, columns={"behaviour": "=cart"}).events["behaviour"]) == {"cart"}
    assert set(load(source).events["behaviour"]) == {"view", "purchase"}


def test_two_files_of_one_name_do_not_mix(source, tmp_path, folder):
    (tmp_path / "other").mkdir()
    (other := tmp_path / "other" / source.name).write_text(HEADER + "u9,i9,view,2024-01-01,9\n")
    assert load(source).events["user_id"].tolist() == ["u1", "u2"]
    assert load(other).events["user_id"].tolist() == ["u9"]
    assert len(entries(folder)) == 2


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone", "no list of parts"])
def test_a_broken_entry_is_parsed_again(source, folder, damage):
    good = load(source).fingerprint
    parquet = next(folder.glob("*/events.parquet"))
    data = parquet.read_bytes()
    if damage == "cut":
        parquet.write_bytes(data[: len(data) // 2])
    elif damage == "flipped":
        parquet.write_bytes(data[:60] + bytes([data[60] ^ 255]) + data[61:])
    elif damage == "gone":
        parquet.unlink()
    else:
        (parquet.parent / "parts.json").write_text("{")
    assert load(source).fingerprint == good
    assert next(folder.glob("*/events.parquet")).read_bytes() == data


def test_a_cache_that_cannot_be_written_costs_one_warning(source, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("RECSYS_KIT_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="could not be kept.*RECSYS_KIT_CACHE") as notes:
        assert len(load(source).events) == 2
    assert len(notes) == 1


FULL = """
import resource, sys, warnings
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
warnings.simplefilter("error") if len(sys.argv) > 2 else None
from recsys_kit import load
print(len(load(sys.argv[1]).events))
"""


def test_a_full_disk_costs_one_warning_and_leaves_nothing_half_written(tmp_path, folder):
    rows = "".join(f"u{i},i{i * 7919 % 5000},view,2024-01-01 00:{i % 60:02d}:00,1\n" for i in range(3000))
    (path := tmp_path / "many.csv").write_text(HEADER + rows)
    run = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True)
    assert run.stdout == "3000\n", run.stderr
    assert run.stderr.count("could not be kept") == 1 and "File too large" in run.stderr
    assert entries(folder) == []


def test_processes_at_once_load_the_same(source, folder):
    code = "import sys; from recsys_kit import load; print(load(sys.argv[1]).fingerprint)"
    runs = [subprocess.Popen([sys.executable, "-c", code, str(source)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(3)]
    results = [run.communicate() for run in runs]
    assert {out for out, _ in results} == {load(source).fingerprint + "\n"}, results
    assert len(entries(folder)) == 1


def test_what_a_killed_process_left_is_swept_after_a_day(source, folder):
    for name, age in (("old", 2 * 86_400), ("young", 60)):
        (left := folder / f".new-{name}").mkdir(parents=True)
        os.utime(left, (time.time() - age,) * 2)
    load(source)
    assert [n for n in entries(folder) if n.startswith(".new")] == [".new-young"]


def test_a_table_that_parquet_cannot_hold_is_loaded_all_the_same(source):
    odd = pd.DataFrame({"x": [1, "one", None, b"1"]}, dtype=object)
    with pytest.warns(UserWarning, match="could not be kept"):
        assert cached("odd", (source,), {}, lambda: {"events": odd})["events"] is odd


def test_the_cache_folder_is_the_platforms_own_unless_named(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("RECSYS_KIT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    if sys.platform == "linux":
        assert cache_folder() == tmp_path / "xdg" / "recsys_kit"


def test_loading_quietly_warns_of_nothing(source):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(source)
