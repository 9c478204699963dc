"""How close the simulated market is to real shops: one table, by ``python -m recsys_kit.data.market.card``.

With ``--write datasets/market`` it also renews that folder: the table in the card, the sample and the checksums.

Shapes (popularity, activity, sessions) are compared with real sets through `recsys_kit.load`, conversion with published
figures: the real sets at hand keep only people who bought, so their own conversion says nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

import pandas as pd

from recsys_kit import schema
from recsys_kit.data.dataset import Dataset
from recsys_kit.data.describe import gini, sessions, top_share

REAL = ("online-retail", "retailrocket-bench", "eshop-clothing")

#: events per behaviour, as published. What these logs call a view is an item's page opened: our ``click``.
PUBLISHED = {
    # Alibaba, "User Behavior Data from Taobao for Recommendation", Tianchi data set 649: pv, fav, cart, buy
    "UserBehavior": {"click": 89_716_264, "favourite": 2_888_258, "cart": 5_530_446, "purchase": 2_015_839},
    # Retailrocket, "recommender system dataset", Kaggle: view, addtocart, transaction
    "RetailRocket": {"click": 2_664_312, "cart": 69_332, "purchase": 22_457},
}

SAMPLE_USERS = 24
MARKS = ("<!-- table: written by python -m recsys_kit.data.market.card --write datasets/market -->", "<!-- end of table -->")


def shape(events: pd.DataFrame) -> dict[str, float]:
    """The numbers of one column: popularity curve, events per user, and session length by the 30-minute rule."""
    events = events.dropna(subset=[schema.USER, schema.ITEM])
    item, user = events[schema.ITEM].value_counts(), events[schema.USER].value_counts()
    length = sessions(events.drop(columns=schema.SESSION, errors="ignore")).value_counts()
    return {"events": len(events), "users": len(user), "items": len(item),
            "popularity: Gini": gini(item), "popularity: share of top 1 % of items": top_share(item, 0.01),
            "events per user: median": user.median(), "events per user: p90 / median": user.quantile(0.9) / user.median(),
            "events per user: Gini": gini(user),
            "session length: mean": length.mean(), "session length: median": length.median(),
            "session length: p90": length.quantile(0.9)}


def conversion(counts) -> dict[str, float]:
    """Favourites, carts and purchases per 100 clicks, and purchases per 100 carts."""
    return {f"{name} per 100 {base}s": 100 * counts[name] / counts[base] if name in counts else float("nan")
            for name, base in (("favourite", "click"), ("cart", "click"), ("purchase", "click"), ("purchase", "cart"))}


def market_columns(market: Dataset) -> dict[str, dict[str, float]]:
    """The market's two columns: with and without looks at lists, which real logs do not hold."""
    events = market.events
    counts = events[schema.BEHAVIOUR].value_counts()
    opened = events[events[schema.BEHAVIOUR] != schema.VIEW]
    return {"market": shape(events) | conversion(counts), "market, no views": shape(opened) | conversion(counts)}


def comparison(market: Dataset, real: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The whole table, numbers as text: a row per measure; market, real sets, published figures as columns."""
    columns = market_columns(market) | {name: shape(events) for name, events in real.items()}
    columns |= {f"{name} (published)": conversion(counts) for name, counts in PUBLISHED.items()}
    return pd.DataFrame(columns).map(_text)


def _text(number: float) -> str:
    if pd.isna(number):
        return ""
    return f"{number:,.0f}" if number >= 1_000 else f"{number:.3g}"


def markdown(table: pd.DataFrame) -> str:
    """A Markdown table with the index as first column."""
    lines = [["", *table.columns], ["---", *["---:"] * table.shape[1]], *table.reset_index().to_numpy().tolist()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def sample(market: Dataset) -> pd.DataFrame:
    """All events of the market's first users: small enough to be read, and to be kept beside the code."""
    return market.events[market.events[schema.USER].isin(market.users[schema.USER].iloc[:SAMPLE_USERS])]


def checksums(market: Dataset) -> str:
    """Two lines: SHA-256 of sample.csv, and the fingerprint of the whole market."""
    return f"{hashlib.sha256(_csv(market)).hexdigest()}  sample.csv\n{market.fingerprint}  market\n"


def _csv(market: Dataset) -> bytes:
    return sample(market).to_csv(index=False, lineterminator="\n").encode()


def write(folder: Path, market: Dataset, table: str) -> None:
    """Renew the card's table (between its two marks), sample.csv and checksums.txt."""
    card = folder / "README.md"
    before, rest = card.read_text(encoding="utf-8").split(MARKS[0])
    card.write_text(f"{before}{MARKS[0]}\n{table}\n{MARKS[1]}{rest.split(MARKS[1])[1]}", encoding="utf-8")
    (folder / "sample.csv").write_bytes(_csv(market))
    (folder / "checksums.txt").write_text(checksums(market), encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Print the table; real sets that are not on this machine are named and left out."""
    from recsys_kit.data.catalog import load
    from recsys_kit.data.market import generate
    parser = argparse.ArgumentParser(prog="python -m recsys_kit.data.market.card", description=main.__doc__)
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="renew the card, sample and checksums in this folder")
    folder = parser.parse_args(arguments).write
    real = {}
    for name in REAL:
        try:
            real[name] = load(name).events
        except ValueError as error:
            print(f"left out: {str(error).splitlines()[0]}", file=sys.stderr)
    market = generate()
    table = markdown(comparison(market, real))
    print(table)
    if folder and len(real) < len(REAL):
        sys.exit("not written: the card shows all real sets, and some are not on this machine")
    if folder:
        write(folder, market, table)


if __name__ == "__main__":
    main()
