"""Turn a user's file into a table of text, or say plainly why it cannot be: cut, wrongly encoded, not there, not a table."""

from __future__ import annotations

import csv
import difflib
import gzip
import io
import zlib
from pathlib import Path

import pandas as pd

from recsys_kit.data.sources import DataError

MISSING = ("", "NA", "NaN", "nan", "NULL", "null", "None", r"\N")  # what R, pandas and SQL write for "not there"
DELIMITERS = ",;\t|"


def check_file(path: Path) -> None:
    """Raise `DataError` unless ``path`` is a file with something in it."""
    if path.is_dir():
        files = sorted(p.name for p in path.iterdir() if p.is_file())
        raise DataError(f"{path} is a folder, not a file.\nTo mend it: name a file in it"
                        + (f", for example {', '.join(files[:5])}." if files else "; it has none."))
    if not path.exists():
        if not path.parent.is_dir():
            raise DataError(f"{path}: there is no folder {path.parent}.\nTo mend it: check the path (you are in {Path.cwd()}).")
        files = [p.name for p in path.parent.iterdir() if p.is_file()]
        near = difflib.get_close_matches(path.name, files, n=3, cutoff=0.5)
        meant = f"; did you mean {', '.join(near)}?" if near else "."
        raise DataError(f"{path}: there is no such file{meant}\nTo mend it: check the path (you are in {Path.cwd()}).")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty (0 bytes).\n"
                        f"To mend it: write it again; perhaps the program that wrote it failed.")


def read_file(path: Path) -> pd.DataFrame:
    """The file's rows: all text from a CSV (only `MISSING` is missing), typed columns from Parquet. Raises `DataError`."""
    with path.open("rb") as stream:
        start = stream.read(4)
    if start == b"PAR1" or path.suffix in (".parquet", ".pq"):
        table = _read_parquet(path)
    elif start[:2] == b"PK":
        raise DataError(f"{path} is a zip or a workbook.\nTo mend it: unpack it, or save the sheet as CSV (UTF-8), and load that.")
    else:
        table = _read_csv(path, _read_bytes(path, zipped=start[:2] == b"\x1f\x8b"))
    if table.empty:
        raise DataError(f"{path}: a header ({', '.join(map(repr, table.columns))}) and no rows.\n"
                        f"To mend it: check the query or the filter that wrote the file.")
    return table


def _read_parquet(path: Path) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path).to_pandas(date_as_object=False)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: no Parquet file, or cut in the middle ({str(error).splitlines()[0][:120]}).\n"
                        f"To mend it: copy it again and compare the sizes, or write it again.") from None


def _read_bytes(path: Path, zipped: bool) -> bytes:
    if not zipped:
        return path.read_bytes()
    try:
        with gzip.open(path) as stream:
            return stream.read()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: the gzip file is cut in the middle or damaged ({error}).\n"
                        f"To mend it: copy it again and compare the sizes, or write it again.") from None


def _read_csv(path: Path, data: bytes) -> pd.DataFrame:
    import pyarrow as pa
    from pyarrow import csv as arrow

    _check_text(path, data)
    data = data.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    header, delimiter = _header(path, data)
    wrong: list[str] = []

    def note(row) -> str:
        wrong.append(f"  {row.actual_columns} fields instead of {row.expected_columns}: {row.text[:100]}")
        return "skip"

    try:
        table = arrow.read_csv(
            io.BytesIO(data), arrow.ReadOptions(column_names=header, skip_rows=1, block_size=1 << 24),
            arrow.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=note),
            arrow.ConvertOptions(column_types=dict.fromkeys(header, pa.string()), null_values=list(MISSING),
                                 strings_can_be_null=True, quoted_strings_can_be_null=True))
    except pa.ArrowInvalid as error:
        if len(data.splitlines()) < 2:
            return pd.DataFrame(columns=header)
        raise DataError(f"{path}: no readable CSV, or cut in the middle ({str(error)[:160]}).\n"
                        f"To mend it: check the quotes and the last lines of the file, or write it again.") from None
    if wrong:
        cut = " The file seems to be cut in the middle: its last line is not whole." if not data.endswith(b"\n") else ""
        raise DataError(f"{path}: {len(wrong):,} lines have another number of fields than the header's {len(header)}.{cut}\n"
                        + "\n".join(wrong[:3]) + "\nTo mend it: copy or write the file again; put quotes around fields that hold "
                        f"{delimiter!r}.")
    return table.to_pandas()


def _check_text(path: Path, data: bytes) -> None:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "UTF-16"
    elif b"\x00" in data[:4000]:
        raise DataError(f"{path}: not a text file.\nTo mend it: save the table as CSV (UTF-8) or Parquet.")
    else:
        try:
            data.decode("utf-8")
            return
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            byte = data[error.start]
        try:
            data.decode("gb18030")
            encoding = "GB18030"
        except UnicodeDecodeError:
            encoding = "CP1252"
        raise DataError(f"{path}: the text is not UTF-8 (byte 0x{byte:02x} in line {line:,}); it may be {encoding}.\n"
                        f"To mend it: iconv -f {encoding} -t UTF-8 {path.name} > utf8-{path.name}, or save it as 'CSV UTF-8'.")
    raise DataError(f"{path}: the text is {encoding}, not UTF-8.\n"
                    f"To mend it: iconv -f {encoding} -t UTF-8 {path.name} > utf8-{path.name}, or save it as 'CSV UTF-8'.")


def _header(path: Path, data: bytes) -> tuple[list[str], str]:
    """The column names and the delimiter: the one of `DELIMITERS` that splits the first line most often."""
    line = data[:data.find(b"\n", 1) + 1 or len(data)].splitlines()[0].decode("utf-8") if data else ""
    delimiter = max(DELIMITERS, key=lambda d: len(next(csv.reader([line], delimiter=d), [])))
    names = [name.strip() or f"column {i}" for i, name in enumerate(next(csv.reader([line], delimiter=delimiter), []), start=1)]
    if not line.strip():
        raise DataError(f"{path}: the file holds no text.\nTo mend it: write it again with a header line.")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{path}: the header has {', '.join(map(repr, twice))} more than once.\n"
                        f"To mend it: name every column apart.")
    return names, delimiter
