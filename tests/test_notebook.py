"""The chapter tools: what is recorded is what is said, and a claim that is false on the defaults stops the run."""

import csv
import os
import random
import subprocess
import sys
from queue import Empty

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import threadpoolctl
from jupyter_client.manager import start_new_kernel
from packaging.requirements import Requirement

from recsys_kit import __version__, notebook
from recsys_kit.notebook import ClaimError, NotebookError, check, invariant, record, say, setup, version_problem

DEFAULTS = {"dataset": "market", "columns": {}, "seed": 0, "max_users": 0}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RECSYS_KIT_LEDGER", raising=False)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(notebook, "_run", None)
    with mpl.rc_context(), threadpoolctl.threadpool_limits():
        yield tmp_path


def start(chapter="01", **changed):
    setup(chapter, **(DEFAULTS | changed))


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_recorded_values_go_to_the_ledger_in_full_and_are_not_shown(folder, capsys):
    start()
    capsys.readouterr()
    record("third", np.float64(1) / 3, unit="share")
    record("users", np.int64(2000))
    record("found", np.bool_(True))
    record("name", "market, the default")
    assert capsys.readouterr().out == ""
    lines = (folder / "ledger-01.csv").read_text(encoding="utf-8").splitlines()
    assert lines == ["chapter,dataset,seed,name,value,unit", "01,market,0,third,0.3333333333333333,share",
                     "01,market,0,users,2000,", "01,market,0,found,True,", '01,market,0,name,"market, the default",']


def test_the_environment_names_the_ledger_and_the_claims_lie_beside_it(folder, monkeypatch):
    for name, claims in (("ledger.csv", "claims.csv"), ("run-ledger-01.csv", "run-claims-01.csv"), ("out.csv", "claims-out.csv")):
        monkeypatch.setenv("RECSYS_KIT_LEDGER", str(folder / "ledger-run" / name))
        start(seed=3)
        record("a", 1)
        check("one is one", True)
        assert rows(folder / "ledger-run" / name)[0]["name"] == "a"
        assert rows(folder / "ledger-run" / claims) == [
            {"chapter": "01", "dataset": "market", "seed": "3", "claim": "one is one", "verdict": "holds"}]
    assert not (folder / "ledger-01.csv").exists()


def test_setup_removes_the_chapters_earlier_rows_and_no_others(folder, monkeypatch):
    monkeypatch.setenv("RECSYS_KIT_LEDGER", str(folder / "ledger.csv"))
    for chapter in ("01", "02", "01"):
        start(chapter)
        record("a", 1)
        check("one is one", True)
    assert [row["chapter"] for row in rows("ledger.csv")] == ["02", "01"]
    assert [row["chapter"] for row in rows("claims.csv")] == ["02", "01"]
    start("01")
    assert [row["chapter"] for row in rows("ledger.csv")] == ["02"]
    assert sorted(os.listdir(folder)) == ["claims.csv", "ledger.csv"]  # no draft is left behind


def test_a_file_that_is_no_ledger_is_left_alone(folder, monkeypatch):
    (folder / "mine.csv").write_text("a,b\n1,2\n")
    monkeypatch.setenv("RECSYS_KIT_LEDGER", str(folder / "mine.csv"))
    with pytest.raises(NotebookError, match="mine.csv"):
        start()
    assert (folder / "mine.csv").read_text() == "a,b\n1,2\n"


def test_a_name_is_recorded_once(folder):
    start()
    record("a", 1)
    record("a", 1)
    with pytest.raises(NotebookError, match="'a'.*1.*2"):
        record("a", 2)
    with pytest.raises(NotebookError, match="'a'"):
        record("a", True)  # equals 1 and is another value
    assert [row["value"] for row in rows("ledger-01.csv")] == ["1"]


def test_a_row_of_a_papers_table_is_recorded_under_a_path_and_can_be_said(folder, capsys):
    start()
    names = ["SAR/map/ours", "SVD++/RMSE/published", "k-NN_baseline/hit_rate@10/ours", "10/20/30"]
    for value, name in enumerate(names):
        record(name, value / 8)
    capsys.readouterr()
    say("; ".join(f"{{{name}:.3f}}" for name in names))
    assert capsys.readouterr().out == "0.000; 0.125; 0.250; 0.375\n"
    assert [row["name"] for row in rows("ledger-01.csv")] == names


@pytest.mark.parametrize("name", ["/a", "a/", "a//b", "a b/c", "a/b.c", "a/b[0]", "a/{b}", "a/b:c", "a/b!r", "a-b", "", "a/b\n"])
def test_a_path_of_other_signs_is_refused(folder, name):
    start()
    with pytest.raises(NotebookError, match="SAR/recall@10/ours"):
        record(name, 1)


@pytest.mark.parametrize("name, value, word", [
    ("recall@10", 1.0, "recall_at_10"), ("a", None, "NoneType"), ("a", pd.NA, "NAType"), ("a", np.ones(2), "ndarray"),
    ("a", pd.Timestamp("2024-01-01"), r"str\(date\)"), ("a", "x" * 201, "200"), ("a", "x\ny", "a line of"),
    ("a", float("nan"), "nan"), ("a", np.float32("inf"), "inf"),
])
def test_what_is_no_single_number_or_short_text_is_refused(folder, name, value, word):
    start()
    with pytest.raises(NotebookError, match=word):
        record(name, value)
    assert rows("ledger-01.csv") == []


def test_with_other_data_nan_is_recorded_as_such(folder):
    start(dataset="online-retail")
    record("a", np.nan)
    assert rows("ledger-01.csv")[0]["value"] == "nan"
    assert rows("ledger-01.csv")[0]["dataset"] == "online-retail"


def test_say_puts_recorded_values_into_the_sentence(capsys):
    start()
    record("users", 12345)
    record("share", 0.25)
    capsys.readouterr()
    say("{users:,} users, {share:.1%}: $x_{{i}}$")
    assert capsys.readouterr().out == "12,345 users, 25.0%: $x_{i}$\n"


@pytest.mark.parametrize("sentence, word", [
    ("{shaer}", "'shaer'.*nearest.*'share'"), ("{}", "'0'"), ("{name:.2f}", "'market'.*'.2f'")])
def test_say_names_what_it_cannot_say(sentence, word):
    start()
    record("share", 0.25)
    record("users", 3)
    record("name", "market")
    with pytest.raises(NotebookError, match=word):
        say(sentence)


def test_a_false_claim_on_the_defaults_raises_and_is_written_down(folder, capsys):
    start()
    check("two is more than one", np.bool_(2 > 1))
    with pytest.raises(ClaimError, match="one is more than two"):
        check("one is more than two", np.int64(1) > 2)
    with pytest.raises(ClaimError, match="yes or a no"):
        check("the strata are found", None)
    assert [row["verdict"] for row in rows("claims-01.csv")] == ["holds", "does not hold", "needs known truth"]
    assert capsys.readouterr().out.endswith("✓ **holds**: two is more than one\n")


@pytest.mark.parametrize("changed", [{"dataset": "online-retail"}, {"columns": {"user_id": "uid"}}, {"seed": 1}, {"max_users": 9},
                                     {"own": {"half_life": (10, 30)}}])
def test_with_any_other_parameter_a_claim_is_reported_and_the_run_goes_on(folder, capsys, changed):
    start(**changed)
    assert "reported, not required" in capsys.readouterr().out
    check("a", True)
    check("b", False)
    check("c", None)
    assert capsys.readouterr().out == "✓ **holds**: a\n✗ **does not hold here**: b\n? **needs known truth**: c\n"
    assert [row["verdict"] for row in rows("claims-01.csv")] == ["holds", "does not hold", "needs known truth"]


def test_own_parameters_at_their_defaults_keep_claims_required(capsys):
    start(own={"half_life": (30, 30), "share": (1, 1.0)})
    assert capsys.readouterr().out == "Ready, on the committed defaults: every claim must hold.\n"
    with pytest.raises(ClaimError):
        check("a", False)


@pytest.mark.parametrize("function", [check, invariant])
@pytest.mark.parametrize("claim, holds", [("a", "yes"), ("a", (1 > 2, "why")), ("a", 1), ("a", np.array([True])), ("a", pd.NA),
                                          (True, True), ("", True)])
def test_a_check_that_could_not_fail_is_an_error(function, claim, holds):
    start(seed=1)
    with pytest.raises(NotebookError):
        function(claim, holds)


def test_a_broken_invariant_raises_for_any_data():
    for changed in ({}, {"dataset": "online-retail"}):
        start(**changed)
        invariant("a", True)
        with pytest.raises(ClaimError, match="any data.*the sum is one"):
            invariant("the sum is one", np.bool_(False))
    with pytest.raises(NotebookError):
        invariant("a", None)


def test_one_claim_cannot_have_two_verdicts():
    start(seed=1)
    check("a", False)
    with pytest.raises(NotebookError, match="'a'"):
        check("a", True)


@pytest.mark.parametrize("tool", [lambda: record("a", 1), lambda: say("a"), lambda: check("a", True)])
def test_before_setup_the_tools_ask_for_it(tool):
    with pytest.raises(NotebookError, match="setup cell first"):
        tool()


@pytest.mark.parametrize("changed, word", [
    ({"dataset": 3}, "dataset = 3 is a int.*str"), ({"columns": "uid"}, "columns.*dict"), ({"seed": "1"}, "seed = '1'.*int"),
    ({"seed": True}, "seed = True"), ({"max_users": 2.5}, "max_users"), ({"seed": -1}, "negative"), ({"seed": 2**32}, "2\\*\\*32"),
    ({"own": {"half_life": ("30", 30)}}, "half_life = '30'.*int"), ({"own": {"share": (True, 0.5)}}, "share = True.*float"),
])
def test_a_parameter_of_the_wrong_type_is_named(changed, word):
    with pytest.raises(NotebookError, match=word):
        start(**changed)


def test_setup_seeds_limits_threads_and_sets_the_style():
    import sklearn.cluster  # noqa: F401  (loads OpenMP)
    drawn = []
    for seed in (5, 5, 6):
        start(seed=seed)
        drawn.append((random.random(), np.random.random()))
    assert drawn[0] == drawn[1] != drawn[2]
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
    assert os.environ["OMP_NUM_THREADS"] == "1"
    pools = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] in ("blas", "openmp")]
    assert {pool["user_api"] for pool in pools} == {"blas", "openmp"}
    assert all(pool["num_threads"] == 1 for pool in pools)
    assert mpl.rcParams["axes.titlelocation"] == "left"


def test_a_card_may_ask_for_two_threads_for_what_is_loaded_and_what_is_loaded_later():
    code = ("import os, threadpoolctl, numpy as np\nfrom recsys_kit.notebook import setup\n"
            f"setup('paper-x', **{DEFAULTS!r}, threads=2)\n"
            "np.ones((50, 50)) @ np.ones((50, 50))\nimport torch\n"
            "print({pool['num_threads'] for pool in threadpoolctl.threadpool_info()}, torch.get_num_threads())")
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # as the runner starts it
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert result.stdout.splitlines()[-1] == "{2} 2"


def test_setup_leaves_torch_alone_unless_it_is_loaded():
    code = "import sys; from recsys_kit.notebook import setup; setup('01', dataset='market', columns={}, seed=0, max_users=0); " \
           "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_peak_memory_is_this_process_own_in_megabytes_and_stays_when_memory_is_given_back():
    code = ("import numpy as np; from recsys_kit.notebook import peak_mb\nbefore = peak_mb()\n"
            "a = np.ones(50_000_000); with_it = peak_mb(); del a; print(before, with_it, peak_mb())")
    parents = np.ones(100_000_000)  # 800 MB, which are not the child's
    before, with_it, after = map(float, subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split())
    assert 395 < with_it - before < 450  # 400 MB; a few more for what the first call loads
    assert 30 < before < parents.nbytes / 1e6 and after > with_it - 5  # the kernel counts in lumps


def test_versions_as_pinned_are_no_problem_and_local_builds_count_as_their_version():
    pins = [Requirement("torch==2.13.0"), Requirement("numpy==2.4.6")]
    assert version_problem((3, 11), {"recsys_kit": __version__, "torch": "2.13.0+cpu", "numpy": "2.4.6"}, pins) == ""


@pytest.mark.parametrize("python, installed, lines", [
    ((3, 12), {}, ["needs Python 3.11, and runs on 3.12", "make lab"]),
    ((3, 11), {"recsys_kit": "0.0.1"}, ["recsys_kit is 0.0.1", "python -m pip install -e ."]),
    ((3, 11), {"numpy": "2.3.0"}, ["numpy 2.3.0 (tested: 2.4.6)", "%pip install numpy==2.4.6"]),
    ((3, 11), {"torch": None, "numpy": "1.0"}, ["torch missing (tested: 2.13.0), numpy 1.0",
                                              "%pip install torch==2.13.0 numpy==2.4.6"]),
])
def test_other_versions_are_named_with_the_command_that_mends_them(python, installed, lines):
    pins = [Requirement("torch==2.13.0"), Requirement("numpy==2.4.6")]
    here = {"recsys_kit": __version__, "torch": "2.13.0", "numpy": "2.4.6"} | installed
    first, second = version_problem(python, here, pins).split("\n")
    assert lines[0] in first
    assert second.startswith("To mend it") and second.endswith(lines[1])


def run_cell(client, cell, code):
    """Run code as JupyterLab does, saying which cell it stands in; return the displayed Markdown, or the error."""
    content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False,
               "stop_on_error": True}
    message = client.session.msg("execute_request", content, metadata={"cellId": cell} if cell else {})
    client.shell_channel.send(message)
    shown = []
    while True:
        try:
            reply = client.get_iopub_msg(timeout=60)
        except Empty:
            raise AssertionError("the kernel does not answer") from None
        if reply["parent_header"].get("msg_id") != message["header"]["msg_id"]:
            continue
        if reply["msg_type"] == "display_data":
            assert set(reply["content"]["data"]) == {"text/markdown", "text/plain"}
            shown.append(reply["content"]["data"]["text/markdown"])
        if reply["msg_type"] == "error":
            shown.append(reply["content"]["evalue"])
        if reply["msg_type"] == "status" and reply["content"]["execution_state"] == "idle":
            return shown


def test_in_a_notebook_sentences_are_markdown_and_a_changed_cell_may_be_run_again(folder):
    manager, client = start_new_kernel(cwd=str(folder))
    try:
        run_cell(client, "0", "from recsys_kit.notebook import *\nfrom recsys_kit.notebook import setup, record, say\n"
                              "setup('01', dataset='market', columns={}, seed=0, max_users=0)")
        assert run_cell(client, "1", "record('a', 1); say('{a} item')") == ["1 item"]
        assert run_cell(client, "1", "record('a', 2); say('{a} items')") == ["2 items"]  # a learner tries another value
        assert "already given" in run_cell(client, "2", "record('a', 3)")[0]  # another cell
        assert "already given" in run_cell(client, "1", "record('a', 4); record('a', 5)")[0]  # twice in one run
        assert "already given" in run_cell(client, None, "record('a', 6)")[0]  # papermill and nbval say no cell
        assert [row["value"] for row in rows(folder / "ledger-01.csv")] == ["4"]
        assert run_cell(client, None, "record('b', 1)") == []
        assert "already given" in run_cell(client, None, "record('b', 2)")[0]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
