"""Parsed tables kept as Parquet files, so that a data set is parsed once.

An entry is a folder named after the data set, the place of its source and a key made of everything the tables depend on:
the source's size and times, how it is read, the reading code, and the versions of pandas and pyarrow. A changed source
has another key. An entry appears by one rename, whole or not at all, so several processes can share the cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pandas as pd

Tables = dict[str, pd.DataFrame]  # "events" and, where the set has them, "items", "users"


def cache_folder() -> Path:
    """The folder of downloads and parsed tables: RECSYS_KIT_CACHE, else the platform's own cache folder."""
    if chosen := os.environ.get("RECSYS_KIT_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "recsys_kit"


def cached(name: str, sources: tuple[Path, ...], how: object, parse: Callable[[], Tables]) -> Tables:
    """The tables of ``sources``: from the cache if they are there whole, else parsed and kept.

    ``how`` is whatever else decides the result (a column mapping), as JSON. A cache that cannot be written costs a
    warning, never the data; what ``parse`` raises is passed on.
    """
    parent = cache_folder() / "parsed"
    stem = f"{_slug(name)}-{_digest([[str(p.resolve()) for p in sources], how])[:12]}-"
    folder = parent / (stem + _digest([_identity(sources), _code(), version("pandas"), version("pyarrow")])[:16])
    tables = _read(folder)
    if tables is None:
        tables = parse()
        problem = _write(tables, folder, stem)
        if problem:
            warnings.warn(f"{name}: the parsed tables could not be kept in {parent} ({problem}). They are loaded all the "
                          f"same and will be parsed again next time; set RECSYS_KIT_CACHE to a folder with room.", stacklevel=3)
    return tables


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in name)[:60]


def _identity(sources: tuple[Path, ...]) -> list:
    # The change time notices a file swapped for one of the same size whose modification time was copied along.
    return [[s.st_size, s.st_mtime_ns, s.st_ctime_ns] for s in (path.stat() for path in sources)]


def _code() -> str:
    """The reading code itself is part of the key: a mended reader never serves the old tables."""
    here = Path(__file__).parent
    files = sorted([*here.glob("readers*.py"), *here.glob("own*.py"), here / "sources.py", here.parent / "schema.py"])
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()


def _read(folder: Path) -> Tables | None:
    """The entry, or None where it is not there or broken (then it is removed, to be written anew)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not folder.is_dir():
        return None
    try:
        tables = {}
        for part, times in json.loads((folder / "parts.json").read_text()).items():
            table = pq.read_table(folder / f"{part}.parquet", page_checksum_verification=True).to_pandas()
            tables[part] = table.astype(times)
        return tables
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        shutil.rmtree(folder, ignore_errors=True)
        return None


def _write(tables: Tables, folder: Path, stem: str) -> str | None:
    """Write the entry; returns what went wrong, or None."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    new = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
        for part, table in tables.items():
            pq.write_table(pa.Table.from_pandas(table, preserve_index=False), new / f"{part}.parquet",
                           compression="zstd", write_page_checksum=True)
        # Parquet has no unit of whole seconds: the units are noted beside, and restored when the entry is read.
        times = {part: {c: str(t) for c, t in table.dtypes.items() if t.kind == "M"} for part, table in tables.items()}
        (new / "parts.json").write_text(json.dumps(times))
        try:
            new.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process wrote the same entry first
                raise
        _sweep(folder, stem)
        return None
    except (OSError, pa.ArrowException) as error:
        return getattr(error, "strerror", None) or str(error)
    finally:
        if new is not None:
            shutil.rmtree(new, ignore_errors=True)


def _sweep(folder: Path, stem: str) -> None:
    """Remove the entries of this source's earlier states, and what a killed process left a day ago."""
    for other in folder.parent.iterdir():
        try:
            left = other.name.startswith(".new-") and time.time() - other.stat().st_mtime > 86_400
        except FileNotFoundError:  # another process was faster
            continue
        if left or (other.name.startswith(stem) and other != folder):
            shutil.rmtree(other, ignore_errors=True)
