"""Splits that papers published, by name: the very training and test pairs behind a printed table.

A result is reproduced on the published split, not on another draw from the same data set. Nothing of them is kept here; they
are looked for as the sets of the catalogue are, and told by the fingerprint of their parsed tables.
"""

from __future__ import annotations

import dataclasses
import difflib
import pickle
import zipfile
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from recsys_kit.data import cache, catalog, readers_published
from recsys_kit.data.dataset import fingerprint
from recsys_kit.data.sources import DataError, Source
from recsys_kit.schema import USER, SchemaError

RAW = "https://raw.githubusercontent.com"
DACREMA = "MaurizioFD/RecSys2019_DeepLearning_Evaluation"


@dataclass(frozen=True)
class Split(catalog.Entry):
    """One published split: an entry of the catalogue whose tables are train, test and candidates.

    ``rest``: the fingerprint of test and candidates where the training pairs at hand are derived, so that the official
    ones, of which only their number ``pairs`` is known, give another whole fingerprint and are still accepted.
    """

    rest: str = ""
    pairs: int = 0


@dataclass(frozen=True, eq=False)
class Published:
    """A published split.

    Attributes
    ----------
    name : the name it was asked for by.
    train, test : events (user_id, item_id, behaviour 'click', one constant timestamp), sorted by user and item.
    candidates : user_id, item_id, positive (bool): what is ranked for each test user; None where all items are.
    """

    name: str
    train: pd.DataFrame
    test: pd.DataFrame
    candidates: pd.DataFrame | None = None

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over train, test and candidates as they stand here."""
        return fingerprint(self.train, self.test, self.candidates)

    def __repr__(self) -> str:
        return (f"Published({self.name!r}: {len(self.train):,} train, {len(self.test):,} test, "
                f"{'full ranking' if self.candidates is None else f'{len(self.candidates):,} candidates'})")


SPLITS = {split.name: split for split in (
    Split(
        name="ncf-ml1m", title="MovieLens 1M, leave one out with 99 negatives (He et al. 2017)",
        size="994,169 train, 6,040 test, 603,844 candidates", licence="research use, no redistribution (GroupLens)",
        page="https://github.com/hexiangnan/neural_collaborative_filtering", terms="cite He et al. 2017, Harper and Konstan 2015",
        addresses=(tuple(f"{RAW}/hexiangnan/neural_collaborative_filtering/master/Data/ml-1m.{part}"
                         for part in ("train.rating", "test.rating", "test.negative")),),
        folder="movielens-1m/ncf",
        files=(("ml-1m.train.rating", "derived_train_user_item_rating.tsv"), ("ml-1m.test.rating",), ("ml-1m.test.negative",)),
        reader=readers_published.leave_one_out, pairs=994_169,
        fingerprint="44fed21b372e9bee61206dc41881b596cc48b9d22d94ba52e29b726c532676e3",
        rest="c0ca42492c3c9cba10d9509928626f6f3e4cc313d6119060c4a877625e22d82c",
        traps=("for 156 users the positive is also among the negatives", "the derived training pairs are uncertain in 815 rows")),
    Split(
        name="spectralcf-ml1m", title="MovieLens 1M as SpectralCF split it (Zheng et al. 2018)",
        size="179,207 train, 47,103 test", licence="research use, no redistribution (GroupLens)",
        page=f"https://github.com/{DACREMA}", terms="cite Ferrari Dacrema et al. 2021, Harper and Konstan 2015",
        addresses=(tuple(f"{RAW}/{DACREMA}/master/Conferences/RecSys/SpectralCF_github/data/ml-1m/{part}_users.dat"
                         for part in ("train", "test")),),
        folder="movielens-1m/spectralcf", files=(("train_users.dat",), ("test_users.dat",)),
        reader=readers_published.user_lists,
        fingerprint="4211ca3ec5590e3d3fe5a7407001ed92da52fcacf632ab7a237578c7b1017e13",
        traps=("the split is not random", "535 of the training users have no test")),
    Split(
        name="cmn-citeulike-a", title="CiteULike-a, one positive and 100 negatives a user (Ebesu et al. 2018)",
        size="199,435 train, 5,551 test, 560,651 candidates", licence="as gathered by its authors, for research",
        page=f"https://github.com/{DACREMA}", terms="cite Wang and Blei 2011, Ebesu et al. 2018",
        addresses=((f"{RAW}/{DACREMA}/master/Conferences/SIGIR/CMN_github/data/citeulike-a.npz",),),
        folder="citeulike-a",  # one archive holds both parts
        files=(("citeulike-a.npz", "train_user_item.tsv"), ("citeulike-a.npz", "test_user_positive_negatives.tsv")),
        reader=readers_published.cmn, fingerprint="dc5d090881f270afdefe0b358247b15436825506d25d7cc3f718871075bb050a",
        traps=("0.2 % of the negatives are training items: mask them",)),
    Split(
        name="gowalla-lightgcn", title="Gowalla check-ins as NGCF and LightGCN split them (He et al. 2020)",
        size="810,128 train, 217,242 test", licence="as published by SNAP, for research",
        page="https://github.com/gusye1234/LightGCN-PyTorch", terms="cite Cho et al. 2011, He et al. 2020",
        addresses=(tuple(f"{RAW}/gusye1234/LightGCN-PyTorch/master/data/gowalla/{part}.txt" for part in ("train", "test")),),
        folder="gowalla-lightgcn", files=(("train.txt",), ("test.txt",)), reader=readers_published.user_lists,
        fingerprint="eca703cb409a40afa16f0bb4021654be6af884e278728dd82523b095c9686751",
        traps=("no times: a check-in of the test may be older than the training",)),
)}


def published(name: str, *, max_users: int | None = None, seed: int = 0) -> Published:
    """The split ``name`` (see `SPLITS`) as its authors published it.

    Parameters
    ----------
    name : ncf-ml1m, spectralcf-ml1m, cmn-citeulike-a or gowalla-lightgcn.
    max_users : keep so many users, drawn with ``seed`` from all, with all their rows; 0 or None: everybody.

    Raises
    ------
    DataError : an unknown name, files that are not here (says where they are published and where to put them) or are cut or
        changed.
    """
    split = entry(name)
    if max_users is not None and max_users < 0 or seed < 0:
        raise DataError(f"max_users={max_users}, seed={seed}: neither may be negative.")
    source, problems = catalog.find(split)
    if source is None:
        raise DataError(catalog.not_here(split, problems))
    tables = cache.cached(name, source.where, source.parts, lambda: _parse(split, source))
    return _some(Published(name, **tables), max_users, seed) if max_users else Published(name, **tables)


def splits() -> pd.DataFrame:
    """Every split: name, title, size, licence, and where it is now."""
    rows = [(split.name, split.title, split.size, split.licence, catalog.whereabouts(split)) for split in SPLITS.values()]
    return pd.DataFrame(rows, columns=["name", "title", "size", "licence", "where"])


def entry(name: str) -> Split:
    """The metadata of a split. Raises `DataError` for a name that is none."""
    if name not in SPLITS:
        near = difflib.get_close_matches(str(name), SPLITS, n=1, cutoff=0.4)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        raise DataError(f"no published split is called {name!r}.{meant}\nThere are {', '.join(SPLITS)}.")
    return SPLITS[name]


def _parse(split: Split, source: Source) -> dict[str, pd.DataFrame]:
    try:
        tables = split.reader(source)
    except (SchemaError, ValueError, KeyError, IndexError, TypeError, AttributeError, EOFError, pickle.UnpicklingError,
            zipfile.BadZipFile) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{split.name}: {source.where[0]} is not as published, or cut in the middle "
                        f"({type(error).__name__}: {error}).\nTo mend it: get it again from {split.page}") from None
    got = fingerprint(tables["train"], tables["test"], tables.get("candidates"))
    official = split.rest and fingerprint(tables["test"], tables["candidates"]) == split.rest
    if got != split.fingerprint and not (official and len(tables["train"]) == split.pairs
                                         and not source.name().startswith("derived")):
        counts = ", ".join(f"{len(table):,} {part}" for part, table in tables.items())
        raise DataError(f"{split.name}: {source.where[0]} was read, but it is not the split as published: {counts} "
                        f"({split.size} expected), fingerprint {got[:12]} ({split.fingerprint[:12]} expected).\n"
                        f"To mend it: get it again from {split.page}")
    return tables


def _some(data: Published, max_users: int, seed: int) -> Published:
    ids = np.sort(pd.concat([data.train[USER], data.test[USER]]).unique().astype(object))
    if max_users >= len(ids):
        return data
    chosen = set(np.random.default_rng(seed).choice(ids, max_users, replace=False))
    kept = {part: table[table[USER].isin(chosen)].reset_index(drop=True)
            for part in ("train", "test", "candidates") if (table := getattr(data, part)) is not None}
    return dataclasses.replace(data, **kept)
