"""The manifest's parts: written whole or not at all, and true about the code and the versions."""

import importlib.metadata

import pytest

from recsys_kit.runs import manifest as manifests
from recsys_kit.runs.chapters import find_cases


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    manifests.write_text(tmp_path / "a.txt", "old")
    with pytest.raises(UnicodeEncodeError):
        manifests.write_text(tmp_path / "a.txt", "new \ud800")
    assert (tmp_path / "a.txt").read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_every_pinned_package_is_listed_with_the_version_that_is_installed():
    versions = manifests.versions()
    assert versions["numpy"] == importlib.metadata.version("numpy") and {"torch", "papermill", "nbval"} <= set(versions)


def test_the_codes_fingerprint_changes_with_any_source_file(tmp_path, monkeypatch):
    monkeypatch.setattr(manifests, "PACKAGE", tmp_path)
    seen = [manifests.code()]
    for name, text in (("a.py", "1"), ("a.py", "2"), ("b.py", "2")):
        (tmp_path / name).write_text(text)
        seen.append(manifests.code())
    (tmp_path / "notes.txt").write_text("x")
    assert len(set(seen)) == 4 and manifests.code() == seen[-1]


def test_a_manifest_names_neither_host_nor_folder():
    import platform
    text = str(manifests.new("a", "now", {}))
    assert platform.node() not in text and "/" not in text


def test_outside_a_checkout_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(manifests, "PACKAGE", tmp_path / "recsys_kit")
    assert manifests.commit() is None


def test_each_case_has_a_budget_of_its_own():
    cases = [chapter.number for chapter in find_cases()]
    assert cases and set(cases) == set(manifests.CASE_BUDGETS)
    assert manifests.budget("case-1") == 10 and manifests.budget("case-2") == 90 and manifests.budget("02") == 12


def test_a_chapter_that_recorded_nothing_leaves_an_empty_ledger(tmp_path):
    manifests.merge(tmp_path, {"chapters": [{"notebook": "01_a.ipynb", "status": "done"}]})
    assert (tmp_path / "ledger.csv").read_text() == "chapter,dataset,seed,name,value,unit\n"


def test_rows_of_a_chapter_that_was_cut_off_are_left_out(tmp_path):
    (tmp_path / "parts").mkdir()
    manifests.part(tmp_path, "01_a.ipynb", "ledger").write_text("chapter,dataset,seed,name,value,unit\n01,m,0,a,1,\n")
    manifests.merge(tmp_path, {"chapters": [{"notebook": "01_a.ipynb", "status": "waiting"}]})
    assert manifests.rows(tmp_path / "ledger.csv") == []
    manifests.merge(tmp_path, {"chapters": [{"notebook": "01_a.ipynb", "status": "failed"}]})
    assert [row["value"] for row in manifests.rows(tmp_path / "ledger.csv")] == ["1"]
