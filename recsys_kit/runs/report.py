"""`index.html` of a run: chapters, times, claims, every recorded number and the main pictures, on one page by itself."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jinja2

from recsys_kit.cards import side_by_side
from recsys_kit.runs import manifest as manifests
from recsys_kit.runs import papers
from recsys_kit.runs.chapters import kind

PAGE = Path(__file__).with_name("report_page.html.j2")
PICTURES = 2  # of a chapter without cells tagged `main-picture`


def write(folder: Path) -> Path:
    """Write (or rebuild) ``index.html`` of a run folder from its manifest, ledger, claims and notebooks; returns its path."""
    folder = Path(folder)
    manifest = manifests.read(folder)
    numbers, claims = manifests.rows(folder / "ledger.csv"), manifests.rows(folder / "claims.csv")
    chapters = [_chapter(folder, entry, numbers, claims) for entry in manifest["chapters"]]
    verdicts = [claim["verdict"] for claim in claims]
    kinds = {kind(chapter["chapter"]) for chapter in chapters}
    datasets = dict.fromkeys(chapter["parameters"]["dataset"] for chapter in chapters if "dataset" in chapter["parameters"])
    pages = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page = pages.from_string(PAGE.read_text(encoding="utf-8")).render(
        run=manifest, chapters=chapters, word=kinds.pop() if len(kinds) == 1 else "chapter", kept=_kept(), spent=papers.spent,
        datasets=datasets, seed=_shared_seed(chapters),
        numbers=len(numbers),
        done=sum(chapter["status"] == "done" for chapter in chapters),
        seconds=sum(chapter.get("seconds") or 0 for chapter in chapters),
        held=verdicts.count("holds"), broken=verdicts.count("does not hold"), unknown=verdicts.count("needs known truth"))
    manifests.write_text(folder / "index.html", page)
    return folder / "index.html"


def shown(value: str) -> str:
    """A recorded value as a person reads it: thousands separated, six significant digits.

    >>> shown("1234567"), shown("0.30000000000000004"), shown("online-retail")
    ('1,234,567', '0.3', 'online-retail')
    """
    try:
        number = float(value)
    except ValueError:
        return value
    if number.is_integer() and abs(number) < 1e15:
        return f"{number:,.0f}"
    return f"{number:,.6g}"


def _chapter(folder: Path, entry: dict, numbers: list[dict], claims: list[dict]) -> dict:
    """The manifest's entry of a chapter, with what the page shows of it."""
    notebook = folder / entry["notebook"]
    page = notebook.with_suffix(".html")
    ran = entry["status"] in ("done", "failed")
    mine = [row for row in claims if row["chapter"] == entry["chapter"]]
    table = papers.table_of(folder, entry) if kind(entry["chapter"]) == "card" and ran else None
    return entry | {
        "budget": manifests.budget(entry["chapter"]),
        "page": page.name if ran and page.exists() else None,
        "pictures": pictures(notebook) if ran and notebook.exists() else [],
        "numbers": [row | {"shown": row["value"] if row["unit"] == "" and "fingerprint" in row["name"] else shown(row["value"])}
                    for row in numbers if row["chapter"] == entry["chapter"] and not (table is not None and "/" in row["name"])],
        "table": None if table is None or table.empty else side_by_side(table),
        "claims": mine, "verdicts": {verdict: sum(row["verdict"] == verdict for row in mine)
                                     for verdict in ("holds", "does not hold", "needs known truth")}}


def _kept() -> list[dict]:
    """Of each card of which a result is kept in the repository: the verdict, and what it is stale for."""
    return [line for line in papers.status() if line["date"]]


def pictures(notebook: Path) -> list[dict]:
    """The main pictures of an executed notebook: of cells tagged `main-picture`, else the first two.

    Each is {"png": base64, "title": the heading above it}.
    """
    found, heading = [], ""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            headings = re.findall(r"^#{1,4}\s+(.+?)\s*$", source, re.MULTILINE)
            heading = re.sub(r"[*`$]", "", headings[-1]) if headings else heading
        for output in cell.get("outputs", ()):
            png = output.get("data", {}).get("image/png")
            if png:
                found.append({"png": "".join(png).replace("\n", ""), "title": heading,
                              "main": "main-picture" in cell["metadata"].get("tags", ())})
    return [picture for picture in found if picture["main"]] or found[:PICTURES]


def _shared_seed(chapters: list[dict]) -> int | None:
    """The seed of the run, where all have the same."""
    seeds = {chapter["parameters"].get("seed") for chapter in chapters}
    return seeds.pop() if len(seeds) == 1 else None
