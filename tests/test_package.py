"""The package imports quickly, in one direction, and its public names are there."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import recsys_kit

PACKAGE = Path(recsys_kit.__file__).parent
LAYERS = ["schema", "data", "prepare features", "strata", "fusion", "models", "interest", "decide"]


def test_importing_the_kit_loads_no_heavy_library():
    heavy = "torch surprise implicit sklearn pandas matplotlib papermill IPython"
    code = f"import recsys_kit, sys; print(*[m for m in '{heavy}'.split() if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""


def test_every_public_name_resolves_and_a_wrong_one_is_answered_with_the_list():
    assert all(getattr(recsys_kit, name) is not None for name in recsys_kit.__all__)
    with pytest.raises(AttributeError, match="has no 'laod'.*load"):
        getattr(recsys_kit, "laod")  # noqa: B009


def test_every_model_is_found_by_its_name_and_a_wrong_one_is_answered_with_the_list():
    from recsys_kit import models

    assert all(getattr(models, name).__name__ == name for name in models.MODELS)
    with pytest.raises(AttributeError, match="has no 'EASY'.*EASE"):
        getattr(models, "EASY")  # noqa: B009


def _imports(path: Path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("recsys_kit"):
            parts = node.module.split(".")
            yield from [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from [alias.name.split(".")[1] for alias in node.names if alias.name.startswith("recsys_kit.")]


def test_imports_run_one_way_down_the_layers():
    rank = {name: level for level, names in enumerate(LAYERS) for name in names.split()}
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        layer = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        inner = layer in rank or layer == "evaluate"  # all else (notebook tools, runner, report, plots) stands at the edge
        for target in set(_imports(path)):
            up = layer in rank and rank.get(target, -1) > rank[layer]
            into_edge = inner and target not in rank and target != "evaluate"
            over_the_interface = (layer == "evaluate" and rank.get(target, 0) > rank["data"]) or (
                target == "evaluate" and layer in rank)
            if up or into_edge or over_the_interface:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {target}")
    assert not wrong


def test_no_file_is_two_ideas():
    lengths = {str(path.relative_to(PACKAGE)): len(path.read_text("utf-8").splitlines()) for path in PACKAGE.rglob("*.py")}
    assert not {path: length for path, length in lengths.items() if length > 400}
