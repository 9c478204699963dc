"""Fetch a set's official file once: resumable, checked, whole or not at all, one process at a time.

The file is kept as published in the cache folder and read from there; a zip is never unpacked to disk. While it comes it is
called ``<name>.part``; its own name it gets by one rename, after its checksum was compared. Then the parsed table's
fingerprint decides whether it is the set.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import socket
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from recsys_kit.data import catalog, published
from recsys_kit.data.sources import DataError, check_zip, find_source

Progress = Callable[[int, int | None], None]
LATER = (408, 425, 429)  # answers below 500 that a second try may change


class _Stopped(Exception):
    """The connection ended before the file did; the same request may go on from there."""


def print_progress() -> Progress:
    """A progress function for one download: tells on stderr what has come, every second on a terminal, else every ten."""
    last = time.monotonic()
    terminal = sys.stderr.isatty()

    def tell(done: int, total: int | None) -> None:
        nonlocal last
        if done == total or time.monotonic() - last > (1 if terminal else 10):
            last = time.monotonic()
            of = f" of {total / 2**20:.1f} MiB ({done / total:.0%})" if total else " MiB"
            print(f"{done / 2**20:.1f}{of}", end="\r" if terminal and done != total else "\n", file=sys.stderr, flush=True)

    return tell


def fetch(name: str, *, progress: Progress | None = None) -> Path:
    """Download the set ``name`` from its official address into the cache folder, unless it is here already.

    Parameters
    ----------
    name : a real set of the catalogue, or a published split (see `recsys_kit.data.published`).
    progress : called with the bytes there and the bytes expected (None: unknown); by default it tells on stderr.

    Returns
    -------
    Path : the file, in RECSYS_KIT_DATA or in the cache folder.

    Raises
    ------
    DataError : an unknown name, no network, a moved address, a full disk, a file that is not the set. Says what to do; what has
        come so far stays as ``.part``, and the next call goes on from there.
    """
    item = published.SPLITS.get(name) or catalog.entry(name)
    source, problems = catalog.find(item)
    if source:
        return source.archive or source.where[0]
    if not item.addresses:
        raise DataError(catalog.not_here(item, problems))
    folder = catalog.download_folder(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with lock(folder / ".lock"):
            source, _ = catalog.find(item)  # perhaps another process fetched it while this one waited
            if source:
                return source.archive or source.where[0]
            return _first_that_fits(item, folder, progress or print_progress())
    except OSError as error:
        raise DataError(f"{name}: cannot write in {folder} ({error.strerror or error}).\n"
                        f"To mend it: make room there, or set RECSYS_KIT_CACHE to another folder. What has come stays there as "
                        f".part, and fetching again goes on from it.") from None


def _first_that_fits(item: catalog.Entry, folder: Path, progress: Progress) -> Path:
    failures = []
    for number, way in enumerate(item.addresses):
        targets = [folder / Path(unquote(urlsplit(address).path)).name for address in way]
        try:
            for address, target in zip(way, targets, strict=True):
                first = number == 0 and target == targets[0]
                download(address, target, sha256=item.sha256 if first else "", progress=progress)
            _verify(item, targets)
            return targets[0]
        except DataError as error:
            failures.append(f"  {error}".replace("\n", "\n  "))
    names = " and ".join(" or ".join(part) for part in item.files)
    raise DataError(f"{item.name} could not be fetched.\n" + "\n".join(failures) + f"\nBy hand: get it from {item.page} and put "
                    f"{names} (or the zip that holds it) into {folder}")


def _verify(item: catalog.Entry, targets: list[Path]) -> None:
    """Make sure that the download is the set; remove it if not, so that the next call starts afresh."""
    try:
        if targets[0].suffix == ".zip":
            check_zip(targets[0])
        source, problems = find_source(targets[0].parent, item.files, item.first_line)
        if source is None:
            raise DataError("; ".join(problems) or f"{targets[0].name} holds no {' or '.join(item.files[0])}")
        load = published.published if item.name in published.SPLITS else catalog.load
        load(item.name)  # parses it, compares the fingerprint, and keeps the tables
    except (DataError, zipfile.BadZipFile) as error:
        for target in targets:
            target.unlink(missing_ok=True)
        if isinstance(error, DataError):
            raise
        raise DataError(f"{targets[0].name} is no whole zip ({error})") from None


def download(address: str, target: Path, *, sha256: str = "", progress: Progress | None = None, tries: int = 5,
             pause: float = 1.0) -> None:
    """Download ``address`` to ``target``; go on from ``<target>.part`` where the server allows it.

    Tries ``tries`` times with pauses that double, starting with ``pause`` seconds. Raises `DataError`, and `OSError`
    where the disk is full.
    """
    part = target.with_name(target.name + ".part")
    for attempt in range(tries):
        if attempt:
            time.sleep(pause * 2 ** (attempt - 1))
        try:
            _transfer(address, part, progress)
            break
        except _Stopped as stopped:
            reason = str(stopped)
    else:
        kept = f" {part.stat().st_size:,} bytes are kept; fetch again to go on from there." if part.exists() else ""
        raise DataError(f"{address}: no luck after {tries} tries ({reason}).{kept}\nTo mend it: check the network and the proxy.")
    if sha256:
        with part.open("rb") as stream:
            got = hashlib.file_digest(stream, "sha256").hexdigest()
        if got != sha256:
            part.unlink()
            _tag(part).unlink(missing_ok=True)
            raise DataError(f"{address}: the checksum does not fit (SHA-256 {got[:16]}..., expected {sha256[:16]}...); removed.\n"
                            f"To mend it: fetch again; if it stays so, the publisher changed the file, and the kit must learn it.")
    os.replace(part, target)
    _tag(part).unlink(missing_ok=True)


def _tag(part: Path) -> Path:
    """Beside a .part: the server's mark of the version it is a part of, so that no two versions are joined."""
    return part.with_name(part.name + ".tag")


def _transfer(address: str, part: Path, progress: Progress | None) -> None:
    """One request: append to ``part`` what is missing. Raises `_Stopped` where another try may help."""
    there = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "recsys_kit"}
    if there:
        headers["Range"] = f"bytes={there}-"
        if _tag(part).exists():
            headers["If-Range"] = _tag(part).read_text()
    response = _open(urllib.request.Request(address, headers=headers), part)
    with response:
        resumed = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {there}-")
        if not resumed:
            there = 0
        length = response.headers.get("Content-Length")
        total = there + int(length) if length else None
        tag = response.headers.get("ETag", "")
        tag = response.headers.get("Last-Modified") if not tag or tag.startswith("W/") else tag
        if tag:
            _tag(part).write_text(tag)
        with part.open("ab" if resumed else "wb") as file:
            while chunk := _receive(response):
                file.write(chunk)
                there += len(chunk)
                if progress:
                    progress(there, total)
            file.flush()
            os.fsync(file.fileno())
    if total is not None and there < total:
        raise _Stopped(f"the connection ended after {there:,} of {total:,} bytes")


def _open(request: urllib.request.Request, part: Path) -> http.client.HTTPResponse:
    try:
        return urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # the .part is longer than the file: it is not a part of it
            part.unlink(missing_ok=True)
            raise _Stopped("the file at the address changed") from None
        if error.code >= 500 or error.code in LATER:
            raise _Stopped(f"the server answers {error.code} {error.reason}") from None
        raise DataError(f"{request.full_url}: the server answers {error.code} {error.reason}; the address may have moved") from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, socket.gaierror):
            raise DataError(f"{request.full_url}: the name cannot be looked up ({reason.strerror}).\n"
                            f"To mend it: check the network and the proxy (HTTPS_PROXY).") from None
        raise _Stopped(str(reason) or type(reason).__name__) from None


def _receive(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(1 << 16)
    except (OSError, http.client.HTTPException) as error:
        raise _Stopped(str(error) or type(error).__name__) from None


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Only one process at a time; the others wait. The system frees it when its process ends, however it ends."""
    with path.open("a+b") as file:
        if not _try_lock(file):
            print("another process is fetching this set; waiting for it", file=sys.stderr)
            while not _try_lock(file):
                time.sleep(0.2)
        yield


def _try_lock(file) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False
