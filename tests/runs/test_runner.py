"""Runs of real little notebooks through papermill: what they leave, what a failure, an interruption and a resumption do."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest

from recsys_kit.runs import manifest as manifests
from recsys_kit.runs import runner
from recsys_kit.runs.chapters import UsageError, find
from recsys_kit.runs.compare import compare, reproduce, same_results
from tests.conftest import hears_ctrl_c

PARAMETERS = 'dataset = "market"\ncolumns = {}\nseed = 0\nmax_users = 0'
SETUP = ('from recsys_kit.notebook import check, record, setup\n'
         'setup("{}", dataset=dataset, columns=columns, seed=seed, max_users=max_users)')
GOOD = ('record("gini", 0.53123456789 + seed)\nrecord("fingerprint", "abc123")\nrecord("took", {}, unit="seconds")\n'
        'check("the tail is long", None if seed else True)')
PICTURE = "import matplotlib.pyplot as plt\nplt.plot([1, 2]);"
FAILS = 'record("half", 0.5)\n\nfrom pathlib import Path\nprint(Path.cwd())\nraise ValueError(f"nothing at {Path.cwd()}/data")'
SLOW = 'import time\nfrom pathlib import Path\nwhile Path("wait").exists():\n    time.sleep(0.05)\nrecord("waited", 1)'


def write(folder: Path, name: str, *sources: str) -> None:
    """A chapter with these code cells after its parameters and its set-up."""
    cells = [nbformat.v4.new_markdown_cell(f"# Chapter {name}"),
             nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}),
             nbformat.v4.new_code_cell(SETUP.format(name[:2])), *map(nbformat.v4.new_code_cell, sources)]
    for number, cell in enumerate(cells):
        cell["id"] = f"c{number}"
    folder.mkdir(exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / f"{name}.ipynb")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with three chapters, the second of which fails, and their run `first`; what the runner printed is `said`."""
    place = tmp_path_factory.mktemp("course")
    write(place / "notebooks", "01_good", GOOD.format(1.5), PICTURE)
    write(place / "notebooks", "02_fails", FAILS)
    write(place / "notebooks", "03_also_good", GOOD.format(2.5))
    said = io.StringIO()
    runner.run(run_id="first", out=place / "runs", notebooks=place / "notebooks", jobs=2, stream=said)
    (place / "said").write_text(said.getvalue())
    return place


@pytest.fixture
def same_code(place, monkeypatch):
    """The kit's code counts as it was when `first` was run: a file saved while the tests run is not their business."""
    was = manifests.read(place / "runs" / "first")["kit"]["code"]
    monkeypatch.setattr(manifests, "code", lambda: was)


def copied(place: Path, tmp_path: Path) -> Path:
    shutil.copytree(place, tmp_path / "copy")
    return tmp_path / "copy"


def test_a_chapter_that_fails_stops_no_other(place):
    entries = manifests.read(place / "runs" / "first")["chapters"]
    assert [entry["status"] for entry in entries] == ["done", "failed", "done"]
    assert runner.failed(place / "runs" / "first")


def test_the_summary_names_cell_and_error_and_says_how_to_go_on(place):
    said = (place / "said").read_text()
    assert 'Chapter 02 failed in cell [3]: record("half", 0.5)\n  ValueError: nothing at ' in said
    assert "make course RUN=first" in said
    assert "index.html" in said.splitlines()[-1]


def test_without_a_terminal_every_chapter_gets_plain_lines(place):
    said = (place / "said").read_text()
    assert "\x1b" not in said and "\r" not in said
    assert re.search(r"^  01_good +starts$", said, re.MULTILINE)
    assert re.search(r"^  01_good +done in \d+\.\d s", said, re.MULTILINE)


def test_the_run_folder_holds_notebooks_pages_ledger_claims_manifest_and_index(place):
    names = {path.name for path in (place / "runs" / "first").iterdir()}
    chapters = {f"{name}.{kind}" for name in ("01_good", "02_fails", "03_also_good") for kind in ("ipynb", "html")}
    assert names == chapters | {"ledger.csv", "claims.csv", "manifest.json", "index.html", "parts"}


def test_the_ledger_has_a_row_per_recorded_number_in_the_chapters_order(place):
    assert (place / "runs" / "first" / "ledger.csv").read_text().splitlines() == [
        "chapter,dataset,seed,name,value,unit",
        "01,market,0,gini,0.53123456789,", "01,market,0,fingerprint,abc123,", "01,market,0,took,1.5,seconds",
        "02,market,0,half,0.5,",
        "03,market,0,gini,0.53123456789,", "03,market,0,fingerprint,abc123,", "03,market,0,took,2.5,seconds"]


def test_the_manifest_says_what_was_run_and_how_it_ended(place):
    manifest = manifests.read(place / "runs" / "first")
    assert manifest["packages"]["papermill"] == "2.7.0" and manifest["python"].startswith("3.11")
    assert manifest["threads"]["OPENBLAS_NUM_THREADS"] == "1"
    good, bad, _ = manifest["chapters"]
    assert good["parameters"] == {"dataset": "market", "columns": {}, "seed": 0, "max_users": 0}
    assert good["fingerprint"] == "abc123" and good["cells"] == good["cells_run"] == 4 and good["seconds"] > 0
    assert bad["error"] == {"cell": 3, "source": 'record("half", 0.5)', "name": "ValueError", "message": bad["error"]["message"]}


def test_nothing_stored_names_a_folder_of_this_machine(place):
    folders = {str(folder) for folder in (place, Path(__file__).parents[2], Path.cwd(), sys.prefix, Path.home())} - {"/"}
    for path in (place / "runs" / "first").glob("*.*"):
        text = path.read_text()
        assert not [folder for folder in folders if re.search(rf"{re.escape(folder)}(?![\w.-])", text)], path.name


def test_a_default_run_injects_nothing_so_cells_keep_their_numbers(place):
    nb = nbformat.read(place / "runs" / "first" / "01_good.ipynb", 4)
    assert [cell.execution_count for cell in nb.cells if cell.cell_type == "code"] == [1, 2, 3, 4]


def test_the_page_shows_every_number_and_the_picture(place):
    page = (place / "runs" / "first" / "index.html").read_text()
    for row in manifests.rows(place / "runs" / "first" / "ledger.csv"):
        assert f'title="{row["name"]} = {row["value"]}"' in page
    assert page.count("data:image/png;base64,") == 1
    assert 'href="01_good.html"' in page and "ValueError: nothing at " in page


def test_a_chapter_page_holds_its_pictures_and_waits_for_no_network(place):
    page = (place / "runs" / "first" / "01_good.html").read_text()
    assert "data:image/png;base64," in page
    assert not re.findall(r"<script(?! async)[^>]* src=", page)


def test_going_on_redoes_only_the_failed_chapter(place, same_code, tmp_path):
    place = copied(place, tmp_path)
    before = {name: (place / "runs" / "first" / f"{name}.ipynb").stat().st_mtime_ns for name in ("01_good", "03_also_good")}
    write(place / "notebooks", "02_fails", 'record("half", 0.25)')
    said = io.StringIO()
    folder = runner.run(run_id="first", out=place / "runs", notebooks=place / "notebooks", stream=said)
    assert "1 chapter (2 done before)" in said.getvalue() and not runner.failed(folder)
    assert before == {name: (folder / f"{name}.ipynb").stat().st_mtime_ns for name in before}
    assert "02,market,0,half,0.25," in (folder / "ledger.csv").read_text()
    assert "02,market,0,half,0.5," not in (folder / "ledger.csv").read_text()
    assert "error" not in manifests.read(folder)["chapters"][1]


def test_what_is_done_is_left_alone_and_other_parameters_or_other_code_make_it_anew(place, same_code, monkeypatch):
    folder = place / "runs" / "first"
    manifest = manifests.read(folder)
    done = [runner._is_done(folder, runner._entry(manifest, chapter, {})) for chapter in find(place / "notebooks")]
    assert done == [True, False, True]
    assert runner._entry(manifest, find(place / "notebooks")[0], {"seed": 1})["status"] == "waiting"
    monkeypatch.setattr(manifests, "code", lambda: "other")
    assert runner._entry(manifest, find(place / "notebooks")[2], {})["status"] == "waiting"


def test_a_run_is_not_taken_up_with_other_parameters(place):
    with pytest.raises(UsageError, match="started with seed=its default, not 5"):
        runner.run(run_id="first", given={"seed": "5"}, out=place / "runs", notebooks=place / "notebooks")


def test_an_unknown_parameter_is_refused_before_anything_is_written(place, tmp_path):
    with pytest.raises(UsageError, match="no parameter 'max_user'; did you mean 'max_users'"):
        runner.run(given={"max_user": 3}, out=tmp_path / "runs", notebooks=place / "notebooks")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["..", "a b", "-x", "a;b"])
def test_an_id_that_is_no_plain_name_is_refused(place, tmp_path, name):
    with pytest.raises(UsageError, match="cannot name a run"):
        runner.run(run_id=name, out=tmp_path / "runs", notebooks=place / "notebooks")


def test_ids_made_here_say_when_what_and_which_seed_and_are_unique(tmp_path):
    ids = set()
    for _ in range(3):
        folder, _ = runner._open(None, {"dataset": "data/my clicks.csv", "seed": "7"}, tmp_path, "_02")
        folder.mkdir()
        ids.add(folder.name)
    assert len(ids) == 3
    assert re.match(r"\d{4}-\d\d-\d\d_\d{6}_my-clicks_seed7_02", min(ids))


def test_a_process_that_dies_is_a_failed_chapter_with_a_reason(tmp_path):
    write(tmp_path / "notebooks", "01_dies", "import os\nos.kill(os.getppid(), 9)\nos._exit(1)")
    folder = runner.run(out=tmp_path / "runs", notebooks=tmp_path / "notebooks", stream=io.StringIO())
    error = manifests.read(folder)["chapters"][0]["error"]
    assert error["cell"] == 3 and "killed by signal 9" in error["message"]
    assert "killed by signal 9" in (folder / "index.html").read_text()


def test_a_changed_data_file_makes_a_chapter_of_the_same_run_anew(place, tmp_path):
    chapter, data = find(place / "notebooks")[0], tmp_path / "clicks.csv"
    data.write_text("one")
    before = manifests.inputs(chapter, str(data))
    assert before == manifests.inputs(chapter, str(data)) != manifests.inputs(chapter, "market")
    data.write_text("other")
    assert manifests.inputs(chapter, str(data)) != before


def test_ctrl_c_keeps_what_is_finished_stops_the_kernels_and_the_run_is_taken_up_again(tmp_path):
    write(tmp_path / "notebooks", "01_quick", 'record("one", 1)')
    write(tmp_path / "notebooks", "02_waits", SLOW)
    (tmp_path / "wait").touch()
    program = """if True:
        import sys
        from pathlib import Path
        from recsys_kit.runs import chapters
        chapters.FOLDER = Path("notebooks").absolute()
        from recsys_kit.__main__ import main
        sys.exit(main(sys.argv[1:]))"""
    command = [sys.executable, "-c", program, "course", "--run", "cut", "--jobs", "2"]
    started = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, preexec_fn=hears_ctrl_c)
    said = ""
    while "01_quick" not in said or "done in" not in said:
        line = started.stdout.readline()
        assert line, f"the run ended too early, after saying: {said}"
        said += line
    family = wait_for_kernel(started.pid)
    started.send_signal(signal.SIGINT)
    said += started.communicate(timeout=60)[0]
    assert started.returncode == 130
    assert "1 of 2 chapters are finished and kept. Go on with: make course RUN=cut" in said
    assert not psutil.wait_procs(family, timeout=10)[1]
    assert "not run yet" in (tmp_path / "runs" / "cut" / "index.html").read_text()

    (tmp_path / "wait").unlink()
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0 and "1 chapter (1 done before)" in again.stdout
    assert "02,market,0,waited,1," in (tmp_path / "runs" / "cut" / "ledger.csv").read_text()


def wait_for_kernel(pid: int) -> list[psutil.Process]:
    """The runner's children, once a kernel is among them."""
    for _ in range(400):
        family = psutil.Process(pid).children(recursive=True)
        if len(family) >= 2:
            return family
        time.sleep(0.05)
    raise AssertionError("no kernel was started")


def test_a_run_with_a_seed_is_reproduced_and_a_changed_number_is_seen(tmp_path):
    write(tmp_path / "notebooks", "01_reads", f'import os\nrecord("read", 0.5 + os.path.getsize({str(tmp_path / "size")!r}))\n'
          + GOOD.format("__import__('time').time()").split("\n", 1)[1])
    (tmp_path / "size").write_text("")
    first = runner.run(given={"seed": "4"}, out=tmp_path / "runs", notebooks=tmp_path / "notebooks", stream=io.StringIO())
    (tmp_path / "size").write_text("x")
    second = reproduce(first, notebooks=tmp_path / "notebooks", stream=io.StringIO())
    assert second.name == f"{first.name}-again"
    assert manifests.read(second)["chapters"][0]["parameters"]["seed"] == 4
    differences = compare(first, second)
    results = differences[differences["what"] != "version"]
    assert results[["what", "name", "first", "second"]].values.tolist() == [["number", "read", "0.5", "1.5"]]
    assert not same_results(differences)
    assert [row["verdict"] for row in manifests.rows(second / "claims.csv")] == ["needs known truth"]
    nb = json.loads((second / "01_reads.ipynb").read_text())
    assert any("injected-parameters" in cell["metadata"].get("tags", []) for cell in nb["cells"])
    assert os.path.basename(nb["metadata"]["papermill"]["input_path"]) == nb["metadata"]["papermill"]["input_path"]
