"""Every chapter keeps the house rules, runs with another seed and on a real shop's data, and gives the same numbers twice.

Stored outputs on the committed defaults are compared by ``pytest --nbval`` (see `make test`), not here.
"""

import ast
import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import papermill
import pytest

from recsys_kit.exercises import parse
from recsys_kit.guard import problems
from recsys_kit.notebook import DEFAULTS

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted((ROOT / "notebooks").glob("*.ipynb"))
VERDICTS = {"holds", "does not hold", "needs known truth"}

# What looks like a result: 0.37, 12.34, 4.5 %, 12,345. A plain 30 minutes or top 1 % is a definition and may be typed.
RESULT = re.compile(r"(?<![\w.])(?:0\.\d+|\d+\.\d\d+|\d+\.\d+\s?%|\d{1,3}(?:,\d{3})+)(?![\w])")
# Where numbers are no results: code, formulas, link targets, headings, and numbers that name something.
NO_PROSE = re.compile(r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$\n]*(?:\n[^$\n]+)*\$|\]\([^)]*\)|^#[^\n]*$"
                      r"|\b(?:Python|[Ss]ections?|[Ee]xercises?|CC BY\S*)\s\d+\.\d+", re.DOTALL | re.MULTILINE)


def cells(path, kind):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [("".join(cell["source"]), cell["metadata"].get("tags", [])) for cell in notebook["cells"] if cell["cell_type"] == kind]


def calls(path, name):
    trees = [parse(source) for source, _ in cells(path, "code")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    return [node for node in nodes if isinstance(node, ast.Call) and getattr(node.func, "id", "") == name]


def parameters(path):
    [source] = [source for source, tags in cells(path, "code") if "parameters" in tags]
    lines = parse(source).body
    return {line.targets[0].id: ast.literal_eval(line.value) for line in lines}


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def said(path):
    """The sentences of an executed notebook: what say(), check() and invariant() showed."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    outputs = [output.get("data", {}) for cell in notebook["cells"] for output in cell.get("outputs", [])]
    return "\n".join("".join(data["text/markdown"]) for data in outputs if "text/markdown" in data)


def run(path, folder, **given):
    """Run a notebook by papermill; returns the executed notebook's path, the ledger's and the claims' rows."""
    folder.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECSYS_KIT_LEDGER", str(folder / "ledger.csv"))
        papermill.execute_notebook(str(path), str(folder / path.name), given, kernel_name="python3", cwd=str(folder),
                                   progress_bar=False)
    return folder / path.name, rows(folder / "ledger.csv"), rows(folder / "claims.csv")


each_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECSYS_KIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def test_there_are_chapters_and_each_has_a_number_of_its_own():
    numbers = [path.name[:3] for path in CHAPTERS]
    assert numbers == [f"{number:02}_" for number in range(1, len(CHAPTERS) + 1)]
    assert len(CHAPTERS) >= 2


@each_chapter
def test_nbval_can_vouch_for_the_chapter(chapter):
    assert problems(chapter, chapter=True) == []


@each_chapter
def test_the_parameters_are_typed_and_their_defaults_are_the_ones_that_setup_knows(chapter):
    given = parameters(chapter)
    [setup] = calls(chapter, "setup")
    assert ast.literal_eval(setup.args[0]) == chapter.name[:2]
    passed = {word.arg: word.value for word in setup.keywords}
    assert {name: given[name] for name in DEFAULTS} == DEFAULTS
    assert {name: getattr(passed[name], "id", None) for name in DEFAULTS} == {name: name for name in DEFAULTS}
    own = {}
    for word in passed["own"].keywords if "own" in passed else ():
        value, default = word.value.elts
        assert value.id == word.arg
        own[word.arg] = ast.literal_eval(default)
    assert {name: (type(value), value) for name, value in own.items()} == {
        name: (type(value), value) for name, value in given.items() if name not in DEFAULTS}
    [source] = [source for source, tags in cells(chapter, "code") if "parameters" in tags]
    assert all(re.search(r"#\s*(str|dict|int|float|bool|list): \S", line) for line in source.splitlines() if line.strip())


@each_chapter
def test_no_result_is_typed_into_the_prose(chapter):
    typed = [(number, hit) for number, (source, _) in enumerate(cells(chapter, "markdown"))
             for hit in RESULT.findall(NO_PROSE.sub(" ", source))]
    assert typed == [], "write it with record() and say()"


@each_chapter
def test_a_chapter_promises_warns_and_answers_and_binds_its_claims(chapter):
    text = "\n".join(source for source, _ in cells(chapter, "markdown"))
    for part in ("In this chapter you will", "here this goes wrong", "What we learned"):
        assert part in text
    assert len(calls(chapter, "check")) >= 3
    assert calls(chapter, "say") and calls(chapter, "record") and calls(chapter, "invariant")


@pytest.fixture(scope="module")
def other_seed(tmp_path_factory):
    """Each chapter's run with another seed, made when it is first asked for."""
    done = {}

    def get(chapter):
        if chapter not in done:
            done[chapter] = run(chapter, tmp_path_factory.mktemp("seed") / chapter.stem, seed=1)
        return done[chapter]
    return get


@each_chapter
def test_a_chapter_runs_with_another_seed_and_reports_its_claims(chapter, other_seed):
    _, ledger, claims = other_seed(chapter)
    assert {(row["chapter"], row["dataset"], row["seed"]) for row in ledger} == {(chapter.name[:2], "market", "1")}
    assert {row["verdict"] for row in claims} <= VERDICTS and len(claims) >= 3


@each_chapter
def test_a_log_of_one_behaviour_in_which_nothing_comes_again_gets_sentences_and_no_missing_numbers(chapter, tmp_path):
    # three days of ratings: each user rates each item once, as in a data set of films
    rows_ = [(f"u{user}", f"i{(7 * user + 3 * day + step * step) % 30}", day, user, step)
             for user in range(40) for day in range(3) for step in range(1 + user % 5)]
    lines = [f"{user},{item},rate,2024-03-{1 + day:02} {number % 24:02}:{step:02}:00" for user, item, day, number, step
             in {(row[0], row[1]): row for row in rows_}.values()]
    (tmp_path / "films.csv").write_text("\n".join(["user_id,item_id,behaviour,timestamp", *lines]), encoding="utf-8")
    executed, ledger, _ = run(chapter, tmp_path / "out", dataset=str(tmp_path / "films.csv"))
    assert [row["name"] for row in ledger if row["value"] in ("nan", "inf")] == []
    assert not re.search(r"(?<!\w)[+-]?(nan|inf)(?!\w)", said(executed))
    assert "nothing was planted" in said(executed) or "no funnel to measure" in said(executed)


# One chapter, the newest, stands for all here: what every chapter prints on the defaults is compared by nbval anyway.
@pytest.mark.parametrize("chapter", CHAPTERS[-1:], ids=lambda path: path.stem)
def test_the_same_seed_gives_the_same_ledger_twice_and_output_that_nbval_confirms(chapter, other_seed, tmp_path):
    executed, ledger, claims = other_seed(chapter)
    shutil.copy(ROOT / "conftest.py", tmp_path)
    shutil.copy(executed, tmp_path)
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), executed.name],
        env=os.environ | {"RECSYS_KIT_LEDGER": str(tmp_path / "ledger.csv")}, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stdout
    assert rows(tmp_path / "ledger.csv") == ledger
    assert rows(tmp_path / "claims.csv") == claims


@each_chapter
def test_a_chapter_runs_on_a_real_shop(chapter, tmp_path, real_data):
    executed, ledger, claims = run(chapter, tmp_path / "real", dataset="online-retail", max_users=300)
    assert {row["dataset"] for row in ledger} == {"online-retail"}
    assert {row["verdict"] for row in claims} <= VERDICTS and len(claims) >= 3
    assert "holds" in {row["verdict"] for row in claims}
    assert [row["name"] for row in ledger if row["value"] in ("nan", "inf")] == []
    assert not re.search(r"(?<!\w)[+-]?(nan|inf)(?!\w)", said(executed))


@each_chapter
def test_a_claim_turned_round_stops_the_chapter_on_the_defaults(chapter, tmp_path):
    notebook = json.loads(chapter.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        tree = parse(source) if cell["cell_type"] == "code" else ast.Module([])
        turned = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "check"]
        if turned:
            turned[0].args[1] = ast.UnaryOp(ast.Not(), turned[0].args[1])
            cell["source"] = ast.unparse(tree)
            break
    (tmp_path / chapter.name).write_text(json.dumps(notebook), encoding="utf-8")
    with pytest.raises(papermill.PapermillExecutionError, match="ClaimError") as raised:
        run(tmp_path / chapter.name, tmp_path / "out")
    assert ast.literal_eval(turned[0].args[0]) in str(raised.value)
    assert rows(tmp_path / "out" / "claims.csv")[-1]["verdict"] == "does not hold"
