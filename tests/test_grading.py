"""A learner's notebook is graded by the committed checks, whatever was done to the file."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from recsys_kit.exercises import BLANK, ERROR, RIGHT, WRONG, generate
from recsys_kit.grading import grade, prove

NUMBERS = {"1.1": 6, "1.2": 7, "1.3": 8, "1.4": 9, "1.5": 10, "1.6": 11, "1.7": 12}


def solved(exercise, number):
    name = "x" + exercise[-1]
    return [new_code_cell(f"# BEGIN SOLUTION\n{name} = {number}\n# END SOLUTION\n# wrong: {name} = 0\n# why: nothing",
                          id=f"code-{name}"),
            new_code_cell(f'answer("{exercise}", {name}, test=lambda a: a == {number}, hint="Count again.")', id=f"check-{name}")]


@pytest.fixture
def solutions(tmp_path):
    folder = tmp_path / "solutions"
    folder.mkdir()
    cells = [new_markdown_cell("# Solutions", id="title"), new_code_cell("from recsys_kit.exercises import answer", id="import")]
    for exercise, number in NUMBERS.items():
        cells += solved(exercise, number)
    cells += [new_code_cell("def twice(x):\n    # BEGIN SOLUTION\n    return 2 * x\n    # END SOLUTION\n"
                            "    # wrong: return x\n    # why: once", id="code-8"),
              new_code_cell('answer("1.8", twice, test=lambda f: f(2) == 4, hint="Two times.")', id="check-8")]
    nbformat.write(new_notebook(cells=cells), folder / "01_small.ipynb")
    return folder


@pytest.fixture
def learner(solutions, tmp_path):
    generate(solutions / "01_small.ipynb", tmp_path / "blank.ipynb")
    nb = nbformat.read(tmp_path / "blank.ipynb", as_version=4)
    return nb, {cell.id: cell for cell in nb.cells}


def verdicts(table):
    return dict(zip(table.exercise, table.verdict, strict=True))


def test_each_exercise_of_a_learners_notebook_gets_its_verdict(learner, solutions, tmp_path, monkeypatch):
    nb, cells = learner
    cells["code-x1"].source = "x1 = 6"
    cells["code-x2"].source = "x2 = 1"
    cells["code-x3"].source = "x3 = 1 / 0"
    cells["code-x4"].source = "while True:\n    pass"
    cells["code-x5"].source = "x5 = 1"
    cells["check-x5"].source = 'answer("1.5", 1, test=lambda a: True, hint="")'  # an easier check of one's own
    nb.cells.remove(cells["check-x6"])
    cells["code-x6"].source = "x6 = 11"
    cells["code-x7"].source = "open('answers.csv')"  # what lies beside the notebook plays no part
    monkeypatch.setenv("RECSYS_KIT_GRADES", str(tmp_path / "not-for-the-learner.csv"))
    nbformat.write(nb, tmp_path / "anna.ipynb")
    (tmp_path / "answers.csv").write_text("12")

    table = grade(tmp_path / "anna.ipynb", solutions, cell_seconds=3)

    assert verdicts(table) == {"1.1": RIGHT, "1.2": WRONG, "1.3": ERROR, "1.4": ERROR, "1.5": WRONG, "1.6": RIGHT, "1.7": ERROR,
                               "1.8": BLANK}
    assert list(table.columns) == ["notebook", "exercise", "verdict", "hint"]
    assert set(table.notebook) == {"anna.ipynb"}
    hints = dict(zip(table.exercise, table.hint, strict=True))
    assert hints["1.2"] == hints["1.5"] == "Count again."
    assert hints["1.3"] == "ZeroDivisionError: division by zero"
    assert hints["1.4"] == "Timeout: a cell took longer than 3 s"
    assert hints["1.7"].startswith("FileNotFoundError")
    assert hints["1.1"] == hints["1.8"] == ""
    assert not (tmp_path / "not-for-the-learner.csv").exists()


def test_a_kernel_that_dies_leaves_the_verdicts_before_it(learner, solutions, tmp_path):
    nb, cells = learner
    cells["code-x1"].source = "x1 = 6"
    cells["code-x2"].source = "import os; os._exit(1)"
    nb.metadata.clear()  # an editor that drops unknown metadata: the ids of the checks tell which notebook it is
    nbformat.write(nb, tmp_path / "ben.ipynb")
    table = grade(tmp_path / "ben.ipynb", solutions)
    assert verdicts(table) == {"1.1": RIGHT} | dict.fromkeys(["1.2", "1.3", "1.4", "1.5", "1.6", "1.7", "1.8"], ERROR)
    assert table.hint.iloc[1].startswith("the kernel died")


def test_a_folder_gives_one_table_and_a_file_that_is_no_exercise_one_row(learner, solutions, tmp_path):
    folder = tmp_path / "class"
    folder.mkdir()
    nb, _ = learner
    nb.cells = nb.cells[:1]  # everything deleted
    nbformat.write(nb, folder / "carla.ipynb")
    (folder / "broken.ipynb").write_text("{")
    nbformat.write(new_notebook(cells=[new_code_cell("1")]), folder / "stranger.ipynb")
    table = grade(folder, solutions)
    assert table.notebook.tolist() == ["broken.ipynb"] + ["carla.ipynb"] * 8 + ["stranger.ipynb"]
    assert set(table.verdict) == {ERROR}
    assert "no notebook that can be read" in table.hint.iloc[0]
    assert table.hint.iloc[1] == "NameError: name 'x1' is not defined"
    assert "none of the kit's exercises" in table.hint.iloc[-1]


def test_grading_nothing_or_by_nothing_says_so(solutions, tmp_path):
    (tmp_path / "empty").mkdir()
    for path in ("empty", "absent.ipynb"):
        with pytest.raises(FileNotFoundError, match=path):
            grade(tmp_path / path, solutions)
    with pytest.raises(FileNotFoundError, match="clone"):
        grade(solutions, solutions=tmp_path / "empty")


def test_a_proof_shows_a_check_that_cannot_tell(solutions):
    path = solutions / "01_small.ipynb"
    nb = nbformat.read(path, as_version=4)
    for cell in nb.cells:
        if cell.id == "check-x2":
            cell.source = cell.source.replace("a == 7", "a < 100")  # passes the wrong answer, 0, as well
        if cell.id == "check-x3":
            cell.source = cell.source.replace("a == 8", "a == 9")  # fails the right one
    nbformat.write(nb, path)
    table = prove(path).set_index(["exercise", "variant"]).verdict
    assert table["1.2"].to_dict() == {"blank": BLANK, "wrong": RIGHT, "solution": RIGHT}
    assert table["1.3"].to_dict() == {"blank": BLANK, "wrong": WRONG, "solution": WRONG}
    for exercise in ("1.1", "1.4", "1.8"):
        assert table[exercise].to_dict() == {"blank": BLANK, "wrong": WRONG, "solution": RIGHT}
