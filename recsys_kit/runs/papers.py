"""The papers' cards and what became of them: results kept in the repository, the README's table, and what is stale.

A full run of a card on its committed parameters leaves in ``notebooks/papers/results/`` the table ``<card>.csv`` (row, metric,
published, ours, within, verdict) and beside it ``<card>.json``: when, how long, on which data, with which code and versions.
Only `make papers` writes there. A result is *stale* when the card's code cells, a module of the kit that it used, or the data's
fingerprint in the catalogue are others now.
"""

from __future__ import annotations

import ast
import hashlib
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from recsys_kit import cards
from recsys_kit.exercises import parse
from recsys_kit.runs import chapters as finding
from recsys_kit.runs import manifest as manifests
from recsys_kit.runs.chapters import Chapter, find_papers

README = "README.md"
BEGIN, END = "<!-- papers: written by python -m recsys_kit papers --table -->", "<!-- end of papers -->"


@dataclass(frozen=True)
class Result:
    """What the last full run of a card left: ``table`` as in its CSV, ``about`` as in its JSON."""

    table: pd.DataFrame
    about: dict


def keep(run: Path, notebooks: Path | None = None) -> dict[str, str]:
    """Keep the results of the cards that a run has finished, in ``papers/results/`` beside them.

    Returns per card what was done or why nothing was: a card that failed, or was run with other parameters or from other cells
    than it has now, writes nothing.
    """
    manifest = manifests.read(run)
    entries = {entry["notebook"]: entry for entry in manifest["chapters"]}
    told = {}
    for card in find_papers(notebooks):
        entry = entries.get(card.path.name)
        if entry is None:
            continue
        wrong = _unfit(card, entry)
        table = None if wrong else table_of(run, entry)
        code = manifests.part(run, card.path.name, "code").with_suffix(".json")
        if table is not None and (table.empty or not code.exists()):
            wrong = "it did not end with card.reproduced()"
        if wrong:
            told[card.path.stem] = f"nothing written: {wrong}"
            continue
        about = {"card": card.path.stem, "title": card.title, "claim": claim(card), "reproduced": all_reproduced(table),
                 "date": entry["finished"][:10], "seconds": entry["seconds"], "parameters": entry["parameters"],
                 "data": {"fingerprint": entry.get("fingerprint", entry.get("split_fingerprint")),
                          "in the catalogue": known_data(entry["parameters"])},
                 "cells": cells(card), "code": json.loads(code.read_text()), "kit": manifest["kit"],
                 "python": manifest["python"], "platform": manifest["platform"], "packages": manifest["packages"]}
        folder = card.path.parent / "results"
        folder.mkdir(exist_ok=True)
        manifests.write_text(folder / f"{card.path.stem}.csv", table.to_csv(index=False, lineterminator="\n"))
        manifests.write_text(folder / f"{card.path.stem}.json", json.dumps(about, indent=1, ensure_ascii=False) + "\n")
        told[card.path.stem] = f"written to {folder.name}/{card.path.stem}.csv"
    return told


def _unfit(card: Chapter, entry: dict) -> str:
    if entry["status"] != "done":
        return f"it is {entry['status']}"
    changed = [name for name, value in card.defaults().items() if entry["parameters"].get(name) != value]
    if changed:
        return f"it was run with another {', '.join(changed)}"
    if entry["inputs"]["cells"] != manifests.inputs(card)["cells"]:
        return "its cells have changed since"
    return ""


def table_of(run: Path, entry: dict) -> pd.DataFrame:
    """The table of one card of a run from its ledger; empty where it recorded none."""
    lines: dict[tuple, dict] = {}
    recorded = manifests.rows(manifests.part(run, entry["notebook"], "ledger"))
    for row in recorded:
        parts = row["name"].split("/")
        if len(parts) == 3 and parts[2] in ("published", "ours", "within"):
            lines.setdefault((parts[0], parts[1]), {})[parts[2]] = float(row["value"])
    whole = not {"dataset", "columns", "max_users"} & set(entry.get("changed", ()))
    made = []
    for (row, metric), values in lines.items():
        numbers = [values.get(kind, math.nan) for kind in ("published", "ours", "within")]
        said = cards.verdict(*numbers)
        judged = said in (cards.REPRODUCED, cards.NOT, cards.BESIDE)
        made.append((row, metric, *numbers, said if whole or not judged else cards.OTHER))
    return pd.DataFrame(made, columns=cards.COLUMNS)


def all_reproduced(table: pd.DataFrame) -> bool:
    """Whether a card's table claims something, and every claimed number is within its tolerance."""
    claimed = table.loc[table["within"].notna(), "verdict"]
    return len(claimed) > 0 and bool((claimed == cards.REPRODUCED).all())


def fine(run: Path) -> bool:
    """Whether every card of the run, on whatever data, reproduced what it claims or was not asked to (other data)."""
    verdicts = [verdict for entry in manifests.read(run)["chapters"] for verdict in table_of(run, entry)["verdict"]]
    return cards.NOT not in verdicts


def results(notebooks: Path | None = None) -> dict[str, tuple[Chapter, Result | None]]:
    """Every card by its name, with what its last full run left, or None."""
    found = {}
    for card in find_papers(notebooks):
        path = card.path.parent / "results" / f"{card.path.stem}.csv"
        result = None
        if path.exists() and path.with_suffix(".json").exists():
            result = Result(pd.read_csv(path, dtype={"row": "str", "metric": "str"}),
                            json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))
        found[card.path.stem] = card, result
    return found


def stale(card: Chapter, result: Result) -> list[str]:
    """What has changed since the result was made: nothing, or the card's cells, modules of the kit, the data."""
    package = manifests.PACKAGE
    changed = []
    if cells(card) != result.about["cells"]:
        changed.append(card.path.name)
    for name, before in result.about["code"].items():
        path = package / name
        if not path.exists() or cards.fingerprint_of(path) != before:
            changed.append(f"{package.name}/{name}")
    if known_data(result.about["parameters"]) != result.about["data"]["in the catalogue"]:
        changed.append(f"the data set {result.about['parameters'].get('dataset')}")
    return changed


def cells(card: Chapter) -> str:
    """SHA-256 (12 hex digits) of what a card's code cells do; its words, its layout and its comments play no part."""
    code = [ast.dump(parse(source)) for kind, source, _ in card.cells() if kind == "code"]
    return hashlib.sha256("\n".join(code).encode()).hexdigest()[:12]


def known_data(parameters: dict) -> str | None:
    """The fingerprint that the catalogue has of the parameters' data set; None for one it does not know."""
    from recsys_kit.data import catalog, published

    entry = (published.SPLITS | catalog.SETS).get(parameters.get("dataset"))
    return entry.fingerprint if entry else None


def claim(card: Chapter) -> str:
    """What a card claims: the first sentence of its first cell's paragraph that begins with *Claim*, else that under the title."""
    text = next((source for kind, source, _ in card.cells() if kind == "markdown"), "")
    after = re.split(r"^#\s.*$", text, maxsplit=1, flags=re.MULTILINE)[-1].strip()
    named = re.search(r"^[*>\s]*claim[^.:\n]*[.:]\**\s", after, re.IGNORECASE | re.MULTILINE)
    after = after[named.end():] if named else after
    paragraph = " ".join(re.sub(r"^>\s?", "", line) for line in after.split("\n\n")[0].splitlines()).strip()
    plain = re.sub(r"^(the )?claim:\s*", "", paragraph.replace("*", ""), flags=re.IGNORECASE)
    return re.split(r"(?<=[.!?])\s+(?=[A-Z\[])", plain[:1].upper() + plain[1:], maxsplit=1)[0]


# For a reader ------------------------------------------------------------------------------------------------------------

def readme_table(notebooks: Path | None = None) -> str:
    """The table of all cards as Markdown: claim, what was run again, published, ours, verdict, time. From the results alone."""
    lines = ["| card | claim | run again | published | ours | verdict | time |", "|---|---|---|---|---|---|---|"]
    for name, (card, result) in results(notebooks).items():
        link = f"[{name}](notebooks/papers/{name}.ipynb)"
        if result is None:
            lines.append(f"| {link} | {_cell(claim(card))} | | | | not run yet | |")
            continue
        rows, published, ours = (_stack(result.table, kind) for kind in ("row", "published", "ours"))
        lines.append(f"| {link} | {_cell(result.about['claim'])} | {rows} | {published} | {ours} | {_verdict(result.table)} | "
                     f"{spent(result.about['seconds'])} |")
    return "\n".join(lines)


def _claimed(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table that claim something, whole."""
    return table[table["row"].isin(table.loc[table["within"].notna(), "row"])]


def _stack(table: pd.DataFrame, kind: str) -> str:
    """One cell with a line per claimed row; the line above them names the metrics. Numbers never break (no-break spaces)."""
    shown = cards.side_by_side(_claimed(table))
    metrics = list(dict.fromkeys(metric for metric, _ in shown.columns if metric))
    if kind == "row":
        return "<br>".join([f"*{_joined(metrics)}*", *map(str, shown.index)])
    return "<br>".join(["&nbsp;", *(_joined(shown.loc[row, [(metric, kind) for metric in metrics]]) for row in shown.index)])


def _joined(parts) -> str:
    return "\u00a0/\u00a0".join(parts)


def _verdict(table: pd.DataFrame) -> str:
    claimed = table[table["within"].notna()]
    within = ", ".join(f"{one:g}" for one in sorted(claimed["within"].unique()))
    bad = list(dict.fromkeys(claimed.loc[claimed["verdict"] != cards.REPRODUCED, "row"]))
    return f"**not reproduced** within {within}: {', '.join(bad)}" if bad else f"**reproduced** within {within}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def spent(seconds: float) -> str:
    """Seconds as a person says them.

    >>> spent(54.3), spent(600)
    ('54 s', '10 min')
    """
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def write_readme(notebooks: Path | None = None) -> bool:
    """Put the table between the markers of the README above the folder of chapters; returns whether there are markers."""
    path = Path(notebooks or finding.FOLDER).parent / README
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        return False
    before, rest = text.split(BEGIN)
    made = f"{before}{BEGIN}\n{readme_table(notebooks)}\n{END}{rest.split(END)[1]}"
    if made != text:
        manifests.write_text(path, made)
    return True


def status(notebooks: Path | None = None) -> list[dict]:
    """Per card: name, title, verdict, date, seconds, and what is stale (a list, empty where nothing is)."""
    made = []
    for name, (card, result) in results(notebooks).items():
        line = {"card": name, "title": card.title, "verdict": "not run yet", "date": "", "seconds": None, "stale": []}
        if result:
            line |= {"verdict": cards.REPRODUCED if all_reproduced(result.table) else cards.NOT, "date": result.about["date"],
                     "seconds": result.about["seconds"], "stale": stale(card, result)}
        made.append(line)
    return made


def told(notebooks: Path | None = None) -> str:
    """`status` as lines for a terminal."""
    lines = []
    for line in status(notebooks):
        when = f", {line['date']}, {spent(line['seconds'])}" if line["date"] else ""
        old = f"; STALE, changed since: {', '.join(line['stale'])}" if line["stale"] else ""
        lines.append(f"{line['card']}: {line['verdict']}{when}{old}")
    return "\n".join(lines) or "no cards"


def tables(run: Path) -> str:
    """The table of each finished card of a run, for a terminal."""
    parts = []
    for entry in manifests.read(run)["chapters"]:
        table = table_of(run, entry) if entry["status"] == "done" else pd.DataFrame()
        if not table.empty:
            with pd.option_context("display.width", 200, "display.max_columns", 50):
                parts.append(f"{finding.called(entry['chapter']).capitalize()}: {entry['title']}\n{cards.side_by_side(table)}")
    return "\n\n".join(parts)
