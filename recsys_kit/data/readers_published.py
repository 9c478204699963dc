"""Readers of splits as papers published them: each maps one publisher's files to the tables train, test and candidates.

Ids are the published numbers as text. No file says when (or the split has no use for it), so every event has the one time
`NO_TIME` and is a click. Rows are sorted by user and item: the order of a published file means nothing.
"""

from __future__ import annotations

import io
import pickle
import zipfile

import numpy as np
import pandas as pd

from recsys_kit import schema
from recsys_kit.data.sources import Source
from recsys_kit.schema import BEHAVIOUR, ITEM, TIME, USER

NO_TIME = "2000-01-01"
POSITIVE = "positive"
# What a pickled array of numbers is made of. Nothing else is ever called, whatever the file asks for.
HARMLESS = {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode"), ("collections", "defaultdict"),
            *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
            *((module, name) for module in ("builtins", "__builtin__") for name in ("list", "tuple", "dict", "int"))}


def leave_one_out(source: Source) -> dict[str, pd.DataFrame]:
    """The files of He et al. (2017): training pairs, per user one test pair, and per test pair 99 items drawn as negatives.

    The negatives were drawn without a look at the test: for 156 users the positive is among them. It is one candidate, a
    positive one, and these users have 99 candidates in place of 100.
    """
    train, test = (pd.read_csv(io.BytesIO(source.read(part)), sep="\t", header=None, usecols=[0, 1], dtype="int64").to_numpy()
                   for part in (0, 1))
    lines = [line.split() for line in source.read(2).decode("ascii").splitlines() if line.strip()]
    pairs = np.array([line[0].strip("()").split(",") for line in lines], dtype="int64")
    return {"train": events(train), "test": events(test),
            "candidates": candidates(pairs, [np.array(line[1:], dtype="int64") for line in lines])}


def user_lists(source: Source) -> dict[str, pd.DataFrame]:
    """Two files of one user a line, then this user's items: training and test."""
    return {name: events(_lines(source, part)) for part, name in enumerate(("train", "test"))}


def cmn(source: Source) -> dict[str, pd.DataFrame]:
    """The archive of Ebesu et al. (2018), or its content as text: training pairs, per test user one positive and 100 negatives."""
    if source.name().endswith(".npz"):
        with zipfile.ZipFile(io.BytesIO(source.read())) as archive:
            train = np.asarray(_array(archive, "train_data")[:, :2], dtype="int64")
            held_out = _array(archive, "test_data").tolist()
        pairs = np.array([(user, held_out[user][0]) for user in held_out], dtype="int64")
        negatives = [np.asarray(held_out[user][1], dtype="int64") for user in held_out]
    else:
        train = pd.read_csv(io.BytesIO(source.read()), sep="\t", header=None, dtype="int64").to_numpy()
        lines = [line.split("\t") for line in source.read(1).decode("ascii").splitlines()]
        pairs = np.array([line[:2] for line in lines], dtype="int64")
        negatives = [np.array(line[2].split(), dtype="int64") for line in lines]
    return {"train": events(train), "test": events(pairs), "candidates": candidates(pairs, negatives)}


def events(pairs: np.ndarray) -> pd.DataFrame:
    """Pairs (n, 2) of user and item numbers as events, sorted; a pair that is there twice stays twice."""
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    return schema.coerce_events(pd.DataFrame({
        USER: pairs[:, 0], ITEM: pairs[:, 1], TIME: pd.Timestamp(NO_TIME),
        BEHAVIOUR: pd.Categorical([schema.CLICK] * len(pairs), schema.BEHAVIOURS)})[[USER, ITEM, BEHAVIOUR, TIME]])


def candidates(pairs: np.ndarray, negatives: list[np.ndarray]) -> pd.DataFrame:
    """What is ranked for each user: the positive of ``pairs`` (n, 2) and its ``negatives``, each item once, sorted."""
    users = np.repeat(pairs[:, 0], [len(items) + 1 for items in negatives])
    items = np.concatenate([np.append(pair[1:], drawn) for pair, drawn in zip(pairs, negatives, strict=True)])
    positive = np.zeros(len(users), dtype=bool)
    positive[np.cumsum([0, *(len(drawn) + 1 for drawn in negatives[:-1])])] = True
    table = pd.DataFrame({USER: users, ITEM: items, POSITIVE: positive})
    table = table.sort_values([USER, ITEM, POSITIVE], ascending=[True, True, False]).drop_duplicates([USER, ITEM])
    table = table.reset_index(drop=True)
    return table.assign(**{USER: schema.coerce_ids(table[USER]), ITEM: schema.coerce_ids(table[ITEM])})


def _lines(source: Source, part: int) -> np.ndarray:
    numbers = [np.array(line.split(), dtype="int64") for line in source.read(part).decode("ascii").splitlines() if line.strip()]
    return np.concatenate([np.stack([np.full(len(line) - 1, line[0]), line[1:]], axis=1) for line in numbers])


class _Harmless(pickle.Unpickler):
    def find_class(self, module: str, name: str):
        if (module, name) not in HARMLESS:
            raise pickle.UnpicklingError(f"it holds more than numbers: {module}.{name}")
        return super().find_class(module, name)


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """An array of an .npz, a pickled one too, without running anything the file brings along."""
    with archive.open(f"{name}.npy") as stream:
        version = np.lib.format.read_magic(stream)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        if header(stream)[2].hasobject:
            return _Harmless(io.BytesIO(stream.read()), encoding="latin1").load()
    with archive.open(f"{name}.npy") as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)
