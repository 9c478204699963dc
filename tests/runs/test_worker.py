"""What a run stores of a machine: nothing."""

import sys
from pathlib import Path

from recsys_kit.runs.worker import without_paths


def test_folders_of_the_machine_are_named_by_what_they_are():
    kit = Path(__file__).resolve().parents[2]
    assert without_paths(f"{sys.prefix}/lib/x.py") == "<environment>/lib/x.py"
    assert without_paths(f"'{kit}'") in ("'<kit>'", "'.'")
    assert without_paths(f"{kit}/recsys_kit/schema.py:3") == "<kit>/recsys_kit/schema.py:3"


def test_a_cell_has_no_file():
    assert without_paths("/var/folders/x/ipykernel_123/4567.py:3: UserWarning: hot") == "<cell>:3: UserWarning: hot"


def test_a_longer_name_is_left_alone():
    text = f"{sys.prefix}-of-somebody/x"
    assert "<environment>" not in without_paths(text)
