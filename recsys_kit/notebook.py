"""What every chapter calls: set up, record a number, say it in a sentence, bind a claim to it.

No number in a chapter's prose is typed by hand. It is recorded, and the sentence is made from the record::

    setup("01", dataset=dataset, columns=columns, seed=seed, max_users=max_users)
    record("buyers", buyers / users, unit="share")
    say("Of all users, {buyers:.1%} bought something.")
    check("fewer than half of the users buy", buyers / users < 0.5)

Recorded numbers go to a CSV file, the *ledger*: the environment variable ``RECSYS_KIT_LEDGER`` names it;
without it, it is ``ledger-<chapter>.csv`` in the working folder. Claims go beside it, to the same name with
``claims`` for ``ledger``.
"""

from __future__ import annotations

import csv
import difflib
import importlib.metadata
import math
import os
import random
import re
import string
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import threadpoolctl
from packaging.requirements import Requirement

from recsys_kit import __version__, plots

DEFAULTS = {"dataset": "market", "columns": {}, "seed": 0, "max_users": 0}
LEDGER_HEADER = ("chapter", "dataset", "seed", "name", "value", "unit")
CLAIMS_HEADER = ("chapter", "dataset", "seed", "claim", "verdict")
HOLDS, FAILS, UNKNOWN = "holds", "does not hold", "needs known truth"
SHOWN = {HOLDS: "✓ **holds**", FAILS: "✗ **does not hold here**", UNKNOWN: "? **needs known truth**"}
LONGEST_TEXT = 200
PATH = re.compile(r"[\w@+-]+(/[\w@+-]+)+")  # a name with "/": what a paper's card records, SAR/recall@10/ours
MAIN_LIBRARIES = {"numpy", "scipy", "pandas", "pyarrow", "scikit-learn", "scikit-surprise", "implicit",
                  "torch", "matplotlib"}


class NotebookError(ValueError):
    """A notebook tool was called in a way that cannot be right; the message says what to write instead."""


class ClaimError(AssertionError):
    """A claim of the chapter is false where it must be true, or an invariant of the kit is broken."""


@dataclass
class _Run:
    chapter: str
    dataset: str
    seed: int
    changed: frozenset  # names of the parameters that are not at their defaults
    ledger: Path
    claims: Path
    values: dict = field(default_factory=dict)  # recorded name -> value
    seen: dict = field(default_factory=dict)  # (kind, name) -> what was given, and by which run of which cell

    @property
    def on_defaults(self) -> bool:
        return not self.changed


_run: _Run | None = None


def setup(chapter: str, *, dataset: str, columns: dict, seed: int, max_users: int,
          own: dict | None = None, threads: int = 1) -> None:
    """Prepare this notebook's run: check versions, seed, limit threads, set the plot style, empty the ledger.

    ``dataset, columns, seed, max_users`` are the notebook's parameters (columns: common name -> name in the
    file; max_users 0 keeps all). ``own`` gives the chapter's own, each as value now and committed default:
    ``own=dict(half_life=(half_life, 30))``. Claims must hold only where all are at their defaults. Versions
    that differ from the tested ones are printed with the command that mends them. Seeds `random` and numpy's
    legacy generator (and torch, if loaded) for libraries without their own. ``threads``: one for a chapter, as
    chapters run side by side; a paper's card, which runs alone, may ask for two. Raises `NotebookError`.
    """
    global _run
    given = {"dataset": dataset, "columns": columns, "seed": seed, "max_users": max_users}
    given |= {name: value for name, (value, _) in (own or {}).items()}
    defaults = DEFAULTS | {name: default for name, (_, default) in (own or {}).items()}
    for name, value in given.items():
        _check_type(name, value, defaults[name])
    if not 0 <= seed < 2**32 or max_users < 0:
        raise NotebookError(f"seed = {seed}, max_users = {max_users}: neither may be negative, "
                            "and a seed is below 2**32.")

    pins = [Requirement(text) for text in importlib.metadata.requires("recsys_kit")]
    installed = {pin.name: _version(pin.name) for pin in pins} | {"recsys_kit": _version("recsys_kit")}
    pins = [pin for pin in pins if pin.name in MAIN_LIBRARIES]
    problem = version_problem(sys.version_info[:2], installed, pins)
    if problem:
        print(problem)
    random.seed(seed)
    np.random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)
    # One thread: sums come out in one order, and on a busy machine two threads that wait for each other are ten times slower.
    os.environ |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), str(threads))  # for libraries loaded later;
    threadpoolctl.threadpool_limits(threads)  # and for those loaded
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    plots.style()

    ledger = Path(os.environ.get("RECSYS_KIT_LEDGER") or f"ledger-{chapter}.csv").absolute()
    beside = ledger.name.replace("ledger", "claims") if "ledger" in ledger.name else f"claims-{ledger.name}"
    changed = {name: value for name, value in given.items() if value != defaults[name]}
    _run = _Run(chapter, dataset, seed, frozenset(changed), ledger, ledger.with_name(beside))
    for path, header in ((_run.ledger, LEDGER_HEADER), (_run.claims, CLAIMS_HEADER)):
        _put(path, header, replaces={"chapter": chapter})
    if changed:
        settings = ", ".join(f"{name}={value!r}" for name, value in changed.items())
        print(f"Ready, with {settings}: claims are reported, not required.")
    else:
        print("Ready, on the committed defaults: every claim must hold.")


def record(name: str, value, unit: str = "") -> None:
    """Write one number (int, float, bool, numpy scalar) or short text to the ledger; displays nothing.

    ``name`` is a Python name, as `say` uses it, or, for the rows of a paper's table, a path of names, in which
    '-', '@' and '+' may stand as well: ``SAR/recall@10/ours``. It can be recorded once. nan and infinity are
    written as such, but are an error on the committed defaults. Raises `NotebookError`.
    """
    run = _current("record")
    if not (isinstance(name, str) and (name.isidentifier() or PATH.fullmatch(name))):
        raise NotebookError(f"record: {name!r} cannot stand in a sentence; use letters, digits and '_', as in "
                            "recall_at_10, or a path for a row of a table, as in SAR/recall@10/ours.")
    value = value.item() if isinstance(value, np.generic) else value
    if not isinstance(value, (bool, int, float, str)):
        raise NotebookError(f"record: {name!r} is a {type(value).__name__}, not a number or a text. "
                            "Record single numbers; write a date as str(date).")
    if isinstance(value, str) and (len(value) > LONGEST_TEXT or "\n" in value):
        raise NotebookError(f"record: the text for {name!r} must fit a line of {LONGEST_TEXT} characters.")
    if isinstance(value, float) and not math.isfinite(value) and run.on_defaults:
        raise NotebookError(f"record: {name!r} is {value} on the committed defaults. "
                            "Look for an empty group or a division by zero.")
    _once("record", name, value, unit)
    run.values[name] = value
    _put(run.ledger, LEDGER_HEADER, replaces={"chapter": run.chapter, "name": name},
         row=(run.chapter, run.dataset, run.seed, name, value, unit))


def say(sentence: str) -> None:
    """Show a sentence (Markdown) with recorded values in it: ``say("{users:,} users, {recall:.3f} recall")``.

    Format specifications are those of `str.format`. Raises `NotebookError` for a name that was not recorded.
    """
    _current("say")
    show(_Sentence().format(sentence))


def check(claim: str, holds) -> None:
    """Bind a claim, in words, to a truth value, and show the verdict.

    ``holds``: a bool (Python's or numpy's), or None where only a data set with known truth could tell. On the
    committed defaults a claim that is not true raises `ClaimError`. With other data or parameters the verdict
    is shown and written to the claims file: holds, does not hold, needs known truth. Anything but a bool or
    None raises `NotebookError`: a check of a text or a tuple would always pass.
    """
    run = _current("check")
    verdict = UNKNOWN if holds is None else HOLDS if _truth("check", claim, holds) else FAILS
    _once("check", claim, verdict)
    _put(run.claims, CLAIMS_HEADER, replaces={"chapter": run.chapter, "claim": claim},
         row=(run.chapter, run.dataset, run.seed, claim, verdict))
    if run.on_defaults and verdict == FAILS:
        raise ClaimError(f"on the committed defaults this must hold, and does not: {claim}")
    if run.on_defaults and verdict == UNKNOWN:
        raise ClaimError(f"on the committed defaults the truth is known; this needs a yes or a no: {claim}")
    show(f"{SHOWN[verdict]}: {claim}")


def invariant(claim: str, holds) -> None:
    """Show what must be true whatever the data and the parameters; raises `ClaimError` where it is not."""
    if not _truth("invariant", claim, holds):
        raise ClaimError(f"this must hold for any data, and does not: {claim}")
    show(f"✓ **always**: {claim}")


def peak_mb() -> float:
    """The most memory this process has had so far, in MB (10^6 bytes): resident, with all libraries.

    A high-water mark: it never falls, so call it last. For the ledger only, ``record("peak_mb", peak_mb(), unit="MB")``;
    it differs from machine to machine.
    """
    status = Path("/proc/self/status")
    if status.exists():  # Linux: getrusage would also count what the parent had when it started this process
        return int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    import resource  # here, because Windows has none, and all else in this module runs there
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # macOS counts bytes


def version_problem(python: tuple[int, int], installed: dict[str, str | None],
                    pins: list[Requirement]) -> str:
    """What differs from the tested versions, and the exact fix; an empty text if nothing does.

    ``python`` is (major, minor); ``installed`` maps a library to its version here, None where it is missing.

    >>> here = {"recsys_kit": __version__, "numpy": "2.3.0"}
    >>> print(version_problem((3, 11), here, [Requirement("numpy==2.4.6")]))
    Not the tested versions, so numbers may differ: numpy 2.3.0 (tested: 2.4.6).
    To mend it, run in a cell, then restart the kernel:  %pip install numpy==2.4.6
    """
    if python != (3, 11):
        return (f"This notebook needs Python 3.11, and runs on {python[0]}.{python[1]}.\n"
                "To mend it, in the project's folder:  make lab")
    if installed["recsys_kit"] != __version__:
        return (f"The installed recsys_kit is {installed['recsys_kit']}, the code in use is {__version__}.\n"
                "To mend it, in the project's folder:  python -m pip install -e .")
    wrong = [pin for pin in pins if installed[pin.name] is None or installed[pin.name] not in pin.specifier]
    if not wrong:
        return ""
    found = ", ".join(f"{pin.name} {installed[pin.name] or 'missing'} (tested: {str(pin.specifier)[2:]})"
                      for pin in wrong)
    return (f"Not the tested versions, so numbers may differ: {found}.\n"
            f"To mend it, run in a cell, then restart the kernel:  %pip install {' '.join(map(str, wrong))}")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _check_type(name: str, value, default) -> None:
    allowed = (int, float) if isinstance(default, float) else type(default)
    if not isinstance(value, allowed) or isinstance(value, bool) != isinstance(default, bool):
        raise NotebookError(f"parameter {name} = {value!r} is a {type(value).__name__}; "
                            f"it must be a {type(default).__name__} like its default {default!r}.")


def _current(caller: str) -> _Run:
    if _run is None:
        raise NotebookError(f"{caller} before setup: run the notebook's setup cell first.")
    return _run


def _truth(caller: str, claim: str, holds) -> bool:
    if not (isinstance(claim, str) and claim.strip()):
        raise NotebookError(f"{caller}: the first argument is the claim in words, not {claim!r}.")
    if not isinstance(holds, (bool, np.bool_)):
        raise NotebookError(f"{caller}: {claim!r} was given a {type(holds).__name__}, not True or False. "
                            "Compare numbers, or reduce an array: bool((a < b).all()).")
    return bool(holds)


def _once(kind: str, name: str, *given) -> None:
    # Two cells with one name would leave only the later value. But a learner who changes a cell and runs it
    # again replaces their own: JupyterLab says which cell runs; papermill and nbval do not, and run each
    # once.
    shell = _shell()
    cell = shell.get_parent().get("metadata", {}).get("cellId") if shell else None
    count = shell.execution_count if shell else None
    before, old_cell, old_count = _run.seen.get((kind, name), (given, None, None))
    again = cell is not None and cell == old_cell and count != old_count
    if repr(before) != repr(given) and not again:
        raise NotebookError(f"{kind}: {name!r} was already given as {before[0]!r}, now as {given[0]!r}. "
                            "Give it another name, or run the setup cell first to start afresh.")
    _run.seen[kind, name] = given, cell, count


def _put(path: Path, header: tuple, replaces: dict, row: tuple | None = None) -> None:
    """Write ``row`` in place of the rows that have the values in ``replaces``; the whole file, or nothing."""
    kept = []
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            if tuple(rows.fieldnames or header) != header:
                raise NotebookError(f"{path} was not written by the kit, and stays as it is. To mend it: "
                                    "move it away, or let RECSYS_KIT_LEDGER name another file.")
            kept = [old for old in rows if any(old[column] != value for column, value in replaces.items())]
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([old[column] for column in header] for old in kept)
        writer.writerows([row] if row else [])
    draft.replace(path)


class _Sentence(string.Formatter):
    def get_value(self, key, args, kwargs):
        if key in _run.values:
            return _run.values[key]
        near = difflib.get_close_matches(str(key), _run.values, n=1, cutoff=0)
        hint = f"the nearest recorded name is {near[0]!r}" if near else "nothing is recorded yet"
        raise NotebookError(f"say: no value {str(key)!r} is recorded; {hint}.")

    def format_field(self, value, spec):
        try:
            return format(value, spec)
        except ValueError as error:
            raise NotebookError(f"say: {value!r} cannot be shown as '{spec}': {error}.") from None


def _shell():
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell if hasattr(shell, "kernel") else None


def show(text: str) -> None:
    """Show a line of Markdown: rendered in a notebook, printed elsewhere. Its stored output is the text itself."""
    if _shell():
        from IPython.display import display
        display({"text/markdown": text, "text/plain": text}, raw=True)
    else:
        print(text)
