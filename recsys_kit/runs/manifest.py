"""What a run leaves behind besides its notebooks: `manifest.json`, `ledger.csv`, `claims.csv`.

The manifest says what was run (parameters, seed, code, versions, threads, data fingerprints) and how each chapter ended.
It holds no name, user or folder of the machine it was made on.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import tempfile
from pathlib import Path

from recsys_kit import __version__
from recsys_kit.runs.chapters import Chapter, UsageError

LEDGER = ("chapter", "dataset", "seed", "name", "value", "unit")
CLAIMS = ("chapter", "dataset", "seed", "claim", "verdict")
FINGERPRINTS = ("fingerprint", "split_fingerprint")  # names under which chapters record what they ran on
BUDGET = 12  # seconds a chapter may take before the run says so
CASE_BUDGETS = {"case-1": 10, "case-2": 90, "case-3": 150}  # and a case, by its number, at full size
PAPER_BUDGETS = {"paper-gfcf-gowalla": 180, "paper-ncf-ml1m": 1300}  # and a paper's card; three fits of six minutes in the second
PAPER_BUDGET = 300
# One thread each: sums come out in the same order everywhere, and chapters run side by side without crowding.
THREADS = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")
PACKAGE = Path(__file__).resolve().parents[1]


def budget(number: str) -> int:
    """Seconds that the chapter, case or card with this number may take."""
    if number.startswith("paper-"):
        return PAPER_BUDGETS.get(number, PAPER_BUDGET)
    return CASE_BUDGETS.get(number, BUDGET)


def threads() -> dict[str, str]:
    """The thread settings a chapter runs under: one each, unless the environment already says otherwise."""
    return {name: os.environ.get(name, value) for name, value in THREADS.items()}


def versions() -> dict[str, str]:
    """Installed version of every package that the kit pins, by name."""
    pinned = [line.split("==")[0].strip() for line in importlib.metadata.requires("recsys_kit") or () if "==" in line]
    return {name: importlib.metadata.version(name) for name in sorted(pinned)}


def code() -> str:
    """SHA-256 (first 12 hex digits) over the kit's own source files: which state of the code made these numbers."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def commit() -> str | None:
    """The git commit of the checkout, with "+" where its code or chapters differ from it; None outside a checkout."""
    def git(*words):
        words = ["git", "-C", PACKAGE.parent, *words]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    try:
        changed = git("status", "--porcelain", "--", "recsys_kit", "notebooks")
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def inputs(chapter: Chapter, dataset: str | None = None) -> dict[str, str]:
    """What a chapter's numbers depend on besides its parameters: SHA-256 (12 hex digits) of its cells, and `code`; for a data
    file of one's own also its size and time of change.
    """
    made = {"cells": hashlib.sha256(json.dumps(chapter.cells()).encode()).hexdigest()[:12], "code": code()}
    if dataset and Path(dataset).is_file():  # a file of one's own may change between two sittings of one run
        made["data"] = f"{Path(dataset).stat().st_size} bytes, changed {Path(dataset).stat().st_mtime_ns}"
    return made


def new(run: str, created: str, given: dict) -> dict:
    """The manifest of a run that is about to start; ``given`` are the parameters asked for."""
    return {"run": run, "created": created, "parameters": given,
            "kit": {"version": __version__, "commit": commit(), "code": code()},
            "python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}",
            "cores": os.cpu_count(), "threads": threads(), "packages": versions(), "chapters": []}


def read(folder: Path) -> dict:
    """The manifest of a run folder. Raises `UsageError` if there is none or it cannot be read."""
    try:
        return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"'{folder}' is not a run: it has no manifest.json") from None
    except (ValueError, OSError) as error:
        raise UsageError(f"the manifest of '{folder}' cannot be read: {error}") from None


def write(folder: Path, manifest: dict) -> None:
    """Write ``manifest.json``, wholly or not at all."""
    write_text(folder / "manifest.json", json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically: whoever reads it sees the old one or the new one, never half of it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def rows(path: Path) -> list[dict]:
    """The rows of a ledger or claims file; none if the file is not there."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def merge(folder: Path, manifest: dict) -> None:
    """Write ``ledger.csv`` and ``claims.csv`` of a run from the files its chapters wrote, in the chapters' order."""
    for kind, header in (("ledger", LEDGER), ("claims", CLAIMS)):
        lines = [row for entry in manifest["chapters"] if entry["status"] in ("done", "failed")
                 for row in rows(part(folder, entry["notebook"], kind))]
        target = folder / f"{kind}.csv"
        temporary = folder / f".{kind}.csv.part"
        with temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, header, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(lines)
        os.replace(temporary, target)


def part(folder: Path, notebook: str, kind: str) -> Path:
    """The file in which one chapter of a run keeps its own ledger, claims or log."""
    return folder / "parts" / f"{kind}-{Path(notebook).stem}.{'log' if kind == 'log' else 'csv'}"
