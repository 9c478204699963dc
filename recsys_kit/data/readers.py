"""Readers of the shop logs: each maps one publisher's table to the common tables, and drops no row.

A reader gets the `Source` of its files and returns ``{"events": ..., "items": ..., "users": ...}`` (what there is).
Events are sorted by time; equal times keep the publisher's order. Values stay as published, non-positive ones too.
"""

from __future__ import annotations

import io
import sys
import time

import pandas as pd

from recsys_kit import schema
from recsys_kit.data.sources import DataError, Source
from recsys_kit.schema import BEHAVIOUR, ITEM, PRICE, QUANTITY, SESSION, TIME, TITLE, USER


def read_csv(source: Source, part: int = 0, *, delimiter: str = ",", numbers: tuple[str, ...] = (),
             names: list[str] | None = None) -> pd.DataFrame:
    """One part as a table of text, ``numbers`` as float64. Only an empty field is missing: 'NA' is a word here.

    Text is UTF-8, or else Windows-1252, in which older sets were published.
    """
    import pyarrow as pa
    from pyarrow import csv

    data = source.read(part)
    try:
        data.decode("utf-8")
        encoding = "utf8"
    except UnicodeDecodeError:
        encoding = "cp1252"
    header = names or [name.strip('"\r\n ') for name in data[:4000].decode(encoding, "replace").lstrip("\ufeff")
                       .split("\n", 1)[0].split(delimiter)]
    types = {name: pa.float64() if name in numbers else pa.string() for name in header}
    try:
        table = csv.read_csv(
            io.BytesIO(data), csv.ReadOptions(encoding=encoding, column_names=names, block_size=1 << 24),
            csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, quote_char=False if names else '"'),
            csv.ConvertOptions(column_types=types, strings_can_be_null=True, null_values=[""], quoted_strings_can_be_null=True))
    except pa.ArrowInvalid as error:
        raise DataError(f"{source.name(part)}: not as its publisher ships it, or cut in the middle ({error}).\n"
                        f"To mend it: get the file again from its source.") from None
    return table.to_pandas()


def by_time(events: pd.DataFrame) -> pd.DataFrame:
    """Sorted by time, ties in the given order, rows numbered afresh."""
    return events.sort_values(TIME, kind="stable", ignore_index=True)


def most_frequent(table: pd.DataFrame, key: str, value: str) -> pd.Series:
    """For each ``key`` its most frequent ``value`` (of equally frequent ones the first in the alphabet), by key."""
    counts = table.groupby([key, value], observed=True).size().reset_index(name="count")
    return counts.sort_values([key, "count", value], ascending=[True, False, True]).drop_duplicates(key).set_index(key)[value]


def online_retail(source: Source) -> dict[str, pd.DataFrame]:
    """UCI Online Retail, from the workbook or from a CSV of it.

    Invoices that begin with C are cancellations: behaviour 'return', quantity turned positive. All other rows are purchases
    as published, stock corrections with negative quantities and adjustments with negative prices among them. Rows without
    customer stay. ``session_id`` is the invoice; an item's title is its most frequent description, its price the median.
    """
    table = _read_workbook(source) if source.name().endswith(".xlsx") else read_csv(source, numbers=("Quantity", "UnitPrice"))
    dates = table["InvoiceDate"]
    if not pd.api.types.is_datetime64_any_dtype(dates):
        dates = pd.to_datetime(dates, format="%m/%d/%Y %H:%M" if "/" in str(dates.iloc[0]) else "ISO8601", errors="coerce")
    returned = table["InvoiceNo"].str.startswith("C")
    events = pd.DataFrame({
        USER: table["CustomerID"].str.removesuffix(".0"),
        ITEM: table["StockCode"],
        BEHAVIOUR: pd.Categorical.from_codes(returned.map({True: schema.BEHAVIOURS.index(schema.RETURN),
                                                           False: schema.BEHAVIOURS.index(schema.PURCHASE)}), schema.BEHAVIOURS),
        TIME: dates.dt.round("s"),
        QUANTITY: table["Quantity"].where(~returned, -table["Quantity"]),
        PRICE: table["UnitPrice"],
        SESSION: table["InvoiceNo"],
    })
    titles = pd.DataFrame({ITEM: table["StockCode"], TITLE: table["Description"].str.strip()})
    items = table.groupby("StockCode")["UnitPrice"].median().rename_axis(ITEM).reset_index(name=PRICE)
    items.insert(1, TITLE, items[ITEM].map(most_frequent(titles, ITEM, TITLE)))
    users = most_frequent(table.assign(**{USER: events[USER]}), USER, "Country").reset_index(name="country")
    return {"events": by_time(schema.coerce_events(events)), "items": schema.coerce_items(items), "users": users}


def _read_workbook(source: Source) -> pd.DataFrame:
    """The first sheet of the xlsx, its numbers as the text a CSV would have. A line on stderr tells how far it is."""
    import openpyxl

    sheet = openpyxl.load_workbook(io.BytesIO(source.read()), read_only=True, data_only=True).worksheets[0]
    rows = sheet.iter_rows(values_only=True)
    header = [str(name) for name in next(rows)]
    kept, last = [], time.monotonic()
    for row in rows:
        kept.append(row)
        if len(kept) % 5000 == 0 and time.monotonic() - last > 5:
            last = time.monotonic()
            of = f" of {sheet.max_row - 1:,}" if sheet.max_row else ""
            print(f"{source.name()}: {len(kept):,}{of} rows read; a workbook is slow, the next load comes from the cache",
                  file=sys.stderr)
    columns = dict(zip(header, zip(*kept, strict=True), strict=True))
    return pd.DataFrame({
        **{name: pd.Series([_cell_text(v) for v in columns[name]], dtype="str")
           for name in ("InvoiceNo", "StockCode", "Description", "CustomerID", "Country")},
        **{name: pd.Series(columns[name], dtype="float64") for name in ("Quantity", "UnitPrice")},
        "InvoiceDate": pd.to_datetime(pd.Series(columns["InvoiceDate"]))})


def _cell_text(value: object) -> str | None:
    if value is None or value == "":
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def retailrocket(source: Source) -> dict[str, pd.DataFrame]:
    """RetailRocket's official events.csv: view, addtocart and transaction as view, cart and purchase.

    Times are milliseconds, ordered before they are cut to seconds; the order number stays as ``transaction_id``. The item
    properties (20 million rows of hashed values) and the category tree (numbers only) are not read.
    """
    table = read_csv(source, numbers=("timestamp",)).sort_values("timestamp", kind="stable", ignore_index=True)
    names = {"view": schema.VIEW, "addtocart": schema.CART, "transaction": schema.PURCHASE}
    return {"events": schema.coerce_events(pd.DataFrame({
        USER: table["visitorid"], ITEM: table["itemid"], BEHAVIOUR: _renamed(table, "event", names),
        TIME: table["timestamp"] // 1000, "transaction_id": table["transactionid"]}))}


def retailrocket_bench(source: Source) -> dict[str, pd.DataFrame]:
    """The benchmark subset of RetailRocket: last view, cart and buy of each pair; who bought what in the held-out test.

    The held-out purchases have no time, so they are no events: users have them in the column ``held_out_purchase``.
    """
    table, held_out = read_csv(source, numbers=("timestamp",)), read_csv(source, 1)
    names = {"view": schema.VIEW, "cart": schema.CART, "buy": schema.PURCHASE}
    events = schema.coerce_events(pd.DataFrame({
        USER: table["user"], ITEM: table["item"], BEHAVIOUR: _renamed(table, "behaviour", names), TIME: table["timestamp"]}))
    users = pd.DataFrame({USER: held_out["user"], "held_out_purchase": held_out["item"]})
    return {"events": by_time(events), "users": users}


def _renamed(table: pd.DataFrame, column: str, names: dict[str, str]) -> pd.Series:
    schema.refuse(table, ~table[column].isin(names), column, "unknown behaviour", f"expected {', '.join(names)}")
    return table[column].map(names)
