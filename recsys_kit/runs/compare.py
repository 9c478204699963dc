"""Two runs side by side: every recorded number, claim, version and parameter in which they differ."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from recsys_kit.runs import manifest as manifests
from recsys_kit.runs import runner
from recsys_kit.runs.chapters import UsageError, everything

COLUMNS = ("what", "chapter", "name", "first", "second", "relative")
# units of what is never the same twice; the long one is that of a slope of time against users
TIMINGS = ("s", "ms", "seconds", "minutes", "MB", "MiB", "GB", "GiB", "log seconds per log user")
RESULTS = ("number", "fingerprint", "claim", "status")  # kinds of difference that mean: not reproduced


def compare(first: Path, second: Path) -> pd.DataFrame:
    """Every difference between two run folders, one row each; no row if there is none.

    Columns: ``what`` (status, number, fingerprint, claim, notebook, parameter, version), ``chapter``, ``name``, the two values
    as text ("" where a run does not have it), ``relative`` = |a - b| / max(|a|, |b|) for numbers. Rows of the ledger whose unit is
    a time or a memory size are not compared. Raises `UsageError` if a folder is not a run.
    """
    sides = [_facts(Path(folder)) for folder in (first, second)]
    differences = []
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        a, b = (side.get(key, "") for side in sides)
        if a != b:
            differences.append((*key[:3], a, b, _relative(a, b) if key[0] == "number" else float("nan")))
    return pd.DataFrame(differences, columns=COLUMNS)


def same_results(differences: pd.DataFrame) -> bool:
    """Whether no number, claim or chapter status is among the differences (versions and parameters may be)."""
    return not differences["what"].isin(RESULTS).any()


def told(differences: pd.DataFrame) -> str:
    """The differences as text for a terminal.

    >>> told(pd.DataFrame(columns=COLUMNS))
    'no difference'
    """
    if differences.empty:
        return "no difference"
    table = differences.assign(relative=[f"{value:.2g}" if value == value else "" for value in differences["relative"]])
    count = len(differences)
    return f"{table.to_string(index=False)}\n{count} difference{'s' * (count != 1)}"


def reproduce(folder: Path, *, jobs: int | None = None, notebooks: Path | None = None, stream=None) -> Path:
    """Run the chapters of ``folder`` again with the parameters its manifest gives; returns the new folder, beside the old.

    The new run is called <id>-again, then <id>-again-2 and so on. Raises `UsageError` if a chapter or one of its
    parameters is there no more.
    """
    folder = Path(folder)
    manifest = manifests.read(folder)
    there = {chapter.path.name: chapter for chapter in everything(notebooks)}
    recorded = {entry["notebook"]: entry["parameters"] for entry in manifest["chapters"]}
    gone = [notebook for notebook in recorded if notebook not in there]
    if gone:
        raise UsageError(f"run {folder.name} has chapters that are there no more: {', '.join(gone)}")
    name, number = f"{folder.name}-again", 1
    while (folder.parent / name).exists():
        number += 1
        name = f"{folder.name}-again-{number}"
    return runner.run([there[notebook] for notebook in recorded], manifest["parameters"], recorded=recorded, run_id=name,
                    out=folder.parent, jobs=jobs, stream=stream)


def _facts(folder: Path) -> dict[tuple, str]:
    """What a run says, by (what, chapter, name, how many times before)."""
    manifest = manifests.read(folder)
    facts: dict[tuple, str] = {}

    def add(what, chapter, name, value):
        times = sum(key[:3] == (what, chapter, name) for key in facts)
        facts[what, chapter, name, times] = str(value)

    for entry in manifest["chapters"]:
        error = entry.get("error")
        add("status", entry["chapter"], entry["title"], f"{entry['status']}: {error['name']}" if error else entry["status"])
    for row in manifests.rows(folder / "ledger.csv"):
        if row["unit"] not in TIMINGS:
            add("fingerprint" if row["name"] in manifests.FINGERPRINTS else "number", row["chapter"], row["name"], row["value"])
    for row in manifests.rows(folder / "claims.csv"):
        add("claim", row["chapter"], row["claim"], row["verdict"])
    for entry in manifest["chapters"]:
        add("notebook", entry["chapter"], "its cells", entry["inputs"]["cells"])
        for name, value in entry["parameters"].items():
            add("parameter", entry["chapter"], name, repr(value))
    for name, value in {"kit's code": manifest["kit"]["code"], "kit": manifest["kit"]["version"], "python": manifest["python"],
                        "platform": manifest["platform"], **manifest["packages"], **manifest["threads"]}.items():
        add("version", "", name, value)
    return facts


def _relative(a: str, b: str) -> float:
    """|a - b| / max(|a|, |b|); not a number where one of the two is none."""
    try:
        x, y = float(a), float(b)
    except ValueError:
        return math.nan
    return abs(x - y) / max(abs(x), abs(y)) if x != y else 0.0
