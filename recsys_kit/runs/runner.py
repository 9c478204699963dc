"""Runs chapters side by side, each through papermill in a process of its own, and keeps what they leave in one folder.

``runs/<id>/`` holds the executed notebooks and their HTML pages, ``ledger.csv`` (every recorded number), ``claims.csv``,
``manifest.json`` and ``index.html``. The folder is valid at any moment: a run that was interrupted, or in which a
chapter failed, is taken up again under the same id, and only what is missing is done.
"""

from __future__ import annotations

import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from recsys_kit.runs import manifest as manifests
from recsys_kit.runs import report
from recsys_kit.runs.chapters import Chapter, UsageError, called, everything, find
from recsys_kit.runs.crew import Crew
from recsys_kit.runs.progress import Progress

OUT = Path("runs")


def folder_of(run: str, out: Path = OUT) -> Path:
    """The folder of a run, given its id or the folder itself."""
    return Path(run) if Path(run).is_dir() else Path(out) / run


def run(chapters: list[Chapter] | None = None, given: dict | None = None, *, run_id: str | None = None, out: Path = OUT,
        jobs: int | None = None, notebooks: Path | None = None, recorded: dict[str, dict] | None = None, label: str = "",
        stream=None) -> Path:
    """Run chapters and return the folder of the run.

    Chapters that are done there already, from the same cells, parameters and code of the kit, are left alone.

    Parameters
    ----------
    chapters : what to run; None: all that the run already knows (cases and cards too), or for a new run all chapters of the folder
        ``notebooks``.
    given : parameters by name, the same for every chapter; text is read as the type of the parameter's default.
    run_id : the id of a run to go on with, or the id for a new one; None makes one from time, data set and seed.
    out : the folder that holds the runs.  jobs : chapters at a time (None: one per core).
    recorded : all parameters of each chapter by notebook name, from another run's manifest, in place of ``given``.
    label : what to add to an id made here.  stream : where to tell how it goes (None: standard output).

    Raises `UsageError` before anything is started; `KeyboardInterrupt` when interrupted, with what is finished kept.
    A chapter that fails stops no other: look at its ``status`` in the manifest.
    """
    stream = stream or sys.stdout
    folder, manifest = _open(run_id, given or {}, Path(out), label)
    known = [entry["notebook"] for entry in manifest["chapters"]]
    if chapters is None:
        chapters = [chapter for chapter in everything(notebooks) if chapter.path.name in known] if known else find(notebooks)
    plan = [(chapter, _entry(manifest, chapter, recorded[chapter.path.name] if recorded else manifest["parameters"]))
            for chapter in chapters]
    todo = [(chapter, entry) for chapter, entry in plan if not _is_done(folder, entry)]

    (folder / "parts").mkdir(parents=True, exist_ok=True)
    manifests.write(folder, manifest)
    settings = ", ".join(f"{name}={value}" for name, value in manifest["parameters"].items())
    kept = f" ({len(plan) - len(todo)} done before)" if len(todo) < len(plan) else ""
    print(f"Run {folder.name}: {_counted(todo, plan)}{kept}, {settings or 'on the defaults'}", file=stream, flush=True)
    progress = Progress([chapter.path.stem for chapter, _ in todo], stream)
    try:
        Crew(folder, manifest, jobs or os.cpu_count() or 1, progress).work(todo)
    except KeyboardInterrupt:
        _close(folder, manifest)
        done = sum(entry["status"] == "done" for _, entry in plan)
        print(f"\nInterrupted. {done} of {_counted(plan, plan)} are finished and kept. "
              f"Go on with: make {_target(plan)} RUN={folder.name}", file=stream, flush=True)
        raise
    _close(folder, manifest)
    _summary(folder, plan, stream)
    return folder


def parameters(run_id: str | None, out: Path = OUT) -> dict:
    """The parameters a run was started with; none if there is no such run yet."""
    return manifests.read(folder_of(run_id, out))["parameters"] if begun(run_id, out) else {}


def begun(run_id: str | None, out: Path = OUT) -> bool:
    """Whether there is such a run already."""
    return bool(run_id) and (folder_of(run_id, out) / "manifest.json").exists()


def failed(folder: Path) -> bool:
    """Whether a chapter of the run is not done."""
    return any(entry["status"] != "done" for entry in manifests.read(folder)["chapters"])


def _open(run_id: str | None, given: dict, out: Path, label: str) -> tuple[Path, dict]:
    """The folder and manifest of a run, there already or new."""
    now = datetime.now(UTC)
    if begun(run_id, out):
        folder = folder_of(run_id, out)
        manifest = manifests.read(folder)
        for name, value in given.items():
            if str(manifest["parameters"].get(name)) != str(value):
                raise UsageError(f"run {folder.name} was started with {name}={manifest['parameters'].get(name, 'its default')}, "
                                 f"not {value}; leave {name} out to go on with it, or take another RUN for a new one")
        now_here = manifests.new(folder.name, manifest["created"], manifest["parameters"])
        return folder, now_here | {"chapters": manifest["chapters"]}
    if run_id:
        if not re.fullmatch(r"\w[\w.-]*", Path(run_id).name):
            raise UsageError(f"'{run_id}' cannot name a run: take letters, digits, '-', '_' and '.'")
        folder = Path(run_id) if len(Path(run_id).parts) > 1 else out / run_id
    else:
        dataset = re.sub(r"\W+", "-", Path(str(given.get("dataset", "market"))).stem)
        name = f"{now.astimezone():%Y-%m-%d_%H%M%S}_{dataset}_seed{given.get('seed', 0)}{label}"
        taken = sum(path.name.startswith(name) for path in out.glob("*"))
        folder = out / (f"{name}-{taken + 1}" if taken else name)
    return folder, manifests.new(folder.name, now.isoformat(timespec="seconds"), given)


def _entry(manifest: dict, chapter: Chapter, given: dict) -> dict:
    """The chapter's entry in the manifest; one that was made from other inputs starts anew."""
    values, defaults = chapter.values(given), chapter.defaults()
    fresh = {"chapter": chapter.number, "notebook": chapter.path.name, "title": chapter.title, "status": "waiting",
             "parameters": values, "changed": [name for name in values if values[name] != defaults[name]],
             "inputs": manifests.inputs(chapter, values.get("dataset"))}
    for place, old in enumerate(manifest["chapters"]):
        if old["notebook"] == chapter.path.name:
            if (old["inputs"], old["parameters"]) != (fresh["inputs"], values):
                manifest["chapters"][place] = fresh
            return manifest["chapters"][place]
    manifest["chapters"].append(fresh)
    manifest["chapters"].sort(key=lambda entry: entry["notebook"])
    return fresh


def _is_done(folder: Path, entry: dict) -> bool:
    return entry["status"] == "done" and (folder / entry["notebook"]).exists()


def _close(folder: Path, manifest: dict) -> None:
    manifests.merge(folder, manifest)
    manifests.write(folder, manifest)
    report.write(folder)


def _summary(folder: Path, plan: list, stream) -> None:
    bad = [entry for _, entry in plan if entry["status"] == "failed"]
    for entry in bad:
        error = entry["error"]
        print(f"\n{called(entry['chapter']).capitalize()} failed in cell [{error['cell']}]: {error['source']}\n"
              f"  {error['name']}: {error['message']}", file=stream)
    if bad:
        print(f"\n{len(bad)} of {_counted(plan, plan)} failed. Once mended, go on with: make {_target(plan)} RUN={folder.name}",
              file=stream)
    print(f"Results: {folder / 'index.html'}", file=stream, flush=True)


def _target(plan: list) -> str:
    """The target of the Makefile that goes on with these: `cases` where all are cases, `papers` where all are cards, else `course`,
    which takes up any run.
    """
    kinds = {chapter.kind for chapter, _ in plan}
    return {"case": "cases", "card": "papers"}.get(kinds.pop(), "course") if len(kinds) == 1 else "course"


def _counted(some: list, plan: list) -> str:
    word = {"cases": "case", "papers": "card"}.get(_target(plan), "chapter")
    return f"{len(some)} {word}{'s' * (len(some) != 1)}"
