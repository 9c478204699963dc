"""Every data set by its name: what it is, where it is looked for, and `load`.

This is the one place of the sets' metadata; the cards in ``datasets/`` are tested against it.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from recsys_kit.data import cache, own, readers, readers_described
from recsys_kit.data.dataset import Dataset, fingerprint
from recsys_kit.data.sources import DataError, Source, find_source
from recsys_kit.schema import USER, SchemaError


@dataclass(frozen=True)
class Entry:
    """One real set of the catalogue.

    ``files`` names the parts a reader needs, for each the names it may have (also gzipped, or in a zip), and ``first_line``
    how the first part begins. ``addresses`` are the ways `recsys_kit.data.fetch.fetch` tries in turn, each the files it takes;
    a set without one must be got by hand, as ``by_hand`` says. ``sha256`` is that of the first file of the first way.
    ``fingerprint`` is that of the parsed tables; empty where no copy was at hand. ``complete`` is False for a published
    subset or sample: another edition of it is loaded with a warning, where another edition of a whole set is refused.
    ``not_products`` are item ids that stand for postage, fees and corrections.
    """

    name: str
    title: str
    size: str
    licence: str
    page: str
    folder: str
    files: tuple[tuple[str, ...], ...]
    reader: Callable[[Source], dict[str, pd.DataFrame]]
    traps: tuple[str, ...]
    first_line: str = ""
    terms: str = ""
    addresses: tuple[tuple[str, ...], ...] = ()
    sha256: str = ""
    by_hand: str = ""
    fingerprint: str = ""
    complete: bool = True
    not_products: tuple[str, ...] = ()


@dataclass(frozen=True)
class Market:
    """One simulated market: the settings' name in `recsys_kit.data.market`."""

    name: str
    title: str
    size: str
    settings: str
    licence: str = field(default="MIT, as the kit")


UCI = "https://archive.ics.uci.edu"

MARKETS = {entry.name: entry for entry in (
    Market("market", "the embedded market with known truth", "about 2,000 users, 600 items, 150,000 events", "DEFAULT"),
    Market("market-case-1", "case 1 of the course", "10,000 users, 1,000 items", "CASE_1"),
    Market("market-case-2", "case 2 of the course: advertisements", "100,000 users, 5,000 items", "CASE_2"),
)}

SETS = {entry.name: entry for entry in (
    Entry(
        name="online-retail", title="UCI Online Retail: a British gift shop's invoices, 2010-12-01 to 2011-12-09",
        size="541,909 events, 4,372 users, 4,070 items", licence="CC BY 4.0",
        page=f"{UCI}/dataset/352/online+retail", terms="cite doi 10.24432/C5BW33",
        addresses=((f"{UCI}/static/public/352/online+retail.zip",), (f"{UCI}/static/public/352/data.csv",)),
        folder="online-retail", files=(("online_retail.csv", "data.csv", "Online Retail.xlsx"),),
        first_line="InvoiceNo,StockCode,Description", reader=readers.online_retail,
        fingerprint="bb39510787f46aef745e17fd2a68dc56f1ad9bf24edaee7fe957b7aa0a07bf35",
        traps=("135,080 rows have no customer", "9,288 rows are cancellations",
               "postage, fees and manual corrections are booked as items"),
        not_products=("POST", "DOT", "M", "m", "C2", "D", "S", "B", "BANK CHARGES", "AMAZONFEE", "CRUK", "PADS")),
    Entry(
        name="retailrocket", title="RetailRocket: views, carts and purchases of a web shop, May to September 2015",
        size="2,756,101 events, 1,407,580 users, 235,061 items", licence="CC BY-NC-SA 4.0",
        page="https://www.kaggle.com/datasets/retailrocket/ecommerce-dataset", terms="not for commercial use",
        by_hand="Kaggle lets nobody download without an account: sign in, download the archive from the page, and put it "
                "(or its events.csv) there",
        folder="retailrocket", files=(("events.csv",),), first_line="timestamp,visitorid,event", reader=readers.retailrocket,
        traps=("times are milliseconds", "most visitors come once")),
    Entry(
        name="retailrocket-bench", title="RetailRocket, the subset of the SSLRec benchmark: last view, cart and buy of a pair",
        size="97,381 events, 2,174 users, 29,905 items", licence="CC BY-NC-SA 4.0",
        page="https://github.com/HKUDS/SSLRec", terms="not for commercial use",
        by_hand="the benchmark ships it as sparse matrices; put events.csv (user,item,behaviour,timestamp) and test_buy.csv "
                "(user,item,value) there",
        folder="retailrocket", files=(("events.csv",), ("test_buy.csv",)), first_line="user,item,behaviour,timestamp",
        reader=readers.retailrocket_bench, complete=False,
        fingerprint="95027b6891731cf959d17db8d96e633340b4617b2653393095258802ca784806",
        traps=("only buyers are in it", "one event per user, item and behaviour",
               "the held-out purchases have no time")),
    Entry(
        name="eshop-clothing", title="UCI clickstream of a Polish clothing shop, April to August 2008",
        size="165,474 events, 24,026 users, 217 items", licence="CC BY 4.0",
        page=f"{UCI}/dataset/553/clickstream+data+for+online+shopping", terms="cite doi 10.24432/C5QK7X",
        addresses=((f"{UCI}/static/public/553/clickstream+data+for+online+shopping.zip",),),
        folder="eshop-clothing", files=(("e-shop clothing 2008.csv",),), first_line="year;month;day;order",
        reader=readers_described.eshop_clothing, fingerprint="5deef444c3ccec34de344a43c92b9652cd0ed12275f594d07ad1b88b19a6ddab",
        traps=("a user is one session", "times are days", "only clicks, no purchase")),
    Entry(
        name="complete-journey-sample", title="Complete Journey 2.0: groceries bought by households in 2017, published sample",
        size="75,000 events, 2,377 users, 92,331 items", licence="CC0 1.0 (R package completejourney)",
        page="https://github.com/bradleyboehmke/completejourney", terms="data by 84.51, for learning and research",
        addresses=(tuple(f"https://raw.githubusercontent.com/bradleyboehmke/completejourney/master/data/{part}.rda"
                         for part in ("transactions_sample", "products", "demographics")),),
        folder="complete-journey",
        files=tuple((f"{part}.csv", f"{part}.rda") for part in ("transactions_sample", "products", "demographics")),
        first_line="household_id,store_id,basket_id", reader=readers_described.complete_journey, complete=False,
        fingerprint="22b0910e1b65efbcbe26aef994f40c4786492a6daad4ab83e7c8fe2d51d92d7c",
        traps=("a random twentieth of the rows: baskets are torn apart", "quantity is no count for fuel and coupons",
               "801 of the households have demographics")),
    Entry(
        name="movielens-100k", title="MovieLens 100K: film ratings, September 1997 to April 1998",
        size="100,000 events, 943 users, 1,682 items", licence="research use, no redistribution",
        page="https://grouplens.org/datasets/movielens/100k/", terms="cite Harper and Konstan 2015",
        addresses=(("https://files.grouplens.org/datasets/movielens/ml-100k.zip",),),
        sha256="50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
        folder="movielens-100k", files=(("u.data",), ("u.item",), ("u.user",)), reader=readers_described.movielens_100k,
        fingerprint="f1ccdb55c38e1ae41bc3cb3e6cdc3a546d6b9e9eea9b98cb7d839a02a2397e0c",
        traps=("every user has at least 20 ratings", "the time is when the rating was typed in, not when the film was seen",
               "18 films are there twice")),
)}

NAMES = (*MARKETS, *SETS)


def load(dataset: str | os.PathLike, *, columns: dict[str, str] | None = None, seed: int = 0,
         max_users: int | None = None) -> Dataset:
    """A data set as common tables, by its name in the catalogue or by the path of a CSV or Parquet file.

    Parameters
    ----------
    dataset : a name `datasets()` lists, or the path of a ``.csv``, ``.csv.gz`` or ``.parquet`` file of your own.
    columns : for a file: common name -> name in the file; ``"=purchase"`` gives every row the same value. Columns that have
        their common name already need no mention (see `recsys_kit.data.own`).
    seed : the market's seed; for every set the seed that picks the users where ``max_users`` is given.
    max_users : keep so many users, drawn at random from all, with all their rows; rows without a user are then left out.
        None, or more than there are: everything. The items table stays whole.

    Returns
    -------
    Dataset : events sorted by time, and items, users, exposures, truth where the set has them. Cleaning is yours to do.

    Raises
    ------
    DataError : an unknown name, a set that is not here, a file that is cut. Says what to do.
    SchemaError : a table that breaks the contract. Names column, rows and remedy.

    >>> from recsys_kit import load
    >>> load("market", max_users=5).events["user_id"].nunique()
    5
    """
    name = os.fspath(dataset)
    if max_users is not None and max_users < 0:
        raise DataError(f"max_users={max_users}: give a number of users, or None for all of them.")
    if seed < 0:
        raise DataError(f"seed={seed}: give a whole number from 0 up.")
    if name in NAMES and columns:
        raise DataError(f"columns= names the columns of a file of your own; {name!r} is a set of the catalogue and needs none.")
    if name in MARKETS:
        data = _generate(MARKETS[name], seed)
    elif name in SETS:
        data = _load_set(SETS[name])
    elif own.looks_like_a_file(dataset):
        data = own.load_file(Path(dataset).expanduser(), columns or {})
    else:
        raise DataError(_unknown(name))
    return keep_users(data, max_users, seed) if max_users else data


def datasets() -> pd.DataFrame:
    """The catalogue: name, title, size, licence, and where each set is now."""
    rows = [(m.name, m.title, m.size, m.licence, "made from a seed") for m in MARKETS.values()]
    rows += [(s.name, s.title, s.size, s.licence, whereabouts(s)) for s in SETS.values()]
    return pd.DataFrame(rows, columns=["name", "title", "size", "licence", "where"])


def entry(name: str) -> Entry:
    """The metadata of a real set. Raises `DataError` for a name that is none."""
    if name in MARKETS:
        raise DataError(f"{name!r} is made from a seed; there is nothing to fetch.")
    if name not in SETS:
        raise DataError(_unknown(name))
    return SETS[name]


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, NAMES, n=1, cutoff=0.5)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    return (f"no data set is called {name!r}.{meant}\nThere are {', '.join(NAMES)}; or give the path of a CSV or Parquet file "
            f"of your own (with its ending: clicks.csv).")


def _generate(market: Market, seed: int) -> Dataset:
    from recsys_kit.data import market as simulator

    return dataclasses.replace(simulator.generate(getattr(simulator, market.settings), rng=seed), name=market.name)


def data_folder() -> Path | None:
    """The folder RECSYS_KIT_DATA names, or None. Raises `DataError` if it is set to something that is no folder."""
    named = os.environ.get("RECSYS_KIT_DATA")
    if not named:
        return None
    if not (folder := Path(named).expanduser()).is_dir():
        raise DataError(f"RECSYS_KIT_DATA names {named}, and there is no such folder.\nTo mend it: correct it, or unset it.")
    return folder


def download_folder(name: str) -> Path:
    """Where `fetch` puts the set's official file."""
    return cache.cache_folder() / "downloads" / name


def find(item: Entry) -> tuple[Source | None, list[str]]:
    """The set's files: in RECSYS_KIT_DATA, else among the downloads; and what spoke against the near misses."""
    problems: list[str] = []
    given = data_folder()
    for folder in ([given / item.folder] if given else []) + [download_folder(item.name)]:
        source, against = find_source(folder, item.files, item.first_line)
        problems += against
        if source:
            return source, problems
    return None, problems


def whereabouts(item: Entry) -> str:
    """Where the set is now, in a few words."""
    source, _ = find(item)
    if source is None:
        return f"not here: fetch {item.name}" if item.addresses else "not here: by hand, see its card"
    return "in the cache" if download_folder(item.name) in source.where[0].parents else "in RECSYS_KIT_DATA"


def _load_set(item: Entry) -> Dataset:
    source, problems = find(item)
    if source is None:
        raise DataError(not_here(item, problems))
    tables = cache.cached(item.name, source.where, source.parts, lambda: parse(item, source))
    return Dataset(item.name, **tables, not_products=item.not_products)


def parse(item: Entry, source: Source) -> dict[str, pd.DataFrame]:
    """Read the set from its files, and make sure that it is the whole set. Raises `DataError`."""
    try:
        tables = item.reader(source)
    except SchemaError as error:
        raise DataError(f"{item.name}: {source.where[0]}: {error}\nThe file is cut or changed; "
                        f"get it again from {item.page}") from None
    except (KeyError, zipfile.BadZipFile, EOFError) as error:
        raise DataError(f"{item.name}: {source.where[0]} is not as its publisher ships it, or cut in the middle ({error!r}).\n"
                        f"To mend it: get it again from {item.page}") from None
    got = fingerprint(tables["events"], tables.get("items"), tables.get("users"))
    if item.fingerprint and got != item.fingerprint:
        differs = (f"{len(tables['events']):,} events ({item.size} expected), "
                   f"fingerprint {got[:12]} ({item.fingerprint[:12]} expected)")
        if item.complete:
            raise DataError(f"{item.name}: {source.where[0]} was read, but it is not the whole set as published: {differs}. "
                            f"The file is cut or changed.\nTo mend it: get it again from {item.page}")
        warnings.warn(f"{item.name}: {source.where[0]} is another edition than the one the kit was tested with: {differs}.",
                      stacklevel=5)
    return tables


def not_here(item: Entry, problems: list[str]) -> str:
    """What to do to get the set, as the text of an error."""
    names = " and ".join(" or ".join(part) for part in item.files)
    given = os.environ.get("RECSYS_KIT_DATA")
    place = (f"the folder {Path(given) / item.folder}" if given else
             f"a folder {item.folder}, and set RECSYS_KIT_DATA to the folder above it")
    steps = [f"python -m recsys_kit fetch {item.name}     (downloads it from {item.page})"] if item.addresses else []
    steps.append(f"{item.by_hand or 'or put the official file there yourself'}: {names} (or the zip that holds it), in {place}")
    seen = "".join(f"\n  seen: {problem}" for problem in problems)
    return f"the data set {item.name!r} is not on this machine ({item.licence}).{seen}\nTo get it:\n  " + "\n  ".join(steps)


def keep_users(data: Dataset, max_users: int, seed: int) -> Dataset:
    """The data set with ``max_users`` of its users, drawn with ``seed`` from the sorted ids, and all their rows."""
    ids = np.sort(data.events[USER].dropna().unique().astype(object))
    if max_users >= len(ids):
        return data
    chosen = set(np.random.default_rng(seed).choice(ids, max_users, replace=False))
    kept = {part: table[table[USER].isin(chosen)].reset_index(drop=True)
            for part in ("events", "users", "exposures") if (table := getattr(data, part)) is not None}
    return dataclasses.replace(data, **kept)
