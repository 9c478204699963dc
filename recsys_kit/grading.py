"""Grade a learner's exercise notebooks, and prove that a solution notebook's checks can tell right from wrong."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pandas as pd
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError

from recsys_kit.exercises import BLANK, ERROR, RIGHT, Cell, ExerciseError, read_solution

SOLUTIONS = Path(__file__).resolve().parents[1] / "notebooks" / "solutions"
COLUMNS = ["notebook", "exercise", "verdict", "hint"]
CELL_SECONDS = 60
NAME_FILE = "import os\nfrom recsys_kit.exercises import answer\nos.environ['RECSYS_KIT_GRADES'] = {file!r}\n"
UNNAME_FILE = "import os\nos.environ.pop('RECSYS_KIT_GRADES', None)"
CHECK_CALL = re.compile(r"""\banswer\(\s*["']([^"']+)["']""")


def grade(path: str | Path, solutions: str | Path = SOLUTIONS, cell_seconds: float = CELL_SECONDS) -> pd.DataFrame:
    """Run a learner's exercise notebook, or every notebook of a folder, and say how each exercise went.

    Returns one row per exercise of the matching solution: notebook, exercise, verdict (right, wrong, not
    answered, error), hint (for an error: which error). Each notebook runs in a fresh kernel and in an empty
    working folder; a cell that takes longer than ``cell_seconds`` is interrupted. A file that is no exercise
    notebook gets one row with an error. Raises `FileNotFoundError` where there is nothing to grade or no
    solution to grade by.

    The checks are taken from the committed solution, wherever the learner's file says ``answer("1.1", ...)``;
    a check that is gone is run at the end. So editing, copying or deleting check cells gains nothing. It is
    no examination hall: a notebook is a program, and one that rewrites the kit or the data while it runs, or
    holds the solution's own lines, is graded right.
    """
    path = Path(path)
    files = sorted(file for file in path.glob("*.ipynb") if file.is_file()) if path.is_dir() else [path]
    if not files or not path.exists():
        raise FileNotFoundError(f"no notebook (*.ipynb) at {path}")
    known = {file.stem: read_solution(file) for file in sorted(Path(solutions).glob("*.ipynb"))}
    if not known:
        raise FileNotFoundError(f"no solution notebooks in {solutions}: grade from a clone of the project")
    rows = []
    for file in files:
        try:
            learner, solution = _match(file, known)
            verdicts = _grade_one(learner, solution, cell_seconds)
        except ExerciseError as error:
            verdicts = [("", ERROR, str(error))]
        rows += [(file.name, *verdict) for verdict in verdicts]
    return pd.DataFrame(rows, columns=COLUMNS)


def prove(solution: str | Path) -> pd.DataFrame:
    """Run each exercise of a solution blank, with its typical wrong answer, and as solved, in one kernel.

    Returns exercise, variant (blank, wrong, solution), verdict, hint. A good notebook has *not answered*,
    *wrong* and *right*; anything else is a check that cannot tell, or an answer that is not right. Raises
    `ExerciseError`.
    """
    plan, runs, answered = [], [], None
    for cell in read_solution(solution):
        if cell.check:
            for variant in ("blank", "wrong", "solution"):
                plan += [(getattr(answered, variant), None), (cell.solution, len(runs))]
                runs.append((cell.check, variant))
        elif cell.kind == "code" and cell.blank != cell.solution:
            answered = cell
        elif cell.kind == "code":
            plan.append((cell.solution, None))
    verdicts = dict(_run(plan, CELL_SECONDS))
    rows = [(*run, *verdicts[number]) for number, run in enumerate(runs)]
    return pd.DataFrame(rows, columns=["exercise", "variant", "verdict", "hint"])


def _match(file: Path, known: dict[str, list[Cell]]) -> tuple[nbformat.NotebookNode, list[Cell]]:
    try:
        learner = nbformat.read(file, as_version=4)
        sources = [cell.source for cell in learner.cells]
    except (ValueError, AttributeError, nbformat.ValidationError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise ExerciseError(f"this is no notebook that can be read: {first}") from None
    name = learner.metadata.get("recsys_kit", {}).get("exercise_of")
    if name not in known:  # the mark was lost in another editor: the ids of the checks tell as well
        ids = set(CHECK_CALL.findall("\n".join(sources)))
        name = next((stem for stem, cells in known.items() if ids & {cell.check for cell in cells}), None)
    if name is None:
        raise ExerciseError("this is no exercise notebook of the kit: it has none of the kit's exercises in it")
    return learner, known[name]


def _grade_one(learner, solution: list[Cell], cell_seconds: float) -> list[tuple[str, str, str]]:
    checks = {cell.check: cell.solution for cell in solution if cell.check}
    plan, waiting = [], dict(checks)
    for cell in learner.cells:
        if cell.cell_type == "code":
            plan.append((cell.source, None))
            for exercise in CHECK_CALL.findall(cell.source):
                if exercise in waiting:
                    plan.append((waiting.pop(exercise), exercise))
    plan += [(source, exercise) for exercise, source in waiting.items()]
    verdicts = dict(_run(plan, cell_seconds))
    return [(exercise, *verdicts[exercise]) for exercise in checks]


def _run(plan: list[tuple[str, object]], cell_seconds: float) -> Iterator[tuple[object, tuple[str, str]]]:
    """Run (code, key) cells in one fresh kernel; yield (key, (verdict, hint)) for each cell that has a key.

    Such a cell is a check. The file that `answer` writes to is named just before it and unnamed just after
    it, so other cells that call `answer` write nowhere.
    """
    with tempfile.TemporaryDirectory() as folder:
        work, grades = Path(folder, "work"), Path(folder, "grades")
        work.mkdir()
        grades.mkdir()
        sources, checks, errors = [], [], {}
        for source, key in plan:
            if key is not None:
                checks.append((len(sources), key))
                source = NAME_FILE.format(file=str(grades / str(len(sources)))) + source
            sources += [source] if key is None else [source, UNNAME_FILE]

        def note(cell, cell_index, execute_reply):
            reply = execute_reply["content"]
            if reply["status"] == "error":
                errors[cell_index] = f"{reply['ename']}: {reply['evalue']}"

        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
        slow = {"ename": "Timeout", "evalue": f"a cell took longer than {cell_seconds:g} s", "traceback": []}
        client = NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(work)}},
                                allow_errors=True, timeout=cell_seconds, interrupt_on_timeout=True,
                                error_on_timeout=slow, on_cell_executed=note)
        hidden = ("RECSYS_KIT_GRADES", "RECSYS_KIT_LEDGER")
        try:
            client.execute(env={name: value for name, value in os.environ.items() if name not in hidden},
                           stderr=subprocess.DEVNULL)  # what the kernel says of itself is nothing for a learner
            died = []
        except DeadKernelError:
            died = ["the kernel died: the notebook ended it, or used up the memory"]

        start = 0
        for at, key in checks:
            file = grades / str(at)
            verdict, hint = _written(file)
            raised = [errors[number] for number in range(start, at + 1) if number in errors]
            raised += [] if file.exists() else died
            if verdict != RIGHT and raised and not raised[0].startswith("NotImplementedError"):
                verdict, hint = ERROR, raised[0]
            yield key, (verdict, hint)
            start = at + 1


def _written(file: Path) -> tuple[str, str]:
    if not file.exists():
        return BLANK, ""
    with file.open(newline="", encoding="utf-8") as lines:
        _, verdict, hint = list(csv.reader(lines))[-1]
    return verdict, hint
