"""What became of a run's claims and what it took, in a few lines: how `make cases` ends."""

from __future__ import annotations

from pathlib import Path

from recsys_kit.runs import manifest as manifests
from recsys_kit.runs.chapters import called

MARKS = {"holds": "✓", "does not hold": "✗", "needs known truth": "?"}
MEASURED = {"seconds": "s", "peak_mb": "MB"}


def told(folder: Path) -> str:
    """Per chapter or case of the run: seconds and peak memory from its ledger, then every claim with its verdict."""
    manifest = manifests.read(folder)
    numbers, claims = manifests.rows(folder / "ledger.csv"), manifests.rows(folder / "claims.csv")
    lines = []
    for entry in manifest["chapters"]:
        mine = {row["name"]: row["value"] for row in numbers if row["chapter"] == entry["chapter"]}
        took = ", ".join(f"{name} {float(mine[name]):,.1f} {unit}" for name, unit in MEASURED.items() if name in mine)
        head = f"{called(entry['chapter']).capitalize()}: {entry['title']}"
        lines.append(f"{head} ({took})" if took else f"{head} ({entry['status']})")
        lines += [f"  {MARKS[row['verdict']]} {row['verdict']:<17}  {row['claim']}" for row in claims
                  if row["chapter"] == entry["chapter"]]
    return "\n".join(lines)


def broken(folder: Path) -> list[str]:
    """The claims of the run that do not hold."""
    return [row["claim"] for row in manifests.rows(folder / "claims.csv") if row["verdict"] == "does not hold"]
