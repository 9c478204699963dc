"""Exercises: the check a learner runs, and the generator that takes the answers out of a solution notebook.

A solution notebook (``notebooks/solutions``) is the only source. An exercise in it is a cell with the answer
between two marks, a typical wrong answer behind it, and a check cell of its own::

    # BEGIN SOLUTION
    share = buyers / users
    # END SOLUTION
    # wrong: share = buyers / len(events)
    # why: that divides by events; a user has many

    answer("1.1", share, test=lambda a: 0 < a < 1 and round(a * users) == buyers, hint="Divide users by users.")

The exercise notebook has ``# your code here`` and ``share = ...`` for the first cell, and the check as it is.
Inside a function the answer becomes ``raise NotImplementedError``. Markdown cells tagged ``solution`` are
left out. ``python -m recsys_kit exercises`` generates all of them again.
"""

from __future__ import annotations

import ast
import csv
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from IPython.core.inputtransformer2 import TransformerManager

from recsys_kit.notebook import show

RIGHT, WRONG, BLANK, ERROR = "right", "wrong", "not answered", "error"
SHOWN = {RIGHT: "✓ **{0} right**", WRONG: "✗ **{0} wrong**", BLANK: "… **{0} not answered yet**"}
BEGIN, END = "# BEGIN SOLUTION", "# END SOLUTION"
REMARK = re.compile(r"\s*# (wrong|why): ?(.*)")
TITLE_WORDS = {"Solution": "Exercise", "solution": "exercise", "解答": "练习"}
METADATA = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"}}
BANNER = """> **How to work here.** Write your code where it says `# your code here`, run the cell, then run the check
> below it; a check can be run as often as you like. Leave the check cells as they are: grading uses its own.
> When you are done, or stuck, compare with the [solution](../solutions/{name}).
>
> *Generated from that solution: a change made here in the repository is lost. Change the solution, then run*
> `python -m recsys_kit exercises`."""


class ExerciseError(ValueError):
    """A solution notebook that no exercise can be made of; the message names the cell and what to write."""


def answer(exercise: str, value, test, hint: str) -> None:
    """Show whether the answer to an exercise is right, wrong (with a hint) or not given yet. Never raises.

    ``test(value)`` gives True or False, or a text: wrong, with this text as the hint that fits the mistake. A
    test that raises counts as wrong, and the hint names the error. An answer is not given while it is, or
    contains, the placeholder ``...``, or while its function raises `NotImplementedError`. Where the
    environment variable ``RECSYS_KIT_GRADES`` names a file, the verdict is added to it (CSV: exercise,
    verdict, hint).
    """
    verdict, hint = _judge(value, test, hint)
    show(SHOWN[verdict].format(exercise) + (f": {hint}" if hint else ""))
    if os.environ.get("RECSYS_KIT_GRADES"):
        with Path(os.environ["RECSYS_KIT_GRADES"]).open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow([exercise, verdict, hint])


def _judge(value, test, hint: str) -> tuple[str, str]:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (tuple, list)) else ()
    if value is ... or any(part is ... for part in parts):
        return BLANK, ""
    try:
        passed = test(value)
    except NotImplementedError:
        return BLANK, ""
    except Exception as error:  # whatever a strange answer does to the test must not stop the learner's notebook
        return WRONG, f"{hint} (Trying your answer raised {type(error).__name__}: {str(error)[:200]})"
    if isinstance(passed, (bool, np.bool_)):
        return (RIGHT, "") if passed else (WRONG, hint)
    if isinstance(passed, str):
        return WRONG, passed
    return WRONG, f"{hint} (The check expected another kind of answer than a {type(value).__name__}.)"


def variants(source: str, later: str = "") -> tuple[str, str]:
    """A solution cell as blank and with the typical wrong answer; a cell without marks comes back twice as it is.

    ``later`` is the code of all later cells: a name that the answer assigns and later code uses becomes
    ``name = ...`` in the blank. Raises `ExerciseError`.

    >>> lines = ["# BEGIN SOLUTION", "x = 2", "# END SOLUTION", "# wrong: x = 1", "# why: one off", "print(x)"]
    >>> print(variants("\\n".join(lines))[0])
    # your code here
    x = ...
    print(x)
    """
    blank, wrong, lines, at = [], [], source.splitlines(), 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if line.strip() == END:
            raise ExerciseError(f"{END} without {BEGIN} before it")
        if line.strip() != BEGIN:
            blank.append(line)
            wrong.append(line)
            continue
        indent = line[:len(line) - len(line.lstrip())]
        if indent + END not in lines[at:]:
            raise ExerciseError(f"{BEGIN} without {END} at the same indentation below it")
        end = lines.index(indent + END, at)
        block, at = lines[at:end], end + 1
        remarks = {"wrong": [], "why": []}
        while at < len(lines) and (remark := REMARK.fullmatch(lines[at])):
            remarks[remark[1]].append(indent + remark[2])
            at += 1
        if not all(remarks.values()):
            raise ExerciseError(f"after {END} write a typical wrong answer, '# wrong: <code>', and '# why: <sentence>'")
        blank += [f"{indent}# your code here", *_placeholders(block, indent, lines[at:], later)]
        wrong += remarks["wrong"]
    return "\n".join(blank), "\n".join(wrong)


def _placeholders(block: list[str], indent: str, rest: list[str], later: str) -> list[str]:
    if indent:  # inside a function: a learner who calls it too early is told so
        return [f'{indent}raise NotImplementedError("your code here")']
    used = {node.id for code in ("\n".join(rest), later) for node in ast.walk(parse(code))
            if isinstance(node, ast.Name)}
    return [f"{name} = ..." for name in _assigned(parse("\n".join(block)).body) if name in used]


def _assigned(body: list[ast.stmt]) -> list[str]:
    """Names that these statements bind, in order of appearance; what functions bind inside is theirs."""
    names, nodes = {}, list(body)
    while nodes:
        node = nodes.pop(0)
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names[node.name] = True
            continue
        if isinstance(node, ast.alias):
            names[(node.asname or node.name).split(".")[0]] = True
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names[node.id] = True
        if not isinstance(node, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            nodes = list(ast.iter_child_nodes(node)) + nodes
    return list(names)


def parse(source: str) -> ast.Module:
    """The syntax tree of a cell, with IPython's ``%magic`` and ``!shell`` lines understood."""
    return ast.parse(TransformerManager().transform_cell(source))


def checked(source: str) -> str | None:
    """The exercise that this cell checks, None if it is no check cell.

    Only a plain statement ``answer("1.1", ...)`` counts. Raises `ExerciseError` for a check cell with two of
    them, and `SyntaxError` where the cell is no Python.
    """
    calls = [node.value for node in parse(source).body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)]
    names = [call.args[0].value for call in calls if getattr(call.func, "id", "") == "answer" and call.args
             and isinstance(call.args[0], ast.Constant)]
    if len(names) > 1:
        raise ExerciseError(f"one check cell checks exercises {', '.join(map(str, names))}; give each a cell of its own")
    return names[0] if names else None


@dataclass(frozen=True)
class Cell:
    """One cell of a solution notebook: as solved, blank, with the wrong answer; ``check``: the exercise it checks."""

    kind: str
    id: str
    tags: list[str]
    solution: str
    blank: str
    wrong: str
    check: str | None


def read_solution(path: str | Path) -> list[Cell]:
    """The cells of a solution notebook. Plain JSON is read: the notebook libraries take two seconds to import.

    Raises `ExerciseError` that names the cell: broken marks, an exercise without a check of its own, a check
    without an answer before it, one id twice, a missing cell id (generated files would differ each time).
    """
    raw = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in raw]
    cells, waiting = [], False  # waiting: there is an answer that no check has looked at yet
    for number, (cell, source) in enumerate(zip(raw, sources, strict=True), 1):
        later = [text for text, other in zip(sources[number:], raw[number:], strict=True) if other["cell_type"] == "code"]
        try:
            if "id" not in cell:
                raise ExerciseError("no cell id; open the notebook in JupyterLab and save it")
            blank, wrong, check = source, source, None
            if cell["cell_type"] == "code":
                (blank, wrong), check = variants(source, "\n".join(later)), checked(source)
            if check and (blank != source or not waiting):
                raise ExerciseError(f"the check of {check} needs a cell of its own, after the cell with the answer")
            if check in {other.check for other in cells} - {None}:
                raise ExerciseError(f"exercise {check} is checked twice")
            if blank != source and waiting:
                raise ExerciseError("the answer before this one has no check; write answer(...) in a cell between")
        except (ExerciseError, SyntaxError) as error:
            raise ExerciseError(f"{Path(path).name}, cell {number}: {error}.") from None
        waiting = blank != source or (waiting and not check)
        cells.append(Cell(cell["cell_type"], cell["id"], cell["metadata"].get("tags", []), source, blank, wrong, check))
    if waiting:
        raise ExerciseError(f"{Path(path).name}: the last answer has no check; write answer(...) in a cell after it.")
    return cells


def generate(solution: str | Path, exercise: str | Path) -> None:
    """Write the exercise notebook of a solution notebook: answers out, outputs cleared, a banner below the title.

    The same solution gives the same bytes. Raises `ExerciseError` (see `read_solution`).
    """
    solution, exercise = Path(solution), Path(exercise)
    cells = []
    for cell in read_solution(solution):
        if "solution" in cell.tags:
            continue
        new = {"cell_type": cell.kind, "id": cell.id, "metadata": {"tags": cell.tags} if cell.tags else {},
               "source": cell.blank.splitlines(keepends=True)}
        cells.append(new | ({"execution_count": None, "outputs": []} if cell.kind == "code" else {}))
    for word, instead in TITLE_WORDS.items():
        cells[0]["source"][0] = cells[0]["source"][0].replace(word, instead)
    banner = BANNER.format(name=solution.name).splitlines(keepends=True)
    cells.insert(1, {"cell_type": "markdown", "id": "how-to-work-here", "metadata": {}, "source": banner})
    made = {"cells": cells, "metadata": METADATA | {"recsys_kit": {"exercise_of": solution.stem}},
            "nbformat": 4, "nbformat_minor": 5}
    exercise.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(made, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    exercise.write_text(text, encoding="utf-8", newline="\n")
