"""Finding the chapters, the cases and the papers' cards, and the parameters each of them takes.

A chapter is a notebook `NN_name.ipynb` in the folder `notebooks/`, a case a notebook `case_N_name.ipynb` in `notebooks/cases/`,
a card any notebook in `notebooks/papers/`; the card `ncf_ml1m.ipynb` has the number "paper-ncf-ml1m". Each has one cell tagged
`parameters`, in which every parameter is assigned a plain value: that value is its default, and the type of the default is its
type.
"""

from __future__ import annotations

import ast
import difflib
import json
import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


class UsageError(ValueError):
    """Something the person at the keyboard can put right; the message is one line and says how."""


@dataclass(frozen=True)
class Chapter:
    """One chapter, case or card: ``number`` ("02", "case-1", "paper-ncf-ml1m"), ``title`` (its first heading without the number),
    ``path`` of its notebook.
    """

    number: str
    title: str
    path: Path

    def __str__(self) -> str:
        return called(self.number)

    @property
    def kind(self) -> str:
        return kind(self.number)

    def cells(self) -> list[tuple[str, str, list[str]]]:
        """The notebook's cells as (kind, source, tags)."""
        return _cells(self.path)

    def defaults(self) -> dict:
        """Name and default value of every parameter, in the order of the parameters cell. Raises `UsageError`."""
        sources = [source for kind, source, tags in self.cells() if kind == "code" and "parameters" in tags]
        if len(sources) != 1:
            raise UsageError(f"{self.path.name}: {len(sources)} cells are tagged 'parameters'; a chapter has exactly one")
        values = {}
        for line in ast.parse(sources[0]).body:
            name = line.targets[0] if isinstance(line, ast.Assign) else getattr(line, "target", None)
            try:
                values[name.id] = ast.literal_eval(line.value)
            except (AttributeError, ValueError):
                raise UsageError(f"{self.path.name}: line {line.lineno} of the parameters cell is not 'name = plain value': "
                                 f"{ast.unparse(line)}") from None
        return values

    def values(self, given: dict) -> dict:
        """All parameters of the chapter: those ``given`` (text is read as the default's type), the defaults for the rest.

        Raises `UsageError` for an unknown name, suggesting the nearest one, and for a value of another type.
        """
        defaults = self.defaults()
        for name in given:
            if name not in defaults:
                raise UsageError(f"{self} has no parameter '{name}'{nearest(name, defaults)}")
        return defaults | {name: typed(name, value, defaults[name]) for name, value in given.items()}


def find(folder: Path | None = None) -> list[Chapter]:
    """The chapters of a folder (the kit's own by default) in their order. Raises `UsageError` where there is none."""
    folder = Path(folder or FOLDER)
    paths = sorted(path for path in folder.glob("*.ipynb") if re.match(r"\d\d_", path.name))
    if not paths:
        raise UsageError(f"no chapters (NN_name.ipynb) in the folder '{folder.name}': run this inside a checkout of the kit")
    return [Chapter(path.name[:2], _title(path), path) for path in paths]


def find_cases(folder: Path | None = None) -> list[Chapter]:
    """The cases in ``cases/`` of a folder of chapters (the kit's own by default), in their order; none is no error."""
    paths = {int(hit[1]): path for path in (Path(folder or FOLDER) / "cases").glob("*.ipynb")
             if (hit := re.match(r"case_(\d+)_", path.name))}
    return [Chapter(f"case-{number}", _title(path), path) for number, path in sorted(paths.items())]


def find_papers(folder: Path | None = None) -> list[Chapter]:
    """The papers' cards in ``papers/`` of a folder of chapters (the kit's own by default), by name; none is no error."""
    paths = sorted(path for path in (Path(folder or FOLDER) / "papers").glob("*.ipynb") if re.fullmatch(r"\w+", path.stem))
    return [Chapter(f"paper-{path.stem.replace('_', '-')}", _title(path), path) for path in paths]


def everything(folder: Path | None = None) -> list[Chapter]:
    """Chapters, cases and cards of a folder (the kit's own by default). Raises `UsageError` where there is no chapter."""
    return [*find(folder), *find_cases(folder), *find_papers(folder)]


def get(name: str, folder: Path | None = None) -> Chapter:
    """The chapter, case or card with this number ("2", "case-1"), notebook name or path. Raises `UsageError` if there is none."""
    return _get(name, everything(folder), "chapter")


def get_paper(name: str, folder: Path | None = None) -> Chapter:
    """The card with this name ("ncf_ml1m"), number or path. Raises `UsageError` if there is none."""
    papers = find_papers(folder)
    if not papers:
        raise UsageError("no cards (papers/name.ipynb) beside the chapters: run this inside a checkout of the kit")
    return _get(name, papers, "card")


def _get(name: str, chapters: list[Chapter], word: str) -> Chapter:
    wanted = Path(name).stem
    for chapter in chapters:
        if wanted in (chapter.number, chapter.number.lstrip("0"), chapter.number.removeprefix("paper-"), chapter.path.stem):
            return chapter
    known = {chapter.path.stem: None for chapter in chapters}
    raise UsageError(f"there is no {word} '{name}'{nearest(wanted, known)}")


def kind(number: str) -> str:
    """chapter, case or card.

    >>> kind("02"), kind("case-1"), kind("paper-ncf-ml1m")
    ('chapter', 'case', 'card')
    """
    return {"case": "case", "paper": "card"}.get(number.partition("-")[0], "chapter")


def called(number: str) -> str:
    """A chapter, case or card as a sentence names it.

    >>> called("02"), called("case-1"), called("paper-ncf-ml1m")
    ('chapter 02', 'case 1', 'card ncf_ml1m')
    """
    return f"{kind(number)} {number.removeprefix('case-').removeprefix('paper-').replace('-', '_')}"


def nearest(name: str, known) -> str:
    """The end of a sentence about an unknown name: the nearest known one, or all of them.

    >>> nearest("sed", ["seed", "dataset"])
    "; did you mean 'seed'?"
    """
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; there are: {', '.join(known)}"


def typed(name: str, value, default):
    """``value`` as the type of ``default``; text is read the way it would be typed on a command line.

    >>> typed("seed", "7", 0), typed("columns", '{"user_id": "uid"}', {}), typed("quick", "no", True)
    (7, {'user_id': 'uid'}, False)

    Raises `UsageError` where the value has another type.
    """
    kind = type(default)
    wrong = UsageError(f"parameter '{name}' takes {_spoken(kind)} (its default is {default!r}), not {value!r}")
    try:
        if isinstance(value, str) and kind is bool:
            value = {**dict.fromkeys(TRUE, True), **dict.fromkeys(FALSE, False)}[value.lower()]
        elif isinstance(value, str) and kind is not str:
            value = kind(value) if kind in (int, float) else json.loads(value)
        if kind is float and type(value) is int:
            value = float(value)
    except (KeyError, ValueError):
        raise wrong from None
    if default is not None and type(value) is not kind:
        raise wrong
    return value


def _spoken(kind: type) -> str:
    return {bool: "true or false", int: "a whole number", float: "a number", str: "text", list: "a JSON list, as in '[1, 2]'",
            dict: "a JSON object, as in '{\"user_id\": \"uid\"}'"}.get(kind, "a JSON value")


def _cells(path: Path) -> list[tuple[str, str, list[str]]]:
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return [(cell["cell_type"], "".join(cell["source"]), cell["metadata"].get("tags", [])) for cell in cells]
    except (KeyError, ValueError):
        raise UsageError(f"{path.name} is not a notebook that can be read (broken, or of a format before 4)") from None


def _title(path: Path) -> str:
    for kind, source, _ in _cells(path):
        heading = re.search(r"^#\s+(.+)$", source, re.MULTILINE) if kind == "markdown" else None
        if heading:
            return re.sub(r"^(Case )?\d+[.:]?\s+", "", heading[1].strip())  # the number is told apart from the title
    return path.stem[3:].replace("_", " ")
