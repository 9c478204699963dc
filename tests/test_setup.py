"""Setting up: the Makefile's targets, what a machine without Python or network is told, and one list of versions."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ("sh", "make", "mkdir", "dirname", "grep", "tail", "touch", "awk", "sed", "rm")

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def clone(tmp_path):
    """The files the set-up needs, as a fresh clone has them, and a PATH without any Python: (folder, environment)."""
    folder = tmp_path / "clone"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    (folder / "recsys_kit").mkdir()
    (folder / "recsys_kit" / "__init__.py").write_text("")
    (folder / "README.md").write_text("")
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    nowhere = "http://127.0.0.1:9/"
    environment = {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path), "PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": nowhere}
    return folder, environment


def make(clone, *words, **more):
    folder, environment = clone
    return subprocess.run(["make", *words], cwd=folder, env=environment | more, text=True, timeout=120,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{shutil.which('sh')}\n{text}\n")
    path.chmod(0o755)


def test_without_python_311_the_first_line_says_so_and_the_second_how_to_get_it(clone):
    program(clone[0].parent / "bin" / "python3", "exit 1")  # a Python of another version
    done = make(clone, "course")
    assert done.returncode != 0
    assert done.stdout.splitlines()[0].startswith("Python 3.11 is missing")
    assert "python3.11-venv" in done.stdout.splitlines()[1]


def test_without_a_network_the_first_line_says_so_and_pips_words_are_in_a_log(clone):
    done = make(clone, "course", PYTHON=sys.executable, PIP_RETRIES="0")
    assert done.returncode != 0
    assert done.stdout.splitlines()[0].startswith("No network: pip cannot reach a package index")
    assert "Traceback" not in done.stdout and "WARNING" not in done.stdout
    assert "127.0.0.1" in (clone[0] / ".venv" / "setup.log").read_text()
    assert not (clone[0] / ".venv" / ".ready").exists()


@pytest.fixture
def ready(clone):
    """The same, with a set-up that is done and a Python that only writes down, line by line, what it was asked to do."""
    folder, _ = clone
    program(folder / ".venv" / "bin" / "python", 'for word in "$@"; do echo "<$word>"; done; echo "BLAS $OPENBLAS_NUM_THREADS"')
    (folder / ".venv" / ".ready").touch()
    return clone


def test_when_all_is_ready_the_set_up_is_skipped(ready):
    done = make(ready, "course")
    assert done.stdout.splitlines() == ["<-m>", "<recsys_kit>", "<course>", "BLAS 1"]


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_new_pins_set_up_again(ready, name):
    before = (ready[0] / name).stat().st_mtime - 10
    os.utime(ready[0] / ".venv" / ".ready", (before, before))
    for other in {"pyproject.toml", "constraints.txt", "scripts/setup.sh"} - {name}:
        os.utime(ready[0] / other, (before - 10, before - 10))
    assert make(ready, "course").stdout.startswith("Setting up .venv")
    assert make(ready, "course").stdout.startswith("<-m>")


def test_settings_reach_the_command_as_they_were_typed(ready):
    columns = '{"user_id": "the \'uid\'", "behaviour": "=$x"}'
    done = make(ready, "course", "DATASET=my clicks.csv", "SEED=3", "MAX_USERS=9", "RUN=a", "JOBS=1",
                "COLUMNS=" + columns.replace("$", "$$"))
    assert done.stdout.splitlines()[2:-1] == ["<course>", "<--dataset>", "<my clicks.csv>", "<--columns>", f"<{columns}>",
                                              "<--seed>", "<3>", "<--max-users>", "<9>", "<--run>", "<a>", "<--jobs>", "<1>"]


def test_reproduce_needs_a_run(ready):
    assert "which run?" in make(ready, "reproduce").stdout
    assert "<reproduce>" in make(ready, "reproduce", "RUN=runs/x").stdout


def test_test_runs_the_unit_tests_and_the_stored_outputs_and_fails_if_one_of_them_fails(ready):
    asked = make(ready, "test").stdout
    assert "<tests>" in asked and "<--nbval>" in asked and "<--dist=loadfile>" in asked and "<notebooks/solutions>" in asked
    program(ready[0] / ".venv" / "bin" / "python", 'case "$*" in *--nbval*) exit 0;; *) exit 1;; esac')
    assert make(ready, "test").returncode != 0
    program(ready[0] / ".venv" / "bin" / "python", 'case "$*" in *--nbval*) exit 1;; *) exit 0;; esac')
    assert make(ready, "test").returncode != 0


def test_help_has_a_line_for_every_target():
    targets = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [target for target in targets if not re.search(rf"^  make {target} +\w", shown, re.MULTILINE)] == []


def pins(lines) -> dict[str, str]:
    """Name and version of every ``name==version`` line."""
    return {canonicalize_name(line.split("==")[0]): line.split("==")[1].strip() for line in lines if "==" in line}


def pinned() -> dict[str, str]:
    return pins(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])


def test_conda_users_get_the_versions_of_pyproject():
    parts = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert "python=3.11" in parts
    assert pins(parts[-1]["pip"]) == pinned()
    assert {"-c constraints.txt", "-e ."} <= set(parts[-1]["pip"])


def test_the_constraints_hold_every_pin_of_pyproject_and_what_each_of_them_needs():
    import importlib.metadata
    constraints = pins((ROOT / "constraints.txt").read_text().splitlines())
    assert pinned().items() <= constraints.items()
    needed = {canonicalize_name(need.name) for name in constraints for line in importlib.metadata.requires(name) or ()
              if (need := Requirement(line)).marker is None or need.marker.evaluate({"extra": ""})}
    assert needed - set(constraints) <= {"setuptools"}


def test_set_up_files_name_no_index_and_no_local_version():
    for name in ("constraints.txt", "environment.yml", "pyproject.toml", "Makefile", "scripts/setup.sh"):
        text = (ROOT / name).read_text()
        assert not re.search(r"index-url|find-links|\+cpu|\+cu\d", text), name
