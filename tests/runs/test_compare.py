"""Two run folders side by side: what counts as a difference, and what does not."""

import copy
import math

import pytest

from recsys_kit.runs import manifest as manifests
from recsys_kit.runs.chapters import UsageError
from recsys_kit.runs.compare import compare, same_results, told

LEDGER = "chapter,dataset,seed,name,value,unit\n01,market,0,gini,0.5,\n01,market,0,fingerprint,abc,\n01,market,0,took,1.5,seconds\n"
CLAIMS = "chapter,dataset,seed,claim,verdict\n01,market,0,the tail is long,holds\n"
ENTRY = {"chapter": "01", "notebook": "01_a.ipynb", "title": "A", "status": "done", "parameters": {"seed": 0},
         "inputs": {"cells": "c", "code": "k"}, "seconds": 1.0}


@pytest.fixture
def two(tmp_path):
    """A function that writes two runs, the second changed in its ledger, claims or manifest, and compares them."""
    def make(ledger=LEDGER, claims=CLAIMS, change=lambda manifest: None):
        manifest = manifests.new("a", "2026-01-01T00:00:00+00:00", {})
        manifest["chapters"] = [copy.deepcopy(ENTRY)]
        for name, rows, verdicts in (("a", LEDGER, CLAIMS), ("b", ledger, claims)):
            (tmp_path / name).mkdir()
            (tmp_path / name / "ledger.csv").write_text(rows)
            (tmp_path / name / "claims.csv").write_text(verdicts)
            if name == "b":
                manifest["run"] = "b"
                change(manifest)
            manifests.write(tmp_path / name, manifest)
        return compare(tmp_path / "a", tmp_path / "b")
    return make


def test_equal_runs_have_no_difference(two):
    differences = two()
    assert differences.empty and same_results(differences) and told(differences) == "no difference"


def test_a_changed_number_is_shown_with_its_relative_difference(two):
    differences = two(LEDGER.replace("0.5", "0.4"))
    assert differences.values.tolist() == [["number", "01", "gini", "0.5", "0.4", pytest.approx(0.2)]]
    assert not same_results(differences)
    assert "gini" in told(differences) and "0.2" in told(differences) and told(differences).endswith("1 difference")


def test_the_last_digit_counts(two):
    assert len(two(LEDGER.replace("0.5", "0.5000000000000001"))) == 1


@pytest.mark.parametrize("unit", ["seconds", "MB", "log seconds per log user"])
def test_times_and_memory_are_never_a_difference(two, unit):
    assert two(LEDGER.replace("1.5,seconds", f"9.5,{unit}")).empty


def test_a_number_that_one_run_does_not_have_is_a_difference(two):
    differences = two(LEDGER + "01,market,0,new,1,\n")
    assert differences[["name", "first", "second"]].values.tolist() == [["new", "", "1"]]
    assert math.isnan(differences["relative"][0])


def test_a_number_recorded_twice_is_compared_row_by_row(two):
    assert len(two(LEDGER + "01,market,0,gini,0.7,\n")) == 1


def test_another_verdict_or_another_fingerprint_is_another_result(two):
    differences = two(LEDGER.replace("abc", "xyz"), CLAIMS.replace("holds", "does not hold"))
    assert sorted(differences["what"]) == ["claim", "fingerprint"] and not same_results(differences)


def test_a_failed_chapter_is_another_result(two):
    differences = two(change=lambda m: m["chapters"][0].update(status="failed", error={"name": "KeyError"}))
    assert differences[["what", "first", "second"]].values.tolist() == [["status", "done", "failed: KeyError"]]
    assert not same_results(differences)


def test_other_versions_code_and_parameters_are_shown_but_are_no_other_result(two):
    def change(manifest):
        manifest["packages"]["numpy"] = "9.9"
        manifest["kit"]["code"] = "other"
        manifest["chapters"][0]["parameters"]["seed"] = 1
    differences = two(change=change)
    assert set(differences["name"]) == {"numpy", "kit's code", "seed"} and same_results(differences)


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(UsageError, match="'.*nothing' is not a run"):
        compare(tmp_path / "nothing", tmp_path / "nothing")


def test_a_manifest_that_is_cut_is_named(tmp_path):
    (tmp_path / "manifest.json").write_text('{"run": ')
    with pytest.raises(UsageError, match="cannot be read"):
        compare(tmp_path, tmp_path)
