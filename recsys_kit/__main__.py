"""The command line: ``python -m recsys_kit COMMAND``. Mistakes of the person typing get a clear word and exit status 2."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from recsys_kit import __version__

# Everything heavy is imported inside the commands: `--help` answers at once.


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 well, 1 a chapter failed or results differ, 2 a mistake, 130 Ctrl-C."""
    from recsys_kit.runs.chapters import UsageError
    options = _parser().parse_args(arguments)
    try:
        return options.command(options) or 0
    except (UsageError, *_mistakes()) as error:
        return _complain(error)
    except OSError as error:  # a full disk, a folder without permission: the person can mend it, a traceback would not help
        return _complain(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
    except KeyboardInterrupt:
        return 130


def chapters(options) -> int:
    """List the chapters, the cases and the papers' cards, with their parameters."""
    from recsys_kit.runs.chapters import find, find_cases, find_papers
    large, papers = find_cases(), find_papers()
    for chapter in [*find(), *large, *papers]:
        if chapter in large[:1]:
            print("\nCases: on these parameters small, with max_users=0 (make cases) at full size")
        if chapter in papers[:1]:
            print("\nPapers' cards: make paper CARD=name for one, make papers for all")
        settings = ", ".join(f"{name}={value!r}" for name, value in chapter.defaults().items())
        print(f"{chapter.number}  {chapter.title}\n      {settings}")
    return 0


def datasets(options) -> int:
    """List the data sets and the published splits: name, size, licence, where it is now."""
    from recsys_kit.data import catalog, published
    shown = ["name", "size", "licence", "where"]
    print(f"{_table(catalog.datasets()[shown])}\n\nSplits as papers published them:\n{_table(published.splits()[shown])}")
    return 0


def fetch(options) -> int:
    """Fetch a data set from its official source."""
    from recsys_kit.data.fetch import fetch as fetch_set
    print(fetch_set(options.name))
    return 0


def run(options) -> int:
    """Run some chapters or cases."""
    from recsys_kit.runs.chapters import get
    wanted = [get(name) for name in options.chapter]
    return _run(options, _pairs(options.parameter), wanted, label="_" + "-".join(chapter.number for chapter in wanted))


def course(options) -> int:
    """Run every chapter."""
    given = {"dataset": options.dataset, "columns": options.columns, "seed": options.seed, "max_users": options.max_users}
    return _run(options, {name: value for name, value in given.items() if value is not None}, None)


def cases(options) -> int:
    """Run every case at full size; ends with each claim's verdict, seconds and memory."""
    from recsys_kit.runs import runner, tally
    from recsys_kit.runs.chapters import UsageError, find_cases
    wanted = find_cases()
    if not wanted:
        raise UsageError("no cases (cases/case_N_name.ipynb) beside the chapters: run this inside a checkout of the kit")
    given = {"seed": options.seed, "max_users": options.max_users or runner.parameters(options.run).get("max_users", "0")}
    # one at a time unless asked otherwise: their time is measured
    folder = runner.run(wanted, {name: value for name, value in given.items() if value is not None}, run_id=options.run,
                        jobs=options.jobs or 1, label="_cases")
    print(f"\n{tally.told(folder)}")
    return 1 if runner.failed(folder) or tally.broken(folder) else 0


def paper(options) -> int:
    """Run one paper's card and show its table; only `papers` keeps results."""
    from recsys_kit.runs import papers as cards
    from recsys_kit.runs import runner
    from recsys_kit.runs.chapters import get_paper
    given = _pairs(options.parameter)
    wanted = get_paper(options.card)
    if "dataset" in given:
        _check_dataset(given["dataset"])
    folder = runner.run([wanted], given, run_id=options.run, jobs=1, label=f"_{wanted.number}")
    print(f"\n{cards.tables(folder)}\n\nNo result was kept: make papers runs all cards on their own data and does that.")
    return 1 if runner.failed(folder) else 0


def papers(options) -> int:
    """Run every paper's card on its own data, keep the results and write the README's table; or only show what is kept."""
    from recsys_kit.runs import papers as cards
    from recsys_kit.runs import runner
    from recsys_kit.runs.chapters import UsageError, find_papers
    if options.status:
        print(cards.told())
        return 0
    if options.table:
        print(cards.readme_table())
        cards.write_readme()
        return 0
    wanted = find_papers()
    if not wanted:
        raise UsageError("no cards (papers/name.ipynb) beside the chapters: run this inside a checkout of the kit")
    # one at a time unless asked otherwise: their time is measured
    folder = runner.run(None if runner.begun(options.run) else wanted, run_id=options.run, jobs=options.jobs or 1, label="_papers")
    print(f"\n{cards.tables(folder)}\n")
    for card, done in cards.keep(folder).items():
        print(f"{card}: {done}")
    cards.write_readme()
    print(f"\n{cards.told()}")
    return 1 if runner.failed(folder) or not cards.fine(folder) else 0


def report(options) -> int:
    """Write a run's index.html again."""
    from recsys_kit.runs import report as reports
    from recsys_kit.runs import runner
    print(reports.write(runner.folder_of(options.run)))
    return 0


def compare(options) -> int:
    """Show every difference between two runs."""
    from recsys_kit.runs import compare as comparing
    from recsys_kit.runs import runner
    return _tell(comparing.compare(runner.folder_of(options.first), runner.folder_of(options.second)))


def reproduce(options) -> int:
    """Run again from a run's manifest, and show every difference."""
    from recsys_kit.runs import compare as comparing
    from recsys_kit.runs import runner
    first = runner.folder_of(options.run)
    second = comparing.reproduce(first, jobs=options.jobs)
    print(f"\n{first.name} and {second.name}:")
    return max(_tell(comparing.compare(first, second)), int(runner.failed(second)))


def grade(options) -> int:
    """Run a learner's exercise notebook (or a folder of them) and say what is right."""
    from recsys_kit.grading import grade as grade_path
    print(_table(grade_path(options.path)))
    return 0


def exercises(options) -> int:
    """Write the exercise notebooks again from their solutions."""
    from recsys_kit.runs.chapters import FOLDER
    from recsys_kit.exercises import generate
    for solution in sorted((FOLDER / "solutions").glob("*.ipynb")):
        generate(solution, FOLDER / "exercises" / solution.name)
        print(f"exercises/{solution.name}")
    return 0


def _run(options, given: dict, wanted, label: str = "") -> int:
    from recsys_kit.runs import runner
    if "dataset" in given:
        _check_dataset(given["dataset"])
    folder = runner.run(wanted, given, run_id=options.run, jobs=options.jobs, label=label)
    return 1 if runner.failed(folder) else 0


def _check_dataset(name: str) -> None:
    """Refuse a data set that is neither in the catalogue nor a file, before any kernel is started."""
    from recsys_kit.runs.chapters import UsageError, nearest
    from recsys_kit.data import catalog, published
    import pandas as pd
    known = pd.concat([catalog.datasets(), published.splits()]).set_index("name")["where"]
    if name not in known.index and not Path(name).is_file():
        is_file = "/" in name or Path(name).suffix
        raise UsageError(f"there is no file '{name}'" if is_file else f"there is no data set '{name}'{nearest(name, known.index)}")
    if known.get(name, "").startswith("not here"):
        where = known[name].replace("fetch", "python -m recsys_kit fetch")
        raise UsageError(f"the data set '{name}' is {where}; or set RECSYS_KIT_DATA to the folder that holds the sets")


def _tell(differences) -> int:
    from recsys_kit.runs import compare as comparing
    print(comparing.told(differences))
    return 0 if comparing.same_results(differences) else 1


def _pairs(texts: list[str]) -> dict[str, str]:
    """``name=value`` texts as a dictionary."""
    from recsys_kit.runs.chapters import UsageError
    for text in texts:
        if "=" not in text:
            raise UsageError(f"'-p {text}' is not of the form -p name=value")
    return dict(text.split("=", 1) for text in texts)


def _table(frame) -> str:
    """A table of texts, aligned to the left."""
    lines = [list(frame.columns), *frame.astype(str).values.tolist()]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def _mistakes() -> tuple[type[Exception], ...]:
    """The errors whose message is written for the person at the keyboard (imported only once something was raised)."""
    from recsys_kit.data.sources import DataError
    from recsys_kit.exercises import ExerciseError
    from recsys_kit.schema import SchemaError
    return DataError, ExerciseError, SchemaError


def _complain(message) -> int:
    print(f"recsys_kit: {message}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m recsys_kit", description="Who a shop's users are, what they want, "
                                     "how that changes, and what to push next: the course and its tools.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(command, *arguments):
        made = commands.add_parser(command.__name__, help=command.__doc__.splitlines()[0], description=command.__doc__)
        made.set_defaults(command=command)
        for names, settings in arguments:
            made.add_argument(*names, **settings)

    def argument(*names, **settings):
        return names, settings

    run_id = argument("--run", metavar="ID", help="go on with this run, or give a new one this id")
    jobs = argument("--jobs", type=_positive, metavar="N", help="chapters at a time (default: one per core)")
    add(chapters)
    add(datasets)
    add(fetch, argument("name"))
    add(run, argument("chapter", nargs="+", help="its number or name: 2, case-1"),
        argument("-p", dest="parameter", action="append", default=[], metavar="name=value", help="a parameter of the chapter"),
        run_id, jobs)
    add(course, argument("--dataset", help="a name from the catalogue, or the path of a CSV or Parquet file"),
        argument("--columns", help='for a file of your own, as JSON: {"user_id": "name in the file"}'),
        argument("--seed"), argument("--max-users"), run_id, jobs)
    add(cases, argument("--seed"), argument("--max-users", help="so many users only (default: all)"), run_id,
        argument("--jobs", type=_positive, metavar="N", help="cases at a time (default: 1, as their time is measured)"))
    add(paper, argument("card", help="its name, as in notebooks/papers"),
        argument("-p", dest="parameter", action="append", default=[], metavar="name=value", help="a parameter of the card"), run_id)
    add(papers, run_id,
        argument("--jobs", type=_positive, metavar="N", help="cards at a time (default: 1, as their time is measured)"),
        argument("--status", action="store_true", help="run nothing; say what is kept of each card, and whether it is stale"),
        argument("--table", action="store_true", help="run nothing; write the README's table again from what is kept"))
    add(report, argument("run", help="a run's id or folder"))
    add(compare, argument("first"), argument("second"))
    add(reproduce, argument("run"), jobs)
    add(grade, argument("path", metavar="NOTEBOOK-OR-FOLDER"))
    add(exercises)
    return parser


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number above zero, not {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
