"""Runs one notebook through papermill in a process of its own: ``python -m recsys_kit.runs.worker``, called by `runs`.

Standard input gives the job as JSON; standard output tells how it goes, one JSON object a line:
``{"cell": 4, "cells": 31}`` before each code cell (cell 32 of 31: its page is being written), at the end
``{"seconds": 7.2, "cell": 31, "cells": 31, "error": null}``.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path

from recsys_kit.runs.page import to_html

def main() -> None:
    job = json.loads(sys.stdin.read())
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints goes to the log, not between the lines for the parent

    def tell(**event):
        out.write(json.dumps(event) + "\n")

    tell(**execute(job["notebook"], Path(job["folder"]), job["parameters"], tell))


def execute(notebook: str, folder: Path, parameters: dict, tell) -> dict:
    """Run ``notebook`` and leave it, executed, in ``folder`` with its HTML page; returns the last event.

    ``tell(cell=i, cells=n)`` is called before the i-th of n code cells. An error in the notebook is part of the returned
    event: {"cell": number in brackets, "source": its first line, "name": ..., "message": ...}.
    """
    import nbformat
    import papermill
    from papermill.engines import NBClientEngine, papermill_engines

    place = {"cell": 0, "cells": 0, "source": ""}

    class Telling(NBClientEngine):
        """papermill's own engine, which also says which cell it is at."""

        @classmethod
        def execute_managed_notebook(cls, nb_man, kernel_name, **options):
            code = [cell.id for cell in nb_man.nb.cells if cell.cell_type == "code" and cell.source.strip()]
            start = nb_man.cell_start

            def cell_start(cell, cell_index=None, **more):
                if cell.id in code:
                    place.update(cell=code.index(cell.id) + 1, cells=len(code), source=cell.source)
                    tell(cell=place["cell"], cells=place["cells"])
                start(cell, cell_index, **more)

            nb_man.cell_start = cell_start
            return super().execute_managed_notebook(nb_man, kernel_name, **options)

    papermill_engines.register("telling", Telling)
    name = Path(notebook).name
    unfinished = folder / "parts" / name
    error, began = None, time.perf_counter()
    try:
        papermill.execute_notebook(notebook, unfinished, parameters, engine_name="telling", kernel_name="python3",
                                   language="python", progress_bar=False, log_output=False)
    except papermill.PapermillExecutionError as failure:
        error = {"cell": failure.exec_count, "source": failure.source, "name": failure.ename, "message": failure.evalue}
    except Exception as failure:  # a kernel that died, a disk that is full: the other chapters go on, this one says why
        error = {"cell": place["cell"] or None, "source": place["source"], "name": type(failure).__name__, "message": str(failure)}
    seconds = time.perf_counter() - began

    if error:
        error["source"] = next((line.strip() for line in error["source"].splitlines() if line.strip()), "")
        error["message"] = without_paths(error["message"]).strip()
    if unfinished.exists():
        tell(cell=place["cells"] + 1, cells=place["cells"])
        nb = nbformat.read(unfinished, as_version=4)
        tidy(nb, name)
        nbformat.write(nb, unfinished)
        page = unfinished.with_suffix(".html")
        page.write_text(to_html(nb, name), encoding="utf-8")
        os.replace(page, folder / page.name)
        os.replace(unfinished, folder / name)
    return {"seconds": round(seconds, 1), "cell": place["cell"], "cells": place["cells"], "error": error}


def tidy(nb, name: str) -> None:
    """Take out of an executed notebook what belongs to the machine: paths, in its metadata and in its outputs."""
    nb.metadata.papermill.update(input_path=name, output_path=name)
    if nb.metadata.papermill.get("exception"):
        nb.metadata.papermill["exception"] = True
    for cell in nb.cells:
        for output in cell.get("outputs", ()):
            for holder in (output, output.get("data", {})):
                for key, value in holder.items():
                    if isinstance(value, str) and not key.startswith("image/"):
                        holder[key] = without_paths(value)
                    elif key == "traceback":
                        holder[key] = [without_paths(line) for line in value]


def without_paths(text: str) -> str:
    """``text`` with folders of this machine named by what they are: the kit's folder, the environment, home."""
    text = re.sub(r"\S*/ipykernel_\d+/\d+\.py", "<cell>", text)
    here = Path(__file__).resolve().parents[2]
    for folder, word in ((sys.prefix, "<environment>"), (sys.base_prefix, "<python>"), (here, "<kit>"), (Path.cwd(), "."),
                         (Path.home(), "~")):
        if str(folder) != "/":
            text = re.sub(rf"{re.escape(str(folder))}(?![\w.-])", word, text)
    return text


if __name__ == "__main__":
    main()
