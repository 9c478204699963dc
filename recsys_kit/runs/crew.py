"""The processes of a run: one per chapter, started as cores become free, listened to, stopped together."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil

from recsys_kit.runs import manifest as manifests
from recsys_kit.runs.chapters import Chapter
from recsys_kit.runs.progress import Progress


@dataclass
class _Child:
    """A chapter at work: its process, its entry in the manifest, and what it last said."""

    name: str
    entry: dict
    process: subprocess.Popen
    began: float
    unread: bytes = b""
    last: dict = field(default_factory=dict)


class Crew:
    """Runs chapters in child processes, at most ``jobs`` at a time, and writes into the manifest how each one ended."""

    def __init__(self, folder: Path, manifest: dict, jobs: int, progress: Progress):
        self.folder, self.manifest, self.jobs, self.progress = folder, manifest, jobs, progress
        self.selector = selectors.DefaultSelector()
        self.children: list[_Child] = []

    def work(self, todo: list[tuple[Chapter, dict]]) -> None:
        """Run all; returns when the last has ended. SIGTERM is treated as Ctrl-C."""
        todo = list(todo)
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            while todo or self.children:
                while todo and len(self.children) < self.jobs:
                    self._start(*todo.pop(0))
                for key, _ in self.selector.select(timeout=0.2):
                    self._listen(key.data)
                self.progress.draw()
        finally:
            signal.signal(signal.SIGTERM, before)
            _stop([child.process for child in self.children])

    def _start(self, chapter: Chapter, entry: dict) -> None:
        for kind in ("ledger", "claims"):
            manifests.part(self.folder, chapter.path.name, kind).unlink(missing_ok=True)
        for key in ("seconds", "cells", "cells_run", "error", "finished"):
            entry.pop(key, None)
        entry["status"] = "waiting"
        environment = os.environ | manifests.threads() | {
            "RECSYS_KIT_LEDGER": str(manifests.part(self.folder, chapter.path.name, "ledger").absolute()),
            "JUPYTER_PREFER_ENV_PATH": "1",  # the kernel of this environment, whatever the user has installed at home
            "PYTHONHASHSEED": "0", "PYDEVD_DISABLE_FILE_VALIDATION": "1", "PYTHONUTF8": "1"}
        with manifests.part(self.folder, chapter.path.name, "log").open("wb") as log:
            # A session of its own: Ctrl-C reaches the runner alone, which then stops its children in good order.
            process = subprocess.Popen([sys.executable, "-m", "recsys_kit.runs.worker"], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, stderr=log, bufsize=0, env=environment, start_new_session=True)
        child = _Child(chapter.path.stem, entry, process, time.monotonic())
        self.children.append(child)
        self.selector.register(process.stdout, selectors.EVENT_READ, child)
        self.progress.start(child.name)
        defaults = chapter.defaults()
        job = {"notebook": str(chapter.path), "folder": str(self.folder.absolute()),
               "parameters": {name: value for name, value in entry["parameters"].items() if value != defaults[name]}}
        try:
            process.stdin.write(json.dumps(job).encode())
            process.stdin.close()
        except BrokenPipeError:
            pass  # it died at once: reading its end says so

    def _listen(self, child: _Child) -> None:
        data = os.read(child.process.stdout.fileno(), 65536)
        *lines, child.unread = (child.unread + data).split(b"\n")
        for line in lines:
            child.last |= json.loads(line)
            self.progress.at(child.name, child.last["cell"], child.last["cells"])
        if not data:
            self._finish(child)

    def _finish(self, child: _Child) -> None:
        self.selector.unregister(child.process.stdout)
        child.process.stdout.close()
        status = child.process.wait()
        self.children.remove(child)
        told = {"cell": None, "cells": None} | child.last
        if "seconds" not in told:  # it ended before it could say how it went
            error = {"cell": told["cell"], "source": "", "name": "the process ended", "message": _why(status, child.name)}
            told |= {"seconds": round(time.monotonic() - child.began, 1), "error": error}
        entry, error = child.entry, told["error"]
        entry.update(status="failed" if error else "done", seconds=told["seconds"], cells=told["cells"], cells_run=told["cell"],
                     finished=datetime.now(UTC).isoformat(timespec="seconds"))
        if error:
            entry["error"] = error
        for row in manifests.rows(manifests.part(self.folder, entry["notebook"], "ledger")):
            if row["name"] in manifests.FINGERPRINTS:
                entry[row["name"]] = row["value"]
        manifests.write(self.folder, self.manifest)
        budget = manifests.budget(entry["chapter"])
        over = f", over the budget of {budget} s" if entry["seconds"] > budget else ""
        self.progress.end(child.name, f"FAILED in cell [{error['cell']}]: {error['name']}" if error
                          else f"done in {entry['seconds']:.1f} s{over}")


def _why(status: int, name: str) -> str:
    how = f"killed by signal {-status}, perhaps for want of memory" if status < 0 else f"exit status {status}"
    return f"{how}; its log is parts/log-{name}.log"


def _stop(processes: list[subprocess.Popen]) -> None:
    """Stop processes and the kernels they started; those that do not go in three seconds are killed."""
    if not processes:
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave kernels behind
    try:
        all_of_them = []
        for process in processes:
            try:
                parent = psutil.Process(process.pid)
                all_of_them += [*parent.children(recursive=True), parent]
            except psutil.NoSuchProcess:
                pass
        for one in all_of_them:
            try:
                one.terminate()
            except psutil.NoSuchProcess:
                pass
        for one in psutil.wait_procs(all_of_them, timeout=3)[1]:
            one.kill()
        for process in processes:
            process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
