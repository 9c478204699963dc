"""The generator takes answers out and nothing else; `answer` judges any value without raising."""

import csv
import os
import subprocess
import sys

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from recsys_kit.exercises import BLANK, RIGHT, WRONG, ExerciseError, answer, checked, generate, variants

ANSWER = """# Exercise 1.1
# BEGIN SOLUTION
half = 10 / 2
share = half / 100
# END SOLUTION
# wrong: share = half = 10
# why: forgets to divide
print("given")"""
CHECK = 'answer("1.1", share, test=lambda a: a == 0.05, hint="Divide.")'


def notebook(*cells):
    nb = new_notebook(cells=[new_markdown_cell("# Solutions (解答) to chapter 1", id="title"), *cells])
    for number, cell in enumerate(nb.cells[1:]):
        cell.id = f"cell-{number}"
    return nb


@pytest.fixture
def solution(tmp_path):
    def write(*cells):
        path = tmp_path / "solutions" / "01_small.ipynb"
        path.parent.mkdir(exist_ok=True)
        nbformat.write(notebook(*cells), path)
        return path
    return write


def judged(value, test, tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_KIT_GRADES", str(tmp_path / "grades.csv"))
    answer("1.1", value, test=test, hint="Think.")
    with (tmp_path / "grades.csv").open(newline="") as file:
        [[exercise, verdict, hint]] = csv.reader(file)
    assert exercise == "1.1"
    return verdict, hint


@pytest.mark.parametrize("value, test, verdict, hint", [
    (5, lambda a: a == 5, RIGHT, ""),
    (5, lambda a: np.bool_(a == 5), RIGHT, ""),
    (4, lambda a: a == 5, WRONG, "Think."),
    (4, lambda a: "one too few" if a == 4 else a == 5, WRONG, "one too few"),
    (..., lambda a: True, BLANK, ""),
    ((1, ...), lambda a: True, BLANK, ""),
    ({"a": ...}, lambda a: True, BLANK, ""),
    (None, lambda a: a == 5, WRONG, "Think."),
])
def test_an_answer_is_right_wrong_or_not_given(value, test, verdict, hint, tmp_path, monkeypatch):
    assert judged(value, test, tmp_path, monkeypatch) == (verdict, hint)


@pytest.mark.parametrize("value, test, word", [
    ("five", lambda a: a + 1 == 6, "TypeError"),
    (pd.Series([1, 2]), lambda a: bool(a == 1), "ValueError"),
    (pd.Series([1, 2]), lambda a: a == 1, "Series"),  # the test gave no yes or no
    (lambda: 1 / 0, lambda a: a() == 1, "ZeroDivisionError"),
])
def test_a_strange_answer_is_wrong_and_never_raises(value, test, word, tmp_path, monkeypatch):
    verdict, hint = judged(value, test, tmp_path, monkeypatch)
    assert verdict == WRONG
    assert hint.startswith("Think.") and word in hint


def test_a_function_left_blank_is_not_answered(tmp_path, monkeypatch):
    def blank(x):
        raise NotImplementedError("your code here")
    assert judged(blank, lambda f: f(2) == 4, tmp_path, monkeypatch) == (BLANK, "")


def test_a_wrong_answer_is_shown_with_its_hint_and_writes_nothing_by_itself(capsys, tmp_path, monkeypatch):
    monkeypatch.delenv("RECSYS_KIT_GRADES", raising=False)
    monkeypatch.chdir(tmp_path)
    answer("1.1", 4, test=lambda a: a == 5, hint="Think.")
    assert capsys.readouterr().out == "✗ **1.1 wrong**: Think.\n"
    assert os.listdir(tmp_path) == []


def test_the_blank_keeps_the_frame_and_a_placeholder_for_each_name_used_later():
    blank, wrong = variants(ANSWER, later=CHECK)
    assert blank == '# Exercise 1.1\n# your code here\nshare = ...\nprint("given")'
    assert wrong == '# Exercise 1.1\nshare = half = 10\nprint("given")'
    assert "half = ..." in variants(ANSWER, later=CHECK + "; half")[0]


def test_inside_a_function_the_blank_raises_not_implemented():
    blank, wrong = variants("def twice(x):\n    '''2x'''\n    # BEGIN SOLUTION\n    if x:\n        return 2 * x\n    return 0\n"
                           "    # END SOLUTION\n    # wrong: if x:\n    # wrong:     return x\n    # why: once\n", "twice")
    assert blank.endswith("    '''2x'''\n    # your code here\n    raise NotImplementedError(\"your code here\")")
    assert wrong.endswith("    if x:\n        return x")
    compile(blank, "blank", "exec")
    compile(wrong, "wrong", "exec")


def test_names_bound_by_any_statement_get_a_placeholder_and_names_inside_functions_do_not():
    source = ("# BEGIN SOLUTION\nimport math\na, (b, *c) = 1, (2, 3)\nfor d in c:\n    e = [f for f in c]\n"
              "def g(h):\n    i = h\nwith open('x') as j:\n    k: int = 1\n# END SOLUTION\n# wrong: a = 1\n# why: w\n")
    blank = variants(source, later="math, a, b, c, d, e, f, g, h, i, j, k")[0]
    assert blank.split("\n")[1:] == [f"{name} = ..." for name in ("math", *"abcdegjk")]


@pytest.mark.parametrize("source, word", [
    ("# BEGIN SOLUTION\nx = 1", "without # END"),
    ("x = 1\n# END SOLUTION", "without # BEGIN"),
    ("# BEGIN SOLUTION\nx = 1\n# END SOLUTION\n", "# wrong:"),
    ("# BEGIN SOLUTION\nx = 1\n# END SOLUTION\n# wrong: x = 2\n", "# why:"),
])
def test_broken_marks_are_refused(source, word):
    with pytest.raises(ExerciseError, match=word):
        variants(source)


def test_a_check_cell_is_known_by_its_answer_call_and_not_by_a_mention():
    assert checked(CHECK) == "1.1"
    assert checked("%matplotlib inline\n" + CHECK) == "1.1"
    assert checked("# " + CHECK) is None
    assert checked("text = '''" + CHECK + "'''") is None


def test_generating_takes_out_answers_outputs_and_counts_and_nothing_else(solution, tmp_path):
    ran = new_code_cell("1 + 1", execution_count=3, metadata={"tags": ["parameters"], "scrolled": True},
                        outputs=[nbformat.v4.new_output("execute_result", {"text/plain": "2"}, execution_count=3)])
    why = new_markdown_cell("Because of the division.", metadata={"tags": ["solution"]})
    path = solution(ran, new_code_cell(ANSWER), new_code_cell(CHECK), why, new_markdown_cell("No solution without work."))
    made = tmp_path / "exercises" / "01_small.ipynb"
    generate(path, made)
    nb = nbformat.read(made, as_version=nbformat.NO_CONVERT)
    nbformat.validate(nb)
    assert [cell.source.split("\n")[0] for cell in nb.cells] == [
        "# Exercises (练习) to chapter 1", "> **How to work here.** Write your code where it says `# your code here`, run "
        "the cell, then run the check", "1 + 1", "# Exercise 1.1", CHECK, "No solution without work."]
    assert [cell.id for cell in nb.cells] == ["title", "how-to-work-here", "cell-0", "cell-1", "cell-2", "cell-4"]
    assert "](../solutions/01_small.ipynb)" in nb.cells[1].source
    assert nb.cells[2].metadata == {"tags": ["parameters"]}
    assert all(cell.outputs == [] and cell.execution_count is None for cell in nb.cells if cell.cell_type == "code")
    assert "half" not in made.read_text() and "forgets" not in made.read_text()


def test_generating_twice_gives_the_same_bytes_in_any_process(solution, tmp_path):
    path = solution(new_code_cell(ANSWER), new_code_cell(CHECK + "; half"))
    generate(path, tmp_path / "one.ipynb")
    code = f"from recsys_kit.exercises import generate; generate({str(path)!r}, {str(tmp_path / 'two.ipynb')!r})"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONHASHSEED": "7"})
    assert (tmp_path / "one.ipynb").read_bytes() == (tmp_path / "two.ipynb").read_bytes()


@pytest.mark.parametrize("cells, word", [
    ([ANSWER], "no check"),
    ([ANSWER, ANSWER, CHECK], "cell 3: the answer before this one has no check"),
    ([CHECK], "needs a cell of its own"),
    ([ANSWER + "\n" + CHECK], "needs a cell of its own"),
    ([ANSWER, CHECK, ANSWER, CHECK], "checked twice"),
    ([ANSWER, CHECK + "\n" + CHECK], "a cell of its own"),
    (["# BEGIN SOLUTION"], "cell 2: # BEGIN SOLUTION without"),
    (["x = "], "cell 2: "),
])
def test_a_notebook_that_no_exercise_can_be_made_of_is_refused_naming_the_cell(cells, word, solution, tmp_path):
    with pytest.raises(ExerciseError, match=f"01_small.ipynb.*{word}"):
        generate(solution(*map(new_code_cell, cells)), tmp_path / "made.ipynb")
    assert not (tmp_path / "made.ipynb").exists()


def test_a_notebook_without_cell_ids_is_refused_because_generated_ones_would_differ(solution, tmp_path):
    path = solution(new_code_cell(ANSWER), new_code_cell(CHECK))
    path.write_text(path.read_text().replace('"id": "cell-0",', ""))
    with pytest.raises(ExerciseError, match="cell 2: no cell id"):
        generate(path, tmp_path / "made.ipynb")
