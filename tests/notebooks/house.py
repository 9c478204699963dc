"""The house rules that chapters and cases share, and how a test runs a notebook."""

import ast
import csv
import json
import re
from pathlib import Path

import papermill
import pytest

from recsys_kit.data import catalog
from recsys_kit.data.published import SPLITS
from recsys_kit.exercises import parse
from recsys_kit.notebook import DEFAULTS

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
VERDICTS = {"holds", "does not hold", "needs known truth"}

# What looks like a result: 0.37, 12.34, 4.5 %, 12,345. A plain 30 minutes or top 1 % is a definition and may be typed.
RESULT = re.compile(r"(?<![\w.])(?:0\.\d+|\d+\.\d\d+|\d+\.\d+\s?%|\d{1,3}(?:,\d{3})+)(?![\w])")
# Where numbers are no results: code, formulas, link targets, headings, and numbers that name something.
NO_PROSE = re.compile(r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$\n]*(?:\n[^$\n]+)*\$|\]\([^)]*\)|^#[^\n]*$"
                      r"|\b(?:Python|[Ss]ections?|[Ee]xercises?|CC BY\S*)\s\d+\.\d+", re.DOTALL | re.MULTILINE)


def cells(path, kind):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [("".join(cell["source"]), cell["metadata"].get("tags", [])) for cell in notebook["cells"] if cell["cell_type"] == kind]


def prose(path):
    return "\n".join(source for source, _ in cells(path, "markdown"))


def calls(path, name):
    trees = [parse(source) for source, _ in cells(path, "code")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    return [node for node in nodes if isinstance(node, ast.Call) and getattr(node.func, "id", "") == name]


def texts(call):
    """The text constants of a call, pieces of joined and formatted texts among them."""
    return [node for node in ast.walk(call) if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def parameters_cell(path):
    [source] = [source for source, tags in cells(path, "code") if "parameters" in tags]
    return source


def parameters(path):
    return {line.targets[0].id: ast.literal_eval(line.value) for line in parse(parameters_cell(path)).body}


def committed(path):
    """What the notebook's `setup` call says of itself: its number, and the default of every parameter, the common ones included."""
    [setup] = calls(path, "setup")
    passed = {word.arg: word.value for word in setup.keywords}
    assert {name: getattr(passed[name], "id", None) for name in DEFAULTS} == {name: name for name in DEFAULTS}
    own = {}
    for word in passed["own"].keywords if "own" in passed else ():
        value, default = word.value.elts
        assert value.id == word.arg
        own[word.arg] = ast.literal_eval(default)
    return ast.literal_eval(setup.args[0]), DEFAULTS | own


def keeps_its_parameters(path, number):
    """The parameters are typed and commented, and their defaults are the ones that `setup` knows."""
    def typed(values):
        return {name: (type(value), value) for name, value in values.items()}
    name, defaults = committed(path)
    assert name == number
    assert typed(defaults) == typed(parameters(path))
    assert all(re.search(r"#\s*(str|dict|int|float|bool|list): \S", line)
               for line in parameters_cell(path).splitlines() if line.strip())


def has_no_result_in_its_prose(path):
    typed = [(number, hit) for number, (source, _) in enumerate(cells(path, "markdown"))
             for hit in RESULT.findall(NO_PROSE.sub(" ", source))]
    assert typed == [], "write it with record() and say()"


def promises_warns_and_answers(path, promise):
    """The parts that every notebook has, and claims that are bound to checks."""
    for part in (promise, "here this goes wrong", "What we learned"):
        assert part in prose(path)
    assert len(calls(path, "check")) >= 3
    assert calls(path, "say") and calls(path, "record") and calls(path, "invariant")


def needs(dataset):
    """Skip the test, visibly, where a real data set is not on this machine."""
    item = SPLITS.get(dataset) or catalog.entry(dataset)
    if catalog.find(item)[0] is None:
        pytest.skip(f"{dataset} is not here: python -m recsys_kit fetch {dataset}, or set RECSYS_KIT_DATA")


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def said(path):
    """The sentences of an executed notebook: what say(), check() and invariant() showed."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    outputs = [output.get("data", {}) for cell in notebook["cells"] for output in cell.get("outputs", [])]
    return "\n".join("".join(data["text/markdown"]) for data in outputs if "text/markdown" in data)


def has_no_missing_number(executed, ledger):
    assert [row["name"] for row in ledger if row["value"] in ("nan", "inf")] == []
    assert not re.search(r"(?<!\w)[+-]?(nan|inf)(?!\w)", said(executed))


def run(path, folder, **given):
    """Run a notebook by papermill; returns the executed notebook's path, the ledger's and the claims' rows."""
    folder.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECSYS_KIT_LEDGER", str(folder / "ledger.csv"))
        papermill.execute_notebook(str(path), str(folder / path.name), given, kernel_name="python3", cwd=str(folder),
                                   progress_bar=False)
    return folder / path.name, rows(folder / "ledger.csv"), rows(folder / "claims.csv")


def turn_first_claim_round(path, target):
    """Write the notebook to ``target`` with its first check() negated; returns that claim."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        tree = parse("".join(cell["source"])) if cell["cell_type"] == "code" else ast.Module([])
        turned = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "check"]
        if turned:
            turned[0].args[1] = ast.UnaryOp(ast.Not(), turned[0].args[1])
            cell["source"] = ast.unparse(tree)
            break
    target.write_text(json.dumps(notebook), encoding="utf-8")
    return ast.literal_eval(turned[0].args[0])
