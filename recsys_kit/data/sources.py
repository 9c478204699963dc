"""Where the bytes of a data set are: files in a folder, plain or gzipped, or inside the zip its publisher ships.

Nothing is ever unpacked to disk. A zip is looked at before it is read: names that climb out of their folder, links,
and archives that would grow beyond `LARGEST` are refused.
"""

from __future__ import annotations

import gzip
import io
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

LARGEST = 4 * 2**30  # bytes one archive may unpack to; the largest set here needs about 1 GiB
STEEPEST = 500       # times an archive may grow; text packs some 5 to 30 times, a bomb thousands of times


class DataError(ValueError):
    """A data set that cannot be found or read. The message says what was wrong, where, and how to mend it."""


@dataclass(frozen=True)
class Source:
    """The files of one data set: one per part, in a folder (``archive`` None) or in a zip.

    ``where`` is what to watch for changes: the files themselves, or the zip.
    """

    parts: tuple[str, ...]
    where: tuple[Path, ...]
    archive: Path | None = None

    def name(self, part: int = 0) -> str:
        """The part's file name without folder and without .gz."""
        return PurePosixPath(self.parts[part]).name.removesuffix(".gz")

    def open(self, part: int = 0) -> BinaryIO:
        """The part's bytes, unpacked while they are read."""
        if self.archive is None:
            path = self.where[part]
            return gzip.open(path) if path.suffix == ".gz" else path.open("rb")
        stream = _open_zip(self.archive).open(self.parts[part])
        return gzip.open(stream) if self.parts[part].endswith(".gz") else stream

    def read(self, part: int = 0) -> bytes:
        """The part's bytes, whole. Raises `DataError` for a file cut in the middle."""
        try:
            with self.open(part) as stream:
                return stream.read()
        except (EOFError, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"{self.archive or self.where[part]}: the file is cut or damaged ({error}).\n"
                            f"To mend it: remove it and get it again from its source.") from None


def find_source(folder: Path, parts: tuple[tuple[str, ...], ...], first_line: str = "") -> tuple[Source | None, list[str]]:
    """The first place under ``folder`` that has every part: the folder, a folder in it, a zip in it.

    ``parts`` gives for each part the names it may have (``.gz`` is understood); the first part must begin with ``first_line``.
    Returns the source or None, and what spoke against the near misses, for the error message.
    """
    problems: list[str] = []
    if not folder.is_dir():
        return None, problems
    for source in _candidates(folder, parts, problems):
        if source.name().endswith((".xlsx", ".rda")) or not first_line:
            return source, problems
        try:
            with source.open() as stream:
                line = stream.readline(400).decode("utf-8", "replace").strip().lstrip("\ufeff")
        except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            problems.append(f"{source.archive or source.where[0]} cannot be read ({error})")
            continue
        if line.replace('"', "").lower().startswith(first_line.lower()):
            return source, problems
        problems.append(f"{source.archive or source.where[0]} is another table: it begins '{line[:60]}', not '{first_line}'")
    return None, problems


def _candidates(folder: Path, parts, problems: list[str]) -> Iterator[Source]:
    for place in (folder, *sorted(p for p in folder.iterdir() if p.is_dir())):
        names = _choose({path.name: str(path) for path in place.iterdir() if path.is_file()}, parts)
        if names:
            yield Source(tuple(names), tuple(map(Path, names)))
    for path in sorted(folder.glob("*.zip")):
        try:
            with _open_zip(path) as archive:
                members = [m for m in archive.namelist() if not m.startswith("__MACOSX/")]
            names = _choose({PurePosixPath(m).name: m for m in members}, parts)
            if names:
                check_zip(path)
                yield Source(tuple(names), (path,), archive=path)
        except zipfile.BadZipFile as error:
            problems.append(f"{path} is no whole zip ({error}): get it again")
        except DataError as error:
            problems.append(str(error))


def _choose(there: dict[str, str], parts) -> list[str] | None:
    chosen = [next((there[n] for name in names for n in (name, name + ".gz") if n in there), None) for names in parts]
    return None if None in chosen else chosen


def _open_zip(path: Path) -> zipfile.ZipFile:
    """The zip, or the one zip it consists of (an archive packed once more by a repository)."""
    outer = zipfile.ZipFile(path)
    inner = [m for m in outer.infolist() if m.filename.lower().endswith(".zip")]
    if len(inner) != 1:
        return outer
    _check_members(path, outer, path.stat().st_size)  # the inner one is held in memory: look before it is read
    return zipfile.ZipFile(io.BytesIO(outer.read(inner[0])))


def check_zip(path: Path) -> None:
    """Refuse a zip that climbs out of its folder, holds a link, or would grow beyond `LARGEST` bytes.

    Raises `DataError`; `zipfile.BadZipFile` where it is no whole zip.
    """
    with zipfile.ZipFile(path) as outer:
        _check_members(path, outer, path.stat().st_size)
    with _open_zip(path) as archive:
        _check_members(path, archive, path.stat().st_size)


def _check_members(path: Path, archive: zipfile.ZipFile, packed: int) -> None:
    for member in archive.infolist():
        name = member.filename.replace("\\", "/")
        if name.startswith("/") or ":" in name.split("/")[0] or ".." in name.split("/"):
            raise DataError(f"{path}: refused, its member {member.filename!r} points outside the archive's own folder.\n"
                            f"To mend it: remove the file and get it from the official address.")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise DataError(f"{path}: refused, its member {member.filename!r} is a link, not a file.\n"
                            f"To mend it: remove the file and get it from the official address.")
    grown = sum(m.file_size for m in archive.infolist())
    if grown > LARGEST or grown > STEEPEST * packed + 2**20:
        raise DataError(f"{path}: refused, {packed:,} bytes would unpack to {grown:,}; that is no data set.\n"
                        f"To mend it: remove the file and get it from the official address.")
