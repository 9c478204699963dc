"""How long a course takes after set-up: every chapter on the embedded market, through papermill, into a temporary folder.

Wanted: under 30 s for chapters 1 and 2 on two cores.
"""

import io
import tempfile
import time
from pathlib import Path

from recsys_kit.runs import runner
from recsys_kit.runs import manifest


def main() -> None:
    """Run the course once and print its wall time and that of each chapter."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        run = runner.run(out=Path(folder), stream=io.StringIO())
        whole = time.perf_counter() - began
        chapters = manifest.read(run)["chapters"]
    for chapter in chapters:
        print(f"{chapter['seconds']:6.1f} s  {chapter['chapter']} {chapter['title']} ({chapter['status']})")
    print(f"{whole:6.1f} s  the whole course, {len(chapters)} chapters side by side, pages and report included")


if __name__ == "__main__":
    main()
