"""Read a data frame from an R data file (.rda), for a set whose publisher ships nothing else.

R's XDR serialisation, versions 2 and 3, as "R Internals" (R Core Team), section "Serialization Formats", describes it:
symbols, pairlists, vectors, factors and the short forms of vectors. Nothing in the file is ever run; anything else is refused.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import zlib

import numpy as np
import pandas as pd

from recsys_kit.data.sources import DataError

NOTHING = {241, 242, 247, 251, 252, 253, 254}  # NULL and R's own environments
NA_INTEGER = -(2**31)


def read_rda(data: bytes) -> pd.DataFrame:
    """The first data frame in the file: text and factors as text, times (POSIXct) as datetime64[s] in UTC, numbers as float64.

    Raises `DataError` for a file that is cut, no R data, or holds what no data frame needs.
    """
    try:
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        elif data[:3] == b"BZh":
            data = bz2.decompress(data)
        elif data[:6] == b"\xfd7zXZ\x00":
            data = lzma.decompress(data)
        if data[:7] not in (b"RDX2\nX\n", b"RDX3\nX\n"):
            raise DataError("no R data file (.rda) in the XDR format")
        for value in _Reader(data).objects().values():
            if isinstance(value, _Vector) and "data.frame" in value.text("class"):
                return _frame(value)
    except (EOFError, OSError, lzma.LZMAError, zlib.error, struct.error, IndexError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"the R data file is cut or damaged ({error})") from None
    raise DataError("the R data file holds no data frame")


class _Vector:
    """An R vector: its values, and its attributes (names, levels, class, ...)."""

    def __init__(self, values, attributes: dict):
        self.values, self.attributes = values, attributes

    def text(self, attribute: str) -> list:
        found = self.attributes.get(attribute)
        return list(found.values) if isinstance(found, _Vector) else []


class _Reader:
    def __init__(self, data: bytes):
        self.data, self.at, self.seen = data, 7, []

    def int(self) -> int:
        (value,) = struct.unpack_from(">i", self.data, self.at)
        self.at += 4
        return value

    def bytes(self, length: int) -> bytes:
        if length < 0 or self.at + length > len(self.data):
            raise EOFError("it ends too early")
        self.at += length
        return self.data[self.at - length: self.at]

    def objects(self) -> dict:
        version = self.int()
        self.at += 8  # the R versions that wrote it and can read it
        if version == 3:
            self.bytes(self.int())  # the writer's own encoding; every text says its own
        return self.item() or {}

    def item(self):
        flags = self.int()
        kind, has_attributes, has_tag = flags & 0xFF, flags & 0x200, flags & 0x400
        if kind in NOTHING:
            return None
        if kind == 255:  # something seen before
            return self.seen[(flags >> 8 or self.int()) - 1]
        if kind == 1:  # a symbol
            self.seen.append(self.item())
            return self.seen[-1]
        if kind == 2:
            return self.pairs(has_attributes, has_tag)
        if kind == 9:
            length = self.int()
            return None if length == -1 else self.bytes(length).decode("latin-1" if flags >> 12 & 4 else "utf-8")
        if kind == 238:
            return self.compact()
        if kind in (10, 13):
            values = np.frombuffer(self.bytes(4 * self.length()), ">i4").astype("int64")
        elif kind == 14:
            values = np.frombuffer(self.bytes(8 * self.length()), ">f8").astype("float64")
        elif kind in (16, 19):
            values = [self.item() for _ in range(self.length())]
        else:
            raise DataError(f"the R data file holds an object of type {kind}, which no plain data frame needs")
        return _Vector(values, (self.item() or {}) if has_attributes else {})

    def length(self) -> int:
        length = self.int()
        return length if length != -1 else (self.int() << 32) + self.int()

    def pairs(self, has_attributes: int, has_tag: int) -> dict:
        """A pairlist as a dict; an element without a tag gets its number, and so does what ends a dotted pair."""
        result: dict = {}
        while True:
            if has_attributes:
                self.item()
            tag = self.item() if has_tag else len(result)
            result[tag] = self.item()
            flags = self.int()
            if flags & 0xFF in NOTHING:
                return result
            if flags & 0xFF != 2:
                self.at -= 4
                result[len(result)] = self.item()
                return result
            has_attributes, has_tag = flags & 0x200, flags & 0x400

    def compact(self) -> _Vector:
        """A short form (ALTREP): a sequence by length, start and step, a wrapped vector, or numbers that were to become text."""
        what, state, attributes = self.item(), self.item(), self.item() or {}
        name = str(what.get(0) if isinstance(what, dict) else what)
        if name in ("compact_intseq", "compact_realseq"):
            length, start, step = state.values
            return _Vector(start + step * np.arange(int(length)), attributes)
        if isinstance(state, _Vector) and not isinstance(state.values, list):
            raise DataError(f"the R data file holds a {name}, which this reader does not know")
        inner = state[0] if isinstance(state, dict) else state.values[0]
        if name.startswith("wrap_"):
            return _Vector(inner.values, inner.attributes | attributes)
        if name == "deferred_string":
            return _Vector([_as_text(value) for value in inner.values], attributes)
        raise DataError(f"the R data file holds a {name}, which this reader does not know")


def _as_text(number: float) -> str | None:
    """A number as R writes it: 15 digits at most, and the shorter of the plain and the scientific form (900000 is 9e+05)."""
    if number == NA_INTEGER or np.isnan(number):
        return None
    mantissa, exponent = f"{number:.14e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".")
    scientific = f"{mantissa}e{int(exponent):+03d}"
    plain = np.format_float_positional(float(scientific), trim="-")
    return plain if len(plain) <= len(scientific) else scientific


def _frame(frame: _Vector) -> pd.DataFrame:
    return pd.DataFrame({name: _column(values) for name, values in zip(frame.text("names"), frame.values, strict=True)})


def _column(column: _Vector) -> pd.Series:
    kinds = column.text("class")
    if "factor" in kinds:
        levels = [None, *column.text("levels")]  # factor codes begin at 1; NA is the smallest integer
        return pd.Series([levels[max(code, 0)] for code in column.values], dtype="str")
    if isinstance(column.values, list):
        return pd.Series(column.values, dtype="str")
    if "POSIXct" in kinds:
        return pd.Series(pd.to_datetime(np.floor(column.values.astype("float64")), unit="s")).astype("datetime64[s]")
    numbers = column.values.astype("float64")
    return pd.Series(np.where(column.values == NA_INTEGER, np.nan, numbers))
