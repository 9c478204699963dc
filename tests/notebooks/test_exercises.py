"""The committed exercises are what their solutions generate, and their checks can tell right, wrong and blank apart."""

import json

import pytest

from recsys_kit.exercises import generate, read_solution
from recsys_kit.grading import grade, prove
from recsys_kit.guard import problems
from tests.notebooks.house import NOTEBOOKS

SOLUTIONS = sorted((NOTEBOOKS / "solutions").glob("*.ipynb"))

each_solution = pytest.mark.parametrize("solution", SOLUTIONS, ids=lambda path: path.stem)


def test_every_chapter_has_solutions_and_every_solution_an_exercise():
    chapters = [path.name for path in sorted(NOTEBOOKS.glob("*.ipynb"))]
    assert len(chapters) >= 2
    assert [path.name for path in SOLUTIONS] == chapters
    assert [path.name for path in sorted((NOTEBOOKS / "exercises").glob("*.ipynb"))] == chapters


@each_solution
def test_the_committed_exercise_is_what_the_solution_generates(solution, tmp_path):
    generate(solution, tmp_path / "made.ipynb")
    committed = NOTEBOOKS / "exercises" / solution.name
    assert (tmp_path / "made.ipynb").read_bytes() == committed.read_bytes(), "run: python -m recsys_kit exercises"


@each_solution
def test_a_solution_has_at_least_three_exercises_numbered_by_its_chapter_and_nbval_can_vouch_for_it(solution):
    checks = [cell.check for cell in read_solution(solution) if cell.check]
    assert checks == [f"{int(solution.name[:2])}.{number}" for number in range(1, len(checks) + 1)]
    assert len(checks) >= 3
    assert problems(solution, chapter=False) == []


@each_solution
def test_each_check_tells_the_solution_from_the_wrong_answer_and_the_blank(solution):
    table = prove(solution)
    expected = {"blank": "not answered", "wrong": "wrong", "solution": "right"}
    bad = table[table.verdict != table.variant.map(expected)]
    assert bad.empty, f"\n{bad.to_string()}"
    hints = table[table.variant == "wrong"].hint
    assert hints.str.len().min() > 10 and not hints.str.contains("raised|another kind of answer").any(), hints.to_string()


@each_solution
def test_the_blank_runs_to_its_end_and_nothing_in_it_is_answered(solution):
    table = grade(NOTEBOOKS / "exercises" / solution.name)
    assert set(table.verdict) == {"not answered"}, table.to_string()
    notebook = json.loads((NOTEBOOKS / "exercises" / solution.name).read_text(encoding="utf-8"))
    assert not any(cell.get("outputs") for cell in notebook["cells"])
