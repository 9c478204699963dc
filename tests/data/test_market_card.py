"""The market's card tells what is so, and its sample is what the simulator draws."""

from pathlib import Path

import pandas as pd
import pytest

from recsys_kit.data.market import card

FOLDER = Path(__file__).parents[2] / "datasets" / "market"


@pytest.fixture(scope="module")
def card_table():
    """The table as the card shows it: measures as index."""
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    lines = text.split(card.MARKS[0])[1].split(card.MARKS[1])[0].strip().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return pd.DataFrame(cells[2:], columns=cells[0]).set_index("")


def test_the_markets_columns_of_the_card_are_current(market, card_table):
    now = card.comparison(market, {})
    for column in now.columns:
        assert card_table[column].to_dict() == now[column].to_dict()


def test_real_columns_of_the_card_are_current(real_data, card_table):
    from recsys_kit import load
    for name in card.REAL:
        now = pd.Series(card.shape(load(name).events)).map(card._text)
        assert card_table.loc[now.index, name].to_dict() == now.to_dict()


def test_the_market_lies_between_the_real_sets(card_table):
    """The card's claim, on the card's own numbers."""
    number = card_table.replace("", None).apply(lambda column: pd.to_numeric(column.str.replace(",", "")))
    rows = [row for row in number.index if ":" in row]
    real = number.loc[rows, list(card.REAL)]
    assert len(rows) == 8
    assert number.loc[rows, "market"].between(real.min(axis=1), real.max(axis=1)).all()


def test_conversion_is_within_a_tenth_of_the_published_figures(card_table):
    rows = [row for row in card_table.index if " per 100 " in row]
    ours, published = (card_table.loc[rows, name].astype(float) for name in ("market", "UserBehavior (published)"))
    assert len(rows) == 4
    assert (ours / published).between(0.9, 1.1).all()


def test_sample_and_checksums_are_what_the_market_gives(market):
    assert (FOLDER / "sample.csv").read_bytes() == card._csv(market)
    assert (FOLDER / "checksums.txt").read_text(encoding="utf-8") == card.checksums(market)
    assert (FOLDER / "sample.csv").stat().st_size < 150_000


def test_write_renews_the_table_and_keeps_the_text_around_it(market, tmp_path):
    (tmp_path / "README.md").write_text(f"before\n{card.MARKS[0]}\nold\n{card.MARKS[1]}\nafter\n")
    card.write(tmp_path, market, "| new |")
    assert (tmp_path / "README.md").read_text() == f"before\n{card.MARKS[0]}\n| new |\n{card.MARKS[1]}\nafter\n"
    assert (tmp_path / "sample.csv").read_bytes() == (FOLDER / "sample.csv").read_bytes()
