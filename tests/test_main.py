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


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with one chapter, `02_halves`, and its run `one`."""
    place = tmp_path_factory.mktemp("cli")
    (place / "notebooks").mkdir()
    cells = [nbformat.v4.new_code_cell(source, id=f"c{number}") for number, source in enumerate(CHAPTER)]
    cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Halves"), *cells]),
                   place / "notebooks" / "02_halves.ipynb")
    with open(place / "said", "w") as said:
        runner.run(given={"share": "0.25"}, run_id="one", out=place / "runs", notebooks=place / "notebooks", stream=said)
    return place


@pytest.fixture
def say(place, monkeypatch, capsys):
    """A function that runs a command line in that folder and returns (status, output, errors)."""
    monkeypatch.chdir(place)
    monkeypatch.setattr(chapters, "FOLDER", place / "notebooks")

    def say(*words):
        try:
            status = main(list(words))
        except SystemExit as leaving:
            status = leaving.code
        return status, *capsys.readouterr()
    return say


@pytest.mark.parametrize("words, message", [
    (["run", "7"], "there is no chapter '7'; there are: 02_halves"),
    (["run", "2", "-p", "sharing=1"], "chapter 02 has no parameter 'sharing'; did you mean 'share'?"),
    (["run", "2", "-p", "share=much"], "parameter 'share' takes a number (its default is 0.5), not 'much'"),
    (["run", "2", "-p", "share"], "'-p share' is not of the form -p name=value"),
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


def test_data_sets_are_listed_with_size_licence_and_place(say):
    lines = say("datasets")[1].splitlines()
    assert lines[0].split() == ["name", "size", "licence", "where"]
    assert any(line.startswith("online-retail ") and "CC BY 4.0" in line for line in lines)


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
