"""A file of your own: CSV (also gzipped) or Parquet, with a mapping of its columns to the common names.

``columns={"user_id": "uid", "timestamp": "time", "behaviour": "=purchase"}`` says: users are in the file's column ``uid``,
times in ``time``, and every row is a purchase. A column that has its common name already needs no mention. Columns nobody
mapped stay in the events under their own name (``<name>_in_file`` where a mapped one took it). No row is dropped.

How a file is turned into a table stands in `recsys_kit.data.own_files`.
"""

from __future__ import annotations

import difflib
import os
import warnings
from pathlib import Path

import pandas as pd

from recsys_kit import schema
from recsys_kit.data import cache
from recsys_kit.data.dataset import Dataset
from recsys_kit.data.own_files import check_file, read_file
from recsys_kit.data.readers import by_time, most_frequent
from recsys_kit.schema import BEHAVIOUR, CATEGORY, ITEM, PRICE, QUANTITY, SEQ, TIME, TITLE, SchemaError

COMMON = (*schema.EVENT_COLUMNS, *schema.EVENT_OPTIONAL, CATEGORY, TITLE)

# Other words for a behaviour that shops use, in lower case with "_" for space and hyphen. The common names mean themselves.
SYNONYMS = {
    schema.VIEW: ("pv", "pageview", "page_view", "views", "viewed", "detail", "browse", "impression_view", "浏览"),
    schema.CLICK: ("clk", "clicks", "clicked", "点击"),
    schema.FAVOURITE: ("fav", "favorite", "favourites", "favorites", "like", "liked", "wishlist", "add_to_wishlist", "collect",
                       "bookmark", "收藏"),
    schema.CART: ("addtocart", "add_to_cart", "addtobasket", "add_to_basket", "basket", "cart_add", "加购", "加入购物车"),
    schema.PURCHASE: ("buy", "bought", "transaction", "order", "ordered", "purchases", "purchased", "sale", "pay", "购买"),
    schema.RATE: ("rating", "ratings", "rated", "score", "评分"),
    schema.RETURN: ("returned", "refund", "refunded", "cancel", "cancelled", "cancellation", "退货"),
}
BEHAVIOUR_WORDS = {word: behaviour for behaviour, words in SYNONYMS.items() for word in (behaviour, *words)}


def looks_like_a_file(dataset: str | os.PathLike) -> bool:
    """Whether a name that is not in the catalogue means a path."""
    name = os.fspath(dataset)
    return (isinstance(dataset, os.PathLike) or os.sep in name or "/" in name or bool(name) and Path(name).expanduser().exists()
            or Path(name).suffix.lower() in (".csv", ".tsv", ".txt", ".gz", ".parquet", ".pq", ".xlsx", ".json", ".zip"))


def load_file(path: Path, columns: dict[str, str] | None = None) -> Dataset:
    """The file as a data set, named after the file. Parsed once and kept in the cache.

    Raises `DataError` for a file that cannot be read, `SchemaError` for a table that breaks the contract.
    """
    columns = dict(columns or {})
    check_file(path)
    tables = cache.cached(path.name, (path,), columns, lambda: _parse(path, columns))
    return Dataset(path.name, **tables)


def _parse(path: Path, columns: dict[str, str]) -> dict[str, pd.DataFrame]:
    try:
        table = map_columns(read_file(path), columns)
        table[BEHAVIOUR] = _behaviours(table)
        table[TIME] = _times(table, columns.get(TIME, TIME))
        if QUANTITY in table:
            numbers = pd.to_numeric(table[QUANTITY], errors="coerce")
            schema.refuse(table, numbers < 0, QUANTITY, "negative quantity", "a quantity taken back is a row of its own with "
                          "behaviour 'return' and a positive quantity; write such rows so, or remove them from the file")
        if SEQ in table:
            schema.refuse(table, table[SEQ].isna(), SEQ, "missing order", "number all rows, or leave the column unmapped")
        events = by_time(schema.coerce_events(table))
    except SchemaError as error:
        named = [f"\n('{common}' is {name!r} in the file)" for common, name in columns.items()
                 if str(error).startswith(f"column '{common}'")]
        raise SchemaError("".join([f"{path.name}: {error}", *named])) from None
    facts = [column for column in (CATEGORY, TITLE) if column in events]
    if not facts:
        return {"events": events}
    return {"events": events.drop(columns=facts), "items": _items(events, facts, path.name)}


def map_columns(table: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    """The table under the common names. Raises `SchemaError` for a mapping that does not fit the table."""
    there = ", ".join(map(repr, table.columns))
    for common, name in columns.items():
        if common not in COMMON:
            turned = f" It looks turned around: write {{{name!r}: {common!r}}}." if name in COMMON else ""
            near = difflib.get_close_matches(str(common), COMMON, n=1, cutoff=0.4)
            raise SchemaError(f"columns: {common!r} is no common name.{turned or (f' Did you mean {near[0]!r}?' if near else '')}\n"
                              f"The keys are common names ({', '.join(COMMON)}), the values names in the file ({there}).")
        if not isinstance(name, str):
            raise SchemaError(f"columns: {common!r} is given {name!r}; give a name in the file ({there}) or a constant '=...'.")
        if name not in table.columns and not name.startswith("="):
            near = difflib.get_close_matches(name, list(table.columns), n=1)
            raise SchemaError(f"columns: {common!r} is said to be {name!r}, and the file has no such column."
                              f"{f' Did you mean {near[0]!r}?' if near else ''}\nThe file has {there}.")
    used = [name for name in columns.values() if name in table.columns]
    for name in used:
        if used.count(name) > 1:
            both = [common for common, given in columns.items() if given == name]
            raise SchemaError(f"columns: {name!r} is mapped twice, to {' and '.join(map(repr, both))}.\n"
                              f"To mend it: give each its own column; the file has {there}.")
    mapped = {c: c for c in COMMON if c in table.columns and c not in columns and c not in used} | columns
    _require(table, mapped)
    result = {common: table[name] if name in table.columns else name[1:] for common, name in mapped.items()}
    rest = {f"{c}_in_file" if c in mapped else c: table[c] for c in table.columns if c not in mapped.values()}
    return pd.DataFrame(result | rest, index=table.index)


def _require(table: pd.DataFrame, mapped: dict[str, str]) -> None:
    missing = [column for column in schema.EVENT_COLUMNS if column not in mapped]
    if not missing:
        return
    free = [c for c in table.columns if c not in mapped.values()]
    guess = {c: (difflib.get_close_matches(c, free, n=1, cutoff=0.5) or ["name in your file"])[0]
             for c in missing if c != BEHAVIOUR}
    lines = [f"events: no column {', '.join(map(repr, missing))}; the file has {', '.join(map(repr, table.columns))}."]
    if guess:
        lines.append(f"To mend it: say which is which when loading, for example columns={guess}.")
    if BEHAVIOUR in missing:
        rating = " A rating is the behaviour 'rate': \"=rate\"." if schema.RATING in mapped else ""
        lines.append("If every row is the same behaviour, say which: columns={\"behaviour\": \"=purchase\"} makes every row a "
                     f"purchase (one of {', '.join(schema.BEHAVIOURS)}).{rating}")
    raise SchemaError("\n".join(lines))


def _behaviours(table: pd.DataFrame) -> pd.Series:
    words = table[BEHAVIOUR].astype("str")
    names = words.str.strip().str.lower().str.replace("[ -]", "_", regex=True).map(BEHAVIOUR_WORDS)
    schema.refuse(table, names.isna(), BEHAVIOUR, "unknown behaviour", f"use {', '.join(schema.BEHAVIOURS)}, or a usual word for "
                  "one (buy, order, add_to_cart, pv, fav, rating, refund)")
    return names


def _times(table: pd.DataFrame, name: str) -> pd.Series:
    """Texts that are all numbers become numbers; numbers too large for seconds are refused, with the unit they seem to have."""
    times = table[TIME]
    schema.refuse(table, times.isna(), TIME, "missing time", "fill the times in, or remove these rows from the file")
    if not (pd.api.types.is_datetime64_any_dtype(times) or pd.api.types.is_numeric_dtype(times)):
        numbers = pd.to_numeric(times, errors="coerce")
        compact = times.astype("str").str.fullmatch("(19|20)[0-9]{6}([0-9]{6})?")  # 20240531 is a day
        if numbers.isna().any() or compact.all():
            return times.astype("str")  # of a categorical pandas guesses the format, 01/04 as January, with a warning
        times = numbers
    if pd.api.types.is_numeric_dtype(times):
        for limit, unit, factor in ((1e17, "nanoseconds", 10**9), (1e14, "microseconds", 10**6), (1e11, "milliseconds", 1000)):
            schema.refuse(table, times.abs() > limit, TIME, f"{unit} where seconds are expected",
                          f"divide by {factor:,} in the file: table = pandas.read_csv(...); table[{name!r}] //= {factor}; "
                          "table.to_csv(..., index=False)")
    return times


def _items(events: pd.DataFrame, facts: list[str], file: str) -> pd.DataFrame:
    """One row per item: its most frequent category and title, and its median price where prices are mapped."""
    items = pd.DataFrame({ITEM: events[ITEM].dropna().drop_duplicates().sort_values(ignore_index=True)})
    for fact in facts:
        items[fact] = items[ITEM].map(most_frequent(events.assign(**{fact: events[fact].astype("str")}), ITEM, fact)).astype("str")
        several = events.groupby(ITEM)[fact].nunique().loc[lambda count: count > 1]
        if len(several):
            warnings.warn(f"{file}: items with more than one {fact}: {len(several):,} (first: {', '.join(several.index[:3])}); "
                          f"the items table keeps the most frequent.", stacklevel=5)
    if PRICE in events:
        items[PRICE] = items[ITEM].map(events.groupby(ITEM)[PRICE].median())
    return schema.coerce_items(items)
