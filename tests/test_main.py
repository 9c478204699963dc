"""The command line: mistakes get one line and status 2; every command does what its help says."""

import shutil
import subprocess
import sys

import nbformat
import pytest

from recsys_kit.runs import runner
from recsys_kit.runs import chapters
from recsys_kit.runs import manifest as manifests
from recsys_kit.__main__ import main

CHAPTER = ('dataset = "market"\ncolumns = {}\nseed = 0\nmax_users = 0\nshare = 0.5',
           'from recsys_kit.notebook import record, setup\n'
           'setup("02", dataset=dataset, columns=columns, seed=seed, max_users=max_users, own={"share": (share, 0.5)})',
           'record("twice", 2 * share)')


@pytest.fixture(scope="module", autouse=True)
def same_code():
    """The kit's code counts as the same throughout: a file saved while the tests run is not their business."""
    code = manifests.code()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifests, "code", lambda: code)
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with one chapter, `02_halves`, and its run `one`."""
    place = tmp_path_factory.mktemp("cli")
    (place / "notebooks").mkdir()
    write(place / "notebooks" / "02_halves.ipynb", CHAPTER)
    with open(place / "said", "w") as said:
        runner.run(given={"share": "0.25"}, run_id="one", out=place / "runs", notebooks=place / "notebooks", stream=said)
    return place


def write(path, sources):
    cells = [nbformat.v4.new_code_cell(source, id=f"c{number}") for number, source in enumerate(sources)]
    cells[0].metadata["tags"] = ["parameters"]
    title = nbformat.v4.new_markdown_cell("# " + path.stem.split("_")[-1].capitalize())
    nbformat.write(nbformat.v4.new_notebook(cells=[title, *cells]), path)


CASE = ('dataset = "market-case-1"\ncolumns = {}\nseed = 0\nmax_users = 50',
        'from recsys_kit.notebook import check, record, setup\n'
        'setup("case-1", dataset=dataset, columns=columns, seed=seed, max_users=max_users,\n'
        '      own=dict(dataset=(dataset, "market-case-1"), max_users=(max_users, 50)))',
        'record("users", max_users or 1000)\nrecord("seconds", 1234.56, unit="seconds")\nrecord("peak_mb", 64.0, unit="MB")\n'
        'check("there is a user", True)\ncheck("the seed is small", seed < 5)\ncheck("it is planted", True if max_users else None)')


@pytest.fixture(scope="module")
def with_cases(tmp_path_factory):
    """A folder with a chapter and a case; the case's default is a reduced size, and its second claim fails for seed 5."""
    place = tmp_path_factory.mktemp("cases")
    (place / "notebooks" / "cases").mkdir(parents=True)
    write(place / "notebooks" / "02_halves.ipynb", CHAPTER)
    write(place / "notebooks" / "cases" / "case_1_large.ipynb", CASE)
    return place


def speaker(folder, monkeypatch, capsys):
    """A function that runs a command line in that folder and returns (status, output, errors)."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(chapters, "FOLDER", folder / "notebooks")

    def say(*words):
        try:
            status = main(list(words))
        except SystemExit as leaving:
            status = leaving.code
        return status, *capsys.readouterr()
    return say


@pytest.fixture
def say(place, monkeypatch, capsys):
    return speaker(place, monkeypatch, capsys)


@pytest.fixture
def say_with_cases(with_cases, monkeypatch, capsys):
    return speaker(with_cases, monkeypatch, capsys)


@pytest.mark.parametrize("words, message", [
    (["run", "7"], "there is no chapter '7'; there are: 02_halves"),
    (["run", "2", "-p", "sharing=1"], "chapter 02 has no parameter 'sharing'; did you mean 'share'?"),
    (["run", "2", "-p", "share=much"], "parameter 'share' takes a number (its default is 0.5), not 'much'"),
    (["run", "2", "-p", "share"], "'-p share' is not of the form -p name=value"),
    (["paper", "gfcf"], "no cards (papers/name.ipynb) beside the chapters"),
    (["papers"], "no cards (papers/name.ipynb) beside the chapters"),
    (["run", "2", "-p", "dataset=online-retial"], "there is no data set 'online-retial'; did you mean 'online-retail'?"),
    (["course", "--dataset", "clicks.csv"], "there is no file 'clicks.csv'"),
    (["course", "--columns", "user_id=uid"], "parameter 'columns' takes a JSON object"),
    (["course", "--seed", "one"], "parameter 'seed' takes a whole number (its default is 0), not 'one'"),
    (["course", "--run", "one", "--seed", "3"], "run one was started with seed=its default, not 3"),
    (["report", "none"], "'runs/none' is not a run: it has no manifest.json"),
    (["compare", "one", "none"], "'runs/none' is not a run"),
    (["reproduce", "none"], "'runs/none' is not a run"),
    (["grade", "none.ipynb"], "none.ipynb"),
])
def test_a_mistake_gets_one_clear_line_and_status_2(say, words, message):
    status, output, errors = say(*words)
    assert status == 2 and output == ""
    assert message in errors and errors.count("\n") == 1


def test_a_real_set_that_is_not_here_is_said_before_anything_starts(say, monkeypatch, tmp_path):
    monkeypatch.delenv("RECSYS_KIT_DATA", raising=False)
    monkeypatch.setenv("RECSYS_KIT_CACHE", str(tmp_path))
    status, output, errors = say("course", "--dataset", "online-retail")
    assert status == 2 and output == "" and "python -m recsys_kit fetch online-retail" in errors and "RECSYS_KIT_DATA" in errors


@pytest.mark.parametrize("words", [[], ["dance"], ["course", "--jobs", "0"], ["run"]])
def test_a_line_that_is_no_command_gets_its_usage_and_status_2(say, words):
    status, _, errors = say(*words)
    assert status == 2 and errors.startswith("usage: python -m recsys_kit")


def test_chapters_are_listed_with_their_parameters(say):
    assert say("chapters")[:2] == (0, "02  Halves\n      dataset='market', columns={}, seed=0, max_users=0, share=0.5\n")


def test_cases_are_listed_apart_from_the_chapters(say_with_cases):
    status, output, _ = say_with_cases("chapters")
    lines = output.splitlines()
    assert status == 0 and lines[2] == "" and lines[3].startswith("Cases: ")
    assert lines[4:] == ["case-1  Large", "      dataset='market-case-1', columns={}, seed=0, max_users=50"]


def test_cases_run_at_full_size_and_end_with_every_claim_and_what_it_took(say_with_cases, with_cases):
    status, output, _ = say_with_cases("cases", "--run", "full")
    assert status == 0
    assert output.endswith("""Results: runs/full/index.html

Case 1: Large (seconds 1,234.6 s, peak_mb 64.0 MB)
  ✓ holds              there is a user
  ✓ holds              the seed is small
  ? needs known truth  it is planted
""")
    assert "case-1,market-case-1,0,users,1000," in (with_cases / "runs" / "full" / "ledger.csv").read_text()


def test_a_claim_of_a_case_that_does_not_hold_is_shown_and_has_status_1(say_with_cases, with_cases):
    status, output, _ = say_with_cases("cases", "--run", "wrong", "--seed", "5", "--max-users", "80")
    assert status == 1 and "✗ does not hold      the seed is small" in output
    assert "case-1,market-case-1,5,users,80," in (with_cases / "runs" / "wrong" / "ledger.csv").read_text()
    status, output, _ = say_with_cases("cases", "--run", "wrong")  # taken up again: with the size it was begun with
    assert status == 1 and "0 cases (1 done before), seed=5, max_users=80" in output and "✗ does not hold" in output


def test_a_case_runs_by_name_with_other_parameters_and_its_run_is_reproduced(say_with_cases, with_cases):
    status, _, _ = say_with_cases("run", "case-1", "-p", "max_users=70", "--run", "single")
    assert status == 0
    status, output, _ = say_with_cases("reproduce", "single")
    assert status == 0 and output.endswith("\nsingle and single-again:\nno difference\n")
    assert manifests.read(with_cases / "runs" / "single-again")["chapters"][0]["parameters"]["max_users"] == 70


def test_a_course_runs_no_case_but_takes_up_a_run_of_cases(say_with_cases, with_cases):
    assert say_with_cases("course", "--run", "course")[0] == 0
    assert [entry["chapter"] for entry in manifests.read(with_cases / "runs" / "course")["chapters"]] == ["02"]
    assert say_with_cases("cases", "--run", "begun", "--max-users", "60")[0] == 0
    (with_cases / "runs" / "begun" / "case_1_large.ipynb").unlink()
    status, output, _ = say_with_cases("course", "--run", "begun")
    assert status == 0 and "Run begun: 1 case, max_users=60" in output
    assert "users,60," in (with_cases / "runs" / "begun" / "ledger.csv").read_text()


def test_without_cases_the_command_says_where_it_looked(say):
    status, output, errors = say("cases")
    assert status == 2 and output == "" and "no cases (cases/case_N_name.ipynb)" in errors


def test_a_case_that_fails_says_how_to_go_on(say_with_cases, with_cases):
    kept = (with_cases / "notebooks" / "cases" / "case_1_large.ipynb").read_bytes()
    write(with_cases / "notebooks" / "cases" / "case_1_large.ipynb", (*CASE[:2], "1 / 0"))
    status, output, _ = say_with_cases("cases", "--run", "failing")
    (with_cases / "notebooks" / "cases" / "case_1_large.ipynb").write_bytes(kept)
    assert status == 1 and "Case 1 failed in cell" in output
    assert "1 of 1 case failed. Once mended, go on with: make cases RUN=failing" in output
    assert output.endswith("Case 1: Large (failed)\n")


def test_data_sets_are_listed_with_size_licence_and_place(say):
    lines = say("datasets")[1].splitlines()
    assert lines[0].split() == ["name", "size", "licence", "where"]
    assert any(line.startswith("online-retail ") and "CC BY 4.0" in line for line in lines)
    splits = lines[lines.index("Splits as papers published them:") + 1:]
    assert splits[0].split() == ["name", "size", "licence", "where"] and splits[-1].startswith("gowalla-lightgcn ")


def test_report_writes_the_page_again(say, place):
    (place / "runs" / "one" / "index.html").unlink()
    assert say("report", "runs/one")[:2] == (0, "runs/one/index.html\n")
    assert "Halves" in (place / "runs" / "one" / "index.html").read_text()


def test_compare_shows_differences_and_has_their_status(say, place):
    assert say("compare", "one", "runs/one")[:2] == (0, "no difference\n")
    shutil.copytree(place / "runs" / "one", place / "runs" / "two", dirs_exist_ok=True)
    ledger = place / "runs" / "two" / "ledger.csv"
    ledger.write_text(ledger.read_text().replace("twice,0.5", "twice,0.75"))
    status, output, _ = say("compare", "one", "two")
    assert status == 1 and "twice" in output and "0.75" in output


def test_a_course_on_a_file_of_ones_own_reaches_the_chapter_as_typed_parameters(say, place):
    (place / "my.csv").write_text("uid\n1\n")
    status, output, _ = say("course", "--dataset", "my.csv", "--columns", '{"user_id": "uid"}', "--max-users", "5", "--run", "own")
    assert status == 0 and "Results: runs/own/index.html" in output
    entry = manifests.read(place / "runs" / "own")["chapters"][0]
    assert entry["parameters"] == {"dataset": "my.csv", "columns": {"user_id": "uid"}, "seed": 0, "max_users": 5, "share": 0.5}
    assert "02,my.csv,0,twice,1.0," in (place / "runs" / "own" / "ledger.csv").read_text()


def test_reproduce_takes_the_parameters_from_the_manifest(say, place):
    status, output, _ = say("reproduce", "runs/one")
    assert status == 0 and output.endswith("\none and one-again:\nno difference\n")
    assert manifests.read(place / "runs" / "one-again")["chapters"][0]["parameters"]["share"] == 0.25


def test_help_is_quick_because_nothing_heavy_is_imported():
    program = "import sys, runpy; sys.argv = ['x', '--version']\ntry: runpy.run_module('recsys_kit', run_name='__main__')\n" \
              "except SystemExit: print(sorted({'pandas', 'numpy', 'papermill', 'torch', 'psutil'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
