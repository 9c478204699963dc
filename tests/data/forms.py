"""The publishers' own forms of the sets, written for tests. The rows are invented; the forms are exact."""

import gzip
import io
import struct
import zipfile
from datetime import datetime

import openpyxl
import pandas as pd

from recsys_kit.data import catalog
from recsys_kit.data.dataset import fingerprint
from recsys_kit.data.sources import find_source

RETAIL = """InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
500001,10001A,"BLUE LAMP, LARGE ",6,2010-12-01 08:26:00,2.55,10001.0,Norway
500001,20002,RED BOX,2,2010-12-01 08:26:00,0.1,10001.0,Norway
C500002,20002,RED BOX,-2,2010-12-01 09:03:00,0.1,10001.0,Norway
500003,20002,wet?,-10,2010-12-02 10:00:00,0.0,,United Kingdom
500004,20002,RED BOX,1,2011-01-31 17:05:00,0.3,10002.0,EIRE
500005,30003,,3,2011-01-31 17:05:00,4.25,10002.0,EIRE
"""

ESHOP = ("year;month;day;order;country;session ID;page 1 (main category);page 2 (clothing model);colour;location;"
         "model photography;price;price 2;page\n"
         "2008;4;2;1;29;2;4;P7;14;6;2;38;2;3\n2008;4;1;1;9;1;1;A1;2;5;1;28;2;1\n2008;4;1;2;9;1;2;B4;10;2;1;52;1;1\n"
         "2008;4;2;2;29;2;1;A1;2;5;1;28;2;1\n")


def read(folder, name):
    """The set's tables from the files in ``folder``, found and read as `load` does."""
    item = catalog.SETS[name]
    source, problems = find_source(folder, item.files, item.first_line)
    assert source, problems
    return item.reader(source)


def print_of(tables):
    return fingerprint(tables["events"], tables.get("items"), tables.get("users"))


def workbook(csv_text):
    """The rows as Excel holds them: codes and customers as numbers where they look like numbers, times as times."""
    sheet = (book := openpyxl.Workbook(write_only=True)).create_sheet("Online Retail")
    table = pd.read_csv(io.StringIO(csv_text), dtype=str, keep_default_na=False)
    sheet.append(list(table.columns))
    for row in table.itertuples(index=False):
        invoice, code, text, count, when, price, customer, country = row
        sheet.append([int(invoice) if invoice.isdigit() else invoice, int(code) if code.isdigit() else code,
                      (int(text) if text.isdigit() else text) or None, int(count), datetime.fromisoformat(when), float(price),
                      int(float(customer)) if customer else None, country])
    book.save(buffer := io.BytesIO())
    return buffer.getvalue()


def as_uci_csv(csv_text):
    """The rows as UCI's data.csv has them: American dates without seconds."""
    table = pd.read_csv(io.StringIO(csv_text), dtype=str, keep_default_na=False)
    when = pd.to_datetime(table["InvoiceDate"]).dt
    table["InvoiceDate"] = (when.month.astype(str) + "/" + when.day.astype(str) + "/" + when.year.astype(str) + " "
                            + when.hour.astype(str) + when.strftime(":%M"))
    return table.to_csv(index=False)


def zipped(**members):
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def all_forms(csv_text, tmp_path):
    """Online Retail in each form it is met in; yields the form's name and its tables."""
    book = workbook(csv_text)
    forms = {"online_retail.csv.gz": gzip.compress(csv_text.encode()), "data.csv": as_uci_csv(csv_text).encode(),
             "Online Retail.xlsx": book, "online+retail.zip": zipped(**{"Online Retail.xlsx": book})}
    for number, (name, content) in enumerate(forms.items()):
        (folder := tmp_path / str(number)).mkdir()
        (folder / name).write_bytes(content)
        yield name, read(folder, "online-retail")


class R:
    """R's XDR serialisation, as far as a data frame needs it: each function gives the bytes of one object."""

    @staticmethod
    def ints(*values):
        return struct.pack(f">{len(values)}i", *values)

    @staticmethod
    def text(value):
        return R.ints(9, -1) if value is None else R.ints(9 | 8 << 12, len(value.encode())) + value.encode()

    @staticmethod
    def texts(*values):
        return R.ints(16, len(values)) + b"".join(map(R.text, values))

    @staticmethod
    def reals(*values, **attributes):
        numbers = struct.pack(f">{len(values)}d", *values)
        return R.ints(14 | (0x200 if attributes else 0), len(values)) + numbers + R.ends(attributes)

    @staticmethod
    def whole(*values, **attributes):
        return R.ints(13 | (0x200 if attributes else 0), len(values), *values) + R.ends(attributes)

    @staticmethod
    def factor(levels, codes):
        return R.whole(*codes, levels=R.texts(*levels), **{"class": R.texts("factor")})

    @staticmethod
    def ends(attributes):
        return b"".join(R.pair(name, value) for name, value in attributes.items()) + R.ints(254) if attributes else b""

    @staticmethod
    def pair(name, value):
        return R.ints(2 | 0x400, 1) + R.text(name) + value

    @staticmethod
    def dotted(first, last):
        return R.ints(2) + first + last

    @staticmethod
    def short(name, state):
        about = b"".join(R.ints(2) + part for part in (R.ints(1) + R.text(name), R.ints(1) + R.text("base"), R.whole(13)))
        about += R.ints(254)
        return R.ints(238) + about + state + R.ints(254)

    @staticmethod
    def frame(name, columns):
        attributes = {"names": R.texts(*columns), "row.names": R.whole(-(2**31), -1), "class": R.texts("tbl_df", "data.frame")}
        return R.pair(name, R.ints(19 | 0x200, len(columns)) + b"".join(columns.values()) + R.ends(attributes)) + R.ints(254)


def as_rda(name, csv_text):
    """The table as R's save() writes it: ids as text, brand a factor, numbers as doubles, times as POSIXct."""
    table = pd.read_csv(io.StringIO(csv_text), dtype=str, keep_default_na=False)
    columns = {}
    for column, values in table.items():
        if column == "transaction_timestamp":
            seconds = [datetime.fromisoformat(f"{v}+00:00").timestamp() for v in values]
            columns[column] = R.reals(*seconds, **{"class": R.texts("POSIXct", "POSIXt")})
        elif column in ("quantity", "sales_value", "week"):
            columns[column] = R.reals(*map(float, values))
        elif column in ("brand", "age"):
            levels = sorted(set(values))
            columns[column] = R.factor(levels, [levels.index(v) + 1 for v in values])
        else:
            columns[column] = R.texts(*(v or None for v in values))
    return gzip.compress(b"RDX2\nX\n" + R.ints(2, 0, 0) + R.frame(name, columns))
