"""Every paper's card keeps the house rules, runs by its protocol on a slice, and the table in the README is what was kept.

A full run takes minutes and is `make papers`' business. Here each card runs on a slice of the market always, and on a slice of
its own published data where that is there. Whether the verdict follows the numbers is tested in ``tests/test_cards.py``.
"""

import ast
import json
import re

import pytest

from recsys_kit import cards, guard
from recsys_kit.data.catalog import SETS
from recsys_kit.data.published import SPLITS
from recsys_kit.exercises import parse
from recsys_kit.notebook import DEFAULTS
from recsys_kit.runs import papers
from recsys_kit.runs.chapters import find_papers
from recsys_kit.runs.manifest import FINGERPRINTS
from tests.notebooks import house
from tests.notebooks.house import NOTEBOOKS, VERDICTS, run

CARDS = find_papers(NOTEBOOKS)
SHORT = {"ncf_ml1m": {"runs": 1, "epochs": 2}}  # a card's own parameters, where its slice would take half a minute
README = (NOTEBOOKS.parent / "README.md").read_text(encoding="utf-8")
PARTS = ("Source", "rotocol", "ispute", "What we learned")
# A tolerance defines what *reproduced* means, and may be typed.
TOLERANCE = re.compile(r"[Ww]ithin\s+(?:0?\.\d+)")

each_card = pytest.mark.parametrize("card", CARDS, ids=lambda card: card.path.stem)


def test_the_folder_of_papers_holds_cards_and_nothing_else():
    assert [card.path for card in CARDS] == sorted((NOTEBOOKS / "papers").glob("*.ipynb"))


# The house rules ---------------------------------------------------------------------------------------------------------

def printed_figures(path):
    """The decimal numbers of cells that hand numbers to the card: what was printed, as a reader would type it."""
    trees = [parse(source) for source, _ in house.cells(path, "code")]
    filled = [tree for tree in trees
              if any(isinstance(node, ast.Attribute) and node.attr in ("rerun", "quote") for node in ast.walk(tree))]
    nodes = [node for tree in filled for node in ast.walk(tree)]
    settings = {id(node.value) for node in nodes if isinstance(node, ast.keyword)}  # EASE(l2=0.5), within=0.0005
    floats = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, float)
              and id(node) not in settings}
    return {text for value in floats if len(text := f"{value:g}".lstrip("0")) > 3}


def stored_outputs(card):
    """All text that the stored outputs of a card show."""
    cells = json.loads(card.path.read_text(encoding="utf-8"))["cells"]
    return "\n".join(guard._text(output) for cell in cells for output in cell.get("outputs", ()))


@each_card
def test_a_card_is_committed_as_run_on_its_own_data_in_full(card):
    assert guard.problems(card.path, chapter=True) == []
    shown = stored_outputs(card)
    assert "on the committed defaults: every claim must hold" in shown
    assert cards.OTHER not in shown and cards.NOT not in shown


@each_card
def test_the_parameters_are_those_that_setup_knows_and_name_the_published_data(card):
    house.keeps_its_parameters(card.path, card.number)
    given = house.parameters(card.path)
    assert given["dataset"] in {**SPLITS, **SETS}
    assert {name: given[name] for name in DEFAULTS} == DEFAULTS | {"dataset": given["dataset"]}


@each_card
def test_results_are_not_typed_into_the_prose_printed_ones_stand_in_the_table(card):
    text = TOLERANCE.sub(" ", house.NO_PROSE.sub(" ", house.prose(card.path)))
    assert house.RESULT.findall(text) == [], "write it with record() and say(); a setting stands in `code`"
    typed = [figure for figure in printed_figures(card.path) if re.search(rf"(?<![\d.])0?{re.escape(figure)}(?!\d)", text)]
    assert typed == [], "printed figures stand in the cells that give them to card.rerun and card.quote"


@each_card
def test_a_card_names_its_source_and_protocol_and_tells_the_dispute_and_what_was_learned(card):
    text = house.prose(card.path)
    assert [part for part in PARTS if part not in text] == []
    assert len(papers.claim(card)) > 20 and "\n" not in papers.claim(card)
    assert card.title and "|" not in card.title


@each_card
def test_a_card_binds_its_claim_and_says_on_what_it_ran(card):
    checks = house.calls(card.path, "check")
    assert any("reproduced" in ast.unparse(call) for call in checks), "check('…', card.reproduced())"
    recorded = {getattr(call.args[0], "value", None) for call in house.calls(card.path, "record")}
    assert recorded & set(FINGERPRINTS)
    code = "\n".join(source for source, _ in house.cells(card.path, "code"))
    assert ".rerun(" in code and ".table()" in code and "within=" in code


# By its protocol ---------------------------------------------------------------------------------------------------------

def holds_together(card, executed, ledger, claims, dataset):
    """What every run of a card on a slice leaves: its whole table, which reproduces nothing, and claims that are reported."""
    assert {(row["chapter"], row["dataset"]) for row in ledger} == {(card.number, dataset)}
    values = {row["name"]: row["value"] for row in ledger}
    assert values["reproduced"] == "0"
    ours = {name: float(value) for name, value in values.items() if name.endswith("/ours")}
    claimed = [name.removesuffix("/within") for name in values if name.endswith("/within")]
    assert claimed and all(f"{name}/ours" in ours and f"{name}/published" in values for name in claimed)
    assert all(value >= 0 for value in ours.values()) and any(value > 0 for value in ours.values())
    assert {row["verdict"] for row in claims} <= VERDICTS and claims
    house.has_no_missing_number(executed, ledger)
    assert "claims are reported, not required" in executed.read_text(encoding="utf-8")


@each_card
def test_a_card_runs_by_its_protocol_on_a_slice_of_the_market(card, tmp_path):
    executed, ledger, claims = run(card.path, tmp_path / "out", dataset="market", max_users=200, **SHORT.get(card.path.stem, {}))
    holds_together(card, executed, ledger, claims, "market")


@each_card
def test_a_card_runs_by_its_protocol_on_a_slice_of_its_own_data(card, tmp_path):
    own = house.parameters(card.path)["dataset"]
    house.needs(own)
    executed, ledger, claims = run(card.path, tmp_path / "out", max_users=200, **SHORT.get(card.path.stem, {}))
    holds_together(card, executed, ledger, claims, own)


# What is kept ------------------------------------------------------------------------------------------------------------

def kept(card):
    result = papers.results(NOTEBOOKS)[card.path.stem][1]
    return result or pytest.skip(f"no result of card {card.path.stem} is kept yet: make papers")


@each_card
def test_a_kept_verdict_follows_from_the_kept_numbers(card):
    result = kept(card)
    said = [cards.verdict(*numbers) for numbers in result.table[["published", "ours", "within"]].astype(float).to_numpy()]
    assert list(result.table["verdict"]) == said
    assert result.about["reproduced"] == papers.all_reproduced(result.table)
    assert result.about["card"] == card.path.stem and result.about["seconds"] > 0


@each_card
def test_a_kept_result_is_not_stale(card):
    """Stale is no error: a full run takes minutes. It is said in sight, here, in `papers --status` and on the course page."""
    changed = papers.stale(card, kept(card))
    if changed:
        pytest.skip(f"card {card.path.stem} is STALE, changed since: {', '.join(changed)}; make papers")


def test_there_is_no_result_without_its_card():
    names = {path.stem for path in (NOTEBOOKS / "papers" / "results").glob("*")}
    assert names <= {card.path.stem for card in CARDS}


def test_the_readmes_table_is_what_was_kept():
    assert README.count(papers.BEGIN) == README.count(papers.END) == 1
    assert README.split(papers.BEGIN)[1].split(papers.END)[0].strip() == papers.readme_table(NOTEBOOKS), (
        "run: python -m recsys_kit papers --table")


@each_card
def test_the_stored_table_shows_the_kept_numbers(card):
    result = kept(card)
    outputs = stored_outputs(card)
    claimed = result.table[result.table["within"].notna()]
    table = cards.side_by_side(claimed)
    cells = {cell for metric in dict.fromkeys(claimed["metric"]) for cell in table[metric, "ours"]} - {"–"}
    assert [cell for cell in cells if cell not in outputs] == [], "run the card anew and store it, or make papers"
