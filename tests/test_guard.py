"""The guard sees every notebook that nbval would pass without comparing, and `pytest --nbval` turns red for it."""

import re
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from recsys_kit.guard import problems

ROOT = Path(__file__).resolve().parents[1]


def text(content, name="stdout"):
    return new_output("stream", text=content, name=name)


def result(content):
    return new_output("execute_result", {"text/plain": content}, execution_count=1)


def found(tmp_path, *cells, chapter=False):
    nbformat.write(new_notebook(cells=list(cells)), tmp_path / "some.ipynb")
    return problems(tmp_path / "some.ipynb", chapter=chapter)


def ran(source, *outputs, tags=()):
    return new_code_cell(source, execution_count=1, outputs=list(outputs), metadata={"tags": list(tags)} if tags else {})


@pytest.mark.parametrize("cell, word", [
    (new_code_cell("x = 1"), "never executed"),
    (ran("x = 1\nx + 1"), "no output is stored"),
    (ran("say('{x}')"), "no output is stored"),
    (ran("check('a', True); x = 1"), "no output is stored"),
    (ran("import matplotlib.pyplot as plt\nplt.show()"), "no output is stored"),
    (ran("events.head()"), "no output is stored"),
    (ran("1 / 0", new_output("error", ename="ZeroDivisionError", evalue="", traceback=[])), "stored error .ZeroDivisionError"),
    (ran("print(p)", text("in /home/anna/x.csv")), "path of this machine.*/home/anna/x.csv"),
    (ran("p", result("PosixPath('/tmp/pytest-1')")), "path of this machine.*/tmp/pytest-1"),
    (ran("p", result(r"'C:\\Users\\anna'")), "path of this machine"),
    (ran("p", result(f"'{ROOT}/notebooks'")), "path of this machine"),
    (ran("import warnings\nwarnings.warn('x')", text("UserWarning: x", "stderr")), "stderr"),
    (ran("# NBVAL_IGNORE_OUTPUT\nprint(1)", text("1")), "NBVAL_IGNORE_OUTPUT without a reason"),
    (ran("print(1)", text("1"), tags=["nbval-skip"]), "nbval-skip without a reason"),
    (ran("1 / 0", text("x"), tags=["raises-exception"]), "raises-exception without a reason"),
])
def test_what_nbval_would_not_compare_is_named_with_its_cell(cell, word, tmp_path):
    [problem] = found(tmp_path, new_markdown_cell("# Title"), cell)
    assert problem.startswith("cell 2: ")
    assert re.search(word, problem), problem


@pytest.mark.parametrize("cell", [
    ran("x = 1"),
    ran(""),
    new_code_cell(" \n"),
    ran("record('x', 1)"),
    ran("card.rerun('SAR', published={'map': .1}, ours={'map': .1})\ncard.quote('NCF', published={'map': .2})"),
    ran("def show_it():\n    print(1)"),
    ran("if False:\n    print(1)"),
    ran("x + 1;"),
    ran("%matplotlib inline\nimport os"),
    ran("%matplotlib inline"),
    ran("print(1)", text("1")),
    ran("print(u)", text("https://example.org/home/page and a/tmp/b")),
    ran("# NBVAL_IGNORE_OUTPUT\n# why: the duration differs\nprint(1)", text("1")),
])
def test_a_cell_that_is_compared_or_has_nothing_to_compare_is_fine(cell, tmp_path):
    assert found(tmp_path, cell) == []


@pytest.mark.parametrize("folder, asked", [("notebooks", True), ("cases", True), ("solutions", False)])
def test_where_a_notebook_lies_says_whether_it_needs_parameters(folder, asked, tmp_path):
    (tmp_path / folder).mkdir()
    nbformat.write(new_notebook(cells=[ran("seed = 0")]), tmp_path / folder / "some.ipynb")
    assert bool(problems(tmp_path / folder / "some.ipynb")) is asked


def test_a_chapter_needs_one_parameters_cell(tmp_path):
    tagged = ran("seed = 0", tags=["parameters"])
    assert found(tmp_path, tagged, chapter=True) == []
    assert "0 cells are tagged 'parameters'" in found(tmp_path, ran("seed = 0"), chapter=True)[0]
    assert "2 cells are tagged 'parameters'" in found(tmp_path, tagged, ran("seed = 1", tags=["parameters"]), chapter=True)[0]


def test_a_notebook_without_code_and_a_file_that_is_none_are_reported(tmp_path):
    assert "no code cell" in found(tmp_path, new_markdown_cell("# Title"))[0]
    (tmp_path / "cut.ipynb").write_text('{"cells": [')
    assert "no notebook" in problems(tmp_path / "cut.ipynb")[0]


def test_plain_nbval_by_hand_is_red_for_an_empty_notebook_and_leaves_the_exercises_out(tmp_path):
    notebooks = tmp_path / "notebooks"
    (notebooks / "exercises").mkdir(parents=True)
    shutil.copy(ROOT / "conftest.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    good = [ran("seed = 0", tags=["parameters"]), ran("print(seed)", text("0\n"))]
    unrun = [new_code_cell("seed = 0", metadata={"tags": ["parameters"]}), new_code_cell("print(seed)")]
    nbformat.write(new_notebook(cells=good), notebooks / "01_good.ipynb")
    nbformat.write(new_notebook(cells=unrun), notebooks / "02_unrun.ipynb")
    nbformat.write(new_notebook(cells=[new_code_cell("1 / 0")]), notebooks / "exercises" / "01_blank.ipynb")
    quiet = {name: value for name, value in os.environ.items() if name not in ("CI", "BUILD_NUMBER")}  # there pytest repeats itself
    run = subprocess.run([sys.executable, "-m", "pytest", "--nbval", "-rA", "-p", "no:cacheprovider", "notebooks"], cwd=tmp_path,
                         capture_output=True, text=True, env=quiet)
    assert run.returncode == 1
    assert "FAILED notebooks/02_unrun.ipynb::guard" in run.stdout
    assert run.stdout.count("never executed") == 2
    for passed in ("01_good.ipynb::guard", "01_good.ipynb::Cell 1", "02_unrun.ipynb::Cell 1"):  # the last is nbval's hole
        assert f"PASSED notebooks/{passed}" in run.stdout
    assert "01_blank" not in run.stdout
