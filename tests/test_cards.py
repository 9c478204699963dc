"""A paper's card: what was printed beside what was found, and *reproduced* only where the tolerance says so."""

import csv
import json
import math
import os
import subprocess
import sys

import pytest

from recsys_kit import cards, notebook
from recsys_kit.cards import Card
from recsys_kit.notebook import ClaimError, NotebookError, check, setup

DEFAULTS = {"dataset": "gowalla-lightgcn", "columns": {}, "seed": 0, "max_users": 0}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RECSYS_KIT_LEDGER", raising=False)
    monkeypatch.setattr(notebook, "_run", None)
    return tmp_path


def start(**changed):
    given = DEFAULTS | changed
    setup("paper-x", **given, own=dict(dataset=(given["dataset"], "gowalla-lightgcn")))
    return Card(["recall@20", "ndcg@20"])


def ledger():
    with open("ledger-paper-x.csv", newline="", encoding="utf-8") as file:
        return {row["name"]: row["value"] for row in csv.DictReader(file)}


PUBLISHED = {"recall@20": 0.1849, "ndcg@20": 0.1518}


def verdict_for(ours, within=0.0005, published=PUBLISHED, **changed):
    card = start(**changed)
    card.rerun("GF-CF", published=published, ours=ours, within=within)
    return card.table().loc["GF-CF", ("", "verdict")], card.reproduced(), ledger()["reproduced"]


@pytest.mark.parametrize("ours, reproduced", [
    ({"recall@20": 0.1849, "ndcg@20": 0.1518}, True),
    ({"recall@20": 0.1854, "ndcg@20": 0.1513}, True),  # at the tolerance, from above and from below
    ({"recall@20": 0.18541, "ndcg@20": 0.1518}, False),
    ({"recall@20": 0.1849, "ndcg@20": 0.15129}, False),
    ({"recall@20": 0.0, "ndcg@20": 0.0}, False),
])
def test_a_row_is_reproduced_where_every_number_is_within_its_tolerance(ours, reproduced):
    assert verdict_for(ours) == (("reproduced", True, "1") if reproduced else ("not reproduced", False, "0"))


def test_a_printed_number_that_is_changed_by_more_than_the_tolerance_is_not_reproduced():
    assert verdict_for(PUBLISHED)[1]
    for metric in PUBLISHED:
        for change in (0.0006, -0.0006):
            printed = PUBLISHED | {metric: PUBLISHED[metric] + change}
            assert verdict_for(PUBLISHED, published=printed)[:2] == ("not reproduced", False)


def test_a_difference_of_decimals_is_not_made_larger_by_how_binary_fractions_are_kept():
    assert 0.935 - 0.934 > 0.001
    assert verdict_for({"recall@20": 0.935}, within=0.001, published={"recall@20": 0.934})[1]


def test_one_bad_row_spoils_the_card_and_the_good_one_is_still_shown_as_good():
    card = start()
    card.rerun("good", published=PUBLISHED, ours=PUBLISHED, within=0.0005)
    card.rerun("bad", published=PUBLISHED, ours=PUBLISHED | {"ndcg@20": 0.2}, within=0.0005)
    assert list(card.table()["", "verdict"]) == ["reproduced", "not reproduced"]
    assert card.reproduced() is False
    with pytest.raises(ClaimError):
        check("every row is reproduced", False)


def test_tolerances_can_differ_by_metric_and_a_metric_without_one_is_shown_beside():
    card = start()
    card.rerun("a", published=PUBLISHED, ours={"recall@20": 0.19, "ndcg@20": 0.9}, within={"recall@20": 0.01})
    assert list(card.results()["verdict"]) == ["reproduced", "shown beside"]
    assert card.table().loc["a", ("", "verdict")] == "reproduced" and card.reproduced()
    assert card.table().loc["a", ("", "difference")] == "0.00510"  # of what is claimed
    assert [name for name in ledger() if name.endswith("within")] == ["a/recall@20/within"]


def test_what_is_only_quoted_shown_beside_or_ours_alone_says_so_and_claims_nothing():
    card = start()
    card.quote("LightGCN", published=PUBLISHED)
    card.rerun("ItemCF", published=PUBLISHED, ours={"recall@20": 0.5, "ndcg@20": 0.5})
    card.rerun("EASE", published={}, ours={"recall@20": 0.3})
    assert list(card.table()["", "verdict"]) == ["published only", "shown beside", "ours only"]
    with pytest.raises(NotebookError, match="no row claims anything"):
        card.reproduced()
    card.rerun("GF-CF", published=PUBLISHED, ours=PUBLISHED, within=0.0005)
    assert card.reproduced()


def test_on_other_data_or_some_users_nothing_is_reproduced():
    for changed in ({"dataset": "market"}, {"max_users": 300}, {"columns": {"user_id": "u"}}):
        assert verdict_for(PUBLISHED, **changed) == ("other data", False, "0")
    assert verdict_for(PUBLISHED, seed=1) == ("reproduced", True, "1")


def test_a_difference_to_another_data_sets_value_is_not_shown():
    card = start(dataset="market")
    card.rerun("a", published=PUBLISHED, ours={"recall@20": 0.9, "ndcg@20": 0.9}, within=0.0005)
    assert card.table().loc["a", ("", "difference")] == "–"


def test_the_ledger_has_every_number_under_row_and_metric():
    card = start()
    card.rerun("SVD++", published=PUBLISHED, ours={"recall@20": 0.18, "ndcg@20": 0.15}, within=0.0005)
    card.quote("k-NN", published={"recall@20": 0.17})
    assert ledger() == {
        "SVD++/recall@20/published": "0.1849", "SVD++/recall@20/ours": "0.18", "SVD++/recall@20/within": "0.0005",
        "SVD++/ndcg@20/published": "0.1518", "SVD++/ndcg@20/ours": "0.15", "SVD++/ndcg@20/within": "0.0005",
        "k-NN/recall@20/published": "0.17"}


def test_the_table_shows_published_as_printed_and_ours_with_as_many_decimals():
    card = start()
    card.rerun("a", published={"recall@20": 0.98, "ndcg@20": 0.774}, ours={"recall@20": 0.98765, "ndcg@20": 0.77444}, within=0.001)
    card.quote("b", published={"recall@20": 0.9})
    table = card.table()
    assert list(table.columns) == [("recall@20", "published"), ("recall@20", "ours"), ("ndcg@20", "published"), ("ndcg@20", "ours"),
                                   ("", "difference"), ("", "within"), ("", "verdict")]
    assert table.loc["a"].tolist() == ["0.98", "0.99", "0.774", "0.774", "0.0077", "0.001", "not reproduced"]
    assert table.loc["b"].tolist() == ["0.90", "–", "–", "–", "–", "–", "published only"]


def test_results_are_numbers():
    card = start()
    card.rerun("a", published=PUBLISHED, ours=PUBLISHED, within=0.0005)
    card.quote("b", published={"ndcg@20": 0.1})
    results = card.results()
    assert list(results["row"]) == ["a", "a", "b"] and list(results["metric"]) == ["recall@20", "ndcg@20", "ndcg@20"]
    assert results["published"].tolist() == [0.1849, 0.1518, 0.1] and math.isnan(results["ours"][2])


@pytest.mark.parametrize("call, words", [
    (lambda card: card.rerun("a b", published=PUBLISHED, ours=PUBLISHED), "'a b' cannot name"),
    (lambda card: card.rerun("a/b", published=PUBLISHED, ours=PUBLISHED), "'a/b' cannot name"),
    (lambda card: card.rerun("a", published={"recall": 0.1}, ours=PUBLISHED), "'recall' is no metric.*recall@20, ndcg@20"),
    (lambda card: card.rerun("a", published=PUBLISHED, ours={"recall@20": "0.1"}), "recall@20 is '0.1', not a number"),
    (lambda card: card.rerun("a", published=PUBLISHED, ours={"recall@20": math.nan}), "is nan, not a number"),
    (lambda card: card.rerun("a", published={"recall@20": math.inf}, ours=PUBLISHED), "is inf, not a number"),
    (lambda card: card.rerun("a", published=PUBLISHED, ours={"recall@20": True}), "is True, not a number"),
    (lambda card: card.rerun("a", published=PUBLISHED, ours={"recall@20": 0.1}, within=0.1), "'ndcg@20' can never be decided"),
    (lambda card: card.rerun("a", published=PUBLISHED, ours=PUBLISHED, within=0), "tolerance above zero"),
    (lambda card: card.rerun("a", published={}, ours={}), "neither a published value nor one of ours"),
    (lambda card: card.quote("taken", published=PUBLISHED), "'taken' is in the table already"),
    (lambda card: Card("recall"), "list of different metrics"), (lambda card: Card(["a", "a"]), "list of different metrics"),
    (lambda card: Card(["recall/20"]), "cannot name")])
def test_what_cannot_be_is_refused_with_its_name(call, words):
    card = start()
    card.quote("taken", published=PUBLISHED)
    with pytest.raises(NotebookError, match=words):
        call(card)


def test_before_setup_a_card_asks_for_it():
    with pytest.raises(NotebookError, match="before setup"):
        Card(["a"]).quote("b", published={"a": 1})


# The code behind the numbers ---------------------------------------------------------------------------------------------

def test_a_files_fingerprint_changes_with_what_it_does_and_not_with_words_about_it(tmp_path):
    def of(text):
        (tmp_path / "a.py").write_text(text)
        return cards.fingerprint_of(tmp_path / "a.py")
    first = of('"""One."""\ndef f(x):\n    """Two."""\n    return x + 1\n')
    assert of('"""Uno."""\n# a comment\n\ndef f(x):\n    """Due."""\n\n    return (x +\n            1)\n') == first
    assert of('"""One."""\ndef f(x):\n    """Two."""\n    return x + 2\n') != first
    assert of('"""One."""\ndef f(x):\n    """Two."""\n    y = "Two."\n    return x + 1\n') != first


def test_the_code_a_card_used_is_left_beside_the_ledger_and_holds_what_was_loaded_and_no_more(tmp_path):
    code = ("from recsys_kit.cards import Card\nfrom recsys_kit.notebook import setup\n"
            "from recsys_kit.models.popularity import Popularity\n"
            "setup('paper-x', dataset='market', columns={}, seed=0, max_users=0)\n"
            "card = Card(['a']); card.rerun('r', published={'a': 1}, ours={'a': 1}, within=.1); card.reproduced()")
    environment = os.environ | {"RECSYS_KIT_LEDGER": str(tmp_path / "ledger-x.csv")}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, capture_output=True)
    used = json.loads((tmp_path / "code-x.json").read_text())
    assert {"models/popularity.py", "models/base.py", "schema.py"} <= set(used)
    assert not [path for path in used if path.startswith(("runs/", "strata/")) or path in ("notebook.py", "plots.py", "cards.py")]
    package = cards.Path(cards.__file__).parent
    assert all(used[path] == cards.fingerprint_of(package / path) for path in used)
