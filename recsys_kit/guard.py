"""Find what nbval would pass without comparing anything.

nbval runs a notebook again and compares outputs with the stored ones. A cell that was never executed has nothing to
compare, and passes; so does a notebook whose outputs were all cleared. `problems` finds these, and outputs that
belong to one machine. The repository's ``conftest.py`` runs it before nbval.
"""

from __future__ import annotations

import ast
import json
import os
import re
from pathlib import Path

from recsys_kit.exercises import parse

SHOWING = {"say", "check", "invariant", "answer", "setup", "print", "display", "show"}  # a call of these leaves an output
SILENT = {"record", "seed", "style", "append", "extend", "update", "add", "sort", "shuffle", "close", "funnel",
          "rerun", "quote", "run_line_magic"}  # a last line that calls one of these may show nothing
HERE = "|".join(re.escape(f"{folder}{os.sep}") for folder in (Path(__file__).resolve().parents[1], Path.home()))
MACHINE = re.compile(rf"(?<![\w.:/])({HERE}|/home/|/root/|/tmp/|/Users/|/private/|[A-Za-z]:\\+Users)[\w\\/.-]*")
MARKER = re.compile(r"^\s*#\s*(NBVAL_\w+|PYTEST_VALIDATE_IGNORE_OUTPUT)\s*$", re.MULTILINE)
SWITCHES = ("nbval-ignore-output", "nbval-skip", "nbval-raises-exception", "raises-exception", "nbval-check-output")


def problems(path: str | Path, chapter: bool | None = None) -> list[str]:
    """What keeps nbval from a true comparison of this notebook; an empty list if nothing does.

    Each problem names its cell (counted from 1, all kinds of cells) and how to mend it. Reported are cells never
    executed, cells that show something and have no stored output, stored errors, warnings on stderr, paths of a
    machine, and nbval switches without a comment ``# why: ...``. ``chapter`` (None: the notebook lies in a folder
    ``notebooks`` or ``cases``) asks for one cell tagged ``parameters`` as well.
    """
    path = Path(path)
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (ValueError, KeyError):
        return ["the file is no notebook of format 4; open it in JupyterLab and save it"]
    found = []
    for number, cell in enumerate(cells, 1):
        if cell["cell_type"] == "code":
            found += [f"cell {number}: {problem}" for problem in _cell_problems(cell)]
    if not any(cell["cell_type"] == "code" for cell in cells):
        found.append("no code cell: nothing is run and nothing compared")
    tagged = sum("parameters" in cell["metadata"].get("tags", []) for cell in cells)
    if (path.parent.name in ("notebooks", "cases") if chapter is None else chapter) and tagged != 1:
        found.append(f"{tagged} cells are tagged 'parameters'; a chapter has exactly one, so that papermill can set them")
    return found


def _cell_problems(cell: dict) -> list[str]:
    source, outputs = "".join(cell["source"]), cell["outputs"]
    if not source.strip():
        return []
    found = []
    if cell["execution_count"] is None:
        found.append("never executed, so nbval compares nothing; run the whole notebook and save it")
    elif not outputs and _shows(source):
        found.append("shows something, but no output is stored; run the whole notebook and save it")
    for output in outputs:
        if output["output_type"] == "error":
            found.append(f"a stored error ({output['ename']}); mend the code and run it again")
        if output.get("name") == "stderr":
            found.append(f"text on stderr ({_text(output)[:60]!r}); it differs between machines, so silence its cause")
    paths = sorted({hit[0] for output in outputs for hit in MACHINE.finditer(_text(output))})
    if paths:
        found.append(f"a path of this machine in the output ({paths[0]}); show a name or a relative path")
    switches = MARKER.findall(source) + [tag for tag in cell["metadata"].get("tags", []) if tag in SWITCHES]
    if switches and not re.search(r"^\s*# why: \S", source, re.MULTILINE):
        found.append(f"{switches[0]} without a reason; remove it, or add a comment '# why: ...'")
    return found


def _text(output: dict) -> str:
    parts = [output.get("text", ""), *output.get("traceback", [])]
    parts += [value for kind, value in output.get("data", {}).items() if not kind.startswith("image/") or kind == "image/svg+xml"]
    return "\n".join("".join(part) if isinstance(part, list) else str(part) for part in parts)


def _shows(source: str) -> bool:
    """Whether this cell must leave an output: by a call of `SHOWING` outside any function, or by its last line."""
    try:
        body = parse(source).body
    except SyntaxError:
        return True  # the error itself would show
    # a call under `if` or `for` may not happen
    calls = [node.value for node in body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)]
    if any(_name(call.func) in SHOWING for call in calls):
        return True
    last = body[-1] if body else None
    if not isinstance(last, ast.Expr) or source.rstrip().endswith(";"):
        return False
    if isinstance(last.value, ast.Call):
        return _name(last.value.func) not in SILENT
    return not (isinstance(last.value, ast.Constant) and last.value.value is None)


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
