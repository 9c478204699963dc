"""What a paper printed beside what the kit finds: the table of a paper's card, and the verdict on it.

A card in ``notebooks/papers/`` runs a published protocol again and says *reproduced* only where every number it claims is
within the tolerance it names::

    card = Card(["recall@20", "ndcg@20"])
    card.rerun("GF-CF", published={"recall@20": 0.1849, "ndcg@20": 0.1518}, ours=found, within=0.0005)
    card.quote("LightGCN", published={"recall@20": 0.1820, "ndcg@20": 0.1547})
    card.table()
    check("every row is the published one within its tolerance", card.reproduced())

All numbers go to the ledger: ``GF-CF/recall@20/published``, ``…/ours``, ``…/within``, and ``reproduced``.
"""

from __future__ import annotations

import ast
import hashlib
import json
import math
import os
import re
import sys
from pathlib import Path

import pandas as pd

from recsys_kit import notebook
from recsys_kit.notebook import NotebookError, record

REPRODUCED, NOT, BESIDE, QUOTED, ADDED, OTHER = (
    "reproduced", "not reproduced", "shown beside", "published only", "ours only", "other data")
COLUMNS = ("row", "metric", "published", "ours", "within", "verdict")
NAME = re.compile(r"[\w@+-]+")
SLACK = 1e-9  # what binary fractions add to a difference of decimal ones: .935 - .934 is a little more than .001


class Card:
    """The rows of a paper's table, run again here or quoted; ``metrics`` are its columns in order.

    Names of rows and metrics: letters, digits, ``_``, ``-``, ``@``, ``+``. Call `setup` first. Raises `NotebookError` for a
    name or a metric that cannot be, a row given twice, and numbers that are none.
    """

    def __init__(self, metrics: list[str]):
        if not metrics or isinstance(metrics, str) or len(set(metrics)) < len(metrics):
            raise NotebookError(f"Card: {metrics!r} should be a list of different metrics, as in ['recall@20', 'ndcg@20'].")
        self.metrics = [_named(metric) for metric in metrics]
        self._lines: list[dict] = []

    def rerun(self, row: str, *, published: dict[str, float], ours: dict[str, float],
              within: float | dict[str, float] | None = None) -> None:
        """A row that was run here: ``published`` and ``ours`` give metric -> value.

        ``within``: how far ours may be from the published value, one number or metric -> number; None (or a metric that is
        not in it): shown beside each other, and nothing is claimed. ``published`` may be empty for a row of ours alone.
        Records ``<row>/<metric>/published``, ``ours`` and, where claimed, ``within``.
        """
        bounds = within if isinstance(within, dict) else {} if within is None else dict.fromkeys(published, within)
        for metric in bounds:
            if not (_number(row, metric, bounds[metric]) > 0 and metric in published and metric in ours):
                raise NotebookError(f"{row}: within {bounds[metric]!r} of {metric!r} can never be decided; "
                                    "give a tolerance above zero, and the published and our value of that metric.")
        self._add(row, published, ours, bounds)

    def quote(self, row: str, *, published: dict[str, float]) -> None:
        """A row that is only quoted; records ``<row>/<metric>/published``."""
        self._add(row, published, {}, {})

    def results(self) -> pd.DataFrame:
        """One line per row and metric: row, metric, published, ours, within (numbers, nan where there is none), verdict."""
        return pd.DataFrame(self._lines, columns=COLUMNS)

    def table(self) -> pd.DataFrame:
        """The table to show: per metric published and ours, then the largest difference (of the claimed metrics, where some are),
        the tolerance and the verdict. Published values are shown as printed, ours with as many decimals; ``–`` where there is none.
        """
        return side_by_side(self.results(), self.metrics)

    def reproduced(self) -> bool:
        """Whether every claimed number is within its tolerance; records ``reproduced`` as 1 or 0. Call it last.

        On other data than the card's own, or on some of its users, nothing is reproduced. Raises `NotebookError` where no row
        claims anything.
        """
        claimed = [line["verdict"] for line in self._lines if not math.isnan(line["within"])]
        if not claimed:
            raise NotebookError("no row claims anything: give at least one rerun a tolerance, within=...")
        reproduced = set(claimed) == {REPRODUCED}
        record("reproduced", int(reproduced))
        _leave_code()
        return reproduced

    def _add(self, row: str, published: dict, ours: dict, within: dict) -> None:
        run = notebook._current("Card")
        _named(row)
        if any(line["row"] == row for line in self._lines):
            raise NotebookError(f"{row!r} is in the table already; give the second one another name.")
        for metric in {**published, **ours, **within}:
            if metric not in self.metrics:
                raise NotebookError(f"{row}: {metric!r} is no metric of this card; there are {', '.join(self.metrics)}.")
        if not {**published, **ours}:
            raise NotebookError(f"{row}: neither a published value nor one of ours.")
        own_data = not run.changed & {"dataset", "columns", "max_users"}
        for metric in self.metrics:
            line = {"row": row, "metric": metric}
            for kind, values in (("published", published), ("ours", ours), ("within", within)):
                line[kind] = math.nan
                if metric in values:
                    line[kind] = _number(row, metric, values[metric], missing=kind == "ours" and not run.on_defaults)
                    record(f"{row}/{metric}/{kind}", line[kind])
            if metric in published or metric in ours:
                line["verdict"] = verdict(line["published"], line["ours"], line["within"])
                if not own_data and metric in ours and metric in published:
                    line["verdict"] = OTHER
                self._lines.append(line)


def verdict(published: float, ours: float, within: float) -> str:
    """What can be said of one number (nan where there is none).

    >>> verdict(0.934, 0.9344, 0.001), verdict(0.934, 0.9361, 0.001), verdict(0.934, math.nan, math.nan)
    ('reproduced', 'not reproduced', 'published only')
    """
    if math.isnan(published) or math.isnan(ours):
        return QUOTED if math.isnan(ours) else ADDED
    if math.isnan(within):
        return BESIDE
    return REPRODUCED if abs(published - ours) <= within + SLACK else NOT


def row_verdict(verdicts: list[str]) -> str:
    """The verdict on a row from those on its numbers: the worst claimed one, else what is said of its first number."""
    return next((one for one in (OTHER, NOT, REPRODUCED) if one in verdicts), verdicts[0])


def side_by_side(results: pd.DataFrame, metrics: list[str] | None = None) -> pd.DataFrame:
    """The results of a card (see `Card.results`) as a table to show, one line per row, all cells text."""
    results = results.astype(dict.fromkeys(("published", "ours", "within"), float))
    metrics = metrics or list(dict.fromkeys(results["metric"]))
    decimals = {metric: max(map(_decimals, part["published"].dropna()), default=4) for metric, part in results.groupby("metric")}
    lines = {}
    for row, part in results.groupby("row", sort=False):
        by = part.set_index("metric")
        cells = {}
        for metric in metrics:
            for kind in ("published", "ours"):
                value = by[kind].get(metric, math.nan)
                cells[metric, kind] = "–" if math.isnan(value) else f"{value:.{decimals[metric]}f}"
        judged = part if part["within"].isna().all() else part[part["within"].notna()]
        difference = (judged["published"] - judged["ours"]).abs().max()
        other = OTHER in set(part["verdict"])  # than the data of the published value: no difference to speak of
        cells["", "difference"] = "–" if other or math.isnan(difference) else f"{difference:.{max(decimals.values()) + 1}f}"
        tolerances = sorted(part["within"].dropna().unique())
        cells["", "within"] = ", ".join(f"{one:g}" for one in tolerances) or "–"
        cells["", "verdict"] = row_verdict(list(part["verdict"]))
        lines[row] = cells
    table = pd.DataFrame.from_dict(lines, orient="index")
    table.columns = pd.MultiIndex.from_tuples(table.columns)
    return table


def fingerprint_of(path: Path) -> str:
    """SHA-256 (12 hex digits) of what a Python file does: comments, docstrings and layout play no part."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            body[0].value = ast.Constant(None)
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:12]


def code_used() -> dict[str, str]:
    """Path (from the package on) and `fingerprint_of` each module of the kit that this process has loaded so far.

    Left out is what cannot change a number: how a notebook is shown, and the lists of names in ``__init__`` files.
    """
    package = Path(__file__).resolve().parent
    used = {}
    for name, module in sorted(sys.modules.items()):
        path = Path(getattr(module, "__file__", None) or "")
        if name.startswith("recsys_kit.") and path.suffix == ".py" and name not in EDGE:
            used[path.resolve().relative_to(package).as_posix()] = fingerprint_of(path)
    return used


EDGE = {"recsys_kit.notebook", "recsys_kit.plots", "recsys_kit.cards", "recsys_kit.models"}


def _leave_code() -> None:
    """Beside the ledger of a run: which code the card's numbers come from, for the run to keep with them."""
    if ledger := os.environ.get("RECSYS_KIT_LEDGER"):
        path = Path(ledger)
        path.with_name(path.stem.replace("ledger", "code") + ".json").write_text(json.dumps(code_used(), indent=1))


def _named(name: str) -> str:
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        raise NotebookError(f"{name!r} cannot name a row or a metric in the ledger: use letters, digits, '_', '-', '@' and '+'.")
    return name


def _number(row: str, metric: str, value, missing: bool = False) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = None
    if number is None or isinstance(value, (bool, str)) or not (math.isfinite(number) or missing):
        raise NotebookError(f"{row}: {metric} is {value!r}, not a number.")
    return number


def _decimals(value: float) -> int:
    """Decimals a printed number has.

    >>> _decimals(0.114038), _decimals(0.98), _decimals(3.0)
    (6, 2, 0)
    """
    text = f"{value:.10f}".rstrip("0")
    return len(text) - text.index(".") - 1
