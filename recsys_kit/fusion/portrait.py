"""The portrait (画像): everything known about every user in one table, kept in one file that runs no code when it is opened."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recsys_kit.data.dataset import fingerprint
from recsys_kit.data.sources import DataError
from recsys_kit.schema import USER, SchemaError
from recsys_kit.strata.result import STRATUM, Strata

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT, VERSION = "recsys_kit portrait", 1
KEY = b"recsys_kit"  # where the file's schema keeps what the portrait is


@dataclass(frozen=True, eq=False)
class Portrait:
    """One row per user, and which columns belong to what.

    Attributes
    ----------
    table : DataFrame, index ``user_id``; numbers, truth values or text.
    groups : part (``"stratum"``, ``"membership"``, ``"topics"``, ``"vectors"``, ``"features"``) -> its columns; parts that were not
        given are not there. ``portrait.table[portrait.groups["vectors"]]`` is the part.
    """

    table: pd.DataFrame
    groups: dict[str, list[str]]

    def __post_init__(self) -> None:
        ids = self.table.index.dtype
        if not _kept(ids):
            raise SchemaError(f"the user ids hold {ids} values; a portrait keeps ids that are text or numbers, which can be read "
                              f"back without running code.\nTo mend it: make text of them before the strata are made, "
                              f"table.index = table.index.astype(\"str\")")
        for column, kind in self.table.dtypes.items():
            if not _kept(kind):
                raise SchemaError(f"column '{column}' holds {kind} values; a portrait keeps numbers, truth values and text, which "
                                  f"can be read back without running code.\n"
                                  f"To mend it: leave it out, or make a number or text of it")

    def save(self, path: str | Path) -> Path:
        """Write one Parquet file, whole or not at all: an earlier file of that name stays until the new one is complete.

        The groups, the format's version and a digest of all of it stand as JSON in the file's schema. Returns the path.
        Raises OSError where the file cannot be written.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = Path(path)
        about = {"format": FORMAT, "version": VERSION, "kit": version("recsys_kit"), "groups": self.groups,
                 "digest": _digest(self.table, self.groups)}
        table = pa.Table.from_pandas(self.table, preserve_index=True)
        table = table.replace_schema_metadata({**table.schema.metadata, KEY: json.dumps(about).encode()})
        new = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.new")
        try:
            pq.write_table(table, new, compression="zstd", write_page_checksum=True)
            os.replace(new, path)
        finally:
            new.unlink(missing_ok=True)
        return path

    @classmethod
    def load(cls, path: str | Path) -> Portrait:
        """The portrait that `save` wrote, equal to the last bit.

        Raises `recsys_kit.DataError` for a file that is not there, is no portrait, is cut or damaged, or has another version.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = Path(path)
        if not path.is_file():
            raise DataError(f"{path}: there is no such file")
        try:
            stored = pq.read_table(path, page_checksum_verification=True)
            about = _about(path, stored.schema)
            table, groups = stored.to_pandas(), about["groups"]
            whole = about["digest"] == _digest(table, groups)
        except DataError:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
            raise DataError(f"{path}: no Parquet file, or a cut or damaged one ({str(error).splitlines()[0][:100]}).\nTo mend it: "
                            f"save the portrait again, or take it from a copy") from None
        if not whole:
            raise DataError(f"{path}: the file is damaged; its contents are not what was saved.\nTo mend it: save the portrait "
                            f"again, or take it from a copy")
        return cls(table, groups)

    def __repr__(self) -> str:
        return f"Portrait({len(self.table):,} users: {', '.join(f'{len(names)} {part}' for part, names in self.groups.items())})"


def portrait(strata: Strata, *, membership: pd.DataFrame | None = None, vectors: pd.DataFrame | None = None,
             topics: pd.DataFrame | None = None, features: pd.DataFrame | None = None) -> Portrait:
    """Put side by side what is known about the users of ``strata``.

    membership : from ``strata.membership``; its columns become ``membership_0``, … topics : from `Topics.transform`.
    vectors : from `Fusion.transform`, or learned vectors. features : any other numbers, truth values or text per user.
    Every part is a DataFrame with a row for every user of the strata; rows of other users are left out. User ids that are text,
    as objects, categories or otherwise, become plain text.

    Raises `SchemaError` for a part that lacks users or has one twice, columns of the same name in two parts, and columns of
    objects, which could not be kept without running code when the file is opened.
    """
    if not isinstance(strata, Strata):
        raise SchemaError(f"portrait takes strata, not a {type(strata).__name__}.\nTo mend it: pass what the stratifier returned, "
                          f"strata rather than strata.labels")
    users = _plain(strata.labels.index)
    if membership is not None and isinstance(membership, pd.DataFrame):
        membership = membership.set_axis([f"membership_{name}" for name in membership.columns], axis=1)
    parts = {"stratum": strata.labels.to_frame(STRATUM), "membership": membership, "topics": topics, "vectors": vectors,
             "features": features}
    tables = {name: _part(name, part, users) for name, part in parts.items() if part is not None}
    groups = {name: list(part.columns) for name, part in tables.items()}
    owner: dict[str, str] = {}
    for name, columns in groups.items():
        for column in columns:
            if column in owner:
                raise SchemaError(f"column '{column}' is in {owner[column]} and in {name}.\nTo mend it: rename one of them")
            owner[column] = name
    return Portrait(pd.concat(tables.values(), axis=1).rename_axis(USER), groups)


def _part(name: str, part: pd.DataFrame, users: pd.Index) -> pd.DataFrame:
    """The rows of these users in their order, columns named by text."""
    if not isinstance(part, pd.DataFrame):
        raise SchemaError(f"{name} must be a DataFrame with one row per user, not a {type(part).__name__}")
    if part.index.has_duplicates:
        twice = part.index[part.index.duplicated()]
        raise SchemaError(f"{name}: {len(twice):,} rows of users that already have one, for instance {twice[0]!r}")
    place = _plain(part.index).get_indexer(users)
    missing = users[place < 0]
    if len(missing):
        raise SchemaError(f"{name}: {len(missing):,} of {len(users):,} users are missing, for instance "
                          f"{', '.join(map(repr, missing[:3]))}.\nTo mend it: make it from the same events as the strata, or make "
                          f"strata of the users that have it")
    return part.iloc[place].set_axis(users, axis=0).set_axis([str(column) for column in part.columns], axis=1)


def _plain(ids: pd.Index) -> pd.Index:
    """Ids in the plain type of what they hold: text as text, whole numbers as whole numbers."""
    if isinstance(ids.dtype, np.dtype) and ids.dtype != object:
        return ids
    return pd.Index(ids.tolist())


def _kept(kind) -> bool:
    """Whether values of this type come back from a file as they were, without running code."""
    return kind == "str" or kind.kind in "biuf"


def _digest(table: pd.DataFrame, groups: dict) -> str:
    """SHA-256 over users, columns, types, values and groups."""
    return hashlib.sha256((fingerprint(table.reset_index()) + json.dumps(groups)).encode()).hexdigest()


def _about(path: Path, schema: pa.Schema) -> dict:
    """What the file says about itself. Raises `DataError` for another format or version, ValueError for no JSON."""
    stored = (schema.metadata or {}).get(KEY)
    about = {} if stored is None else json.loads(stored)
    if about.get("format") != FORMAT:
        raise DataError(f"{path}: a Parquet file, but no portrait.\nTo mend it: load what Portrait.save wrote; read other tables "
                        f"with pandas.read_parquet")
    if about.get("version") != VERSION:
        raise DataError(f"{path}: a portrait of version {about.get('version')}; this kit ({version('recsys_kit')}) reads version "
                        f"{VERSION}.\nTo mend it: make it again, or open it with the kit that wrote it ({about.get('kit')})")
    return about
