"""Plain ``pytest --nbval notebooks/01_x.ipynb`` turns red where nbval alone would compare nothing.

Each notebook gets one more test, ``guard`` (see `recsys_kit.guard`). The generated exercises are left out: they are
blanks, and ``tests/notebooks/test_exercises.py`` checks them.
"""

from pathlib import Path

import pytest

from recsys_kit.guard import problems

EXERCISES = Path(__file__).resolve().parent / "notebooks" / "exercises"


def _nbval(config: pytest.Config) -> bool:
    return config.getoption("nbval", False) or config.getoption("nbval_lax", False)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if _nbval(config) and EXERCISES in (collection_path, *collection_path.parents) else None


def pytest_collect_file(file_path: Path, parent: pytest.Collector):
    if _nbval(parent.config) and file_path.suffix == ".ipynb":
        return GuardFile.from_parent(parent, path=file_path)


class GuardFile(pytest.File):
    def collect(self):
        yield Guard.from_parent(self, name="guard")


class Guard(pytest.Item):
    def runtest(self):
        found = problems(self.path)
        if found:
            pytest.fail("nbval cannot vouch for this notebook:\n  " + "\n  ".join(found), pytrace=False)

    def reportinfo(self):
        return self.path, 0, f"{self.path.name}: guard"
